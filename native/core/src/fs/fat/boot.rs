//! The boot sector of FAT12, FAT16 and FAT32.
//!
//! Source: Microsoft, "FAT32 File System Specification" 1.03, and what Linux mounts.

use crate::error::{Error, Result};
use crate::fields::{bytes, le16, le32};

/// Bytes of a boot sector that have fields.
pub const LENGTH: usize = 512;
/// More clusters than these need the next wider table.
const MOST_FAT12: u64 = 4084;
const MOST_FAT16: u64 = 65524;
const MOST_FAT32: u64 = 0x0FFF_FFF5;
const EXTENDED: u8 = 0x29;
const EXTENDED_SHORT: u8 = 0x28;
const DIRTY: u8 = 1;
const FAILED: u8 = 2;

/// Bits of an entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 12 bits.
    Fat12,
    /// 16 bits.
    Fat16,
    /// 32 bits, of which 28 count.
    Fat32,
}

/// Where things are, in bytes on the volume, checked against each other.
#[derive(Debug, Clone)]
pub struct Boot {
    /// How wide entries of the table are.
    pub width: Width,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// Clusters; their numbers start at 2.
    pub clusters: u64,
    /// Where the first table starts.
    pub table: u64,
    /// Bytes of the first table.
    pub table_size: u64,
    /// Where the root directory of FAT12 and FAT16 starts.
    pub root: u64,
    /// Bytes of that root directory; 0 in FAT32.
    pub root_size: u64,
    /// The first cluster of the root directory of FAT32.
    pub root_cluster: u32,
    /// Where cluster 2 starts.
    pub data: u64,
    /// Bytes of the file system.
    pub size: u64,
    /// Where the sector of free-space figures of FAT32 is, if it has one.
    pub information: Option<u64>,
    /// Serial number, where there is one.
    pub serial: Option<u32>,
    /// Label of the boot sector, where there is one.
    pub label: [u8; 11],
    /// Linux marks a mounted volume in the boot sector.
    pub dirty: bool,
    /// And one on which it saw errors.
    pub failed: bool,
}

/// Whether a sector looks like the boot sector of a FAT volume: jump, sizes, media byte.
pub fn is_boot_sector(raw: &[u8]) -> bool {
    let jumps = matches!(raw.first(), Some(0xE9 | 0xEB));
    let fats = raw.get(16).copied().unwrap_or(0);
    jumps
        && le16(raw, 510) == 0xAA55
        && (1..=2).contains(&fats)
        && raw.get(21).is_some_and(|&media| media >= 0xF0)
        && Boot::parse(raw).is_ok()
}

impl Boot {
    /// Reads a boot sector and checks what is computed with.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        let wrong = |field: &str, expected: &str, actual: u64| {
            Error::corrupt(format!("FAT boot sector, {field}"), 0, expected, actual)
        };
        let sector = u64::from(le16(raw, 11));
        if ![512, 1024, 2048, 4096].contains(&sector) {
            return Err(wrong("bytes per sector", "512 to 4096", sector));
        }
        let per_cluster = u64::from(bytes::<1>(raw, 13)[0]);
        if !per_cluster.is_power_of_two() {
            return Err(wrong("sectors per cluster", "a power of two", per_cluster));
        }
        let (reserved, fats) = (u64::from(le16(raw, 14)), u64::from(bytes::<1>(raw, 16)[0]));
        if reserved == 0 || fats == 0 {
            return Err(wrong("reserved sectors and tables", "at least 1", reserved.min(fats)));
        }
        let short_table = u64::from(le16(raw, 22));
        let wide = short_table == 0;
        let table_sectors = if wide { u64::from(le32(raw, 36)) } else { short_table };
        let short_count = u64::from(le16(raw, 19));
        let sectors = if short_count == 0 { u64::from(le32(raw, 32)) } else { short_count };
        let root_sectors = (u64::from(le16(raw, 17)) * 32).div_ceil(sector);
        let root_sectors = if wide { 0 } else { root_sectors };
        let root = reserved + fats * table_sectors;
        let data = root + root_sectors;
        if table_sectors == 0 || data >= sectors {
            return Err(wrong("sectors", "more than the tables take", sectors));
        }
        let clusters = (sectors - data) / per_cluster;
        let width = match clusters {
            _ if wide => Width::Fat32,
            0..=MOST_FAT12 => Width::Fat12,
            _ => Width::Fat16,
        };
        let most = if width == Width::Fat32 { MOST_FAT32 } else { MOST_FAT16 };
        // Entries that the table has no room for do not exist.
        let table_size = table_sectors * sector;
        let entries = match width {
            Width::Fat12 => table_size * 2 / 3,
            Width::Fat16 => table_size / 2,
            Width::Fat32 => table_size / 4,
        };
        let clusters = clusters.min(most).min(entries.saturating_sub(2));
        let extended = if wide { 64 } else { 36 };
        let state = bytes::<1>(raw, extended + 1)[0];
        let signature = bytes::<1>(raw, extended + 2)[0];
        let information = u64::from(le16(raw, 48));
        let has_information = wide && information > 0 && information < reserved;
        let has_label = signature == EXTENDED;
        Ok(Self {
            width,
            cluster_size: per_cluster * sector,
            clusters,
            table: reserved * sector,
            table_size,
            root: root * sector,
            root_size: root_sectors * sector,
            root_cluster: if wide { le32(raw, 44) } else { 0 },
            data: data * sector,
            size: sectors * sector,
            information: has_information.then_some(information * sector),
            serial: [EXTENDED, EXTENDED_SHORT]
                .contains(&signature)
                .then(|| le32(raw, extended + 3)),
            label: if has_label { bytes(raw, extended + 7) } else { [b' '; 11] },
            dirty: state & DIRTY != 0,
            failed: state & FAILED != 0,
        })
    }

    /// `FAT12`, `FAT16` or `FAT32`.
    pub fn kind(&self) -> &'static str {
        match self.width {
            Width::Fat12 => "FAT12",
            Width::Fat16 => "FAT16",
            Width::Fat32 => "FAT32",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sector() -> Vec<u8> {
        let mut raw = vec![0; LENGTH];
        raw[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
        raw[11..17].copy_from_slice(&[0, 2, 4, 1, 0, 2]);
        raw[17..19].copy_from_slice(&512u16.to_le_bytes());
        raw[19..21].copy_from_slice(&20_000u16.to_le_bytes());
        raw[21] = 0xF8;
        raw[22] = 20;
        raw[510..].copy_from_slice(&[0x55, 0xAA]);
        raw
    }

    #[test]
    fn the_width_follows_from_the_clusters() {
        let boot = Boot::parse(&sector()).unwrap();
        assert_eq!((boot.width, boot.clusters), (Width::Fat16, 4981));
        let mut raw = sector();
        raw[13] = 8;
        assert_eq!(Boot::parse(&raw).unwrap().width, Width::Fat12);
    }

    #[test]
    fn a_table_that_is_too_small_bounds_the_clusters() {
        let mut raw = sector();
        raw[22] = 1;
        assert_eq!(Boot::parse(&raw).unwrap().clusters, 254);
    }

    #[test]
    fn sectors_that_are_not_fat_are_refused() {
        assert!(is_boot_sector(&sector()));
        assert!(!is_boot_sector(&[0; LENGTH]));
        assert!(!is_boot_sector(&[]));
        for (at, value) in [(11, 3), (13, 3), (14, 0), (16, 0), (22, 0)] {
            let mut raw = sector();
            raw[at] = value;
            assert!(Boot::parse(&raw).is_err() || at == 11, "{at}");
        }
    }
}
