//! Block allocation tables, read a page at a time as they are needed.

use crate::error::{Error, Result};
use crate::file::File;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a table that are read and kept at once.
const PAGE: u64 = 64 * 1024;

/// A table of fixed-width entries in a file. What it claims to hold costs nothing until asked for.
pub struct Table {
    file: Arc<File>,
    offset: u64,
    entries: u64,
    width: u64,
    page: Mutex<Page>,
}

/// Consecutive entries of a table.
#[derive(Clone)]
pub struct Page {
    /// Index of the first entry.
    pub first: u64,
    bytes: Arc<[u8]>,
}

impl Table {
    /// A table of `entries` entries of `width` bytes (4 or 8) that must lie inside the file.
    pub fn new(file: Arc<File>, offset: u64, entries: u64, width: u64) -> Result<Self> {
        let end = entries.checked_mul(width).and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > file.size()) {
            return Err(Error::corrupt(
                "block allocation table",
                offset,
                format_args!("{entries} entries of {width} bytes inside the file"),
                format_args!("a file of {} bytes", file.size()),
            ));
        }
        let page = Mutex::new(Page { first: 0, bytes: Arc::new([]) });
        Ok(Self { file, offset, entries, width, page })
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The page that holds entry `index`, which must be less than [`Self::entries`].
    pub fn page(&self, index: u64) -> Result<Page> {
        let per_page = PAGE / self.width;
        let first = index - index % per_page;
        let mut kept = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.first != first || kept.bytes.is_empty() {
            let count = per_page.min(self.entries - first);
            let mut bytes = vec![0; usize::try_from(count * self.width).unwrap_or(0)];
            self.file.read_exact_at(self.offset + first * self.width, &mut bytes)?;
            *kept = Page { first, bytes: bytes.into() };
        }
        Ok(kept.clone())
    }
}

impl Page {
    /// The big-endian 32-bit entries from table index `index` on (VHD).
    pub fn u32_from(&self, index: u64) -> impl Iterator<Item = u32> {
        let skip = usize::try_from((index - self.first) * 4).unwrap_or(usize::MAX);
        let (entries, _) = self.bytes[skip.min(self.bytes.len())..].as_chunks::<4>();
        entries.iter().map(|entry| u32::from_be_bytes(*entry))
    }

    /// The little-endian 64-bit entries from table index `index` on (VHDX).
    pub fn u64_from(&self, index: u64) -> impl Iterator<Item = u64> {
        let skip = usize::try_from((index - self.first) * 8).unwrap_or(usize::MAX);
        let (entries, _) = self.bytes[skip.min(self.bytes.len())..].as_chunks::<8>();
        entries.iter().map(|entry| u64::from_le_bytes(*entry))
    }
}
