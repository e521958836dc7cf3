//! The base block: the first sector of a hive and of its logs.

use crate::windows::{u32_at, u64_at};

/// Bytes of the base block of a hive; hive bins follow. That of a log is [`SECTOR`] long.
pub const LENGTH: usize = 4096;
/// Bytes that a checksum guards, with the checksum itself.
pub const SECTOR: usize = 512;
const CHECKSUM: usize = 508;

/// What a base block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Raised before the hive is written.
    pub primary: u32,
    /// Raised when it was.
    pub secondary: u32,
    /// FILETIME of the last write.
    pub written: u64,
    /// Major version: 1.
    pub major: u32,
    /// Minor version: 3 to 6.
    pub minor: u32,
    /// 0 of a hive, 1 and 2 of a log of the old kind, 6 of a log of entries.
    pub kind: u32,
    /// Offset of the root key in the hive bins.
    pub root: u32,
    /// Bytes of the hive bins.
    pub size: u32,
    /// Whether the checksum is right.
    pub sound: bool,
}

impl Base {
    /// Reads the first sector of a file; `None` when it is no hive and no log.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let sector = bytes.get(..SECTOR).filter(|sector| sector.starts_with(b"regf"))?;
        Some(Self {
            primary: u32_at(sector, 4)?,
            secondary: u32_at(sector, 8)?,
            written: u64_at(sector, 12)?,
            major: u32_at(sector, 20)?,
            minor: u32_at(sector, 24)?,
            kind: u32_at(sector, 28)?,
            root: u32_at(sector, 36)?,
            size: u32_at(sector, 40)?,
            sound: u32_at(sector, CHECKSUM)? == checksum(sector),
        })
    }

    /// Whether the hive was not written to its end.
    pub fn is_dirty(&self) -> bool {
        !self.sound || self.primary != self.secondary
    }
}

/// The words exclusive-ored; never 0 and never all ones.
pub fn checksum(sector: &[u8]) -> u32 {
    let words = sector[..CHECKSUM].as_chunks::<4>().0.iter();
    match words.fold(0, |sum, word| sum ^ u32::from_le_bytes(*word)) {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        sum => sum,
    }
}
