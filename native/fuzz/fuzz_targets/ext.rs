//! An ext volume of 64 blocks: a sound superblock, and inodes, directories, maps and a journal
//! that hold anything.
#![no_main]

mod walk;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::fs::ext;
use vhdtool_core::memory::disk_of;

const BLOCK: usize = 1024;
const TABLE: usize = 3;

#[derive(Arbitrary, Debug)]
struct Input {
    incompatible: u32,
    read_only: u32,
    compatible: u32,
    sizes: u8,
    large: bool,
    /// Mode, size, flags and block map of the inodes from 1 on.
    inodes: Vec<(u8, u32, u32, [u8; 60])>,
    journal: Vec<(u8, bool, Vec<u8>)>,
    rest: Vec<u8>,
}

fn put(volume: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(volume.len());
    if at < end {
        volume[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

fn superblock(volume: &mut [u8], input: &Input) {
    let field = |volume: &mut [u8], at: usize, value: u32| {
        put(volume, BLOCK + at, &value.to_le_bytes());
    };
    field(volume, 0, 64);
    field(volume, 0x4, if input.large { u32::MAX } else { 64 });
    field(volume, 0x14, 1);
    field(volume, 0x20, 8192);
    field(volume, 0x28, 64);
    put(volume, BLOCK + 0x38, &[0x53, 0xEF, 1, 0]);
    field(volume, 0x4C, 1);
    put(volume, BLOCK + 0x58, &(128u16 << (input.sizes & 1)).to_le_bytes());
    field(volume, 0x5C, input.compatible | 4);
    field(volume, 0x60, input.incompatible & 0x3_E7D6);
    // No checksums: what is wrong must not be refused at once.
    field(volume, 0x64, input.read_only & !0x400);
    field(volume, 0xE0, 8);
    put(volume, BLOCK + 0xFE, &(32u16 << (input.sizes >> 1 & 3)).to_le_bytes());
}

fuzz_target!(|input: Input| {
    let mut volume = input.rest.clone();
    volume.resize(64 * BLOCK, 0);
    superblock(&mut volume, &input);
    put(&mut volume, 2 * BLOCK + 8, &(TABLE as u32).to_le_bytes());
    let inode_size = 128 << (input.sizes & 1);
    for (index, (mode, size, flags, map)) in input.inodes.iter().take(64).enumerate() {
        let at = TABLE * BLOCK + index * inode_size;
        // The root is a directory, else nothing is reached.
        let kind = if index == 1 { 0x4000u16 } else { u16::from(*mode) << 12 };
        put(&mut volume, at, &(kind | 0o755).to_le_bytes());
        put(&mut volume, at + 4, &size.to_le_bytes());
        put(&mut volume, at + 32, &flags.to_le_bytes());
        put(&mut volume, at + 40, map);
    }
    // A journal of direct blocks from 40 on.
    let journal = TABLE * BLOCK + 7 * inode_size;
    put(&mut volume, journal + 32, &0u32.to_le_bytes());
    for block in 0..12u32 {
        put(&mut volume, journal + 40 + 4 * block as usize, &(40 + block).to_le_bytes());
    }
    for (number, (kind, marked, bytes)) in input.journal.iter().take(12).enumerate() {
        let at = (40 + number) * BLOCK;
        put(&mut volume, at, &bytes[..bytes.len().min(BLOCK)]);
        if *marked {
            put(&mut volume, at, &[0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, kind & 7]);
        }
        if number == 0 {
            put(&mut volume, at + 12, &(BLOCK as u32).to_be_bytes());
            put(&mut volume, at + 20, &[0, 0, 0, 1]);
        }
    }
    if let Ok(filesystem) = ext::open(&disk_of(&volume)) {
        walk::walk(filesystem.as_ref());
    }
});
