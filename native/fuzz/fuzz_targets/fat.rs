//! A FAT volume whose boot sector passes, with a table and directories that hold anything.
#![no_main]

mod walk;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::fs::fat;
use vhdtool_core::memory::disk_of;

#[derive(Arbitrary, Debug)]
struct Input {
    wide: bool,
    per_cluster: u8,
    sectors: u16,
    tables: u8,
    table_sectors: u8,
    root_entries: u16,
    root_cluster: u8,
    table: Vec<u16>,
    entries: Vec<([u8; 11], u8, [u8; 20])>,
    rest: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let mut boot = vec![0; 512];
    boot[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
    boot[11..13].copy_from_slice(&512u16.to_le_bytes());
    boot[13] = 1 << (input.per_cluster & 3);
    boot[14] = 1;
    boot[16] = 1 + (input.tables & 1);
    boot[17..19].copy_from_slice(&(input.root_entries & 255).to_le_bytes());
    boot[19..21].copy_from_slice(&input.sectors.to_le_bytes());
    boot[21] = 0xF8;
    let table_sectors = 1 + (input.table_sectors & 7);
    boot[if input.wide { 36 } else { 22 }] = table_sectors;
    boot[44] = input.root_cluster;
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    let mut volume = boot;
    let mut table: Vec<u8> = input.table.iter().flat_map(|link| link.to_le_bytes()).collect();
    table.resize(512 * usize::from(table_sectors), 0);
    for _ in 0..=(input.tables & 1) {
        volume.extend_from_slice(&table);
    }
    for (name, attributes, rest) in &input.entries {
        volume.extend_from_slice(name);
        volume.push(*attributes);
        volume.extend_from_slice(rest);
    }
    volume.extend_from_slice(&input.rest);
    let disk = disk_of(&volume);
    let _ = fat::detect(&disk);
    if let Ok(filesystem) = fat::open(&disk) {
        walk::walk(filesystem.as_ref());
    }
});
