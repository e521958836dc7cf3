//! Names of FAT: short ones in a code page, long ones in UTF-16 in the entries before.

/// Bytes of a directory entry.
pub const ENTRY: usize = 32;
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;
const LAST: u8 = 0x40;
const MOST_PIECES: usize = 20;
const UNITS: usize = 13;

/// The upper half of code page 437, which firmware and Linux take short names to be in.
const CODE_PAGE_437: &str = "\
ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The pieces of a long name, which come before its short entry, last piece first.
#[derive(Default)]
pub struct LongName {
    units: Vec<u16>,
    next: u8,
    checksum: u8,
}

impl LongName {
    /// Takes one piece; what does not fit the pieces before starts anew or is dropped.
    pub fn add(&mut self, entry: &[u8; ENTRY]) {
        let number = entry[0] & !LAST;
        if entry[0] & LAST != 0 && (1..=MOST_PIECES).contains(&usize::from(number)) {
            self.units = vec![0xFFFF; usize::from(number) * UNITS];
            self.checksum = entry[13];
        } else if number == 0 || number != self.next || entry[13] != self.checksum {
            self.clear();
            return;
        }
        self.next = number - 1;
        let start = usize::from(self.next) * UNITS;
        let fields = entry[1..11].iter().chain(&entry[14..26]).chain(&entry[28..32]);
        let raw: Vec<u8> = fields.copied().collect();
        for (unit, pair) in self.units[start..].iter_mut().zip(raw.as_chunks::<2>().0) {
            *unit = u16::from_le_bytes(*pair);
        }
    }

    /// Forgets the pieces.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The name, if all pieces came and belong to this short entry; the pieces are used up.
    pub fn take(&mut self, entry: &[u8; ENTRY]) -> Option<Vec<u8>> {
        let pieces = std::mem::take(self);
        let whole = !pieces.units.is_empty() && pieces.next == 0;
        if !whole || pieces.checksum != checksum(entry) {
            return None;
        }
        let units = pieces.units.into_iter().take_while(|&unit| unit != 0 && unit != 0xFFFF);
        let name = wtf8(units);
        (!name.is_empty()).then_some(name)
    }
}

/// The checksum of a short name that its long name repeats.
fn checksum(entry: &[u8; ENTRY]) -> u8 {
    entry[..11].iter().fold(0, |sum: u8, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// The short name, in the case that Windows NT notes beside it.
pub fn short_name(entry: &[u8; ENTRY]) -> Vec<u8> {
    let mut raw = [0; 11];
    raw.copy_from_slice(&entry[..11]);
    if raw[0] == 0x05 {
        // 0xE5 itself would mark a free entry.
        raw[0] = 0xE5;
    }
    let base = part(&raw[..8], entry[12] & LOWER_BASE != 0);
    let extension = part(&raw[8..], entry[12] & LOWER_EXTENSION != 0);
    let name = if extension.is_empty() { base } else { format!("{base}.{extension}") };
    name.into_bytes()
}

/// The label that an entry of that kind holds.
pub fn label(raw: &[u8]) -> Vec<u8> {
    part(raw, false).into_bytes()
}

fn part(raw: &[u8], lower: bool) -> String {
    let length = raw.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let text = raw[..length].iter().map(|&byte| match byte {
        0..=0x7F => char::from(byte),
        _ => CODE_PAGE_437.chars().nth(usize::from(byte - 0x80)).unwrap_or('?'),
    });
    if lower { text.flat_map(char::to_lowercase).collect() } else { text.collect() }
}

/// UTF-16 as UTF-8; lone surrogates in three bytes, as WTF-8 has it.
fn wtf8(units: impl Iterator<Item = u16>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(character) => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Err(lone) => {
                let unit = lone.unpaired_surrogate().to_be_bytes();
                bytes.push(0xED);
                bytes.push(0x80 | (unit[0] & 0x0F) << 2 | unit[1] >> 6);
                bytes.push(0x80 | unit[1] & 0x3F);
            }
        }
    }
    bytes
}

/// A name in the case in which names are compared.
pub fn folded(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_uppercase().into_bytes(),
        Err(_) => name.to_ascii_uppercase(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(start: &[u8]) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..start.len()].copy_from_slice(start);
        entry
    }

    #[test]
    fn short_names_have_their_dot_and_their_case() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
        assert_eq!(short_name(&entry(b"GRUB    CFG")), b"GRUB.CFG");
        assert_eq!(short_name(&entry(b"GRUB    CFG \x08")), b"grub.CFG");
        assert_eq!(short_name(&entry(b"\x05FI        ")), "σFI".as_bytes());
    }

    #[test]
    fn a_long_name_needs_all_its_pieces_in_order_and_the_right_checksum() {
        let short = entry(b"LONGNA~1   ");
        let piece = |number: u8, text: &str| {
            let mut raw = [0xFF; ENTRY];
            raw[0] = number;
            raw[11] = 0x0F;
            raw[13] = checksum(&short);
            let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
            for (place, unit) in places.zip(text.encode_utf16().chain([0])) {
                raw[place..place + 2].copy_from_slice(&unit.to_le_bytes());
            }
            raw
        };
        let mut name = LongName::default();
        name.add(&piece(0x42, "rest"));
        name.add(&piece(1, "thirteen char"));
        assert_eq!(name.take(&short).unwrap(), b"thirteen charrest");
        assert_eq!(name.take(&short), None);
        name.add(&piece(0x42, "rest"));
        assert_eq!(name.take(&short), None, "a piece is missing");
        name.add(&piece(0x41, "x"));
        assert_eq!(name.take(&entry(b"OTHER      ")), None);
        name.add(&piece(0x7F, "x"));
        assert_eq!(name.take(&short), None, "more pieces than any name has");
    }

    #[test]
    fn lone_surrogates_are_kept_as_wtf8() {
        assert_eq!(wtf8([0x61, 0xD800].into_iter()), [0x61, 0xED, 0xA0, 0x80]);
    }
}
