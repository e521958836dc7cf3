//! A small sound hive and a log for it, to be damaged by tests and by fuzzing.

use super::base::{LENGTH, SECTOR, checksum};
use super::marvin;

const BIN: usize = 4096;
const HEADER: usize = 32;
/// Cells of the sample, as offsets in the hive bins.
pub mod place {
    /// The root key.
    pub const ROOT: u32 = 0x20;
    /// The list of lists of its keys.
    pub const LISTS: u32 = 0x80;
    /// The two lists.
    pub const LIST: [u32; 2] = [0x90, 0xA8];
    /// The keys.
    pub const KEYS: [u32; 3] = [0x100, 0x180, 0x200];
    /// The list of the values of the first key.
    pub const VALUES: u32 = 0x280;
    /// Its values.
    pub const VALUE: [u32; 2] = [0x290, 0x2C0];
    /// The big data of the second value, the list of its segments, and these.
    pub const BIG: u32 = 0x300;
    /// The list of the segments of the big data.
    pub const SEGMENTS: u32 = 0x310;
    /// The segments.
    pub const SEGMENT: [u32; 2] = [0x1020, 0x6020];
}

/// The bytes of a clean hive: three keys, two values, one of them 20,000 bytes long.
pub fn hive() -> Vec<u8> {
    let mut bytes = vec![0; LENGTH + 9 * BIN];
    for (start, size) in [(0, 1), (BIN, 5), (6 * BIN, 3)] {
        let place = LENGTH + start;
        put(&mut bytes, place, b"hbin");
        put(&mut bytes, place + 4, &number(start));
        put(&mut bytes, place + 8, &number(size * BIN));
    }
    key(&mut bytes, place::ROOT, "root", 0, (3, place::LISTS), (0, u32::MAX));
    let [one, two] = place::LIST;
    cell(&mut bytes, place::LISTS, &[b"ri\x02\0", &one.to_le_bytes()[..], &two.to_le_bytes()]);
    let [a, b, c] = place::KEYS;
    let list: [&[u8]; 5] = [b"lh\x02\0", &a.to_le_bytes(), &[0; 4], &b.to_le_bytes(), &[0; 4]];
    cell(&mut bytes, one, &list);
    cell(&mut bytes, two, &[b"li\x01\0", &c.to_le_bytes()[..]]);
    key(&mut bytes, a, "A", place::ROOT, (0, u32::MAX), (2, place::VALUES));
    key(&mut bytes, b, "B", place::ROOT, (0, u32::MAX), (0, u32::MAX));
    key(&mut bytes, c, "C", place::ROOT, (0, u32::MAX), (0, u32::MAX));
    let [small, long] = place::VALUE;
    cell(&mut bytes, place::VALUES, &[&small.to_le_bytes()[..], &long.to_le_bytes()]);
    let value = |length: u32, data: u32, kind: u32| {
        [0x0005_6B76, length, data, kind, 1].map(u32::to_le_bytes).concat()
    };
    cell(&mut bytes, small, &[&value(0x8000_0004, 7, 4), b"Small"]);
    cell(&mut bytes, long, &[&value(20_000, place::BIG, 3), b"Large"]);
    cell(&mut bytes, place::BIG, &[b"db\x02\0", &place::SEGMENTS.to_le_bytes()[..]]);
    let [first, second] = place::SEGMENT;
    cell(&mut bytes, place::SEGMENTS, &[&first.to_le_bytes()[..], &second.to_le_bytes()]);
    cell(&mut bytes, first, &[&[1; 16344]]);
    cell(&mut bytes, second, &[&[2; 20_000 - 16344]]);
    base(&mut bytes, 9 * BIN, (1, 1), 0);
    bytes
}

/// The hive left dirty, and a log with one entry that gives key A the name Z.
pub fn dirty() -> (Vec<u8>, Vec<u8>) {
    let mut bytes = hive();
    base(&mut bytes, 9 * BIN, (2, 1), 0);
    let mut page = bytes[LENGTH..LENGTH + SECTOR].to_vec();
    page[place::KEYS[0] as usize + 4 + 76] = b'Z';
    let mut log = vec![0; SECTOR];
    base(&mut log, 9 * BIN, (1, 1), 6);
    let mut entry = b"HvLE".to_vec();
    for field in [2 * SECTOR, 0, 1, 9 * BIN, 1, 0, 0, 0, 0, 0, SECTOR] {
        entry.extend(number(field));
    }
    entry.extend(page);
    entry.resize(2 * SECTOR, 0);
    mend(&mut entry);
    log.extend(entry);
    (bytes, log)
}

/// Makes the hashes of a log entry right.
pub fn mend(entry: &mut [u8]) {
    if entry.len() > 40 {
        let hash = marvin::hash(&entry[40..]).to_le_bytes();
        put(entry, 24, &hash);
        let hash = marvin::hash(&entry[..32]).to_le_bytes();
        put(entry, 32, &hash);
    }
}

/// Makes the checksum of a base block right.
pub fn seal(bytes: &mut [u8]) {
    if bytes.len() >= SECTOR {
        let sum = checksum(&bytes[..SECTOR]).to_le_bytes();
        put(bytes, SECTOR - 4, &sum);
    }
}

fn base(bytes: &mut [u8], size: usize, (primary, secondary): (u32, u32), kind: u32) {
    put(bytes, 0, b"regf");
    let fields = [primary, secondary, 0, 0, 1, 5, kind, 1, place::ROOT];
    put(bytes, 4, &fields.map(u32::to_le_bytes).concat());
    put(bytes, 40, &number(size));
    seal(bytes);
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(0).to_le_bytes()
}

fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    bytes[offset..offset + field.len()].copy_from_slice(field);
}

fn cell(bytes: &mut [u8], offset: u32, parts: &[&[u8]]) {
    let data = parts.concat();
    let size = i32::try_from((data.len() + 4).next_multiple_of(8)).unwrap_or(0);
    let place = LENGTH + offset as usize;
    debug_assert!(offset as usize % BIN >= HEADER);
    put(bytes, place, &(-size).to_le_bytes());
    put(bytes, place + 4, &data);
}

fn key(
    bytes: &mut [u8],
    offset: u32,
    name: &str,
    parent: u32,
    subkeys: (u32, u32),
    values: (u32, u32),
) {
    let mut data = b"nk\x20\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let fields = [parent, subkeys.0, 0, subkeys.1, u32::MAX, values.0, values.1];
    data.extend(fields.map(u32::to_le_bytes).concat());
    data.resize(72, 0);
    data.extend([u8::try_from(name.len()).unwrap_or(0), 0, 0, 0]);
    data.extend(name.as_bytes());
    cell(bytes, offset, &[&data]);
}
