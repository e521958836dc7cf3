//! VHDX payload blocks ([MS-VHDX] 2.5). The log is replayed before: see [`crate::vhdx_log`].

use crate::bitmap::{BitOrder, BitmapReader};
use crate::disk::{BlockMap, Mapping, Target};
use crate::error::{Error, Result};
use crate::file::File;
use crate::table::Table;
use std::sync::Arc;

const MIB: u64 = 1024 * 1024;
/// Sectors that one sector bitmap block covers.
const CHUNK_SECTORS: u64 = 1 << 23;
/// [MS-VHDX] 2.6.2.1: no disk is larger.
const LARGEST: u64 = 64 << 40;

/// States of a payload block, the low three bits of its table entry.
pub mod state {
    /// Not in this image: zero, or the parent's.
    pub const NOT_PRESENT: u64 = 0;
    /// Contents undefined.
    pub const UNDEFINED: u64 = 1;
    /// All zero.
    pub const ZERO: u64 = 2;
    /// Trimmed by the guest.
    pub const UNMAPPED: u64 = 3;
    /// All of it in this image.
    pub const FULLY_PRESENT: u64 = 6;
    /// Some of it in this image, by the sector bitmap; differencing disks only.
    pub const PARTIALLY_PRESENT: u64 = 7;
}

/// What the headers and the metadata say, already parsed.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Size of the virtual disk in bytes.
    pub size: u64,
    /// File offset of the block allocation table.
    pub table_offset: u64,
    /// Bytes of the region that holds the table.
    pub table_length: u64,
    /// Bytes of a payload block.
    pub block_size: u64,
    /// Logical sector size, 512 or 4096.
    pub sector_size: u64,
    /// Whether the disk has a parent.
    pub differencing: bool,
}

impl Geometry {
    /// Payload blocks between two sector bitmap entries.
    pub fn chunk_ratio(&self) -> u64 {
        CHUNK_SECTORS * self.sector_size / self.block_size
    }

    /// Payload blocks that the disk's size needs.
    pub fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block_size)
    }

    /// Index in the table of a payload block: the bitmap entries between are skipped.
    pub fn payload_index(&self, block: u64) -> u64 {
        block + block / self.chunk_ratio()
    }

    /// Index in the table of the sector bitmap of a payload block's chunk.
    pub fn bitmap_index(&self, block: u64) -> u64 {
        let ratio = self.chunk_ratio();
        let chunk = block / ratio;
        (chunk + 1) * ratio + chunk
    }

    /// Entries that the table must have.
    pub fn needed_entries(&self) -> u64 {
        let blocks = self.blocks();
        if self.differencing {
            let chunks = blocks.div_ceil(self.chunk_ratio());
            chunks * (self.chunk_ratio() + 1)
        } else {
            blocks + blocks.saturating_sub(1) / self.chunk_ratio()
        }
    }

    /// Refuses what the specification does not allow.
    pub fn validate(&self) -> Result<()> {
        let block_sound =
            self.block_size.is_power_of_two() && (MIB..=256 * MIB).contains(&self.block_size);
        if !block_sound {
            return Err(Error::corrupt(
                "block size of the file parameters",
                0,
                "a power of two from 1 MiB to 256 MiB",
                self.block_size,
            ));
        }
        if ![512, 4096].contains(&self.sector_size) {
            return Err(Error::corrupt("logical sector size", 0, "512 or 4096", self.sector_size));
        }
        if self.size > LARGEST || !self.size.is_multiple_of(self.sector_size) {
            let expected = "at most 64 TiB, a multiple of the sector size";
            return Err(Error::corrupt("virtual disk size", 0, expected, self.size));
        }
        Ok(())
    }
}

/// The block map of a VHDX.
pub struct VhdxMap {
    file: Arc<File>,
    geometry: Geometry,
    table: Table,
    bitmap_table: Table,
    bitmaps: BitmapReader,
}

impl VhdxMap {
    /// Opens the block map; of the table only its place and length are checked here.
    pub fn new(file: Arc<File>, geometry: Geometry) -> Result<Self> {
        geometry.validate()?;
        let entries = geometry.needed_entries();
        if entries > geometry.table_length / 8 {
            return Err(Error::corrupt(
                "block allocation table",
                geometry.table_offset,
                format_args!("{entries} entries for a disk of {} bytes", geometry.size),
                format_args!("room for {}", geometry.table_length / 8),
            ));
        }
        let table = Table::new(Arc::clone(&file), geometry.table_offset, entries, 8)?;
        // A second view, since the bitmap entries lie pages away from the payload entries.
        let bitmap_table = Table::new(Arc::clone(&file), geometry.table_offset, entries, 8)?;
        let bitmaps = BitmapReader::new(Arc::clone(&file), BitOrder::LeastFirst);
        Ok(Self { file, geometry, table, bitmap_table, bitmaps })
    }

