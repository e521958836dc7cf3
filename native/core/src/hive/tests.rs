#![allow(clippy::unwrap_used)]

use super::sample::{self, place};
use super::*;

fn open(bytes: &[u8]) -> Result<Hive> {
    Hive::open(Box::new(bytes.to_vec()), &[])
}

/// The sample with a field of a cell changed.
fn damaged(cell: u32, offset: usize, field: &[u8]) -> Hive {
    let mut bytes = sample::hive();
    let place = base::LENGTH + cell as usize + 4 + offset;
    bytes[place..place + field.len()].copy_from_slice(field);
    open(&bytes).unwrap()
}

fn names(hive: &Hive) -> Vec<String> {
    let found = hive.subkeys(hive.root()).unwrap();
    found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect()
}

fn noted(hive: &Hive, words: &str) -> bool {
    hive.notes().iter().any(|note| note.contains(words))
}

#[test]
fn the_sample_is_sound() {
    let hive = open(&sample::hive()).unwrap();
    assert_eq!(names(&hive), ["A", "B", "C"]);
    let values = hive.values(place::KEYS[0]).unwrap();
    assert_eq!(values[0], Value { name: b"Small".into(), kind: 4, data: vec![7, 0, 0, 0] });
    let mut large = vec![1; 16344];
    large.resize(20_000, 2);
    assert_eq!(values[1], Value { name: b"Large".into(), kind: 3, data: large });
    assert_eq!(hive.notes(), [""; 0]);
}

#[test]
fn a_log_is_applied_in_memory_only() {
    let (dirty, log) = sample::dirty();
    let hive = Hive::open(Box::new(dirty.clone()), &[&[], &log]).unwrap();
    assert_eq!(names(&hive), ["Z", "B", "C"]);
    assert!(noted(&hive, "1 log entries up to number 1 applied"));
    let mut torn = log;
    torn[600] ^= 1;
    let hive = Hive::open(Box::new(dirty), &[&torn]).unwrap();
    assert_eq!(names(&hive), ["A", "B", "C"]);
    assert!(noted(&hive, "its logs do not fit"));
}

#[test]
fn a_log_cannot_make_a_hive_grow_past_what_it_holds() {
    let (dirty, mut log) = sample::dirty();
    log[512 + 16..512 + 20].copy_from_slice(&0x7FFF_F000u32.to_le_bytes());
    sample::mend(&mut log[512..]);
    let hive = Hive::open(Box::new(dirty), &[&log]).unwrap();
    assert!(noted(&hive, "its logs do not fit"));
}

#[test]
fn circles_of_keys_and_lists_end() {
    // A key that lists itself, the root below itself, a list of lists that lists itself.
    let own = damaged(place::LIST[1], 4, &place::ROOT.to_le_bytes());
    assert_eq!(names(&own), ["A", "B"]);
    assert!(noted(&own, "is no key below it"));
    assert!(noted(&own, "2 of 3 keys"));
    let twice = damaged(place::LIST[1], 4, &place::KEYS[0].to_le_bytes());
    assert_eq!(names(&twice), ["A", "B"]);
    let lists = damaged(place::LISTS, 8, &place::LISTS.to_le_bytes());
    assert_eq!(names(&lists), ["A", "B"]);
    assert!(noted(&lists, "list of keys at 0x80 is damaged"));
    let same = damaged(place::LISTS, 8, &place::LIST[0].to_le_bytes());
    assert_eq!(names(&same), ["A", "B"]);
    let parent = damaged(place::KEYS[2], KEY_PARENT, &place::KEYS[0].to_le_bytes());
    assert_eq!(names(&parent), ["A", "B"]);
}

#[test]
fn cells_outside_their_bins_are_not_read() {
    for offset in [0, 8, 0x1000, 0x1021, 0x8FFC, 0x9000, 0x7FFF_FFF8, u32::MAX - 7] {
        let hive = damaged(place::LIST[1], 4, &offset.to_le_bytes());
        assert_eq!(names(&hive), ["A", "B"], "{offset:#x}");
        assert!(hive.subkeys(offset).is_err());
    }
    let size = damaged(place::KEYS[2] - 4, 0, &(-0x2000i32).to_le_bytes());
    assert_eq!(names(&size), ["A", "B"], "a cell longer than its bin");
    let free = damaged(place::KEYS[2] - 4, 0, &0x58i32.to_le_bytes());
    assert_eq!(names(&free), ["A", "B"], "a free cell");
    let least = damaged(place::KEYS[2] - 4, 0, &i32::MIN.to_le_bytes());
    assert_eq!(names(&least), ["A", "B"]);
}

#[test]
fn counts_and_lengths_are_bounded_and_told() {
    let list = damaged(place::LIST[0], 2, &[0xFF, 0xFF]);
    assert_eq!(names(&list), ["A", "B", "C"]);
    assert!(noted(&list, "does not hold its 65535 entries"));
    let name = damaged(place::KEYS[2], 72, &[0xFF, 0xFF]);
    assert_eq!(name.subkeys(name.root()).unwrap().len(), 3);
    assert!(noted(&name, "is cut off"));
    let key = place::KEYS[0];
    let values = damaged(key, KEY_VALUES, &u32::MAX.to_le_bytes());
    assert_eq!(values.values(key).unwrap().len(), 2);
    assert!(noted(&values, "its list holds 3 of 4294967295 values"));
    let long = damaged(place::VALUE[1], 4, &0x7FFF_FFFFu32.to_le_bytes());
    assert!(long.values(key).unwrap()[1].data.len() <= 2 * 16344);
    assert!(noted(&long, "of which"));
    let segments = damaged(place::BIG, 2, &[0xFF, 0xFF]);
    assert_eq!(segments.values(key).unwrap()[1].data.len(), 20_000);
    let missing = damaged(place::SEGMENTS, 4, &[0xFF; 4]);
    assert_eq!(missing.values(key).unwrap()[1].data.len(), 16344);
    assert!(noted(&missing, "16344 of its 20000 bytes"));
    let inline = damaged(place::VALUE[0], 4, &[0xFF; 4]);
    assert_eq!(inline.values(key).unwrap()[0].data.len(), 4);
}

#[test]
fn damaged_bins_are_told_and_skipped() {
    let mut bytes = sample::hive();
    bytes[base::LENGTH + 0x6000] = b'X';
    let hive = open(&bytes).unwrap();
    assert!(noted(&hive, "3 pages of the hive are no hive bins"));
    assert_eq!(hive.values(place::KEYS[0]).unwrap()[1].data.len(), 16344);
    let cut = &sample::hive()[..base::LENGTH + 0x1000];
    let hive = open(cut).unwrap();
    assert!(noted(&hive, "4096 of its 36864 bytes"));
    assert_eq!(names(&hive), ["A", "B", "C"]);
}

#[test]
fn notes_do_not_grow_without_end() {
    let hive = open(&sample::hive()).unwrap();
    for number in 0..1000 {
        hive.note(format!("number {number}"));
    }
    assert_eq!(hive.notes().len(), MOST_NOTES + 1);
}
