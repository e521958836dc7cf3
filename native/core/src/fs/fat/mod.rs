//! FAT12, FAT16 and FAT32 with long names: EFI system partitions, and what cameras leave.
//!
//! A node is the byte offset of its directory entry on the volume; the root directory is node 0.

mod boot;
mod chain;
mod names;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{le16, le32};
use crate::fs::names::NameCache;
use crate::fs::{Entry, FileSystem, MAX_ENTRIES, NodeKind, Stat, Volume};
use boot::{Boot, Width};
use chain::Chain;
use names::{ENTRY, LongName};

const ROOT: u64 = 0;
/// The most bytes of one directory that are read; the specification allows 2 MiB.
const MOST_BYTES: u64 = 16 << 20;
/// `BitLocker` To Go puts a small FAT with its reader in front of what is encrypted.
const BITLOCKER_AT: usize = 424;
const BITLOCKER_TO_GO: [u8; 16] = 0x3BD6_6749_292E_D84A_8399_F6A3_39E3_D001u128.to_be_bytes();
const FREE: u8 = 0xE5;
const READ_ONLY: u8 = 0x01;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0x0F;
const ATTRIBUTES: u8 = 0x3F;
/// Seconds from 1970 to 1980, and of a day.
const EPOCH_1980: i64 = 315_532_800;
const DAY: i64 = 86_400;

/// Whether a volume starts with the boot sector of a FAT file system.
pub fn detect(volume: &Disk) -> bool {
    read_boot(volume).is_ok_and(|raw| {
        boot::is_boot_sector(&raw) && crate::fields::bytes(&raw, BITLOCKER_AT) != BITLOCKER_TO_GO
    })
}

/// Opens the FAT file system of a volume.
pub fn open(volume: &Disk) -> Result<Box<dyn FileSystem>> {
    let boot = Boot::parse(&read_boot(volume)?)?;
    Ok(Box::new(Fat { disk: volume.clone(), boot, names: NameCache::default() }))
}

fn read_boot(volume: &Disk) -> Result<[u8; boot::LENGTH]> {
    let mut raw = [0; boot::LENGTH];
    if volume.size() < boot::LENGTH as u64 {
        return Err(Error::corrupt("volume", 0, "a boot sector", volume.size()));
    }
    volume.read_at(0, &mut raw)?;
    Ok(raw)
}

struct Fat {
    disk: Disk,
    boot: Boot,
    names: NameCache,
}

/// A directory entry with its names.
struct Found {
    offset: u64,
    raw: [u8; ENTRY],
    long: Option<Vec<u8>>,
}

