//! What NTFS and registry hives share: little-endian fields, UTF-16 names, FILETIME.

/// Seconds between 1601-01-01 and 1970-01-01.
const EPOCH: i64 = 11_644_473_600;
const TICKS: i64 = 10_000_000;

/// The bytes `offset..offset + N`, if they are there.
pub fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// A 16-bit field, if it is there.
pub fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_le_bytes)
}

/// A 32-bit field, if it is there.
pub fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_le_bytes)
}

/// A 64-bit field, if it is there.
pub fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes_at(bytes, offset).map(u64::from_le_bytes)
}

/// Bytes as UTF-16 units; an odd byte at the end is dropped.
pub fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect()
}

/// UTF-16 as UTF-8; a surrogate without its other half becomes three bytes, as WTF-8 has it.
pub fn to_wtf8(units: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(units.len());
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(letter) => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(error) => {
                let [high, low] = error.unpaired_surrogate().to_be_bytes();
                let middle = 0x80 | (high & 0x0F) << 2 | low >> 6;
                bytes.extend_from_slice(&[0xE0 | high >> 4, middle, 0x80 | low & 0x3F]);
            }
        }
    }
    bytes
}

/// The reverse of [`to_wtf8`]; `None` for bytes that are no such text.
pub fn from_wtf8(bytes: &[u8]) -> Option<Vec<u16>> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                units.extend(text.encode_utf16());
                return Some(units);
            }
            Err(error) => {
                let (sound, after) = rest.split_at(error.valid_up_to());
                units.extend(std::str::from_utf8(sound).ok()?.encode_utf16());
                let &[0xED, middle @ 0xA0..=0xBF, last @ 0x80..=0xBF, ref more @ ..] = after else {
                    return None;
                };
                units.push(0xD000 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F));
                rest = more;
            }
        }
    }
}

/// A FILETIME as seconds since 1970, rounded down.
pub fn unix_seconds(filetime: u64) -> i64 {
    filetime.cast_signed().div_euclid(TICKS) - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        for name in [
            vec![],
            "a\u{e9}\u{20ac}\u{1f600}z".encode_utf16().collect(),
            vec![0xD800],
            vec![0x61, 0xDFFF, 0x62, 0xD83D],
            vec![0xDC00, 0xD800, 0xFFFF],
        ] {
            assert_eq!(from_wtf8(&to_wtf8(&name)), Some(name));
        }
        assert_eq!(to_wtf8(&[0xD83D]), [0xED, 0xA0, 0xBD]);
        assert_eq!(from_wtf8(b"caf\xe9"), None);
        assert_eq!(from_wtf8(b"\xed\xa0"), None);
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(unix_seconds(116_444_736_000_000_000), 0);
        assert_eq!(unix_seconds(116_444_735_999_999_999), -1);
        assert_eq!(unix_seconds(0), -EPOCH);
        assert!(unix_seconds(u64::MAX) < 0);
    }
}
