//! A range of a disk as a disk of its own.

use crate::disk::{BlockMap, Disk, Mapping};
use crate::error::{Error, Result};

/// A window of a disk: a partition, or a disk without its footer.
pub struct SliceMap {
    disk: Disk,
    start: u64,
    size: u64,
}

impl SliceMap {
    /// The `size` bytes of `disk` from `start`.
    pub fn new(disk: Disk, start: u64, size: u64) -> Result<Self> {
        if start.checked_add(size).is_none_or(|end| end > disk.size()) {
            return Err(Error::Invalid(format!(
                "{size} bytes at offset {start:#x} are not inside the disk of {} bytes",
                disk.size()
            )));
        }
        Ok(Self { disk, start, size })
    }
}

impl BlockMap for SliceMap {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        Ok(self.disk.resolve(self.start + offset, length)?.into())
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.disk.read_at(self.start + offset, buffer)
    }
}
