//! The log of XFS: where it starts and ends, and its records (Linux, `xfs_log_recover.c`).

use super::superblock::Superblock;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{be32, be64, le32};

const MAGIC: u32 = 0xFEED_BABE;
/// The log counts in blocks of this size, each of which starts with the cycle that wrote it.
const BLOCK: usize = 512;
const MOST_BLOCKS: u64 = 1 << 22;
/// What may be under way at once: 8 buffers of 256 KiB.
const IN_FLIGHT: u64 = 4096;
const MOST_BUFFERS: usize = 8;
const LARGEST_RECORD: u32 = 256 << 10;
/// Data that one header, or one extension of it, describes.
const HEADER_COVERS: u32 = 32 << 10;
const LITTLE_ENDIAN: u32 = 1;
const CRC_AT: usize = 32;
/// Bytes of a header under its checksum: with and without padding, as 64 and 32-bit systems had it.
const HEADER_SIZES: [usize; 2] = [328, 324];
const EXTENSION_SIZE: usize = 260;
const UNMOUNT: u8 = 0x20;

/// A log on the volume itself.
pub struct Log<'a> {
    disk: &'a Disk,
    start: u64,
    blocks: u64,
}

/// A record, its data as it was before the cycles were put in.
pub struct Record {
    /// Where its header is, in blocks of the log.
    pub block: u64,
    /// Blocks with its headers.
    pub length: u64,
    /// Cycle and block, as one number that grows.
    pub sequence: u64,
    /// Where the oldest record that is still needed starts.
    pub tail: u64,
    /// Operations in it.
    pub operations: u32,
    /// What they hold.
    pub data: Vec<u8>,
}

impl<'a> Log<'a> {
    /// The log that a superblock names.
    pub fn new(disk: &'a Disk, superblock: &Superblock) -> Result<Self> {
        let start = superblock.offset_of(superblock.log_start, superblock.log_blocks)?;
        let blocks = superblock.log_blocks * superblock.block_size / BLOCK as u64;
        if !(2..=MOST_BLOCKS).contains(&blocks) {
            let expected = "a log of 1 KiB to 2 GiB";
            return Err(Error::corrupt("XFS superblock", 96, expected, superblock.log_blocks));
        }
        Ok(Self { disk, start, blocks })
    }

