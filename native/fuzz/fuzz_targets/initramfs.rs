//! Any bytes as an initial RAM disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhdtool_core::initramfs::{MOST_NAME_BYTES, MOST_NAMES, names};

fuzz_target!(|data: &[u8]| {
    let Ok(found) = names(data) else { return };
    assert!(found.len() <= MOST_NAMES);
    assert!(found.iter().map(Vec::len).sum::<usize>() <= MOST_NAME_BYTES);
});
