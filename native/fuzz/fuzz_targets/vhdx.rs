//! A VHDX whose headers say anything, and its log, over a file that holds anything.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vhdtool_core::disk::{Disk, Extents};
use vhdtool_core::memory::{disk_of, file_of};
use vhdtool_core::vhdx::{Geometry, VhdxMap};
use vhdtool_core::{audit, vhdx_log};

#[derive(Arbitrary, Debug)]
struct Input {
    size: u64,
    table_offset: u16,
    table_length: u32,
    block_shift: u8,
    large_sectors: bool,
    differencing: bool,
    offset: u64,
    log_offset: u16,
    log_sectors: u8,
    guid: [u8; 16],
    mend: bool,
    parent: Vec<u8>,
    file: Vec<u8>,
}

/// Makes the checksums of log entries right, so that what they say is read.
fn mend_log(file: &mut [u8], guid: [u8; 16]) {
    for start in (0..file.len()).step_by(4096) {
        let Some(entry) = file.get_mut(start..start + 4096) else { break };
        if &entry[..4] == b"loge" {
            entry[32..48].copy_from_slice(&guid);
            entry[8..12].copy_from_slice(&4096u32.to_le_bytes());
            entry[4..8].fill(0);
            let sum = vhdx_log::checksum(entry);
            entry[4..8].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

fuzz_target!(|input: Input| {
    let mut bytes = input.file;
    if input.mend {
        mend_log(&mut bytes, input.guid);
    }
    let file = file_of(&bytes);
    let log = (u64::from(input.log_offset), u64::from(input.log_sectors) * 4096);
    let file = match vhdx_log::replay(&file, log.0, log.1, input.guid) {
        Ok(replay) => Arc::new(file.with_patches(replay.patches, replay.file_size)),
        Err(_) => file,
    };
    let geometry = Geometry {
        size: input.size,
        table_offset: u64::from(input.table_offset),
        table_length: u64::from(input.table_length),
        block_size: 1u64.checked_shl(u32::from(input.block_shift)).unwrap_or(3),
        sector_size: if input.large_sectors { 4096 } else { 512 },
        differencing: input.differencing,
    };
    let _ = audit::vhdx_table(&file, geometry, &[(0, 1 << 20)], 4);
    let Ok(map) = VhdxMap::new(file, geometry) else { return };
    let disk = Disk::new(Arc::new(map), Some(&disk_of(&input.parent)));
    let mut next = 0;
    for extent in Extents::new(&disk, 0, disk.size()).take(256) {
        let Ok(extent) = extent else { break };
        assert!(extent.offset == next && extent.length > 0);
        next += extent.length;
    }
    let mut buffer = vec![0; 10_000];
    let _ = disk.read_at(input.offset % disk.size().max(1), &mut buffer);
});
