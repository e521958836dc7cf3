//! A btrfs of 256 KiB: a sound superblock and sound heads of tree blocks, with items that hold
//! anything. Its checksums are of a kind that is not checked.
#![no_main]

mod walk;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::fs::btrfs;
use vhdtool_core::memory::disk_of;

const SIZE: u64 = 256 << 10;
const NODE: usize = 4096;
const SUPERBLOCK: usize = 64 << 10;
const UUID: [u8; 16] = [7; 16];
const CHUNKS: usize = 0x20000;
const ROOTS: usize = 0x21000;
const FILES: usize = 0x22000;
const MORE_FILES: usize = 0x23000;

/// Kinds of items that are looked at.
const KINDS: [u8; 8] = [1, 84, 96, 108, 132, 156, 228, 24];

#[derive(Arbitrary, Debug)]
struct Item {
    object: u8,
    kind: u8,
    offset: u16,
    sound: bool,
    data: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    chunks: Vec<Item>,
    roots: Vec<Item>,
    files: Vec<Item>,
    more_files: Vec<Item>,
    levels: bool,
    rest: Vec<u8>,
}

type Stored = ((u64, u8, u64), Vec<u8>);

fn put(volume: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(volume.len());
    if at < end {
        volume[at..end].copy_from_slice(&bytes[..end - at]);
    }
}

fn key_of((object, kind, offset): (u64, u8, u64)) -> Vec<u8> {
    [&object.to_le_bytes()[..], &[kind], &offset.to_le_bytes()].concat()
}

fn head(volume: &mut [u8], at: usize, count: usize, level: u8) {
    put(volume, at + 32, &UUID);
    put(volume, at + 48, &(at as u64).to_le_bytes());
    put(volume, at + 80, &1u64.to_le_bytes());
    put(volume, at + 96, &(count as u32).to_le_bytes());
    put(volume, at + 100, &[level]);
}

/// Gives items what makes them reach further than the first check.
fn stored(items: &[Item]) -> Vec<Stored> {
    let mut stored = Vec::new();
    for item in items {
        let kind = KINDS[usize::from(item.kind % 8)];
        let key = (u64::from(item.object % 4) + 254, kind, u64::from(item.offset));
        let mut data = item.data.clone();
        data.truncate(300);
        if item.sound {
            match kind {
                1 => {
                    data.resize(160, 0);
                    let mode = [0x4000u32, 0x8000, 0xA000, 0x1000][usize::from(item.object % 4)];
                    data[52..56].copy_from_slice(&(mode | 0o755).to_le_bytes());
                    data[16..24].copy_from_slice(&u64::from(item.offset).to_le_bytes());
                }
                84 | 96 => {
                    data.resize(data.len().max(31), b'n');
                    data[..17].copy_from_slice(&key_of((u64::from(item.object) + 254, 1, 0)));
                    let length = (data.len() - 30).min(255) as u16;
                    data[25..29].copy_from_slice(&[0, 0, length as u8, 0]);
                }
                108 if data.len() > 21 => {
                    let kind = data[20] % 3;
                    data[17..21].copy_from_slice(&[0, 0, 0, kind]);
                }
                _ => {}
            }
        }
        stored.push((key, data));
    }
    stored
}

fn leaf(volume: &mut [u8], at: usize, mut items: Vec<Stored>) -> (u64, u8, u64) {
    items.sort();
    items.dedup_by_key(|(key, _)| *key);
    let (mut count, mut end) = (0, NODE);
    for (key, data) in &items {
        let entry = 101 + count * 25;
        if end < entry + 25 + data.len() {
            break;
        }
        end -= data.len();
        put(volume, at + entry, &key_of(*key));
        put(volume, at + entry + 17, &((end - 101) as u32).to_le_bytes());
        put(volume, at + entry + 21, &(data.len() as u32).to_le_bytes());
        put(volume, at + end, data);
        count += 1;
    }
    head(volume, at, count, 0);
    items.first().map_or((0, 0, 0), |(key, _)| *key)
}

fn chunk() -> Vec<u8> {
    let mut chunk = vec![0; 80];
    chunk[..8].copy_from_slice(&SIZE.to_le_bytes());
    chunk[24] = 3;
    chunk[44] = 1;
    chunk[48] = 1;
    chunk
}

fn superblock(volume: &mut [u8]) {
    put(volume, SUPERBLOCK, &vec![0; 4096]);
    let field = |volume: &mut [u8], at: usize, value: u64| {
        put(volume, SUPERBLOCK + at, &value.to_le_bytes());
    };
    put(volume, SUPERBLOCK + 32, &UUID);
    field(volume, 48, SUPERBLOCK as u64);
    put(volume, SUPERBLOCK + 64, b"_BHRfS_M");
    field(volume, 72, 1);
    field(volume, 80, ROOTS as u64);
    field(volume, 88, CHUNKS as u64);
    field(volume, 112, SIZE);
    field(volume, 128, 254);
    field(volume, 136, 1);
    put(volume, SUPERBLOCK + 144, &4096u32.to_le_bytes());
    put(volume, SUPERBLOCK + 148, &(NODE as u32).to_le_bytes());
    put(volume, SUPERBLOCK + 160, &97u32.to_le_bytes());
    field(volume, 164, 1);
    put(volume, SUPERBLOCK + 196, &[3]);
    field(volume, 201, 1);
    put(volume, SUPERBLOCK + 811, &key_of((256, 228, 0)));
    put(volume, SUPERBLOCK + 811 + 17, &chunk());
}

fuzz_target!(|input: Input| {
    let mut volume = input.rest.clone();
    volume.resize(SIZE as usize, 0);
    superblock(&mut volume);
    let mut chunks = stored(&input.chunks);
    chunks.push(((256, 228, 0), chunk()));
    leaf(&mut volume, CHUNKS, chunks);
    let mut root = vec![0; 239];
    root[160] = 1;
    root[168..176].copy_from_slice(&254u64.to_le_bytes());
    let top = if input.levels { 0x24000u64 } else { FILES as u64 };
    root[176..184].copy_from_slice(&top.to_le_bytes());
    root[216] = 1;
    root[238] = u8::from(input.levels);
    let mut roots = stored(&input.roots);
    roots.push(((5, 132, 0), root));
    leaf(&mut volume, ROOTS, roots);
    let first = leaf(&mut volume, FILES, stored(&input.files));
    let second = leaf(&mut volume, MORE_FILES, stored(&input.more_files));
    if input.levels {
        let at = 0x24000;
        head(&mut volume, at, 2, 1);
        for (index, (key, child)) in [(first, FILES), (second, MORE_FILES)].iter().enumerate() {
            put(&mut volume, at + 101 + index * 33, &key_of(*key));
            put(&mut volume, at + 101 + index * 33 + 17, &(*child as u64).to_le_bytes());
            put(&mut volume, at + 101 + index * 33 + 25, &1u64.to_le_bytes());
        }
    }
    if let Ok(filesystem) = btrfs::open(&disk_of(&volume)) {
        walk::walk(filesystem.as_ref());
    }
});