    /// The first and the end block of what must be replayed; None after a clean unmount.
    pub fn dirty(&self) -> Result<Option<(u64, u64)>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let Some(last) = self.last_record(head)? else {
            return Err(Error::corrupt("XFS log", self.start, "records", "none"));
        };
        let end = (last.block + last.length) % self.blocks;
        if last.operations == 1 && last.data.get(9).is_some_and(|flags| flags & UNMOUNT != 0) {
            return Ok(None);
        }
        let tail = last.tail & 0xFFFF_FFFF;
        if tail >= self.blocks {
            return Err(Error::corrupt("XFS log", self.start, "a tail inside the log", tail));
        }
        Ok(Some((tail, end)))
    }

    /// Visits the records from one block to another, round the end of the log.
    pub fn records(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        let mut block = from;
        let mut walked = 0;
        while block != to || walked == 0 {
            let Some(record) = self.record(block)? else {
                let expected = format!("a record at block {block}");
                return Err(Error::corrupt("XFS log", self.start, expected, "none that is sound"));
            };
            visit(&record)?;
            block = (block + record.length) % self.blocks;
            walked += record.length;
            if walked > self.blocks {
                return Err(Error::corrupt("XFS log", self.start, "records with an end", "more"));
            }
        }
        Ok(())
    }

    /// Where the next record would be written; None for a log that never was.
    fn head(&self) -> Result<Option<u64>> {
        let (first, last) = (self.cycle(0)?, self.cycle(self.blocks - 1)?);
        if first == 0 {
            return Ok(None);
        }
        if first == last {
            let hole =
                self.find_cycle(self.blocks.saturating_sub(IN_FLIGHT), self.blocks, first - 1)?;
            return Ok(Some(hole.unwrap_or(self.blocks)));
        }
        // Blocks before the head were written in the cycle of the first one.
        let (mut low, mut high) = (0, self.blocks - 1);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if self.cycle(middle)? == last { high = middle } else { low = middle }
        }
        let around = IN_FLIGHT.saturating_sub(high);
        if around > 0 && last > 0 {
            let end =
                self.find_cycle(self.blocks - around.min(self.blocks), self.blocks, last - 1)?;
            if end.is_some() {
                return Ok(end);
            }
        }
        let hole = self.find_cycle(high.saturating_sub(IN_FLIGHT), high, last)?;
        Ok(Some(hole.unwrap_or(high)))
    }

    /// The last record in front of the head that follows only sound ones.
    fn last_record(&self, head: u64) -> Result<Option<Record>> {
        let window = IN_FLIGHT.min(self.blocks);
        let first = (head + self.blocks - window) % self.blocks;
        let bytes = self.read(first, window)?;
        let is_header = |index: &u64| {
            let at = usize::try_from(*index).unwrap_or(usize::MAX).saturating_mul(BLOCK);
            be32(&bytes, at) == MAGIC
        };
        let found: Vec<u64> = (0..window).filter(is_header).collect();
        let mut good = None;
        let mut end = None;
        for &index in &found[found.len().saturating_sub(MOST_BUFFERS)..] {
            let Some(record) = self.record((first + index) % self.blocks)? else { break };
            // A gap, or a record beyond the head, is what was being written when it ended.
            if end.is_some_and(|end| end != index) || index + record.length > window {
                break;
            }
            end = Some(index + record.length);
            good = Some(record);
        }
        Ok(good)
    }

    /// The record at a block, if there is one that is whole.
    fn record(&self, block: u64) -> Result<Option<Record>> {
        let header = self.read(block, 1)?;
        let (length, size) = (be32(&header, 12), be32(&header, 320));
        let version = be32(&header, 8);
        if be32(&header, 0) != MAGIC || !(1..=2).contains(&version) || length > LARGEST_RECORD {
            return Ok(None);
        }
        if be32(&header, 300) != LITTLE_ENDIAN {
            return Err(Error::Unsupported(
                "an XFS log written by a big-endian machine".to_owned(),
            ));
        }
        let long = version == 2 && size > HEADER_COVERS && size <= LARGEST_RECORD;
        let headers = if long { u64::from(size.div_ceil(HEADER_COVERS)) } else { 1 };
        let data_blocks = u64::from(length).div_ceil(BLOCK as u64);
        if headers + data_blocks > self.blocks {
            return Ok(None);
        }
        let headers_read = self.read(block, headers)?;
        let mut data = self.read((block + headers) % self.blocks, data_blocks)?;
        let stored = le32(&header, CRC_AT);
        let length = usize::try_from(length).unwrap_or(0);
        let sum = |size| checksum(&headers_read, &data[..length], size);
        // mkfs leaves the checksum 0.
        if stored != 0 && HEADER_SIZES.iter().all(|&size| sum(size) != stored) {
            return Ok(None);
        }
        for (index, sector) in data.chunks_exact_mut(BLOCK).enumerate() {
            let (part, place) = (index / 64, index % 64);
            // Extensions start with their cycle, the header has 44 bytes in front.
            let at = if part == 0 { 44 } else { part * BLOCK + 4 } + place * 4;
            if let (Some(first), Some(kept)) = (sector.get_mut(..4), headers_read.get(at..at + 4)) {
                first.copy_from_slice(kept);
            }
        }
        data.truncate(length);
        Ok(Some(Record {
            block,
            length: headers + data_blocks,
            sequence: be64(&header, 16),
            tail: be64(&header, 24),
            operations: be32(&header, 40),
            data,
        }))
    }

    /// The first block of a range that was written in a cycle.
    fn find_cycle(&self, from: u64, to: u64, cycle: u32) -> Result<Option<u64>> {
        let bytes = self.read(from, to - from)?;
        let found = bytes.chunks_exact(BLOCK).position(|block| cycle_of(block) == cycle);
        Ok(found.map(|index| from + index as u64))
    }

    fn cycle(&self, block: u64) -> Result<u32> {
        Ok(cycle_of(&self.read(block, 1)?))
    }

    /// Reads blocks, round the end of the log.
    fn read(&self, block: u64, count: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(count).unwrap_or(0) * BLOCK;
        let mut bytes = vec![0; length];
        let ahead = usize::try_from(self.blocks - block % self.blocks).unwrap_or(usize::MAX);
        let (front, rest) = bytes.split_at_mut(length.min(ahead.saturating_mul(BLOCK)));
        self.disk.read_at(self.start + block % self.blocks * BLOCK as u64, front)?;
        self.disk.read_at(self.start, rest)?;
        Ok(bytes)
    }
}

fn cycle_of(block: &[u8]) -> u32 {
    let first = be32(block, 0);
    if first == MAGIC { be32(block, 4) } else { first }
}

fn checksum(headers: &[u8], data: &[u8], size: usize) -> u32 {
    let mut sum = super::superblock::checksum(headers.get(..size).unwrap_or_default(), CRC_AT);
    for extension in headers.chunks_exact(BLOCK).skip(1) {
        sum = crc32c::crc32c_append(sum, &extension[..EXTENSION_SIZE]);
    }
    crc32c::crc32c_append(sum, data)
}