    fn entry_error(&self, index: u64, expected: &str, actual: impl std::fmt::Display) -> Error {
        let path = self.file.path().display();
        let structure = format!("entry {index} of the block allocation table of {path}");
        Error::corrupt(structure, self.geometry.table_offset + index * 8, expected, actual)
    }

    fn map_present(&self, block: u64, entry: u64, inside: u64, length: u64) -> Result<Mapping> {
        let index = self.geometry.payload_index(block);
        let start = entry >> 20 << 20;
        let stored =
            self.geometry.block_size.min(self.geometry.size - block * self.geometry.block_size);
        if start < MIB || start.checked_add(stored).is_none_or(|end| end > self.file.size()) {
            let actual = format!("a block at {start:#x} in a file of {} bytes", self.file.size());
            return Err(self.entry_error(
                index,
                "a block inside the file, past the headers",
                actual,
            ));
        }
        let here = Target::File { file: Arc::clone(&self.file), offset: start + inside };
        if entry & 7 == state::FULLY_PRESENT {
            return Ok(Mapping { length, target: here });
        }
        let sector_size = self.geometry.sector_size;
        let bytes = self.geometry.block_size / sector_size / 8;
        let bitmap_index = self.geometry.bitmap_index(block);
        let bitmap_entry = self.bitmap_table.page(bitmap_index)?.u64_from(bitmap_index).next();
        let bitmap_entry = bitmap_entry.unwrap_or(0);
        if bitmap_entry & 7 != state::FULLY_PRESENT {
            let actual = format!("state {}", bitmap_entry & 7);
            return Err(self.entry_error(
                bitmap_index,
                "a present sector bitmap (state 6)",
                actual,
            ));
        }
        let place = (bitmap_entry >> 20 << 20) + block % self.geometry.chunk_ratio() * bytes;
        let bitmap = self.bitmaps.at(place, usize::try_from(bytes).unwrap_or(0))?;
        let sector = inside / sector_size;
        let run = bitmap.run(sector, (inside + length).div_ceil(sector_size));
        let length = length.min((sector + run) * sector_size - inside);
        let target = if bitmap.get(sector) { here } else { Target::Unallocated };
        Ok(Mapping { length, target })
    }
}

impl BlockMap for VhdxMap {
    fn size(&self) -> u64 {
        self.geometry.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let block_size = self.geometry.block_size;
        let (block, inside) = (offset / block_size, offset % block_size);
        let index = self.geometry.payload_index(block);
        let page = self.table.page(index)?;
        let mut entries = page.u64_from(index);
        let entry = entries.next().unwrap_or(0);
        let in_block = length.min(block_size - inside);
        match entry & 7 {
            state::NOT_PRESENT => {
                // Up to the next bitmap entry the indexes of blocks and entries go together.
                let ratio = self.geometry.chunk_ratio();
                let wanted =
                    ((inside + length).div_ceil(block_size)).min(ratio - block % ratio) - 1;
                let further = entries
                    .take(usize::try_from(wanted).unwrap_or(usize::MAX))
                    .take_while(|entry| entry & 7 == state::NOT_PRESENT)
                    .count() as u64;
                let length = length.min((further + 1) * block_size - inside);
                Ok(Mapping { length, target: Target::Unallocated })
            }
            // Undefined and unmapped blocks were in this image once: never the parent's bytes.
            state::UNDEFINED | state::ZERO | state::UNMAPPED => {
                Ok(Mapping { length: in_block, target: Target::Zero })
            }
            state::FULLY_PRESENT => self.map_present(block, entry, inside, in_block),
            state::PARTIALLY_PRESENT if self.geometry.differencing => {
                self.map_present(block, entry, inside, in_block)
            }
            other => {
                let expected = if other == state::PARTIALLY_PRESENT {
                    "no partially present block in a disk without parent"
                } else {
                    "a defined state (0 to 3, 6 or 7)"
                };
                Err(self.entry_error(index, expected, format_args!("state {other}")))
            }
        }
    }
}
