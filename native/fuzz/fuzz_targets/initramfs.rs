//! Initial RAM disks: anything at all, bare and compressed, listed to the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhdtool_core::initramfs::{MOST_NAMES, names};

fuzz_target!(|data: &[u8]| {
    assert!(names(data).unwrap_or_default().len() <= MOST_NAMES);
    let mut early = b"070701".to_vec();
    early.extend([b'0'; 88]);
    early.extend(b"0000000b00000000TRAILER!!!\0\0\0\0");
    assert!(names(&early).is_ok_and(|found| found.is_empty()));
    early.extend(data);
    let _ = names(&early);
});