impl Fat {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.disk.size()) {
            return self.disk.read_at(offset, buffer);
        }
        let size = self.disk.size();
        Err(Error::corrupt("FAT", offset, format_args!("a volume of {size} bytes"), "more"))
    }

    fn entry(&self, node: u64) -> Result<[u8; ENTRY]> {
        let mut raw = [0; ENTRY];
        if node < self.boot.root || !node.is_multiple_of(ENTRY as u64) {
            return Err(Error::Invalid(format!("there is no directory entry at {node:#x}")));
        }
        self.read(node, &mut raw)?;
        Ok(raw)
    }

    /// Where the pieces of a directory are on the volume: byte offset and length.
    fn pieces(&self, directory: u64) -> Result<Vec<(u64, u64)>> {
        if directory == ROOT && self.boot.width != Width::Fat32 {
            return Ok(vec![(self.boot.root, self.boot.root_size)]);
        }
        let first = if directory == ROOT {
            self.boot.root_cluster
        } else {
            let raw = self.entry(directory)?;
            if raw[11] & DIRECTORY == 0 {
                return Err(Error::Invalid(format!("node {directory:#x} is not a directory")));
            }
            self.first_cluster(&raw)
        };
        let mut chain = Chain::new(&self.disk, &self.boot, first);
        let mut pieces = Vec::new();
        while let Some(cluster) = chain.next().transpose()? {
            pieces.push((chain.place(cluster), self.boot.cluster_size));
            if pieces.len() as u64 * self.boot.cluster_size > MOST_BYTES {
                return Err(Error::Unsupported(format!(
                    "directory {directory:#x} has more than {MOST_BYTES} bytes"
                )));
            }
        }
        Ok(pieces)
    }

    fn first_cluster(&self, raw: &[u8; ENTRY]) -> u32 {
        let high = if self.boot.width == Width::Fat32 { u32::from(le16(raw, 20)) << 16 } else { 0 };
        u32::from(le16(raw, 26)) | high
    }

    /// All used entries of a directory, labels too.
    fn list(&self, directory: u64) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut long = LongName::default();
        for (start, length) in self.pieces(directory)? {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            self.read(start, &mut bytes)?;
            for (raw, offset) in bytes.as_chunks::<ENTRY>().0.iter().zip((start..).step_by(ENTRY)) {
                match (raw[0], raw[11] & ATTRIBUTES) {
                    (0, _) => return Ok(found),
                    (FREE, _) => long.clear(),
                    (_, LONG) => long.add(raw),
                    _ => found.push(Found { offset, raw: *raw, long: long.take(raw) }),
                }
                if found.len() > MAX_ENTRIES {
                    return Err(Error::Unsupported(format!("more than {MAX_ENTRIES} names")));
                }
            }
        }
        Ok(found)
    }

    fn files(&self, directory: u64) -> Result<impl Iterator<Item = Found>> {
        let found = self.list(directory)?.into_iter();
        Ok(found.filter(|one| one.raw[11] & LABEL == 0 && !is_dot(&one.raw)))
    }

    fn label(&self) -> Vec<u8> {
        let listed = self.list(ROOT).unwrap_or_default();
        let entry = listed.iter().find(|one| one.raw[11] & (LABEL | DIRECTORY) == LABEL);
        let raw = entry.map_or(self.boot.label, |one| crate::fields::bytes(&one.raw, 0));
        let label = names::label(&raw);
        if label == b"NO NAME" { Vec::new() } else { label }
    }

    /// Whether the table's second entry says that it was unmounted, and that no errors were seen.
    fn state(&self) -> Option<(bool, bool)> {
        let mut raw = [0; 8];
        self.disk.read_at(self.boot.table, &mut raw).ok()?;
        match self.boot.width {
            Width::Fat12 => None,
            Width::Fat16 => Some((le16(&raw, 2) & 0x8000 != 0, le16(&raw, 2) & 0x4000 != 0)),
            Width::Fat32 => {
                Some((le32(&raw, 4) & 0x0800_0000 != 0, le32(&raw, 4) & 0x0400_0000 != 0))
            }
        }
    }

    /// Free bytes as FAT32 notes them, where that is possible.
    fn free(&self) -> Option<u64> {
        let mut raw = [0; 512];
        self.disk.read_at(self.boot.information?, &mut raw).ok()?;
        let signed = le32(&raw, 0) == 0x4161_5252 && le32(&raw, 484) == 0x6141_7272;
        let free = u64::from(le32(&raw, 488));
        (signed && free <= self.boot.clusters).then_some(free * self.boot.cluster_size)
    }
}

