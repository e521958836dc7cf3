//! A VHD whose header says anything over a file that holds anything.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vhdtool_core::audit;
use vhdtool_core::disk::{Disk, Extents};
use vhdtool_core::memory::{disk_of, file_of};
use vhdtool_core::vhd::{ClearBits, Geometry, VhdMap};

#[derive(Arbitrary, Debug)]
struct Input {
    size: u64,
    table_offset: u16,
    table_entries: u32,
    block_shift: u8,
    clear_bits: u8,
    offset: u64,
    parent: Vec<u8>,
    file: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let geometry = Geometry {
        size: input.size,
        table_offset: u64::from(input.table_offset),
        table_entries: u64::from(input.table_entries),
        block_size: 1u64.checked_shl(u32::from(input.block_shift)).unwrap_or(3),
    };
    let clear_bits =
        [ClearBits::Zero, ClearBits::Parent, ClearBits::Stored][usize::from(input.clear_bits % 3)];
    let file = file_of(&input.file);
    let reserved = [(0, 1536), (geometry.table_offset, 512)];
    if let Ok(table) = audit::vhd_table(&file, geometry, &reserved, file.size(), 4) {
        assert!(table.allocated <= table.examined);
    }
    let _ = audit::clear_sectors(&file, geometry, 16, 1 << 20);
    let Ok(map) = VhdMap::new(file, geometry, clear_bits) else { return };
    let disk = Disk::new(Arc::new(map), Some(&disk_of(&input.parent)));
    let mut next = 0;
    for extent in Extents::new(&disk, 0, disk.size()).take(256) {
        let Ok(extent) = extent else { break };
        assert!(extent.offset == next && extent.length > 0);
        next += extent.length;
        assert!(next <= disk.size());
    }
    let mut buffer = vec![0; 10_000];
    let _ = disk.read_at(input.offset % disk.size().max(1), &mut buffer);
});
