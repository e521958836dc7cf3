//! GPT arrays and chains of extended partitions.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::memory::disk_of;
use vhdtool_core::partitions::{gpt_entries, logical};

#[derive(Arbitrary, Debug)]
struct Input {
    entry_size: u32,
    count: u32,
    first_lba: u64,
    sectors: u64,
    large_sectors: bool,
    records: Vec<([u8; 66], bool)>,
    array: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let entries = gpt_entries(&input.array, input.entry_size as usize, input.count as usize);
    assert!(entries.len() <= input.array.len() / 128);
    let mut disk = Vec::new();
    for (table, signed) in &input.records {
        let mut record = vec![0; 512];
        record[446..].copy_from_slice(table);
        if *signed {
            record[510..].copy_from_slice(&[0x55, 0xAA]);
        }
        disk.extend_from_slice(&record);
    }
    let sector_size = if input.large_sectors { 4096 } else { 512 };
    let first = input.first_lba % (input.records.len() as u64 + 2);
    for first in [first, input.first_lba] {
        let found = logical(&disk_of(&disk), first, input.sectors, sector_size);
        assert!(found.is_ok_and(|(found, _)| found.len() <= 4 * 256));
    }
});
