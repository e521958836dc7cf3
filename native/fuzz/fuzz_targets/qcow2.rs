//! A qcow2 image with a header that passes and tables that hold anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::sync::Arc;
use vhdtool_core::disk::{Disk, Extents};
use vhdtool_core::file::File;
use vhdtool_core::qcow2::Qcow2Map;

fuzz_target!(|input: &[u8]| {
    // imago opens by name: a file in memory has one below /proc.
    let path = std::env::temp_dir().join(format!("vhdtool-fuzz-{}.qcow2", std::process::id()));
    let mut image = b"QFI\xFB\0\0\0\x03".to_vec();
    image.extend_from_slice(input);
    image.resize(image.len().max(512), 0);
    fs::write(&path, &image).expect("the temporary folder can be written");
    let file = Arc::new(File::open(&path).expect("it was written"));
    if let Ok(map) = Qcow2Map::new(file) {
        let disk = Disk::new(Arc::new(map), None);
        let mut buffer = vec![0; 70_000];
        for extent in Extents::new(&disk, 0, disk.size()).take(64) {
            let Ok(extent) = extent else { break };
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX).min(buffer.len());
            let _ = disk.read_at(extent.offset, &mut buffer[..length]);
        }
    }
});