impl FileSystem for Fat {
    fn volume(&self) -> Volume {
        let mut notes = Vec::new();
        if self.boot.size > self.disk.size() {
            notes.push(format!(
                "the file system has {} bytes and its volume {}",
                self.boot.size,
                self.disk.size()
            ));
        }
        let (clean, sound) = self.state().unwrap_or((true, true));
        let serial =
            self.boot.serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xFFFF));
        Volume {
            kind: self.boot.kind().to_owned(),
            label: self.label(),
            uuid: serial.unwrap_or_default(),
            size: self.boot.size,
            free: self.free(),
            ignores_case: true,
            clean: Some(clean && !self.boot.dirty),
            errors: !sound || self.boot.failed,
            notes,
            ..Volume::default()
        }
    }

    fn root(&self) -> u64 {
        ROOT
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        let names = self.names.names(directory, || {
            let mut all = Vec::new();
            for one in self.files(directory)? {
                let short = names::short_name(&one.raw);
                for name in one.long.into_iter().chain([short]) {
                    all.push(Entry { name: names::folded(&name), node: one.offset });
                }
            }
            Ok(all)
        })?;
        Ok(names.get(&names::folded(name)).copied())
    }

    fn entries(&self, directory: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for one in self.files(directory)? {
            let name = one.long.unwrap_or_else(|| names::short_name(&one.raw));
            if name.contains(&b'/') || name.contains(&0) || name.is_empty() {
                let actual = name.escape_ascii().to_string();
                return Err(Error::corrupt("FAT name", one.offset, "a possible name", actual));
            }
            entries.push(Entry { name, node: one.offset });
        }
        Ok(entries)
    }

    fn stat(&self, node: u64) -> Result<Stat> {
        if node == ROOT {
            return Ok(stat(NodeKind::Directory, 0, 0o755, 0, ROOT));
        }
        let raw = self.entry(node)?;
        let modified = modified(le16(&raw, 24), le16(&raw, 22));
        let write = if raw[11] & READ_ONLY == 0 { 0o200 } else { 0 };
        if raw[11] & DIRECTORY != 0 {
            return Ok(stat(NodeKind::Directory, 0, 0o555 | write, modified, node));
        }
        Ok(stat(NodeKind::File, le32(&raw, 28).into(), 0o555 | write, modified, node))
    }

    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let raw = self.entry(node)?;
        if node == ROOT || raw[11] & DIRECTORY != 0 {
            return Err(Error::Invalid(format!("node {node:#x} is not a regular file")));
        }
        let left = u64::from(le32(&raw, 28)).saturating_sub(offset);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let mut chain = Chain::new(&self.disk, &self.boot, self.first_cluster(&raw));
        let (mut start, mut filled) = (0, 0);
        while filled < wanted {
            let Some(cluster) = chain.next().transpose()? else {
                let expected = format!("{} bytes", le32(&raw, 28));
                return Err(Error::corrupt("FAT chain", node, expected, format!("{start} bytes")));
            };
            let place = offset + filled as u64;
            let end = start + self.boot.cluster_size;
            if place < end {
                let length =
                    usize::try_from(end - place).unwrap_or(usize::MAX).min(wanted - filled);
                let from = chain.place(cluster) + (place - start);
                self.read(from, &mut buffer[filled..filled + length])?;
                filled += length;
            }
            start = end;
        }
        Ok(wanted)
    }

    fn read_link(&self, node: u64) -> Result<Vec<u8>> {
        Err(Error::Invalid(format!("node {node:#x} is not a symbolic link")))
    }
}

/// Whether this is `.` or `..`.
fn is_dot(raw: &[u8; ENTRY]) -> bool {
    matches!(&raw[..11], b".          " | b"..         ")
}

fn stat(kind: NodeKind, size: u64, mode: u16, modified: i64, inode: u64) -> Stat {
    Stat { kind, size, mode, uid: 0, gid: 0, links: 1, modified, inode }
}

/// Seconds since 1970 of a date and a time as FAT has them, taken as UTC.
fn modified(date: u16, time: u16) -> i64 {
    const DAYS_BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (year, month) = (i64::from(date >> 9), usize::from(date >> 5 & 0xF).clamp(1, 12));
    let day = i64::from(date & 0x1F).max(1);
    let leap_days = (year + 3) / 4 - i64::from(year > 120)
        + i64::from(year % 4 == 0 && year != 120 && month > 2);
    let days = year * 365 + leap_days + DAYS_BEFORE[month - 1] + day - 1;
    let (hours, minutes) = (i64::from(time >> 11), i64::from(time >> 5 & 0x3F));
    EPOCH_1980 + days * DAY + hours * 3600 + minutes * 60 + i64::from(time & 0x1F) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_leap_days() {
        let date = |year: u16, month: u16, day: u16| (year - 1980) << 9 | month << 5 | day;
        assert_eq!(modified(date(1980, 1, 1), 0), 315_532_800);
        assert_eq!(modified(date(2000, 2, 29), 0), 951_782_400);
        assert_eq!(modified(date(2024, 3, 1), 0x6000), 1_709_294_400);
        assert_eq!(modified(date(2101, 1, 1), 0), 4_133_980_800);
        assert_eq!(modified(0, 0), 315_532_800);
    }
}
