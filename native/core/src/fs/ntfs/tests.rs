#![allow(clippy::unwrap_used)]

use super::sample::{self, BLOCKS, TABLE, UNIT};
use super::*;
use crate::memory::disk_of;

fn open(bytes: &[u8]) -> Result<Ntfs> {
    Ntfs::open(&disk_of(bytes))
}

/// The sample with a field of one of its blocks changed; the place is in the block.
fn damaged(block: usize, place: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = sample::volume();
    bytes[block + place..block + place + field.len()].copy_from_slice(field);
    bytes
}

fn record(number: usize) -> usize {
    TABLE + number * UNIT
}

/// Where an attribute starts in a record.
fn attribute(number: usize, kind: u32) -> usize {
    let bytes = sample::volume();
    let record = &bytes[record(number)..record(number) + UNIT];
    let mut place = 0x38;
    while record[place..place + 4] != kind.to_le_bytes() {
        place += usize::from(record[place + 4]) + 256 * usize::from(record[place + 5]);
    }
    place
}

fn read(ntfs: &Ntfs, name: &[u8], length: usize) -> Result<Vec<u8>> {
    let node = ntfs.lookup(ROOT, name)?.unwrap();
    let mut buffer = vec![1; length];
    let read = ntfs.read_at(node, 0, &mut buffer)?;
    buffer.truncate(read);
    Ok(buffer)
}

fn names(ntfs: &Ntfs) -> Result<Vec<String>> {
    let entries = ntfs.entries(ROOT)?;
    let mut names: Vec<_> =
        entries.iter().map(|one| String::from_utf8_lossy(&one.name).into_owned()).collect();
    names.sort();
    Ok(names)
}

#[test]
fn the_sample_is_sound() {
    let ntfs = open(&sample::volume()).unwrap();
    let volume = ntfs.volume();
    assert_eq!(volume.notes, [""; 0]);
    assert_eq!((&volume.label[..], volume.dirty, volume.log_clean), (&b"S"[..], Some(false), None));
    assert_eq!(volume.free, Some(0));
    assert_eq!(names(&ntfs).unwrap(), ["data", "folder", "large", "link", "packed", "zeros"]);
    assert_eq!(read(&ntfs, b"DATA", 100).unwrap(), b"resident");
    let packed = read(&ntfs, b"Packed", 5000).unwrap();
    assert_eq!(packed, b"abc".repeat(1366)[..4096]);
    let bytes = sample::volume();
    let large = read(&ntfs, b"large", 5000).unwrap();
    assert_eq!(large[..2 * UNIT], bytes[TABLE..TABLE + 2 * UNIT]);
    assert_eq!(large[2 * UNIT..], bytes[record(5)..record(7)]);
    assert_eq!(read(&ntfs, b"zeros", 9).unwrap(), [0; 9]);
    let link = ntfs.lookup(ROOT, b"link").unwrap().unwrap();
    assert_eq!(ntfs.stat(link).unwrap().kind, NodeKind::Symlink);
    assert_eq!(ntfs.read_link(link).unwrap(), b"data");
    let folder = ntfs.lookup(ROOT, b"LI").unwrap().unwrap();
    assert_eq!(ntfs.entries(folder).unwrap().len(), 1);
    assert_eq!(ntfs.stat(folder).unwrap().modified, 1_600_000_000);
}

#[test]
fn a_circle_of_index_blocks_ends() {
    let place = attribute(5, kind::INDEX_ROOT);
    let bytes = sample::volume();
    let root = &bytes[record(5)..record(6)];
    let last =
        (place..UNIT - 8).rfind(|&at| root[at..at + 8] == [24, 0, 0, 0, 3, 0, 0, 0]).unwrap();
    let ntfs = open(&damaged(record(5), last + 8, &[0; 8])).unwrap();
    let error = ntfs.entries(ROOT).unwrap_err().to_string();
    assert!(error.contains("block 0 in two places"), "{error}");
    assert!(ntfs.lookup(ROOT, b"zeros").is_ok_and(|node| node.is_none()));
    let outside = open(&damaged(record(5), last + 8, &[0xFF; 8])).unwrap();
    assert!(outside.entries(ROOT).is_err());
    assert!(outside.lookup(ROOT, b"zeros").is_err());
    assert!(outside.lookup(ROOT, b"data").unwrap().is_some());
}

#[test]
fn index_blocks_must_be_what_they_say() {
    for (place, field) in [
        (0, &b"XXXX"[..]),
        (510, &[0xAA, 0x55]),
        (0x10, &[9]),
        (0x18, &[0xFF, 0xFF]),
        (0x1C, &[0xFF, 0xFF, 0xFF, 0xFF]),
        (0x30 + 8, &[0, 0]),
        (0x30 + 8, &[0xF0, 0x7F]),
        (0x30 + 10, &[0, 2]),
        (0x30 + 16 + 0x40, &[255]),
    ] {
        let ntfs = open(&damaged(BLOCKS, place, field)).unwrap();
        assert!(names(&ntfs).is_err(), "{place:#x} {field:02x?}");
    }
}

