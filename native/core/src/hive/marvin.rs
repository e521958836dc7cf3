//! Marvin32, the hash of entries in the logs of hives.

/// The halves of the seed that Windows uses for them.
const SEED: (u32, u32) = (0x7A4E_55C5, 0x82EF_4D88);

/// The hash of some bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = SEED;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        state = mix(state, u32::from_le_bytes(*word));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    state = mix(mix(state, u32::from_le_bytes(last)), 0);
    u64::from(state.1) << 32 | u64::from(state.0)
}

fn mix((low, high): (u32, u32), word: u32) -> (u32, u32) {
    let low = low.wrapping_add(word);
    let high = high ^ low;
    let low = low.rotate_left(20).wrapping_add(high);
    let high = high.rotate_left(9) ^ low;
    let low = low.rotate_left(27).wrapping_add(high);
    (low, high.rotate_left(19))
}
