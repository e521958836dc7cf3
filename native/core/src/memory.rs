//! Images in memory, for tests and fuzzing.

use crate::disk::Disk;
use crate::file::File;
use crate::flat::FlatMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// A file that holds `bytes` and has no name.
///
/// # Panics
///
/// When the system has no memory files and no temporary folder.
pub fn file_of(bytes: &[u8]) -> Arc<File> {
    let mut handle = unnamed();
    handle.write_all(bytes).expect("memory takes the bytes");
    Arc::new(File::from_handle(handle, Path::new("memory")).expect("a file has a length"))
}

/// A flat disk of `bytes`.
///
/// # Panics
///
/// As [`file_of`].
pub fn disk_of(bytes: &[u8]) -> Disk {
    let map = FlatMap::new(file_of(bytes), 0, bytes.len() as u64).expect("it is inside the file");
    Disk::new(Arc::new(map), None)
}

#[cfg(target_os = "linux")]
fn unnamed() -> fs::File {
    let memory = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC);
    memory.expect("memory files are there").into()
}

#[cfg(not(target_os = "linux"))]
fn unnamed() -> fs::File {
    let path = std::env::temp_dir().join(format!("vhdtool-{}", std::process::id()));
    let options =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
    options.expect("the temporary folder can be written")
}
