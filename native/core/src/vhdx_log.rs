//! Replay of a VHDX log in memory ([MS-VHDX] 2.3): the source is never written.

use crate::error::{Error, Result};
use crate::file::{File, Patch};

const SECTOR: usize = 4096;
/// Longer logs are in no known image; Hyper-V and qemu write 1 MiB.
const LONGEST_LOG: u64 = 64 * 1024 * 1024;
/// All that the log may write, zeros included.
const MOST_PATCHED: u64 = 64 * 1024 * 1024;
/// How often over the log may be covered by entries, old ones that were partly overwritten included.
const MOST_COVERED: usize = 16;
const HEADER: usize = 64;
const DESCRIPTOR: usize = 32;

/// What a log holds.
#[derive(Debug)]
pub struct Replay {
    /// Entries of the active sequence.
    pub entries: usize,
    /// What they write, in order.
    pub patches: Vec<Patch>,
    /// The length that the file must have at least.
    pub file_size: u64,
}

/// A log entry whose checksum is right.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: usize,
    length: usize,
    tail: usize,
    sequence: u64,
    descriptors: usize,
    flushed_size: u64,
    last_size: u64,
}

/// Finds the active sequence of the log and decodes what it writes.
pub fn replay(file: &File, log_offset: u64, log_length: u64, guid: [u8; 16]) -> Result<Replay> {
    if log_length > LONGEST_LOG {
        return Err(Error::Unsupported(format!(
            "the VHDX log is {log_length} bytes long; at most {LONGEST_LOG} are read"
        )));
    }
    if log_length == 0 || !log_length.is_multiple_of(SECTOR as u64) {
        return Err(Error::corrupt("log length", log_offset, "a multiple of 4096", log_length));
    }
    let mut bytes = vec![0; usize::try_from(log_length).unwrap_or(0)];
    file.read_exact_at(log_offset, &mut bytes)?;
    let log = Log { bytes, guid };
    let entries = log.entries().ok_or_else(|| {
        let actual = format!("entries that cover it more than {MOST_COVERED} times");
        Error::corrupt("log", log_offset, "entries that fit into it", actual)
    })?;
    let sequence = active_sequence(&entries, log.bytes.len()).ok_or_else(|| {
        Error::corrupt(
            "log",
            log_offset,
            "a sequence of valid entries",
            "none with a right checksum",
        )
    })?;
    let mut replay =
        Replay { entries: sequence.len(), patches: Vec::new(), file_size: file.size() };
    let mut patched = 0;
    for entry in &sequence {
        if entry.flushed_size > file.size() {
            return Err(Error::corrupt(
                "file",
                file.size(),
                format_args!(
                    "at least the {} bytes that the log says were flushed",
                    entry.flushed_size
                ),
                format_args!("{} bytes", file.size()),
            ));
        }
        log.decode(entry, log_offset, &mut patched, &mut replay.patches)?;
        replay.file_size = replay.file_size.max(entry.last_size);
    }
    for patch in &replay.patches {
        replay.file_size = replay.file_size.max(patch.offset + patch.bytes.len() as u64);
    }
    Ok(replay)
}

/// The checksum of a log entry whose own field is zero: CRC-32C.
pub fn checksum(entry: &[u8]) -> u32 {
    crc32c::crc32c(entry)
}

struct Log {
    bytes: Vec<u8>,
    guid: [u8; 16],
}

impl Log {
    /// `length` bytes from `offset`, past the end from the start again.
    fn circular(&self, offset: usize, length: usize) -> Vec<u8> {
        let first = length.min(self.bytes.len() - offset);
        [&self.bytes[offset..offset + first], &self.bytes[..length - first]].concat()
    }

    /// The whole entry, if any, that starts at each sector; `None` if there is no end of claims.
    fn entries(&self) -> Option<Vec<Option<Entry>>> {
        let mut left = MOST_COVERED * self.bytes.len();
        (0..self.bytes.len())
            .step_by(SECTOR)
            .map(|offset| {
                let Some((entry, sum)) = self.claim(offset) else { return Some(None) };
                left = left.checked_sub(entry.length)?;
                Some(self.is_whole(entry, sum).then_some(entry))
            })
            .collect()
    }

