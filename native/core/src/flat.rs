//! Disks stored as they are: raw images, fixed VHDs, block devices.

use crate::disk::{BlockMap, Mapping, Target};
use crate::error::{Error, Result};
use crate::file::File;
use std::sync::Arc;

/// A window of a file, byte for byte; holes of the file are holes of the disk.
pub struct FlatMap {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl FlatMap {
    /// The `size` bytes of `file` from `start`.
    pub fn new(file: Arc<File>, start: u64, size: u64) -> Result<Self> {
        if start.checked_add(size).is_none_or(|end| end > file.size()) {
            return Err(Error::corrupt(
                format!("file {}", file.path().display()),
                start,
                format_args!("{size} bytes of data"),
                format_args!("{} bytes", file.size().saturating_sub(start)),
            ));
        }
        Ok(Self { file, start, size })
    }
}

impl BlockMap for FlatMap {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let from = self.start + offset;
        let (length, target) = match self.file.next_data(from) {
            None => (length, Target::Unallocated),
            Some((start, _)) if start > from => (length.min(start - from), Target::Unallocated),
            Some((_, end)) => {
                let target = Target::File { file: Arc::clone(&self.file), offset: from };
                (length.min(end - from), target)
            }
        };
        Ok(Mapping { length, target })
    }
}
