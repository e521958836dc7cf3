//! A sparse VMDK with a header and tables that hold anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhdtool_core::memory::file_of;
use vhdtool_core::vmdk::Grains;

fuzz_target!(|input: &[u8]| {
    let mut image = b"KDMV".to_vec();
    image.extend_from_slice(input);
    let Ok(Some(grains)) = Grains::open(file_of(&image)) else { return };
    let mut offset = 0;
    for _ in 0..64 {
        let left = grains.capacity() - offset;
        if left == 0 {
            break;
        }
        let Ok((_, length)) = grains.kept(offset, left) else { break };
        assert!(length > 0 && length <= left);
        offset += length;
    }
});
