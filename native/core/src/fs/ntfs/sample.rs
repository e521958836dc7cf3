//! A small sound volume, to be damaged by tests and by fuzzing.

use super::record::kind;

/// Bytes of a cluster, a file record and an index block.
pub const UNIT: usize = 1024;
/// Where the master file table is, and how many records it has.
pub const TABLE: usize = 4 * UNIT;
/// Records of the table.
pub const RECORDS: usize = 32;
/// Where the two index blocks of the root directory are.
pub const BLOCKS: usize = TABLE + RECORDS * UNIT;
/// Bytes that hold structures: the capital letters come after them.
pub const STRUCTURES: usize = UPCASE;
const COMPRESSED: usize = BLOCKS + 2 * UNIT;
const UPCASE: usize = COMPRESSED + UNIT;
const UPCASE_CLUSTERS: usize = 128;
const CLUSTERS: usize = UPCASE / UNIT + UPCASE_CLUSTERS;
/// The sequence number of every record, as references have it.
const SEQUENCE: u64 = 1 << 48;
const NAME: &[u16] = &[0x24, 0x49, 0x33, 0x30];

/// What stands in an index entry of the root directory.
const NAMES: [(&str, u8); 6] =
    [("data", 16), ("folder", 21), ("large", 18), ("link", 20), ("packed", 17), ("zeros", 22)];

/// The bytes of the volume.
pub fn volume() -> Vec<u8> {
    let mut bytes = vec![0; CLUSTERS * UNIT];
    bytes[3..11].copy_from_slice(b"NTFS    ");
    put(&mut bytes, 0x0B, &512u16.to_le_bytes());
    bytes[0x0D] = 2;
    put(&mut bytes, 0x28, &(CLUSTERS as u64 * 2).to_le_bytes());
    put(&mut bytes, 0x30, &(TABLE as u64 / UNIT as u64).to_le_bytes());
    put(&mut bytes, 0x38, &(TABLE as u64 / UNIT as u64).to_le_bytes());
    bytes[0x40] = 1;
    for number in 0..RECORDS {
        let start = TABLE + number * UNIT;
        let mut record = record(number, &attributes(number));
        seal(&mut record);
        bytes[start..start + UNIT].copy_from_slice(&record);
    }
    let (low, high) = NAMES.split_at(3);
    for (number, names) in [low, high].into_iter().enumerate() {
        let start = BLOCKS + number * UNIT;
        let mut block = b"INDX\x28\0\x03\0".to_vec();
        block.resize(16, 0);
        block.extend((number as u64).to_le_bytes());
        block.extend(index(names, None, 0x18));
        block.resize(UNIT, 0);
        seal(&mut block);
        bytes[start..start + UNIT].copy_from_slice(&block);
    }
    // "abc" and 4093 bytes that repeat it, in one chunk, and a stored chunk header that ends.
    put(&mut bytes, COMPRESSED, &[0x05, 0xB0, 0x08, b'a', b'b', b'c', 0xFA, 0x2F]);
    for unit in 0..=u16::MAX {
        let capital = if (0x61..=0x7A).contains(&unit) { unit - 32 } else { unit };
        put(&mut bytes, UPCASE + 2 * usize::from(unit), &capital.to_le_bytes());
    }
    bytes
}

/// Makes the update sequence of a record or an index block right.
pub fn seal(block: &mut [u8]) {
    let place = usize::from(u16::from_le_bytes([block[4], block[5]]));
    for stride in 0..block.len() / 512 {
        let (saved, end) = (place + 2 + 2 * stride, 512 * stride + 510);
        if end + 2 > block.len() || saved + 2 > 510 || place < 8 {
            return;
        }
        let last = [block[end], block[end + 1]];
        block[saved..saved + 2].copy_from_slice(&last);
        let number = [block[place], block[place + 1]];
        block[end..end + 2].copy_from_slice(&number);
    }
}

fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    bytes[offset..offset + field.len()].copy_from_slice(field);
}

