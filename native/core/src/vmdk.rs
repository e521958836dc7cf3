//! Which grains a sparse VMDK extent stores (`VMware`, "Virtual Disk Format 5.0").
//!
//! The bytes come from another reader; this only spares it what is stored nowhere, and tells data
//! from holes. Where the two copies of the tables disagree, a grain counts as stored.

use crate::error::{Error, Result};
use crate::file::File;
use std::sync::{Arc, Mutex, PoisonError};

const SECTOR: u64 = 512;
const MAGIC: &[u8] = b"KDMV";
const HEADER: usize = 79;
/// The directory of a stream stands at its end, with a header like the first one.
const AT_END: u64 = u64::MAX;
const FOOTER_FROM_END: u64 = 1024;
/// Flag: a table entry of 1 is a grain of zeros.
const ZERO_GRAINS: u32 = 4;
/// For a grain table of each there would be more memory than a disk is worth: 32 TiB as usual.
const MOST_TABLES: u64 = 1 << 20;
const GRAIN_SECTORS: std::ops::RangeInclusive<u64> = 1..=2048;
const TABLE_ENTRIES: std::ops::RangeInclusive<u64> = 1..=4096;

/// How a grain is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nowhere.
    Absent,
    /// As zeros, by its table entry.
    Zero,
    /// In the file.
    Stored,
}

/// The grain directory and tables of a sparse extent, read as they are needed.
pub struct Grains {
    file: Arc<File>,
    capacity: u64,
    grain: u64,
    /// Entries of a grain table.
    entries: u64,
    /// Whether an entry of 1 is a grain of zeros.
    has_zeros: bool,
    /// File offsets of the directories: one, or two that should agree.
    directories: Vec<u64>,
    /// The last table that was looked at, as what it says of each grain.
    table: Mutex<Option<(u64, Arc<[Kept]>)>>,
}

impl Grains {
    /// Reads the header of `file`; `None` where it is no sparse extent of this kind.
    pub fn open(file: Arc<File>) -> Result<Option<Self>> {
        let mut header = [0; HEADER];
        if file.read_at(0, &mut header)? < HEADER || !header.starts_with(MAGIC) {
            return Ok(None);
        }
        if u64_at(&header, 56) == AT_END {
            let place = file.size().saturating_sub(FOOTER_FROM_END);
            file.read_exact_at(place, &mut header)?;
            if !header.starts_with(MAGIC) {
                return Err(corrupt(place, "the magic KDMV of the footer", "something else"));
            }
        }
        let (capacity, grain) = (u64_at(&header, 12), u64_at(&header, 20));
        let entries = u64::from(u32_at(&header, 44));
        if !grain.is_power_of_two() || !GRAIN_SECTORS.contains(&grain) {
            return Err(corrupt(20, "a grain of 1 to 2048 sectors, a power of two", grain));
        }
        if !TABLE_ENTRIES.contains(&entries) {
            return Err(corrupt(44, "1 to 4096 entries in a grain table", entries));
        }
        let tables = capacity.div_ceil(grain * entries);
        if tables > MOST_TABLES {
            return Err(Error::Unsupported(format!(
                "the VMDK has {tables} grain tables, at most {MOST_TABLES} are read"
            )));
        }
        let directories: Vec<u64> = [48, 56]
            .map(|field| u64_at(&header, field))
            .into_iter()
            .filter(|&at| at != 0)
            .collect();
        let end = |&sector: &u64| sector.checked_mul(SECTOR)?.checked_add(4 * tables);
        for directory in &directories {
            if end(directory).is_none_or(|end| end > file.size()) {
                let actual = format!("{tables} entries at sector {directory}");
                return Err(corrupt(56, "a grain directory inside the file", actual));
            }
        }
        Ok(Some(Self {
            file,
            capacity: capacity * SECTOR,
            grain: grain * SECTOR,
            entries,
            has_zeros: u32_at(&header, 8) & ZERO_GRAINS != 0,
            directories: directories.into_iter().map(|sector| sector * SECTOR).collect(),
            table: Mutex::new(None),
        }))
    }

    /// Bytes that the header says the extent has.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How the start of `offset..offset + length` is kept, and for how many bytes.
    pub fn kept(&self, offset: u64, length: u64) -> Result<(Kept, u64)> {
        let end = (offset + length).min(self.capacity);
        if offset >= end {
            return Ok((Kept::Absent, length));
        }
        let first = offset / self.grain;
        let table = self.table(first / self.entries)?;
        let index = usize::try_from(first % self.entries).unwrap_or(usize::MAX);
        let rest = table.get(index..).unwrap_or(&[]);
        let Some(&kept) = rest.first() else { return Ok((Kept::Stored, length)) };
        let run = rest.iter().take_while(|&&next| next == kept).count() as u64;
        Ok((kept, ((first + run) * self.grain).min(end) - offset))
    }

