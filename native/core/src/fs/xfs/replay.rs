//! What a dirty log of XFS changes: buffers and inodes, in front of the volume.
//!
//! Changes that were begun and not finished (intents) are not carried on. Of those only moved
//! extents change what a file holds; space that stays taken and orphans that stay do not.

use super::log::Log;
use super::logged_inode::{big_endian, tree_root};
use super::patch::{Patches, SECTOR};
use super::superblock::Superblock;
use super::transactions::{Item, Transaction, Transactions};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, be16, be64, le16, le32, le64};
use std::collections::{HashMap, HashSet};

/// Kinds of items that change blocks.
const INODE: u16 = 0x123B;
const BUFFER: u16 = 0x123C;
/// Begun and finished changes of extents: mapping, exchange.
const BEGUN: [u16; 2] = [0x1244, 0x1248];
const FINISHED: [u16; 2] = [0x1245, 0x1249];
/// All that Linux has written so far: freed and unlinked things, quotas, maps of space.
const FIRST: u16 = 0x1236;
const LAST: u16 = 0x124F;

/// Flags of a buffer: inodes (only their unlinked list), cancelled, quotas.
const INODE_BUFFER: u16 = 0x01;
const CANCELLED: u16 = 0x02;
const QUOTAS: u16 = 0x1C;
/// Bytes that a bit of a buffer's map stands for.
const CHUNK: usize = 128;
/// Words of the map of the largest buffer, 64 KiB, and one more.
const MOST_WORDS: usize = 17;
/// Parts of an inode in an item.
const DATA_FORK: u32 = 0x02 | 0x04;
const TREE_ROOT: u32 = 0x08;
const MOST_SECTORS: usize = 1 << 18;
const MOST_REMEMBERED: usize = 1 << 20;

/// What a log adds to its volume.
#[derive(Default)]
pub struct Replay {
    /// The sectors it changes.
    pub patches: Patches,
    /// Changes of extents that were begun and not finished.
    pub unfinished: HashSet<u64>,
}

/// Replays the log from one block to another.
pub fn replay(
    disk: &Disk,
    superblock: &Superblock,
    log: &Log<'_>,
    span: (u64, u64),
) -> Result<Replay> {
    let mut cancelled: HashMap<(u64, u16), u32> = HashMap::new();
    let mut transactions = Transactions::default();
    log.records(span.0, span.1, |record| {
        transactions.add(record, |transaction| {
            for item in &transaction.items {
                if let Some(buffer) = Buffer::of(item).filter(|b| b.flags & CANCELLED != 0) {
                    *cancelled.entry((buffer.sector, buffer.length)).or_default() += 1;
                    limit(cancelled.len())?;
                }
            }
            Ok(())
        })
    })?;
    let mut replaying = Replaying { disk, superblock, cancelled, done: Replay::default() };
    let mut transactions = Transactions::default();
    log.records(span.0, span.1, |record| {
        transactions.add(record, |transaction| replaying.apply(&transaction))
    })?;
    Ok(replaying.done)
}

/// Keeps what is remembered of a log within bounds.
fn limit(count: usize) -> Result<()> {
    if count <= MOST_REMEMBERED {
        return Ok(());
    }
    Err(Error::Unsupported(format!("more than {MOST_REMEMBERED} freed buffers or open changes")))
}

/// A change of a buffer.
struct Buffer<'a> {
    item: &'a Item,
    flags: u16,
    /// Sectors.
    length: u16,
    sector: u64,
}

impl<'a> Buffer<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        let format = item.regions.first().filter(|_| item.kind() == BUFFER)?;
        let (flags, length) = (le16(format, 4), le16(format, 6));
        Some(Self { item, flags, length, sector: le64(format, 8) })
    }

    /// The chunks that are changed, as first one and count; neighbours are together.
    fn runs(&self) -> Vec<(usize, usize)> {
        let format = self.item.regions.first().map_or(&[][..], |format| format);
        let words = usize::try_from(le32(format, 16)).unwrap_or(0).min(MOST_WORDS);
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for word in 0..words {
            let bits = le32(format, 20 + word * 4);
            for bit in (0..32).filter(|bit| bits >> bit & 1 != 0) {
                let chunk = word * 32 + bit;
                match runs.last_mut() {
                    Some((first, count)) if *first + *count == chunk => *count += 1,
                    _ => runs.push((chunk, 1)),
                }
            }
        }
        runs
    }
}

struct Replaying<'a> {
    disk: &'a Disk,
    superblock: &'a Superblock,
    cancelled: HashMap<(u64, u16), u32>,
    done: Replay,
}

