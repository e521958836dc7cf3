//! Judging whole tables: blocks that overlap, lie past the end, or cover what they must not.

use crate::bitmap::{BitOrder, Bitmap};
use crate::error::Result;
use crate::file::File;
use crate::table::Table;
use crate::vhd::{self, SECTOR};
use crate::vhdx::{self, state};
use std::sync::Arc;

/// More entries than this are not looked at: 64 times the largest dynamic VHD of 2 MiB blocks.
const MOST_ENTRIES: u64 = 1 << 26;
/// More blocks than this are not sorted to find overlaps: what memory allows (16 bytes each).
const MOST_SORTED: usize = 1 << 21;

/// A fault of a block: its number and the file offset that its entry says.
pub type Fault = (u64, u64);

/// Faults of the blocks of a table: the first ones, and how many there are in all.
#[derive(Debug, Default)]
pub struct Placement {
    /// Blocks that end past the data area.
    pub past_end: Vec<Fault>,
    /// Blocks that lie over a header or table.
    pub clobbering: Vec<Fault>,
    /// Two blocks, and the file offset where the second starts inside the first.
    pub overlapping: Vec<(u64, u64, u64)>,
    /// How many end past the data area.
    pub past_end_count: u64,
    /// How many lie over a header or table.
    pub clobbering_count: u64,
    /// How many start inside another.
    pub overlapping_count: u64,
    /// Whether overlaps were looked for: false where there are too many blocks.
    pub overlap_checked: bool,
    /// First byte after the last block, 0 without blocks.
    pub end_of_blocks: u64,
}

/// Collects blocks and judges where they lie.
struct Places<'a> {
    reserved: &'a [(u64, u64)],
    data_end: u64,
    limit: usize,
    /// Start in units of 512 bytes, block: what overlaps are found from.
    sorted: Vec<(u64, u64)>,
    found: Placement,
}

impl<'a> Places<'a> {
    fn new(reserved: &'a [(u64, u64)], data_end: u64, limit: usize) -> Self {
        let found = Placement { overlap_checked: true, ..Placement::default() };
        Self { reserved, data_end, limit, sorted: Vec::new(), found }
    }

    /// Notes a block from `start` to `end` of which `used` bytes are read.
    fn add(&mut self, block: u64, start: u64, end: u64, used: u64) {
        let found = &mut self.found;
        found.end_of_blocks = found.end_of_blocks.max(end);
        if start.saturating_add(used) > self.data_end {
            found.past_end_count += 1;
            keep(&mut found.past_end, (block, start), self.limit);
        }
        let over =
            |&(offset, length): &(u64, u64)| start < offset.saturating_add(length) && offset < end;
        if self.reserved.iter().any(over) {
            found.clobbering_count += 1;
            keep(&mut found.clobbering, (block, start), self.limit);
        }
        if self.sorted.len() < MOST_SORTED {
            self.sorted.push((start, block));
        } else {
            found.overlap_checked = false;
        }
    }

    /// Finds the overlaps of blocks that are all `length` bytes long.
    fn finish(mut self, length: u64) -> Placement {
        if !self.found.overlap_checked {
            return self.found;
        }
        self.sorted.sort_unstable();
        for pair in self.sorted.windows(2) {
            let ((first, block), (second, other)) = (pair[0], pair[1]);
            if second < first.saturating_add(length) {
                self.found.overlapping_count += 1;
                keep(&mut self.found.overlapping, (block, other, second), self.limit);
            }
        }
        self.found
    }
}

fn keep<T>(list: &mut Vec<T>, item: T, limit: usize) {
    if list.len() < limit {
        list.push(item);
    }
}

/// What the table of a dynamic or differencing VHD says.
#[derive(Debug)]
pub struct VhdTable {
    /// Entries that the disk's size needs.
    pub entries: u64,
    /// Of these, how many were looked at.
    pub examined: u64,
    /// Of these, how many are not unused.
    pub allocated: u64,
    /// Entries past the needed ones that are not unused.
    pub beyond_size: u64,
    /// Where the blocks lie.
    pub placement: Placement,
}

/// How much of a table is looked at: what is inside the file, within bounds.
fn examined(file: &File, offset: u64, entries: u64, width: u64) -> u64 {
    let inside = file.size().saturating_sub(offset) / width;
    entries.min(inside).min(MOST_ENTRIES)
}

