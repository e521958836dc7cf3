//! An XFS of version 4 with 128 blocks: a sound superblock, and inodes, directories, extent trees
//! and a log that hold anything.
#![no_main]

mod walk;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::fs::xfs;
use vhdtool_core::memory::disk_of;

const BLOCK: usize = 1024;
const INODES: usize = 8;
const LOG: usize = 64;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Mode, format, size, extents, fork offset and data fork of the inodes from the root on.
    inodes: Vec<(u8, u8, u32, u8, u8, Vec<u8>)>,
    /// What blocks 16 to 63 are, and hold.
    blocks: Vec<(u8, Vec<u8>)>,
    /// Extents of the root directory.
    extents: Vec<(u16, u8, u8)>,
    ftype: bool,
    names_in_any_case: bool,
    /// Operations of the log: flags and bytes.
    log: Vec<(u8, Vec<u8>)>,
    rest: Vec<u8>,
}

fn put(volume: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(volume.len());
    if at < end {
        volume[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

fn superblock(volume: &mut [u8], input: &Input) {
    let mut version: u16 = 0x2000 | 0x8000 | 4;
    if input.names_in_any_case {
        version |= 0x4000;
    }
    put(volume, 0, b"XFSB");
    put(volume, 4, &(BLOCK as u32).to_be_bytes());
    put(volume, 8, &128u64.to_be_bytes());
    put(volume, 48, &(LOG as u64).to_be_bytes());
    put(volume, 56, &(INODES as u64 * 4).to_be_bytes());
    put(volume, 84, &128u32.to_be_bytes());
    put(volume, 88, &1u32.to_be_bytes());
    put(volume, 96, &64u32.to_be_bytes());
    put(volume, 100, &version.to_be_bytes());
    put(volume, 102, &512u16.to_be_bytes());
    put(volume, 104, &256u16.to_be_bytes());
    put(volume, 120, &[10, 9, 8, 2, 7]);
    put(volume, 126, &[0]);
    put(volume, 192, &[0]);
    put(volume, 200, &(u32::from(input.ftype) << 9).to_be_bytes());
    put(volume, 204, &[0; 4]);
}

fn record(extent: (u16, u8, u8)) -> [u8; 16] {
    let (file_block, block, count) =
        (u64::from(extent.0), u64::from(extent.1), u64::from(extent.2));
    let high = file_block << 9;
    let low = (block % 128) << 21 | count % 8;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    bytes
}

fuzz_target!(|input: Input| {
    let mut volume = input.rest.clone();
    volume.resize(128 * BLOCK, 0);
    superblock(&mut volume, &input);
    for (index, inode) in input.inodes.iter().take(32).enumerate() {
        let (mode, format, size, extents, fork, data) = inode;
        let at = INODES * BLOCK + index * 256;
        // The root is a directory, else nothing is reached.
        let kind = if index == 0 { 4u16 } else { u16::from(*mode) & 15 };
        put(&mut volume, at, b"IN");
        put(&mut volume, at + 2, &(kind << 12 | 0o755).to_be_bytes());
        put(&mut volume, at + 4, &[2, format & 3]);
        put(&mut volume, at + 56, &u64::from(*size).to_be_bytes());
        put(&mut volume, at + 76, &u32::from(*extents).to_be_bytes());
        put(&mut volume, at + 82, &[fork % 24]);
        put(&mut volume, at + 100, &data[..data.len().min(156)]);
        if index == 0 {
            for (place, extent) in input.extents.iter().take(9).enumerate() {
                put(&mut volume, at + 100 + place * 16, &record(*extent));
            }
        }
    }
    let magics: [&[u8]; 4] = [b"XD2B", b"XD2D", b"BMAP", b""];
    for (index, (kind, bytes)) in input.blocks.iter().take(48).enumerate() {
        let at = (16 + index) * BLOCK;
        put(&mut volume, at, &bytes[..bytes.len().min(BLOCK)]);
        put(&mut volume, at, magics[usize::from(kind % 4)]);
    }
    let mut data = Vec::new();
    for (flags, bytes) in &input.log {
        data.extend_from_slice(&[0, 0, 0, 1]);
        data.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        data.extend_from_slice(&[0x69, *flags, 0, 0]);
        data.extend_from_slice(bytes);
    }
    data.truncate(60 * 512);
    let at = LOG * BLOCK;
    if !data.is_empty() {
        put(&mut volume, at, &vec![0; 64 * BLOCK]);
        put(&mut volume, at, &[0xFE, 0xED, 0xBA, 0xBE, 0, 0, 0, 1, 0, 0, 0, 2]);
        put(&mut volume, at + 12, &(data.len() as u32).to_be_bytes());
        put(&mut volume, at + 16, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        put(&mut volume, at + 40, &(input.log.len() as u32).to_be_bytes());
        put(&mut volume, at + 300, &[0, 0, 0, 1]);
        for (index, sector) in data.chunks(512).enumerate() {
            // The first bytes of each sector are in the header, and its cycle in their place.
            let first = &sector[..sector.len().min(4)];
            put(&mut volume, at + 44 + index * 4, first);
            put(&mut volume, at + (index + 1) * 512, sector);
            put(&mut volume, at + (index + 1) * 512, &[0, 0, 0, 1]);
        }
    }
    if let Ok(filesystem) = xfs::open(&disk_of(&volume)) {
        walk::walk(filesystem.as_ref());
    }
});
