//! Dynamic and differencing VHDs (Virtual Hard Disk Image Format Specification 1.0).

use crate::bitmap::{BitOrder, BitmapReader};
use crate::disk::{BlockMap, Mapping, Target};
use crate::error::{Error, Result};
use crate::file::File;
use crate::table::Table;
use std::sync::Arc;

/// Sectors of a VHD are always this long.
pub const SECTOR: u64 = 512;
/// The table entry of a block that is not stored.
pub const UNUSED: u32 = u32::MAX;
/// Block sizes outside these bounds are in no known image and would only serve to exhaust us.
pub const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 4096..=256 * 1024 * 1024;

/// What the footer and the dynamic header say, already parsed.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Size of the virtual disk in bytes.
    pub size: u64,
    /// File offset of the block allocation table.
    pub table_offset: u64,
    /// Entries that the header says the table has.
    pub table_entries: u64,
    /// Bytes of data in a block.
    pub block_size: u64,
}

impl Geometry {
    /// Bytes of the sector bitmap in front of a block's data, padded to a sector.
    pub fn bitmap_length(&self) -> u64 {
        (self.block_size / SECTOR / 8).next_multiple_of(SECTOR)
    }

    /// Blocks that the disk's size needs; the last one may reach past the end of the disk.
    pub fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block_size)
    }

    /// Refuses what no reader can follow.
    pub fn validate(&self) -> Result<()> {
        if self.block_size.is_power_of_two() && BLOCK_SIZES.contains(&self.block_size) {
            return Ok(());
        }
        Err(Error::corrupt(
            "block size of the dynamic header",
            32,
            "a power of two from 4096 to 268435456",
            self.block_size,
        ))
    }
}

/// How the sectors are read whose bitmap bit is clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClearBits {
    /// As zeros: a dynamic disk by the specification.
    Zero,
    /// From the parent: a differencing disk.
    Parent,
    /// As the bytes that the block has there, as qemu reads dynamic disks.
    Stored,
}

/// The block map of a dynamic or differencing VHD.
pub struct VhdMap {
    file: Arc<File>,
    geometry: Geometry,
    table: Table,
    bitmaps: BitmapReader,
    clear_bits: ClearBits,
}

impl VhdMap {
    /// Opens the block map; of the table only its place is checked here.
    pub fn new(file: Arc<File>, geometry: Geometry, clear_bits: ClearBits) -> Result<Self> {
        geometry.validate()?;
        let entries = geometry.table_entries.min(geometry.blocks());
        let table = Table::new(Arc::clone(&file), geometry.table_offset, entries, 4)?;
        let bitmaps = BitmapReader::new(Arc::clone(&file), BitOrder::MostFirst);
        Ok(Self { file, geometry, table, bitmaps, clear_bits })
    }

    fn map_block(&self, block: u64, entry: u32, inside: u64, length: u64) -> Result<Mapping> {
        let start = u64::from(entry) * SECTOR;
        let data = start + self.geometry.bitmap_length();
        let stored =
            self.geometry.block_size.min(self.geometry.size - block * self.geometry.block_size);
        if entry == 0 || data + stored > self.file.size() {
            return Err(Error::corrupt(
                format!(
                    "entry {block} of the block allocation table of {}",
                    self.file.path().display()
                ),
                self.geometry.table_offset + block * 4,
                format_args!("a block that ends inside the file of {} bytes", self.file.size()),
                format_args!("a block from {start:#x} to {:#x}", data + stored),
            ));
        }
        let length = length.min(stored - inside);
        let here = Target::File { file: Arc::clone(&self.file), offset: data + inside };
        if self.clear_bits == ClearBits::Stored {
            return Ok(Mapping { length, target: here });
        }
        let bitmap_length = usize::try_from(self.geometry.block_size / SECTOR / 8).unwrap_or(0);
        let bitmap = self.bitmaps.at(start, bitmap_length.max(1))?;
        let sector = inside / SECTOR;
        let run = bitmap.run(sector, (inside + length).div_ceil(SECTOR));
        let length = length.min((sector + run) * SECTOR - inside);
        let target = match (bitmap.get(sector), self.clear_bits) {
            (true, _) => here,
            (false, ClearBits::Parent) => Target::Unallocated,
            (false, _) => Target::Zero,
        };
        Ok(Mapping { length, target })
    }
}

impl BlockMap for VhdMap {
    fn size(&self) -> u64 {
        self.geometry.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let block_size = self.geometry.block_size;
        let (block, inside) = (offset / block_size, offset % block_size);
        if block >= self.table.entries() {
            return Ok(Mapping { length, target: Target::Unallocated });
        }
        let page = self.table.page(block)?;
        let mut entries = page.u32_from(block);
        let entry = entries.next().unwrap_or(UNUSED);
        if entry != UNUSED {
            return self.map_block(block, entry, inside, length);
        }
        let wanted = (inside + length).div_ceil(block_size) - 1;
        let further = entries
            .take(usize::try_from(wanted).unwrap_or(usize::MAX))
            .take_while(|&entry| entry == UNUSED)
            .count() as u64;
        let length = length.min((further + 1) * block_size - inside);
        Ok(Mapping { length, target: Target::Unallocated })
    }
}
