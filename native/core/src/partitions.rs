//! The parts of partition tables of which there may be many: GPT entries, logical partitions.

use crate::disk::Disk;
use crate::error::Result;
use std::collections::HashSet;

/// Bytes of a GPT entry that are defined; entries may be longer (UEFI 2.10, 5.3.3).
const GPT_ENTRY: usize = 128;
/// The most entries that are returned.
const MOST_ENTRIES: usize = 4096;
/// The most logical partitions that are followed; Linux knows 60.
const MOST_LOGICAL: usize = 256;
/// The partition table of an MBR or EBR starts here, with the signature behind it.
const MBR_TABLE: usize = 446;
const MBR_ENTRY: usize = 16;

/// A used entry of a GPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptEntry {
    /// Place in the array, from 0.
    pub index: u32,
    /// Type GUID as it is stored.
    pub type_guid: [u8; 16],
    /// GUID of the partition as it is stored.
    pub unique_guid: [u8; 16],
    /// First LBA.
    pub first_lba: u64,
    /// Last LBA, part of the partition.
    pub last_lba: u64,
    /// Attribute bits.
    pub attributes: u64,
    /// Name up to the first NUL; what is no UTF-16 is replaced.
    pub name: String,
}

/// The used entries of a GPT's array of `count` entries, as far as the array goes.
pub fn gpt_entries(array: &[u8], entry_size: usize, count: usize) -> Vec<GptEntry> {
    if entry_size < GPT_ENTRY {
        return Vec::new();
    }
    let entries = array.chunks_exact(entry_size).take(count).enumerate();
    let used = entries.filter(|(_, entry)| entry[..16].iter().any(|&byte| byte != 0));
    used.take(MOST_ENTRIES)
        .map(|(index, entry)| GptEntry {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            type_guid: bytes_at(entry, 0),
            unique_guid: bytes_at(entry, 16),
            first_lba: u64::from_le_bytes(bytes_at(entry, 32)),
            last_lba: u64::from_le_bytes(bytes_at(entry, 40)),
            attributes: u64::from_le_bytes(bytes_at(entry, 48)),
            name: name(&entry[56..GPT_ENTRY]),
        })
        .collect()
}

fn name(bytes: &[u8]) -> String {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|&unit| unit != 0);
    let decoded = char::decode_utf16(units);
    decoded.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// A logical partition of an extended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logical {
    /// Disk offset in bytes of its table entry.
    pub entry_offset: u64,
    /// Status byte.
    pub status: u8,
    /// Type byte.
    pub type_code: u8,
    /// First LBA on the disk.
    pub first_lba: u64,
    /// Sectors.
    pub sector_count: u64,
}

/// What follows the chain of an extended partition: the partitions, and where and why it broke.
pub type Chain = (Vec<Logical>, Option<(u64, String)>);