    /// What claims to be an entry of this log at `offset`, and its checksum.
    fn claim(&self, offset: usize) -> Option<(Entry, u32)> {
        let header = self.bytes.get(offset..offset + HEADER)?;
        if &header[..4] != b"loge" || header[32..48] != self.guid {
            return None;
        }
        let length = usize::try_from(u32_at(header, 8)).ok()?;
        let tail = usize::try_from(u32_at(header, 12)).ok()?;
        let descriptors = usize::try_from(u32_at(header, 24)).ok()?;
        let sound = length >= SECTOR
            && length % SECTOR == 0
            && length <= self.bytes.len()
            && tail % SECTOR == 0
            && tail < self.bytes.len()
            && descriptors <= length / DESCRIPTOR;
        if !sound {
            return None;
        }
        let entry = Entry {
            offset,
            length,
            tail,
            sequence: u64_at(header, 16),
            descriptors,
            flushed_size: u64_at(header, 48),
            last_size: u64_at(header, 56),
        };
        Some((entry, u32_at(header, 4)))
    }

    fn is_whole(&self, entry: Entry, sum: u32) -> bool {
        let mut whole = self.circular(entry.offset, entry.length);
        whole[4..8].fill(0);
        checksum(&whole) == sum
    }

    fn decode(
        &self,
        entry: &Entry,
        log_offset: u64,
        patched: &mut u64,
        patches: &mut Vec<Patch>,
    ) -> Result<()> {
        let place = log_offset + entry.offset as u64;
        let bytes = self.circular(entry.offset, entry.length);
        let table = (HEADER + entry.descriptors * DESCRIPTOR).next_multiple_of(SECTOR);
        let mut sectors = bytes.get(table..).unwrap_or(&[]).as_chunks::<SECTOR>().0.iter();
        let descriptors =
            bytes[HEADER..].as_chunks::<DESCRIPTOR>().0.iter().take(entry.descriptors);
        for descriptor in descriptors {
            let target = u64_at(descriptor, 16);
            let sequence = u64_at(descriptor, 24);
            let zeros = &descriptor[..4] == b"zero";
            let length = if zeros { u64_at(descriptor, 8) } else { SECTOR as u64 };
            // What writes nothing counts as well: there may be millions of it.
            *patched = patched.saturating_add(length.max(SECTOR as u64));
            if *patched > MOST_PATCHED {
                return Err(Error::Unsupported(format!(
                    "the VHDX log writes more than {MOST_PATCHED} bytes"
                )));
            }
            let sound = sequence == entry.sequence
                && target.is_multiple_of(SECTOR as u64)
                && length % SECTOR as u64 == 0
                && target.checked_add(length).is_some_and(|end| end < 1 << 62);
            match (sound, zeros, &descriptor[..4]) {
                (true, true, _) => {
                    // In pages: what is written over zeros later never has to cut them.
                    let pages = (target..target + length).step_by(SECTOR);
                    patches.extend(pages.map(|offset| Patch { offset, bytes: vec![0; SECTOR] }));
                }
                (true, false, b"desc") => {
                    let data = sectors.next().filter(|data| is_data_of(data, entry.sequence));
                    let Some(data) = data else {
                        let expected = format!("a data sector of sequence {}", entry.sequence);
                        return Err(Error::corrupt(
                            "log entry",
                            place,
                            expected,
                            "another or none",
                        ));
                    };
                    let bytes =
                        [&descriptor[8..16], &data[8..SECTOR - 4], &descriptor[4..8]].concat();
                    patches.push(Patch { offset: target, bytes });
                }
                _ => {
                    let expected = format!("zero or data, of sequence {}", entry.sequence);
                    let actual = format!(
                        "{}, of sequence {sequence}, for {length} bytes at {target:#x}",
                        descriptor[..4].escape_ascii()
                    );
                    return Err(Error::corrupt("log descriptor", place, expected, actual));
                }
            }
        }
        Ok(())
    }
}

/// The sequence with the highest head: a chain of entries from that head's tail up to it.
///
/// `entries` has a place for each sector of a log of `length` bytes.
fn active_sequence(entries: &[Option<Entry>], length: usize) -> Option<Vec<Entry>> {
    let at = |offset: usize| entries.get(offset / SECTOR).copied().flatten();
    let mut heads: Vec<Entry> = entries.iter().copied().flatten().collect();
    heads.sort_by_key(|entry| entry.sequence);
    heads.iter().rev().find_map(|head| {
        let mut last = at(head.tail)?;
        let mut chain = vec![last];
        while last.offset != head.offset {
            let next = at((last.offset + last.length) % length)?;
            // Numbers that only grow end every walk.
            if Some(next.sequence) != last.sequence.checked_add(1) {
                return None;
            }
            chain.push(next);
            last = next;
        }
        Some(chain)
    })
}

fn is_data_of(sector: &[u8; SECTOR], sequence: u64) -> bool {
    let high = u64::from(u32_at(sector, 4));
    let low = u64::from(u32_at(sector, SECTOR - 4));
    &sector[..4] == b"data" && (high << 32 | low) == sequence
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(field)
}