impl Replaying<'_> {
    fn apply(&mut self, transaction: &Transaction) -> Result<()> {
        for item in &transaction.items {
            let kind = item.kind();
            let id = item.regions.first().map_or(0, |region| le64(region, 8));
            if !(FIRST..=LAST).contains(&kind) {
                return Err(Error::Unsupported(format!("an XFS log item of kind {kind:#x}")));
            }
            if BEGUN.contains(&kind) {
                self.done.unfinished.insert(id);
                limit(self.done.unfinished.len())?;
            } else if FINISHED.contains(&kind) {
                self.done.unfinished.remove(&id);
            }
        }
        let buffers = || transaction.items.iter().filter_map(Buffer::of);
        for buffer in buffers().filter(|buffer| buffer.flags & CANCELLED == 0) {
            self.buffer(&buffer, transaction.sequence)?;
        }
        for item in transaction.items.iter().filter(|item| item.kind() == INODE) {
            self.inode(item, transaction.sequence)?;
        }
        for buffer in buffers().filter(|buffer| buffer.flags & CANCELLED != 0) {
            let key = (buffer.sector, buffer.length);
            if let Some(count) = self.cancelled.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.cancelled.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.done.patches.len() > MOST_SECTORS {
            return Err(Error::Unsupported("changes of over 128 MiB".to_owned()));
        }
        self.done.patches.write(self.disk, offset, bytes)
    }

    fn buffer(&mut self, buffer: &Buffer<'_>, sequence: u64) -> Result<()> {
        let skipped = buffer.flags & (INODE_BUFFER | QUOTAS) != 0;
        if skipped || self.cancelled.contains_key(&(buffer.sector, buffer.length)) {
            return Ok(());
        }
        let length = usize::from(buffer.length) * 512;
        let offset = self.inside(buffer.sector, length)?;
        let mut start = [0; 64];
        self.disk.read_at(offset, &mut start)?;
        if self.superblock.v5 && self.written(&start).is_some_and(|written| written >= sequence) {
            return Ok(());
        }
        let mut regions = buffer.item.regions.iter().skip(1);
        for (mut first, mut left) in buffer.runs() {
            while left > 0 {
                let Some(region) = regions.next() else {
                    return Err(corrupt("the bytes that its map promises", "fewer"));
                };
                // Neighbours may be in several regions.
                let count = left.min(region.len() / CHUNK);
                if count == 0 || (first + count) * CHUNK > length {
                    return Err(corrupt("regions inside the buffer", region.len()));
                }
                self.write(offset + (first * CHUNK) as u64, &region[..count * CHUNK])?;
                first += count;
                left -= count;
            }
        }
        Ok(())
    }

    /// When a version 5 block was last written, as it says itself.
    fn written(&self, bytes: &[u8]) -> Option<u64> {
        let (sequence, uuid) = match (&bytes[..4], be16(bytes, 8)) {
            (b"XDB3" | b"XDD3" | b"XDF3", _) => (16, 24),
            (b"BMA3", _) => (32, 40),
            (b"XSLM", _) => (48, 16),
            (_, 0x3DF1 | 0x3DFF | 0x3EBE | 0x3BEE) => (24, 32),
            _ => return None,
        };
        let found: [u8; 16] = fields::bytes(bytes, uuid);
        let sequence = be64(bytes, sequence);
        (found == self.superblock.meta_uuid && sequence != u64::MAX).then_some(sequence)
    }

    fn inode(&mut self, item: &Item, sequence: u64) -> Result<()> {
        let [format, core, rest @ ..] = &item.regions[..] else {
            return Err(corrupt("an inode with its core", "less"));
        };
        // The 32-bit form lacks 4 bytes of padding.
        let (number, place) = if format.len() >= 56 { (16, 40) } else { (12, 36) };
        let number = le64(format, number);
        let (sector, length) = (le64(format, place), le32(format, place + 8));
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if self.cancelled.contains_key(&(sector, length)) {
            return Ok(());
        }
        let offset = self.superblock.inode_offset(number)?;
        let mut bytes = vec![0; self.superblock.inode_size];
        self.disk.read_at(offset, &mut bytes)?;
        let v3 = core.get(4) == Some(&3);
        let stale = bytes.starts_with(b"IN")
            && if v3 {
                let written = be64(&bytes, 112);
                be64(&bytes, 152) == number && written != u64::MAX && written >= sequence
            } else {
                // Version 2 counts its writes; after the largest number comes the smallest.
                let (there, logged) = (be16(&bytes, 30), le16(core, 30));
                there > logged && !(there == u16::MAX && logged < u16::MAX / 2)
            };
        let size = if v3 { 176 } else { 96 };
        if stale || core.len() < size || v3 != self.superblock.v5 {
            return Ok(());
        }
        self.done.patches.read(self.disk, offset, &mut bytes)?;
        bytes[..size].copy_from_slice(&big_endian(&core[..size]));
        let start = if v3 { 176 } else { 100 };
        let room = match usize::from(bytes[82]) * 8 {
            0 => bytes.len() - start,
            fork => fork.min(bytes.len() - start),
        };
        let fields = le32(format, 4);
        let fork = &mut bytes[start..start + room];
        if fields & (DATA_FORK | TREE_ROOT) != 0 {
            let Some(logged) = rest.first() else {
                return Err(corrupt("an inode with its data fork", "without"));
            };
            if fields & TREE_ROOT != 0 {
                tree_root(logged, fork, v3)?;
            } else {
                let Some(target) = fork.get_mut(..logged.len()) else {
                    return Err(corrupt("a data fork inside the inode", logged.len()));
                };
                target.copy_from_slice(logged);
            }
        }
        self.write(offset, &bytes)
    }

    fn inside(&self, sector: u64, length: usize) -> Result<u64> {
        let offset = sector.checked_mul(SECTOR);
        let whole = self.superblock.blocks.saturating_mul(self.superblock.block_size);
        let inside = |start: &u64| start.checked_add(length as u64).is_some_and(|end| end <= whole);
        match offset.filter(inside) {
            Some(offset) if length > 0 => Ok(offset),
            _ => Err(corrupt("a buffer inside the file system", format_args!("sector {sector}"))),
        }
    }
}

/// An item that cannot be believed.
pub fn corrupt(expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("XFS log item", 0, expected, actual)
}
