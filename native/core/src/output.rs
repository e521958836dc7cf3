//! Files that appear under their name whole, or not at all.

use crate::error::{Error, Result};
use crate::file::File;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file being written. It gets its name by [`Output::commit`] and is gone when dropped before.
#[derive(Debug)]
pub struct Output {
    handle: fs::File,
    path: PathBuf,
    /// The hidden name of a file that could not be made without one.
    hidden: Mutex<Option<PathBuf>>,
}

impl Output {
    /// Makes a file in the folder of `path`, without a name where the system can.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        if let Some(handle) = create_unnamed(folder) {
            return Ok(Self { handle, path: path.to_owned(), hidden: Mutex::new(None) });
        }
        let hidden = hidden_name(path);
        let handle =
            fs::OpenOptions::new().read(true).write(true).create_new(true).open(&hidden).map_err(
                |source| Error::io(format!("cannot create a file in {}", folder.display()), source),
            )?;
        Ok(Self { handle, path: path.to_owned(), hidden: Mutex::new(Some(hidden)) })
    }

    /// The name that the file will get.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The handle, for writing at offsets.
    pub fn handle(&self) -> &fs::File {
        &self.handle
    }

    /// A second handle that writes past the page cache, where the file system has that.
    pub fn direct_handle(&self) -> Option<fs::File> {
        open_direct(&self.handle)
    }

    /// Writes all of `bytes` at `offset`.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        write_all_at(&self.handle, bytes, offset).map_err(|source| self.error(offset, source))
    }

    /// An error in writing at `offset`.
    pub fn error(&self, offset: u64, source: io::Error) -> Error {
        Error::io(format!("cannot write {} at offset {offset:#x}", self.path.display()), source)
    }

    /// Makes the file `length` bytes long; new bytes are a hole.
    pub fn set_len(&self, length: u64) -> Result<()> {
        self.handle.set_len(length).map_err(|source| self.error(length, source))
    }

    /// Current length.
    pub fn len(&self) -> Result<u64> {
        self.handle
            .metadata()
            .map(|metadata| metadata.len())
            .map_err(|source| self.error(0, source))
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// What was written so far, for reading.
    pub fn file(&self) -> Result<File> {
        let handle = self.handle.try_clone().map_err(|source| self.error(0, source))?;
        File::from_handle(handle, &self.path)
    }

    /// Brings everything to storage and drops it from the cache: the next read is of the storage.
    pub fn settle(&self) -> Result<()> {
        self.handle.sync_data().map_err(|source| self.error(0, source))?;
        forget_cache(&self.handle);
        Ok(())
    }

    /// Brings the file to storage and gives it its name.
    ///
    /// With `replace` an existing file is replaced in one step; without, it is an error. When the
    /// process is killed between making a hidden name and renaming it, the hidden file is whole.
    pub fn commit(&self, replace: bool) -> Result<()> {
        self.handle.sync_all().map_err(|source| self.error(0, source))?;
        let mut hidden = self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wrap = |source| Error::io(format!("cannot create {}", self.path.display()), source);
        match hidden.take() {
            Some(name) => {
                let named = if replace {
                    fs::rename(&name, &self.path)
                } else {
                    rename_new(&name, &self.path)
                };
                if named.is_err() {
                    *hidden = Some(name);
                }
                named.map_err(wrap)?;
            }
            None if replace && self.path.exists() => {
                let name = hidden_name(&self.path);
                link_unnamed(&self.handle, &name).map_err(wrap)?;
                fs::rename(&name, &self.path).map_err(|source| {
                    let _ = fs::remove_file(&name);
                    wrap(source)
                })?;
            }
            None => link_unnamed(&self.handle, &self.path).map_err(wrap)?,
        }
        sync_folder(folder_of(&self.path)).map_err(wrap)
    }

    /// Drops what was written.
    pub fn abort(&self) {
        let mut hidden = self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(name) = hidden.take() {
            let _ = fs::remove_file(name);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.abort();
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A name beside `path` that nobody else uses.
fn hidden_name(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = time.map_or(0, |time| time.subsec_nanos());
    name.push(format!(".{}-{count}-{nanos:08x}.partial", std::process::id()));
    folder_of(path).join(name)
}

#[cfg(unix)]
fn write_all_at(handle: &fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(handle, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(handle: &fs::File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(handle, bytes, offset)?;
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
    use std::fs;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    /// `TMPFS_MAGIC`: memory, where going past the page cache gains nothing.
    const TMPFS: i64 = 0x0102_1994;

    fn link_of(handle: &fs::File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
    }

    pub fn create_unnamed(folder: &Path) -> Option<fs::File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let handle = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)).ok()?;
        let handle = fs::File::from(handle);
        // Without /proc the file could not be given a name later.
        link_of(&handle).exists().then_some(handle)
    }

    pub fn link_unnamed(handle: &fs::File, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, link_of(handle), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    pub fn open_direct(handle: &fs::File) -> Option<fs::File> {
        let kind = rustix::fs::fstatfs(handle).ok()?.f_type;
        if kind == TMPFS {
            return None;
        }
        let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        rustix::fs::open(link_of(handle), flags, Mode::empty()).ok().map(fs::File::from)
    }

    pub fn forget_cache(handle: &fs::File) {
        let _ = rustix::fs::fadvise(handle, 0, None, rustix::fs::Advice::DontNeed);
    }
}

#[cfg(target_os = "linux")]
use linux::{create_unnamed, forget_cache, link_unnamed, open_direct, rename_new};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::fs;
    use std::io;
    use std::path::Path;

    pub fn create_unnamed(_: &Path) -> Option<fs::File> {
        None
    }

    pub fn link_unnamed(_: &fs::File, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)?;
        fs::remove_file(from)
    }

    pub fn open_direct(_: &fs::File) -> Option<fs::File> {
        None
    }

    pub fn forget_cache(_: &fs::File) {}
}

#[cfg(not(target_os = "linux"))]
use elsewhere::{create_unnamed, forget_cache, link_unnamed, open_direct, rename_new};

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
