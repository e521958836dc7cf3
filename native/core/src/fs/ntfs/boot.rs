//! The boot sector: sizes, and where the master file table is.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::windows::{u16_at, u64_at};

/// What the boot sector says, checked.
#[derive(Debug, Clone, Copy)]
pub struct Boot {
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Clusters of the file system, all of them inside the volume.
    pub clusters: u64,
    /// Bytes of the file system as the boot sector says.
    pub size: u64,
    /// First cluster of the master file table.
    pub mft: u64,
    /// First cluster of the copy of its first records.
    pub mirror: u64,
    /// Bytes of a file record.
    pub record: usize,
    /// Serial number of the volume.
    pub serial: u64,
}

/// Whether a volume starts like NTFS.
pub fn is_ntfs(volume: &Disk) -> Result<bool> {
    let mut start = [0; 512];
    if volume.size() < start.len() as u64 {
        return Ok(false);
    }
    volume.read_at(0, &mut start)?;
    Ok(&start[3..11] == b"NTFS    ")
}

/// Reads the boot sector.
pub fn read(volume: &Disk) -> Result<Boot> {
    let mut sector = [0; 512];
    volume.read_at(0, &mut sector)?;
    let wrong = |what: &str, offset, expected: &str, actual: String| {
        Err(Error::corrupt(format!("NTFS boot sector, {what}"), offset, expected, actual))
    };
    let bytes = u64::from(u16_at(&sector, 0x0B).unwrap_or(0));
    if !bytes.is_power_of_two() || !(256..=4096).contains(&bytes) {
        return wrong("bytes per sector", 0x0B, "a power of two from 256", bytes.to_string());
    }
    let Some(cluster) = cluster_size(sector[0x0D], bytes) else {
        let actual = format!("{:#04x}", sector[0x0D]);
        return wrong("sectors per cluster", 0x0D, "a power of two, at most 2 MiB", actual);
    };
    let Some(record) = record_size(sector[0x40], cluster) else {
        let actual = format!("{:#04x}", sector[0x40]);
        return wrong("size of a file record", 0x40, "512 to 4096 bytes", actual);
    };
    let sectors = u64_at(&sector, 0x28).unwrap_or(0);
    let Some(size) = sectors.checked_mul(bytes).filter(|&size| size >= cluster) else {
        return wrong("sectors", 0x28, "at least a cluster", sectors.to_string());
    };
    Ok(Boot {
        cluster,
        // A volume that was cut off is read as far as it goes.
        clusters: size.min(volume.size()) / cluster,
        size,
        mft: u64_at(&sector, 0x30).unwrap_or(0),
        mirror: u64_at(&sector, 0x38).unwrap_or(0),
        record: usize::try_from(record).unwrap_or(0),
        serial: u64_at(&sector, 0x48).unwrap_or(0),
    })
}

/// Bytes of a cluster: up to 128 sectors as such, more as a negative power of two.
fn cluster_size(byte: u8, sector: u64) -> Option<u64> {
    let sectors = match byte {
        0..=128 => u64::from(byte),
        _ => 1u64.checked_shl(u32::from(byte.wrapping_neg()))?,
    };
    sectors.checked_mul(sector).filter(|size| size.is_power_of_two() && *size <= 2 << 20)
}

/// Bytes of a file record: clusters, or a negative power of two of bytes.
fn record_size(byte: u8, cluster: u64) -> Option<u64> {
    let size = match byte {
        0..=127 => u64::from(byte) * cluster,
        _ => 1u64.checked_shl(u32::from(byte.wrapping_neg()))?,
    };
    Some(size).filter(|size| size.is_power_of_two() && (512..=4096).contains(size))
}
