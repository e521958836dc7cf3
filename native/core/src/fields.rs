//! Fields of little-endian and big-endian structures. Past the end of the bytes they read as 0.

/// `N` bytes from `at`.
pub fn bytes<const N: usize>(structure: &[u8], at: usize) -> [u8; N] {
    let field = structure.get(at..).and_then(<[u8]>::first_chunk);
    field.copied().unwrap_or([0; N])
}

/// A little-endian number of 16 bits.
pub fn le16(structure: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(structure, at))
}

/// A little-endian number of 32 bits.
pub fn le32(structure: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(structure, at))
}

/// A little-endian number of 64 bits.
pub fn le64(structure: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(structure, at))
}

/// A big-endian number of 16 bits.
pub fn be16(structure: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes(structure, at))
}

/// A big-endian number of 32 bits.
pub fn be32(structure: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes(structure, at))
}

/// A big-endian number of 64 bits.
pub fn be64(structure: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes(structure, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_past_the_end_are_zero() {
        assert_eq!(le32(&[1, 2, 3, 4], 0), 0x0403_0201);
        assert_eq!(be16(&[1, 2, 3, 4], 2), 0x0304);
        assert_eq!(le32(&[1, 2, 3, 4], 1), 0);
        assert_eq!(be64(&[1], usize::MAX), 0);
    }
}