#[test]
fn records_must_be_what_they_say() {
    for (place, field) in [
        (0, &b"BAAD"[..]),
        (510, &[0xAA, 0x55]),
        (4, &[0xFF, 0xFF]),
        (6, &[9, 0]),
        (0x10, &[2, 0]),
        (0x16, &[0, 0]),
        (0x18, &[0xFF, 0xFF, 0xFF, 0xFF]),
        (0x20, &[5]),
        (0x38 + 4, &[0, 0, 0, 0x10]),
        (0x38 + 0x10, &[0xFF, 0xFF, 0xFF, 0xFF]),
        (0x38 + 4, &[8, 0, 0, 0]),
    ] {
        let ntfs = open(&damaged(record(16), place, field)).unwrap();
        assert!(read(&ntfs, b"data", 10).is_err(), "{place:#x} {field:02x?}");
    }
    let ntfs = open(&sample::volume()).unwrap();
    assert!(ntfs.stat(1 << 40).is_err());
    assert!(ntfs.stat(u64::MAX).is_err());
    assert!(ntfs.stat(19).is_err(), "a record that continues another is no file");
}

#[test]
fn attribute_lists_must_fit_their_records() {
    let list = attribute(18, kind::ATTRIBUTE_LIST) + 0x18;
    let data = attribute(18, kind::DATA);
    for (place, field) in [
        (list + 4, &[0, 0][..]),
        (list + 4, &[0xFF, 0xFF]),
        (list + 16, &[0xFF; 6]),
        (list + 0x20 + 16, &[16]),
        (list + 0x20 + 24, &[9]),
        (list + 6, &[0xFF]),
        (list + 0x20 + 16, &[18]),
        (data + 0x40, &[0x7F]),
        (data + 0x41, &[0xFF, 0xFF]),
        (data + 0x20, &[0xFF, 0xFF]),
    ] {
        let ntfs = open(&damaged(record(18), place, field)).unwrap();
        assert!(read(&ntfs, b"large", 5000).is_err(), "{place:#x} {field:02x?}");
    }
    let base = open(&damaged(record(19), 0x20, &[17])).unwrap();
    assert!(read(&base, b"large", 5000).is_err());
    let gap = attribute(19, kind::DATA) + 0x10;
    let ntfs = open(&damaged(record(19), gap, &[3])).unwrap();
    assert!(read(&ntfs, b"large", 5000).is_err());
}

#[test]
fn sizes_are_not_believed() {
    let data = attribute(22, kind::DATA) + 0x30;
    let huge = open(&damaged(record(22), data, &[0xFF; 8])).unwrap();
    let node = huge.lookup(ROOT, b"zeros").unwrap().unwrap();
    assert_eq!(huge.stat(node).unwrap().size, u64::MAX);
    let mut buffer = [1; 100];
    assert!(huge.read_at(node, u64::MAX - 50, &mut buffer).is_ok());
    let size = attribute(17, kind::DATA) + 0x30;
    let packed = open(&damaged(record(17), size, &[0xFF; 16])).unwrap();
    let node = packed.lookup(ROOT, b"packed").unwrap().unwrap();
    assert!(packed.read_at(node, u64::MAX - 50, &mut buffer).is_err());
    let unit = attribute(17, kind::DATA) + 0x22;
    for exponent in [0, 30, 63, 64, 255] {
        let ntfs = open(&damaged(record(17), unit, &[exponent])).unwrap();
        assert!(read(&ntfs, b"packed", 10).is_err(), "{exponent}");
    }
    let packed = BLOCKS + 2 * UNIT;
    let ntfs = open(&damaged(packed, 2, &[1, 0xFF])).unwrap();
    assert!(read(&ntfs, b"packed", 10).is_err());
}

#[test]
fn boot_sectors_must_be_possible() {
    for (place, field) in [
        (0x0B, &[0, 0][..]),
        (0x0B, &[1, 2]),
        (0x0D, &[0]),
        (0x0D, &[3]),
        (0x0D, &[0x81]),
        (0x28, &[0xFF; 8]),
        (0x28, &[0; 8]),
        (0x30, &[0xFF; 16]),
        (0x30, &[1, 0, 0, 0, 0, 0, 0, 0, 1]),
        (0x40, &[0]),
        (0x40, &[0xC0]),
        (0x40, &[0x7F]),
    ] {
        assert!(open(&damaged(0, place, field)).is_err(), "{place:#x} {field:02x?}");
    }
    let cut = &sample::volume()[..BLOCKS];
    let ntfs = open(cut).unwrap();
    assert!(ntfs.volume().notes.iter().any(|note| note.contains("past its end")));
    assert!(ntfs.entries(ROOT).is_err());
    assert!(!is_ntfs(&disk_of(b"NTFS")).unwrap());
}