/// Looks at every entry of a VHD's table: inside `data_end`, off the `reserved` ranges, alone.
pub fn vhd_table(
    file: &Arc<File>,
    geometry: vhd::Geometry,
    reserved: &[(u64, u64)],
    data_end: u64,
    limit: usize,
) -> Result<VhdTable> {
    geometry.validate()?;
    let count = examined(file, geometry.table_offset, geometry.table_entries, 4);
    let needed = geometry.blocks();
    let length = geometry.bitmap_length() + geometry.block_size;
    let table = Table::new(Arc::clone(file), geometry.table_offset, count, 4)?;
    let mut places = Places::new(reserved, data_end, limit);
    let (mut allocated, mut beyond_size, mut block) = (0, 0, 0);
    while block < count {
        let page = table.page(block)?;
        for entry in page.u32_from(block) {
            if entry != vhd::UNUSED && block >= needed {
                beyond_size += 1;
            } else if entry != vhd::UNUSED {
                allocated += 1;
                let start = u64::from(entry) * SECTOR;
                let data = geometry.block_size.min(geometry.size - block * geometry.block_size);
                places.add(block, start, start + length, length - geometry.block_size + data);
            }
            block += 1;
        }
    }
    let examined = count.min(needed);
    let placement = places.finish(length);
    Ok(VhdTable { entries: needed, examined, allocated, beyond_size, placement })
}

/// What the table of a VHDX says.
#[derive(Debug)]
pub struct VhdxTable {
    /// Payload entries that the disk's size needs.
    pub entries: u64,
    /// How many payload entries have each state.
    pub states: [u64; 8],
    /// Blocks in a state that the format does not define for them.
    pub bad_states: Vec<(u64, u64)>,
    /// How many of these there are.
    pub bad_state_count: u64,
    /// Where the blocks lie.
    pub placement: Placement,
}

/// Looks at every payload entry of a VHDX's table, and at the bitmaps that partial blocks need.
pub fn vhdx_table(
    file: &Arc<File>,
    geometry: vhdx::Geometry,
    reserved: &[(u64, u64)],
    limit: usize,
) -> Result<VhdxTable> {
    geometry.validate()?;
    let inside = geometry.needed_entries().min(geometry.table_length / 8);
    let count = examined(file, geometry.table_offset, inside, 8);
    let table = Table::new(Arc::clone(file), geometry.table_offset, count, 8)?;
    let ratio = geometry.chunk_ratio();
    let mut places = Places::new(reserved, file.size(), limit);
    let mut report = VhdxTable {
        entries: geometry.blocks(),
        states: [0; 8],
        bad_states: Vec::new(),
        bad_state_count: 0,
        placement: Placement::default(),
    };
    let mut index = 0;
    while index < count {
        let page = table.page(index)?;
        for entry in page.u64_from(index) {
            let (chunk, inside) = (index / (ratio + 1), index % (ratio + 1));
            index += 1;
            let block = chunk * ratio + inside;
            // The last entry of each chunk is that of its sector bitmap.
            if inside == ratio || block >= report.entries {
                continue;
            }
            let found = entry & 7;
            report.states[usize::try_from(found).unwrap_or(0)] += 1;
            let sound = match found {
                state::NOT_PRESENT..=state::UNMAPPED | state::FULLY_PRESENT => true,
                state::PARTIALLY_PRESENT => geometry.differencing,
                _ => false,
            };
            if !sound {
                report.bad_state_count += 1;
                keep(&mut report.bad_states, (block, found), limit);
            }
            if sound && found >= state::FULLY_PRESENT {
                let start = entry >> 20 << 20;
                let used = geometry.block_size.min(geometry.size - block * geometry.block_size);
                places.add(block, start, start.saturating_add(geometry.block_size), used);
            }
        }
    }
    report.placement = places.finish(geometry.block_size);
    Ok(report)
}