    fn table(&self, number: u64) -> Result<Arc<[Kept]>> {
        let mut last = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, table)) = last.as_ref()
            && *known == number
        {
            return Ok(Arc::clone(table));
        }
        let mut found = vec![Kept::Absent; usize::try_from(self.entries).unwrap_or(0)];
        for &directory in &self.directories {
            let mut entry = [0; 4];
            self.file.read_exact_at(directory + 4 * number, &mut entry)?;
            let sector = u64::from(u32::from_le_bytes(entry));
            if sector == 0 {
                continue;
            }
            let mut table = vec![0; 4 * found.len()];
            let read = self.file.read_at(sector * SECTOR, &mut table)?;
            // What is cut off is for the other reader to refuse.
            table[read..].fill(0xFF);
            for (kept, entry) in found.iter_mut().zip(table.as_chunks::<4>().0) {
                *kept = match (u32::from_le_bytes(*entry), *kept) {
                    (0, before) => before,
                    (1, Kept::Absent | Kept::Zero) if self.has_zeros => Kept::Zero,
                    _ => Kept::Stored,
                };
            }
        }
        let table: Arc<[Kept]> = found.into();
        *last = Some((number, Arc::clone(&table)));
        Ok(table)
    }
}

fn corrupt(offset: u64, expected: &str, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("VMDK header", offset, expected, actual)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::file_of;

    /// 4 grains of 8 sectors, 2 to a table: the first table at sector 3, no second one.
    fn image(flags: u32, entries: [u32; 2]) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&flags.to_le_bytes());
        bytes[12..20].copy_from_slice(&32_u64.to_le_bytes());
        bytes[20..28].copy_from_slice(&8_u64.to_le_bytes());
        bytes[44..48].copy_from_slice(&2_u32.to_le_bytes());
        bytes[56..64].copy_from_slice(&1_u64.to_le_bytes());
        bytes[512..516].copy_from_slice(&3_u32.to_le_bytes());
        for (slot, entry) in entries.iter().enumerate() {
            bytes[1536 + 4 * slot..1540 + 4 * slot].copy_from_slice(&entry.to_le_bytes());
        }
        bytes
    }

    fn kinds(bytes: &[u8]) -> Vec<(Kept, u64)> {
        let grains = Grains::open(file_of(bytes)).unwrap().unwrap();
        let mut offset = 0;
        let mut found = Vec::new();
        while offset < grains.capacity() {
            let (kept, length) = grains.kept(offset, grains.capacity() - offset).unwrap();
            found.push((kept, length));
            offset += length;
        }
        found
    }

    #[test]
    fn grains_are_told_apart_by_their_entries() {
        let absent = (Kept::Absent, 8192);
        assert_eq!(kinds(&image(4, [7, 1])), [(Kept::Stored, 4096), (Kept::Zero, 4096), absent]);
        assert_eq!(kinds(&image(0, [0, 1])), [(Kept::Absent, 4096), (Kept::Stored, 4096), absent]);
        assert_eq!(kinds(&image(4, [0, 0])), [absent, absent]);
    }

    #[test]
    fn a_grain_counts_as_stored_where_one_copy_of_the_tables_says_so() {
        let mut bytes = image(0, [0, 0]);
        bytes[48..56].copy_from_slice(&2_u64.to_le_bytes());
        bytes[1024..1028].copy_from_slice(&4_u32.to_le_bytes());
        bytes[2048..2052].copy_from_slice(&9_u32.to_le_bytes());
        assert_eq!(kinds(&bytes)[0], (Kept::Stored, 4096));
    }

    #[test]
    fn impossible_headers_are_refused() {
        for (offset, value) in [(20, 3_u64), (20, 0), (56, 1 << 60), (56, 100), (12, 1 << 60)] {
            let mut bytes = image(0, [0, 0]);
            bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
            assert!(Grains::open(file_of(&bytes)).is_err(), "{offset} {value}");
        }
        assert!(Grains::open(file_of(b"COWD")).unwrap().is_none());
        let mut stream = image(0, [0, 0]);
        stream[56..64].fill(0xFF);
        assert!(Grains::open(file_of(&stream)).is_err(), "there is no footer");
    }
}