/// Follows the chain of boot records of an extended partition.
///
/// Links count from the extended partition's start and must stay inside it. A loop, a missing
/// signature or a link outside ends the walk and is told; what was found before stays.
pub fn logical(disk: &Disk, first_lba: u64, sectors: u64, sector_size: u64) -> Result<Chain> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut lba = first_lba;
    loop {
        let Some(offset) = lba.checked_mul(sector_size) else {
            return Ok((found, Some((0, format!("a boot record at LBA {lba} is past any disk")))));
        };
        if !seen.insert(lba) {
            return Ok((
                found,
                Some((offset, "the chain of boot records runs in a circle".into())),
            ));
        }
        if seen.len() > MOST_LOGICAL {
            let text = format!("the chain of boot records is longer than {MOST_LOGICAL}");
            return Ok((found, Some((offset, text))));
        }
        if offset.checked_add(512).is_none_or(|end| end > disk.size()) {
            let text = format!("the boot record at LBA {lba} is past the end of the disk");
            return Ok((found, Some((offset, text))));
        }
        let mut record = [0; 512];
        disk.read_at(offset, &mut record)?;
        if record[510..] != [0x55, 0xAA] {
            let text = format!("the boot record at LBA {lba} does not end in 55 AA");
            return Ok((found, Some((offset, text))));
        }
        let mut next = None;
        for slot in 0..4 {
            let place = MBR_TABLE + slot * MBR_ENTRY;
            let entry = &record[place..place + MBR_ENTRY];
            let start = u64::from(u32::from_le_bytes(bytes_at(entry, 8)));
            let sector_count = u64::from(u32::from_le_bytes(bytes_at(entry, 12)));
            match entry[4] {
                // Extended: the link to the next record, counted from the first one.
                0x05 | 0x0F | 0x85 if next.is_none() => next = Some((start, sector_count)),
                0 | 0x05 | 0x0F | 0x85 => {}
                type_code => found.push(Logical {
                    entry_offset: offset + place as u64,
                    status: entry[0],
                    type_code,
                    first_lba: lba + start,
                    sector_count,
                }),
            }
        }
        let Some((link, _)) = next.filter(|&(_, count)| count > 0) else {
            return Ok((found, None));
        };
        if link >= sectors {
            let text = format!(
                "the boot record at LBA {lba} links to sector {link} of an extended partition of \
                 {sectors} sectors"
            );
            return Ok((found, Some((offset, text))));
        }
        lba = first_lba + link;
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::disk_of;

    fn record(entries: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut record = vec![0; 512];
        for (slot, (kind, start, count)) in entries.iter().enumerate() {
            let place = MBR_TABLE + slot * MBR_ENTRY;
            record[place + 4] = *kind;
            record[place + 8..place + 12].copy_from_slice(&start.to_le_bytes());
            record[place + 12..place + 16].copy_from_slice(&count.to_le_bytes());
        }
        record[510..].copy_from_slice(&[0x55, 0xAA]);
        record
    }

    fn disk_with(records: &[(u64, Vec<u8>)]) -> Disk {
        let mut bytes = vec![0; 64 * 512];
        for (lba, record) in records {
            let place = usize::try_from(lba * 512).unwrap();
            bytes[place..place + 512].copy_from_slice(record);
        }
        disk_of(&bytes)
    }

    #[test]
    fn logical_partitions_count_from_their_own_record_and_links_from_the_first() {
        let disk = disk_with(&[
            (10, record(&[(0x83, 2, 5), (0x05, 20, 10)])),
            (30, record(&[(0x82, 1, 7)])),
        ]);
        let (found, problem) = logical(&disk, 10, 50, 512).unwrap();
        assert_eq!(problem, None);
        let places: Vec<_> = found.iter().map(|one| (one.first_lba, one.sector_count)).collect();
        assert_eq!(places, [(12, 5), (31, 7)]);
        assert_eq!(found[0].entry_offset, 10 * 512 + 446);
    }

    #[test]
    fn circles_and_links_outside_end_the_walk_and_are_told() {
        let circle = disk_with(&[(10, record(&[(0x83, 2, 5), (0x05, 0, 10)]))]);
        let (found, problem) = logical(&circle, 10, 50, 512).unwrap();
        assert_eq!(found.len(), 1);
        assert!(problem.unwrap().1.contains("circle"));
        let outside = disk_with(&[(10, record(&[(0x05, 60, 10)]))]);
        let (_, problem) = logical(&outside, 10, 50, 512).unwrap();
        assert!(problem.unwrap().1.contains("sector 60"));
        let (_, problem) = logical(&outside, u64::MAX / 2, 50, 512).unwrap();
        assert!(problem.is_some());
    }

    #[test]
    fn only_used_gpt_entries_are_returned() {
        let mut array = vec![0; 4 * 128];
        array[128] = 7;
        array[128 + 32] = 34;
        array[128 + 56..128 + 60].copy_from_slice(&[b'h', 0, 0x00, 0xD8]);
        let found = gpt_entries(&array, 128, 4);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].index, found[0].first_lba), (1, 34));
        assert_eq!(found[0].name, "h\u{FFFD}");
        assert!(gpt_entries(&array, 64, 4).is_empty());
        assert!(gpt_entries(&array[..100], 128, 4).is_empty());
    }
}
