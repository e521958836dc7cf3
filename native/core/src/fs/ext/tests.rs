//! Hostile volumes: 64 blocks of 1 KiB with a sound superblock and one inode that lies.
#![allow(clippy::unwrap_used)]

use super::{detect, open};
use crate::fs::FileSystem;
use crate::memory::disk_of;

const BLOCK: usize = 1024;
const TABLE: usize = 3;
const DIRECTORY: u16 = 0o040_755;
const FILE: u16 = 0o100_644;
const LINK: u16 = 0o120_777;
const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;

struct Builder(Vec<u8>);

impl Builder {
    fn new() -> Self {
        let mut volume = Self(vec![0; 64 * BLOCK]);
        for (at, value) in [(0, 64), (0x4, 64), (0x14, 1), (0x20, 8192), (0x28, 64), (0x4C, 1)] {
            volume.put32(BLOCK + at, value);
        }
        volume.put(BLOCK + 0x38, &[0x53, 0xEF, 1, 0]);
        volume.put(BLOCK + 0x58, &128u16.to_le_bytes());
        // Kinds in entries and extents.
        volume.put32(BLOCK + 0x60, 0x42);
        volume.put32(2 * BLOCK + 8, 3);
        volume
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    /// Writes an inode: mode, size, flags, block map.
    fn inode(mut self, number: usize, mode: u16, size: u64, flags: u32, map: &[u8]) -> Self {
        let at = TABLE * BLOCK + (number - 1) * 128;
        self.put(at, &mode.to_le_bytes());
        self.put(at + 4, &size.to_le_bytes()[..4]);
        self.put(at + 108, &size.to_le_bytes()[4..]);
        self.put32(at + 32, flags);
        self.put(at + 40, map);
        self
    }

    fn block(mut self, number: usize, bytes: &[u8]) -> Self {
        self.put(number * BLOCK, bytes);
        self
    }

    fn open(&self) -> Box<dyn FileSystem> {
        let disk = disk_of(&self.0);
        assert!(detect(&disk));
        open(&disk).unwrap()
    }
}

/// A node of an extent tree: entries of first block, length or 0, physical block.
fn node(depth: u16, entries: &[(u32, u16, u32)]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).unwrap();
    let mut raw: Vec<u8> = [0xF30A, count, count, depth, 0, 0]
        .iter()
        .flat_map(|field: &u16| field.to_le_bytes())
        .collect();
    for (logical, length, physical) in entries {
        raw.extend_from_slice(&logical.to_le_bytes());
        if depth == 0 {
            raw.extend_from_slice(&u32::from(*length).to_le_bytes());
            raw.extend_from_slice(&physical.to_le_bytes());
        } else {
            raw.extend_from_slice(&physical.to_le_bytes());
            raw.extend_from_slice(&[0; 4]);
        }
    }
    raw
}

fn entry(node: u32, length: u16, name: &[u8]) -> Vec<u8> {
    let mut raw = node.to_le_bytes().to_vec();
    raw.extend_from_slice(&length.to_le_bytes());
    raw.extend_from_slice(&[u8::try_from(name.len()).unwrap(), 1]);
    raw.extend_from_slice(name);
    raw.resize(usize::from(length), 0);
    raw
}

