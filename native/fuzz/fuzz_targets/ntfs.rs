//! A sound NTFS volume with anything written over its structures, walked to the end.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use vhdtool_core::fs::ntfs::{Ntfs, sample};
use vhdtool_core::fs::{FileSystem, NodeKind};
use vhdtool_core::memory::disk_of;

#[derive(Arbitrary, Debug)]
struct Input {
    patches: Vec<(u16, Vec<u8>)>,
    numbers: Vec<(u16, u64)>,
    seal: bool,
    node: u64,
    name: Vec<u8>,
    offset: u64,
}

fn sound() -> Vec<u8> {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(sample::volume).clone()
}

fn walk(ntfs: &Ntfs, input: &Input) {
    let mut pending = vec![ntfs.root()];
    let mut looked = 0;
    while let Some(directory) = pending.pop() {
        let _ = ntfs.lookup(directory, &input.name);
        for entry in ntfs.entries(directory).unwrap_or_default() {
            looked += 1;
            if looked > 64 {
                return;
            }
            let _ = ntfs.lookup(directory, &entry.name);
            let Ok(stat) = ntfs.stat(entry.node) else { continue };
            let mut buffer = vec![0; 2000];
            for offset in [0, input.offset, stat.size.saturating_sub(100)] {
                let read = ntfs.read_at(entry.node, offset, &mut buffer).unwrap_or(0);
                assert!(read <= buffer.len());
            }
            match stat.kind {
                NodeKind::Directory => pending.push(entry.node),
                NodeKind::Symlink => {
                    let target = ntfs.read_link(entry.node).expect("it is a link");
                    assert_eq!(target.len() as u64, stat.size);
                }
                _ => {}
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let mut bytes = sound();
    let written = input.patches.iter().map(|(place, data)| (*place, data.clone()));
    let numbers = input.numbers.iter().map(|(place, number)| (*place, number.to_le_bytes().into()));
    for (place, data) in written.chain(numbers) {
        let place = usize::from(place) % sample::STRUCTURES;
        let data = &data[..data.len().min(sample::STRUCTURES - place)];
        bytes[place..place + data.len()].copy_from_slice(data);
    }
    if input.seal {
        let table = &mut bytes[sample::TABLE..sample::STRUCTURES];
        table.chunks_exact_mut(sample::UNIT).for_each(sample::seal);
    }
    let Ok(ntfs) = Ntfs::open(&disk_of(&bytes)) else { return };
    let _ = ntfs.volume();
    let _ = ntfs.stat(input.node);
    walk(&ntfs, &input);
});
