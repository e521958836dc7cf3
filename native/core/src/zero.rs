//! Finding zeros fast.

use std::ops::Range;

/// Zeros are looked for in steps of this many bytes: the block size of most file systems.
pub const GRANULE: usize = 4096;
/// Zeros between two runs of data are written along when they are fewer: one write instead of two.
const SHORTEST_GAP: usize = 32 * 1024;

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Zero at the start and equal to itself a step on: the system's memcmp is the fastest loop.
    const STEP: usize = 16;
    match bytes.split_at_checked(STEP) {
        Some((head, rest)) => {
            head.iter().all(|&byte| byte == 0) && rest == &bytes[..bytes.len() - STEP]
        }
        None => bytes.iter().all(|&byte| byte == 0),
    }
}

/// The ranges of `bytes` that are worth writing: all that is not zero, cut at [`GRANULE`]s.
pub fn data_runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (number, granule) in bytes.chunks(GRANULE).enumerate() {
        if is_zero(granule) {
            continue;
        }
        let start = number * GRANULE;
        let end = start + granule.len();
        match runs.last_mut() {
            Some(last) if start - last.end < SHORTEST_GAP => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_found() {
        for length in [0, 1, 15, 16, 17, 31, 32, 100, 4096] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for place in 0..length {
                bytes[place] = 1;
                assert!(!is_zero(&bytes), "byte {place} of {length}");
                bytes[place] = 0;
            }
        }
    }

    #[test]
    fn runs_cover_all_data_and_leave_long_gaps_out() {
        let mut bytes = vec![0u8; 300_001];
        bytes[5] = 1;
        bytes[20_000] = 1;
        bytes[200_000] = 1;
        bytes[300_000] = 1;
        assert_eq!(data_runs(&bytes), [0..20_480, 196_608..200_704, 299_008..300_001]);
        assert!(data_runs(&vec![0; 100_000]).is_empty());
    }
}