#[test]
fn a_sound_directory_is_read() {
    let names = [entry(2, 12, b"."), entry(2, 12, b".."), entry(12, 1000, b"file")].concat();
    let volume = Builder::new()
        .inode(2, DIRECTORY, 1024, EXTENTS, &node(0, &[(0, 1, 20)]))
        .inode(12, FILE, 5, EXTENTS, &node(0, &[(0, 1, 21)]))
        .block(20, &names)
        .block(21, b"hello");
    let filesystem = volume.open();
    assert_eq!(filesystem.lookup(2, b"file").unwrap(), Some(12));
    assert_eq!(filesystem.lookup(2, b".").unwrap(), None);
    let mut buffer = [0; 9];
    assert_eq!(filesystem.read_at(12, 1, &mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"ello");
    assert_eq!(filesystem.volume().kind, "ext4");
}

#[test]
fn trees_of_extents_cannot_run_in_circles() {
    let root = node(3, &[(0, 0, 20)]);
    let volume = Builder::new().inode(2, DIRECTORY, 1024, EXTENTS, &root).block(20, &root);
    let error = volume.open().entries(2).unwrap_err().to_string();
    assert!(error.contains("depth"), "{error}");
    let deep = Builder::new().inode(2, DIRECTORY, 1024, EXTENTS, &node(6, &[(0, 0, 20)]));
    assert!(deep.open().entries(2).is_err());
}

#[test]
fn blocks_outside_the_volume_are_errors() {
    for physical in [64, 65, u32::MAX] {
        let map = node(0, &[(0, 1, physical)]);
        let volume = Builder::new().inode(12, FILE, 100, EXTENTS, &map);
        let error = volume.open().read_at(12, 0, &mut [0; 10]).unwrap_err().to_string();
        assert!(error.contains("data of inode 12"), "{error}");
    }
    let pointers: Vec<u8> = [0; 52].into_iter().chain(99u32.to_le_bytes()).collect();
    let volume = Builder::new().inode(12, FILE, 1 << 30, 0, &pointers);
    assert!(volume.open().read_at(12, 300 << 10, &mut [0; 10]).is_err());
}

#[test]
fn huge_sizes_cost_what_is_read() {
    let volume = Builder::new()
        .inode(12, FILE, u64::MAX, EXTENTS, &node(0, &[]))
        .inode(13, FILE, u64::MAX, 0, &[])
        .inode(14, LINK, u64::MAX, EXTENTS, &node(0, &[]))
        .inode(15, FILE, u64::MAX, INLINE, b"inline");
    let filesystem = volume.open();
    for inode in [12, 13, 15] {
        let mut buffer = [1; 20];
        assert_eq!(filesystem.read_at(inode, u64::MAX - 10, &mut buffer).unwrap(), 10);
        assert_eq!(buffer[..10], [0; 10]);
        assert_eq!(filesystem.read_at(inode, u64::MAX, &mut buffer).unwrap(), 0);
    }
    assert!(filesystem.read_link(14).unwrap().len() <= 64 << 10);
}

#[test]
fn damaged_directories_are_errors() {
    let bad_names: [&[u8]; 3] = [b"", b"a/b", b"a\0b"];
    let mut blocks: Vec<Vec<u8>> = bad_names.map(|name| entry(12, 1024, name)).to_vec();
    blocks.extend([0u16, 4, 10, 2048].map(|length| {
        let mut raw = entry(12, 12, b"abcd");
        raw[4..6].copy_from_slice(&length.to_le_bytes());
        raw
    }));
    for block in blocks {
        let map = node(0, &[(0, 1, 20)]);
        let volume = Builder::new().inode(2, DIRECTORY, 1024, EXTENTS, &map).block(20, &block);
        assert!(volume.open().entries(2).is_err(), "{:?}", &block[..12]);
    }
    let filesystem = Builder::new().inode(12, FILE, 1, 0, &[]).open();
    assert!(filesystem.entries(12).is_err());
    for number in [0, 65, 1 << 32, u64::MAX] {
        assert!(filesystem.stat(number).is_err(), "{number}");
    }
}

#[test]
fn directories_that_repeat_a_block_without_end_are_refused() {
    // Every extent has the same block, full of entries.
    let names = entry(12, 16, b"again").repeat(64);
    let extents: Vec<_> = (0..4).map(|index| (index * 32_768, 32_768, 20)).collect();
    let map = node(0, &extents);
    let volume = Builder::new().inode(2, DIRECTORY, 0x7FFF_FC00, EXTENTS, &map).block(20, &names);
    assert!(volume.open().entries(2).is_err());
}

#[test]
fn journals_that_lie_are_told_and_the_rest_is_read() {
    let mut journal = [0; 1024];
    journal[..8].copy_from_slice(&[0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4]);
    journal[12..24].copy_from_slice(&[0, 0, 4, 0, 0, 0, 0, 9, 0, 0, 0, 1]);
    journal[24..32].copy_from_slice(&[0, 0, 0, 7, 0, 0, 0, 1]);
    // A descriptor of transaction 7 in each block of the log, that names blocks outside.
    let mut descriptor = [0xFF; 1024];
    descriptor[..12].copy_from_slice(&[0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 1, 0, 0, 0, 7]);
    let map: Vec<u8> = (40u32..52).flat_map(u32::to_le_bytes).collect();
    let mut volume = Builder::new().inode(8, FILE, 12 * 1024, 0, &map).block(40, &journal);
    for block in 41..52 {
        volume = volume.block(block, &descriptor);
    }
    volume.put32(BLOCK + 0x5C, 4);
    volume.put32(BLOCK + 0x60, 0x46);
    volume.put32(BLOCK + 0xE0, 8);
    // Nothing was committed: nothing is replayed, and no descriptor is followed twice.
    let found = volume.open().volume();
    assert_eq!((found.clean, found.notes.len()), (Some(false), 0));
    for (at, value) in [(12, 0xFF), (19, 1), (31, 200), (40, 0x80)] {
        let mut volume = Builder(volume.0.clone());
        volume.0[40 * BLOCK + at] = value;
        let notes = volume.open().volume().notes;
        assert!(notes[0].contains("was not"), "{at}: {notes:?}");
    }
    volume.put32(BLOCK + 0xE0, 0);
    assert!(volume.open().volume().notes[0].contains("another device"));
}
