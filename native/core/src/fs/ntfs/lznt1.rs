//! LZNT1, the compression of NTFS files ([MS-XCA] 2.5).

/// Bytes that one chunk stands for.
const CHUNK: usize = 4096;
const COMPRESSED: u16 = 0x8000;

/// Decompresses `input` into `output`, what is left of it zero; false when the input is damaged.
pub fn decompress(input: &[u8], output: &mut [u8]) -> bool {
    output.fill(0);
    let mut rest = input;
    for target in output.chunks_mut(CHUNK) {
        let Some((header, after)) = rest.split_first_chunk::<2>() else { return true };
        let header = u16::from_le_bytes(*header);
        if header == 0 {
            return true;
        }
        let length = usize::from(header & 0x0FFF) + 1;
        let Some((chunk, after)) = after.split_at_checked(length) else { return false };
        rest = after;
        if header & COMPRESSED == 0 {
            let stored = chunk.len().min(target.len());
            target[..stored].copy_from_slice(&chunk[..stored]);
        } else if !decompress_chunk(chunk, target) {
            return false;
        }
    }
    true
}

fn decompress_chunk(chunk: &[u8], target: &mut [u8]) -> bool {
    let mut filled = 0;
    let mut bytes = chunk.iter().copied();
    while let Some(flags) = bytes.next() {
        for bit in 0..8 {
            let Some(first) = bytes.next() else { return true };
            if filled == target.len() {
                // A last flag byte may promise more than the chunk holds.
                return true;
            }
            if flags & 1 << bit == 0 {
                target[filled] = first;
                filled += 1;
                continue;
            }
            let Some(second) = bytes.next() else { return false };
            let token = usize::from(u16::from_le_bytes([first, second]));
            let length_bits = length_bits(filled);
            let back = (token >> length_bits) + 1;
            let length = (token & ((1 << length_bits) - 1)) + 3;
            if back > filled || length > target.len() - filled {
                return false;
            }
            for place in filled..filled + length {
                target[place] = target[place - back];
            }
            filled += length;
        }
    }
    true
}

/// How many bits of a token give the length: fewer, the further back it may have to reach.
fn length_bits(filled: usize) -> u32 {
    let reach = filled.saturating_sub(1).max(8);
    // 4 bits reach back 16 bytes, 12 bits 4096.
    12 - (usize::BITS - reach.leading_zeros()).saturating_sub(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_decompresses() {
        // [MS-XCA] 3.3: "F# F# G A A G F# E D" and so on, a chunk of 0x38 bytes.
        let input = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2,
            0x47, 0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0,
            0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58,
            0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01,
            0x18, 0x90, 0x00,
        ];
        let expected = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E \
                        E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let mut output = vec![1; 4096];
        assert!(decompress(&input, &mut output));
        assert_eq!(&output[..expected.len()], expected.as_bytes());
        assert!(output[expected.len()..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn damaged_input_is_refused() {
        let mut output = vec![0; 4096];
        assert!(!decompress(&[0x02, 0xb0, 0x01, 0x00, 0x00], &mut output), "reaches before start");
        assert!(!decompress(&[0xff, 0xbf, 0x01], &mut output), "longer than its input");
        assert!(!decompress(&[0x04, 0xb0, 0x02, 0x61, 0xff, 0x0f, 0], &mut output), "too long");
        assert!(decompress(&[], &mut output));
    }

    #[test]
    fn tokens_are_split_by_the_place() {
        let bits = [(1, 12), (16, 12), (17, 11), (32, 11), (33, 10), (2048, 5), (2049, 4)];
        for (filled, expected) in bits {
            assert_eq!(length_bits(filled), expected, "at {filled}");
        }
        assert_eq!(length_bits(4095), 4);
    }
}
