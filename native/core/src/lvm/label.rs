//! The label of an LVM2 physical volume, and the metadata that it leads to.
//!
//! Source: libyal, "Logical Volume Manager (LVM) format"; judged by the tools of LVM2.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{bytes, le32, le64};

const SECTOR: u64 = 512;
const LABEL_SECTORS: u64 = 4;
const AREA_HEADER: usize = 512;
const AREA_MAGIC: [u8; 16] = *b" LVM2 x[5A%r0N*>";
const IGNORED: u32 = 1;
/// The most areas of a list; tools write at most two of metadata.
const MOST_AREAS: usize = 64;
/// Metadata of more than this is in no group.
pub const MOST_TEXT: u64 = 8 << 20;

/// A physical volume.
pub struct Label {
    /// Its UUID, 32 characters.
    pub uuid: [u8; 32],
    /// Text of the metadata, where it has any that is whole.
    pub text: Option<String>,
    /// Why there is none although there is an area for it.
    pub problem: Option<Error>,
}

/// CRC-32 with LVM's own start and without the last inversion.
pub fn checksum(data: &[u8]) -> u32 {
    data.iter().fold(0xF597_A6CF, |crc, &byte| {
        (0..2).fold(crc ^ u32::from(byte), |crc: u32, _| {
            NIBBLES[usize::try_from(crc & 0xF).unwrap_or(0)] ^ crc >> 4
        })
    })
}

const NIBBLES: [u32; 16] = nibbles();

const fn nibbles() -> [u32; 16] {
    let mut table = [0; 16];
    let mut index = 0;
    let mut start = 0u32;
    while index < 16 {
        let mut crc = start;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
        start += 1;
    }
    table
}

/// Reads the label of a volume; `None` where it has none.
pub fn read(volume: &Disk) -> Result<Option<Label>> {
    for sector in 0..LABEL_SECTORS {
        let mut raw = [0; 512];
        if (sector + 1) * SECTOR > volume.size() {
            break;
        }
        volume.read_at(sector * SECTOR, &mut raw)?;
        let found = &raw[..8] == b"LABELONE" && &raw[24..32] == b"LVM2 001";
        if found && le64(&raw, 8) == sector {
            return parse(volume, &raw, sector * SECTOR).map(Some);
        }
    }
    Ok(None)
}

fn parse(volume: &Disk, raw: &[u8; 512], offset: u64) -> Result<Label> {
    let (stored, sum) = (le32(raw, 16), checksum(&raw[20..]));
    if stored != sum {
        let expected = format_args!("{sum:#010x}").to_string();
        return Err(Error::corrupt("checksum of LVM label", offset, expected, stored));
    }
    let header = usize::try_from(le32(raw, 20)).unwrap_or(usize::MAX);
    let header = raw.get(header..).unwrap_or_default();
    // Behind UUID and size: data areas, a pair of zeros, metadata areas, a pair of zeros.
    let pairs = header.get(40..).unwrap_or_default().as_chunks::<16>().0;
    let data = pairs.iter().take_while(|pair| le64(*pair, 0) != 0).count();
    let areas = pairs.iter().skip(data + 1).take_while(|pair| le64(*pair, 0) != 0);
    let mut label = Label { uuid: bytes(header, 0), text: None, problem: None };
    for area in areas.take(MOST_AREAS) {
        match read_area(volume, le64(area, 0), le64(area, 8)) {
            Ok(Some(text)) => {
                label.text = Some(text);
                break;
            }
            Ok(None) => {}
            Err(error) => label.problem = Some(error),
        }
    }
    Ok(label)
}

/// Reads the text that an area's header points to; `None` where the area is not used.
fn read_area(volume: &Disk, start: u64, size: u64) -> Result<Option<String>> {
    let mut header = [0; AREA_HEADER];
    let end = start.checked_add(size).filter(|&end| end <= volume.size());
    if end.is_none() || size <= AREA_HEADER as u64 {
        let actual = format_args!("{size} bytes at {start:#x}").to_string();
        return Err(Error::corrupt("LVM metadata area", start, "an area inside", actual));
    }
    volume.read_at(start, &mut header)?;
    let wrong = |what: &str| Error::corrupt("LVM metadata area", start, what, "another");
    if header[4..20] != AREA_MAGIC {
        return Err(wrong("its magic"));
    }
    if le32(&header, 0) != checksum(&header[4..]) {
        return Err(wrong("a right checksum"));
    }
    let (offset, length) = (le64(&header, 40), le64(&header, 48));
    if length == 0 || le32(&header, 60) & IGNORED != 0 {
        return Ok(None);
    }
    if offset < AREA_HEADER as u64 || offset >= size || length > size - AREA_HEADER as u64 {
        return Err(wrong("text inside"));
    }
    if length > MOST_TEXT {
        return Err(Error::Unsupported(format!("LVM metadata of {length} bytes")));
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
    // The area is a ring behind its header.
    let first = usize::try_from((size - offset).min(length)).unwrap_or(0);
    let (before, wrapped) = text.split_at_mut(first);
    volume.read_at(start + offset, before)?;
    volume.read_at(start + AREA_HEADER as u64, wrapped)?;
    if checksum(&text) != le32(&header, 56) {
        return Err(Error::corrupt("LVM metadata", start + offset, "a right checksum", "another"));
    }
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_reflected_polynomial_without_inversions() {
        // CRC-32 of "123456789" is known; it starts and ends inverted.
        let plain = b"123456789".iter().fold(u32::MAX, |crc, &byte| {
            (0..2).fold(crc ^ u32::from(byte), |crc: u32, _| {
                NIBBLES[usize::try_from(crc & 0xF).unwrap_or(0)] ^ crc >> 4
            })
        });
        assert_eq!(!plain, 0xCBF4_3926);
    }
}