/// What a dynamic VHD holds in sectors whose bitmap bit is clear.
#[derive(Debug, Default)]
pub struct ClearSectors {
    /// Allocated blocks.
    pub blocks: u64,
    /// Blocks whose bitmap was read.
    pub examined: u64,
    /// Sectors inside the disk whose bit is clear.
    pub clear_sectors: u64,
    /// Bytes other than zero in those sectors.
    pub nonzero_bytes: u64,
    /// File offset of the first of them.
    pub first_offset: Option<u64>,
    /// Whether every allocated block was looked at in full.
    pub complete: bool,
}

/// Looks for data under clear bits, in at most `max_blocks` blocks spread over the disk and
/// reading at most `max_bytes` of their data.
pub fn clear_sectors(
    file: &Arc<File>,
    geometry: vhd::Geometry,
    max_blocks: u64,
    max_bytes: u64,
) -> Result<ClearSectors> {
    geometry.validate()?;
    let entries = geometry.table_entries.min(geometry.blocks());
    let count = examined(file, geometry.table_offset, entries, 4);
    let table = Table::new(Arc::clone(file), geometry.table_offset, count, 4)?;
    let mut report = ClearSectors { complete: count == entries, ..ClearSectors::default() };
    for_each_block(&table, |_, _| {
        report.blocks += 1;
        Ok(())
    })?;
    let step = report.blocks.div_ceil(max_blocks.max(1)).max(1);
    let mut search = Search { file, left: max_bytes, report };
    let mut number = 0;
    for_each_block(&table, |block, entry| {
        let due = number % step == 0;
        number += 1;
        if due { search.block(&geometry, block, entry) } else { Ok(()) }
    })?;
    search.report.complete &= search.report.examined == search.report.blocks;
    Ok(search.report)
}

fn for_each_block(table: &Table, mut visit: impl FnMut(u64, u32) -> Result<()>) -> Result<()> {
    let mut block = 0;
    while block < table.entries() {
        let page = table.page(block)?;
        for entry in page.u32_from(block) {
            if entry != vhd::UNUSED {
                visit(block, entry)?;
            }
            block += 1;
        }
    }
    Ok(())
}

struct Search<'a> {
    file: &'a File,
    left: u64,
    report: ClearSectors,
}

impl Search<'_> {
    fn block(&mut self, geometry: &vhd::Geometry, block: u64, entry: u32) -> Result<()> {
        let start = u64::from(entry) * SECTOR;
        let data = start + geometry.bitmap_length();
        let stored = geometry.block_size.min(geometry.size - block * geometry.block_size);
        if entry == 0 || data + stored > self.file.size() {
            return Ok(());
        }
        let sectors = stored.div_ceil(SECTOR);
        let mut bytes = vec![0; usize::try_from(sectors.div_ceil(8)).unwrap_or(0)];
        self.file.read_exact_at(start, &mut bytes)?;
        self.report.examined += 1;
        if sectors.is_multiple_of(8) && bytes.iter().all(|&byte| byte == 0xFF) {
            return Ok(());
        }
        let bitmap = Bitmap::new(bytes, BitOrder::MostFirst);
        let mut sector = 0;
        while sector < sectors {
            let run = bitmap.run(sector, sectors);
            if !bitmap.get(sector) {
                self.report.clear_sectors += run;
                let end = (data + (sector + run) * SECTOR).min(data + stored);
                self.count(data + sector * SECTOR, end)?;
            }
            sector += run;
        }
        Ok(())
    }

    /// Counts what is not zero from `start` to `end` of the file; holes cost nothing.
    fn count(&mut self, start: u64, end: u64) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        let mut offset = start;
        while let Some((from, to)) = self.file.next_data(offset).filter(|&(from, _)| from < end) {
            offset = from.max(offset);
            let to = to.min(end);
            while offset < to {
                if self.left == 0 {
                    self.report.complete = false;
                    return Ok(());
                }
                let length = (to - offset).min(buffer.len() as u64).min(self.left);
                let bytes = &mut buffer[..usize::try_from(length).unwrap_or(0)];
                self.file.read_exact_at(offset, bytes)?;
                self.left -= length;
                if let Some(first) = bytes.iter().position(|&byte| byte != 0) {
                    let count = bytes.iter().filter(|&&byte| byte != 0).count();
                    self.report.nonzero_bytes += count as u64;
                    self.report.first_offset.get_or_insert(offset + first as u64);
                }
                offset += length;
            }
        }
        Ok(())
    }
}