fn record(number: usize, attributes: &[u8]) -> Vec<u8> {
    let flags: u16 = if matches!(number, 5 | 21) { 3 } else { 1 };
    let base: u64 = if number == 19 { SEQUENCE | 0x12 } else { 0 };
    let mut bytes = b"FILE\x30\0\x03\0".to_vec();
    bytes.resize(0x30, 0);
    put(&mut bytes, 0x10, &1u16.to_le_bytes());
    put(&mut bytes, 0x14, &0x38u16.to_le_bytes());
    put(&mut bytes, 0x16, &flags.to_le_bytes());
    put(&mut bytes, 0x20, &base.to_le_bytes());
    bytes.extend([7, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(attributes);
    bytes.extend([0xFF; 8]);
    let used = u32::try_from(bytes.len()).unwrap_or(0);
    put(&mut bytes, 0x18, &used.to_le_bytes());
    bytes.resize(UNIT, 0);
    bytes
}

fn attributes(number: usize) -> Vec<u8> {
    let mut times = vec![0; 48];
    put(&mut times, 8, &132_444_736_000_000_000u64.to_le_bytes());
    let mut all = resident(kind::STANDARD_INFORMATION, &[], 0, &times);
    match number {
        0 => all.extend(clusters(kind::DATA, &[], 0, RECORDS * UNIT, &[(TABLE, RECORDS)])),
        3 => {
            all.extend(resident(kind::VOLUME_NAME, &[], 1, &[b'S', 0]));
            let version = [0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 0, 0];
            all.extend(resident(kind::VOLUME_INFORMATION, &[], 2, &version));
        }
        5 => {
            let mut root = [0x30u32, 1, 0x400, 1].map(u32::to_le_bytes).concat();
            root.extend(index(&NAMES[..0], Some((0, 1)), 16));
            all.extend(resident(kind::INDEX_ROOT, NAME, 1, &root));
            all.extend(clusters(kind::INDEX_ALLOCATION, NAME, 0, 2 * UNIT, &[(BLOCKS, 2)]));
        }
        6 => all.extend(resident(kind::DATA, &[], 1, &[0xFF; 32])),
        10 => {
            let runs = [(UPCASE, UPCASE_CLUSTERS)];
            all.extend(clusters(kind::DATA, &[], 0, UPCASE_CLUSTERS * UNIT, &runs));
        }
        16 => all.extend(resident(kind::DATA, &[], 1, b"resident")),
        17 => {
            let mut packed = clusters(kind::DATA, &[], 0, 4096, &[(COMPRESSED, 1), (0, 15)]);
            packed[12] = 1;
            packed[0x22] = 4;
            all.extend(packed);
        }
        18 => {
            let mut list = Vec::new();
            for (first, reference) in [(0u64, 0x12u64), (2, 0x13)] {
                list.extend([0x80, 0, 0, 0, 0x20, 0, 0, 0x1A]);
                list.extend([first, SEQUENCE | reference].map(u64::to_le_bytes).concat());
                list.extend([0; 8]);
            }
            all.extend(resident(kind::ATTRIBUTE_LIST, &[], 1, &list));
            all.extend(clusters(kind::DATA, &[], 0, 4 * UNIT, &[(TABLE, 2)]));
        }
        19 => {
            all.clear();
            all.extend(clusters(kind::DATA, &[], 2, 0, &[(TABLE + 5 * UNIT, 2)]));
        }
        20 => {
            let target = "data".encode_utf16().flat_map(u16::to_le_bytes);
            let mut data = vec![0x0C, 0, 0, 0xA0, 20, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0];
            data.extend(target);
            all.extend(resident(kind::REPARSE_POINT, &[], 1, &data));
        }
        21 => {
            let mut root = [0x30u32, 1, 0x400, 1].map(u32::to_le_bytes).concat();
            root.extend(index(&NAMES[..1], None, 16));
            all.extend(resident(kind::INDEX_ROOT, NAME, 1, &root));
        }
        22 => all.extend(clusters(kind::DATA, &[], 0, 1 << 40, &[(0, 1 << 30)])),
        _ => {}
    }
    all
}

fn header(kind: u32, name: &[u16], instance: u16, rest: usize) -> Vec<u8> {
    let start = if rest == 0x18 { 0x18 } else { 0x40 };
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.push(u8::from(rest != 0x18));
    bytes.push(u8::try_from(name.len()).unwrap_or(0));
    bytes.extend([start, 0, 0, 0]);
    bytes.extend(instance.to_le_bytes());
    bytes.resize(usize::from(start), 0);
    bytes.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes
}

fn finish(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    put(&mut bytes, 4, &length.to_le_bytes());
    bytes
}

fn resident(kind: u32, name: &[u16], instance: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, instance, 0x18);
    let (start, length) = (u16::try_from(bytes.len()), u32::try_from(value.len()));
    put(&mut bytes, 0x10, &length.unwrap_or(0).to_le_bytes());
    put(&mut bytes, 0x14, &start.unwrap_or(0).to_le_bytes());
    bytes.extend(value);
    finish(bytes)
}

/// Runs are (byte offset on the volume, clusters); offset 0 is a hole.
fn clusters(kind: u32, name: &[u16], first: u64, size: usize, runs: &[(usize, usize)]) -> Vec<u8> {
    let mut bytes = header(kind, name, 0, 0x40);
    let start = u16::try_from(bytes.len()).unwrap_or(0);
    put(&mut bytes, 0x10, &first.to_le_bytes());
    put(&mut bytes, 0x20, &start.to_le_bytes());
    for field in [0x28, 0x30, 0x38] {
        put(&mut bytes, field, &(size as u64).to_le_bytes());
    }
    let mut last = 0;
    for &(offset, length) in runs {
        let place = offset / UNIT;
        bytes.push(if offset == 0 { 0x05 } else { 0x25 });
        bytes.extend(&length.to_le_bytes()[..5]);
        if offset != 0 {
            bytes.extend(&(place.wrapping_sub(last)).to_le_bytes()[..2]);
            last = place;
        }
    }
    bytes.push(0);
    finish(bytes)
}

/// An index header and its entries from `first` on; `below` are the blocks around one more name.
fn index(names: &[(&str, u8)], below: Option<(u64, u64)>, first: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    for (name, number) in names {
        entries.extend(entry(name, *number, None));
    }
    if let Some((before, last)) = below {
        // The name that divides the blocks is one of DOS, which is not listed.
        entries.extend(entry("li", 21, Some(before)));
        entries.extend([0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 3, 0, 0, 0]);
        entries.extend(last.to_le_bytes());
    } else {
        entries.extend([0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 2, 0, 0, 0]);
    }
    let mut bytes = vec![0; 16];
    let end = u32::try_from(first + entries.len()).unwrap_or(0);
    put(&mut bytes, 0, &u32::try_from(first).unwrap_or(0).to_le_bytes());
    put(&mut bytes, 4, &end.to_le_bytes());
    put(&mut bytes, 8, &end.to_le_bytes());
    bytes.resize(first, 0);
    bytes.extend(entries);
    bytes
}

fn entry(name: &str, number: u8, child: Option<u64>) -> Vec<u8> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let key = 0x42 + 2 * units.len();
    let mut bytes = (SEQUENCE | u64::from(number)).to_le_bytes().to_vec();
    let length = (16 + key).next_multiple_of(8) + if child.is_some() { 8 } else { 0 };
    bytes.extend(u16::try_from(length).unwrap_or(0).to_le_bytes());
    bytes.extend(u16::try_from(key).unwrap_or(0).to_le_bytes());
    bytes.extend([u8::from(child.is_some()), 0, 0, 0]);
    bytes.resize(16 + 0x40, 0);
    bytes.push(u8::try_from(units.len()).unwrap_or(0));
    bytes.push(if child.is_some() { super::index::DOS } else { 1 });
    bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    bytes.resize(length, 0);
    if let Some(child) = child {
        put(&mut bytes, length - 8, &child.to_le_bytes());
    }
    bytes
}
