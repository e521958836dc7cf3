//! A sound hive and its log with anything written over them, walked to the end.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::hive::{Hive, MOST_DATA, sample};

#[derive(Arbitrary, Debug)]
struct Input {
    hive: Vec<(u16, u32)>,
    log: Vec<(u16, u32)>,
    raw_log: Vec<u8>,
    mend: bool,
    cut: u16,
    node: u32,
}

fn damage(bytes: &mut [u8], fields: &[(u16, u32)]) {
    for (place, field) in fields {
        let place = usize::from(*place) % (bytes.len() - 4);
        bytes[place..place + 4].copy_from_slice(&field.to_le_bytes());
    }
}

fuzz_target!(|input: Input| {
    let (mut bytes, mut log) = sample::dirty();
    damage(&mut bytes, &input.hive);
    damage(&mut log, &input.log);
    if input.mend {
        sample::seal(&mut bytes);
        sample::seal(&mut log);
        sample::mend(&mut log[512..]);
    }
    bytes.truncate(bytes.len() - usize::from(input.cut).min(bytes.len()));
    let Ok(hive) = Hive::open(Box::new(bytes), &[&log, &input.raw_log]) else { return };
    let _ = (hive.subkeys(input.node), hive.values(input.node), hive.modified(input.node));
    let mut pending = vec![hive.root()];
    let mut keys = 0;
    while let Some(node) = pending.pop() {
        keys += 1;
        assert!(keys <= 10_000, "a circle of keys");
        assert!(hive.modified(node).is_ok());
        let values = hive.values(node).unwrap_or_default();
        assert!(values.iter().map(|value| value.data.len()).sum::<usize>() <= MOST_DATA);
        pending.extend(hive.subkeys(node).unwrap_or_default().into_iter().map(|(_, node)| node));
    }
    assert!(hive.notes().len() < 100);
});
