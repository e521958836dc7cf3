//! What a dirty log of XFS changes: buffers and inodes, in front of the volume.
//!
//! Changes that were begun and not finished (intents) are not carried on. Of those only moved
//! extents change what a file holds; space that stays taken and orphans that stay do not.

use super::log::Log;
use super::patch::{Patches, SECTOR};
use super::superblock::Superblock;
use super::transactions::{Item, Transaction, Transactions};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, be16, be32, be64, le16, le32, le64};
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

    fn has(&self, bit: usize) -> bool {
        let format = self.item.regions.first().map_or(&[][..], |format| format);
        let words = usize::try_from(le32(format, 16)).unwrap_or(0).min(64);
        bit / 32 < words && le32(format, 20 + bit / 32 * 4) >> (bit % 32) & 1 != 0
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
        let mut bytes = vec![0; length];
        self.disk.read_at(offset, &mut bytes)?;
        if self.superblock.v5 && self.written(&bytes).is_some_and(|written| written >= sequence) {
            return Ok(());
        }
        let mut regions = buffer.item.regions.iter().skip(1);
        let mut bit = 0;
        while bit < length / CHUNK {
            if !buffer.has(bit) {
                bit += 1;
                continue;
            }
            let run = (bit..length / CHUNK).take_while(|&bit| buffer.has(bit)).count();
            let Some(region) = regions.next() else {
                return Err(corrupt("the bytes that its map promises", "fewer"));
            };
            // Bits that follow each other may be in several regions.
            let run = run.min(region.len() / CHUNK);
            if run == 0 {
                return Err(corrupt("regions of whole 128 bytes", region.len()));
            }
            let at = offset + (bit * CHUNK) as u64;
            self.write(at, &region[..run * CHUNK])?;
            bit += run;
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

/// The root of an extent tree: in the log as in memory, with the header of a whole block.
fn tree_root(logged: &[u8], fork: &mut [u8], v5: bool) -> Result<()> {
    let header = if v5 { 72 } else { 24 };
    let most = logged.len().saturating_sub(header) / 16;
    let room = fork.len().saturating_sub(4) / 16;
    let count = usize::from(be16(logged, 6));
    if count > most || count > room {
        return Err(corrupt("a tree root that fits its inode", count));
    }
    fork.fill(0);
    fork[..4].copy_from_slice(&logged[4..8]);
    let keys = &logged[header..header + count * 8];
    fork[4..4 + keys.len()].copy_from_slice(keys);
    let pointers = header + most * 8;
    let pointers = &logged[pointers..pointers + count * 8];
    fork[4 + room * 8..4 + room * 8 + pointers.len()].copy_from_slice(pointers);
    Ok(())
}

/// The core of an inode, which the log has in the order of the machine.
fn big_endian(core: &[u8]) -> Vec<u8> {
    const BIGTIME: u64 = 8;
    const NREXT64: u64 = 16;
    let mut bytes = core.to_vec();
    let mut swap = |at: usize, length: usize| {
        if let Some(field) = bytes.get_mut(at..at + length) {
            field.reverse();
        }
    };
    let flags2 = if core.len() >= 176 { le64(core, 120) } else { 0 };
    for at in [0, 2, 6, 20, 22, 80, 88, 90] {
        swap(at, 2);
    }
    for at in [8, 12, 16, 72, 76, 84, 92, 128] {
        swap(at, 4);
    }
    for at in [56, 64, 104, 112, 120, 152] {
        swap(at, 8);
    }
    for at in [32, 40, 48, 144] {
        if flags2 & BIGTIME != 0 {
            swap(at, 8);
        } else {
            swap(at, 4);
            swap(at + 4, 4);
        }
    }
    if flags2 & NREXT64 != 0 {
        swap(24, 8);
    } else {
        swap(30, 2);
    }
    bytes
}

/// Free blocks by the allocation groups, which are right when the superblock is not.
pub fn free_blocks(disk: &Disk, superblock: &Superblock) -> Result<Option<u64>> {
    const MOST_GROUPS: u64 = 1 << 16;
    if superblock.groups > MOST_GROUPS {
        return Ok(None);
    }
    let mut free: u64 = 0;
    for group in 0..superblock.groups {
        let block = superblock.offset_of(group << superblock.group_log, 1)?;
        let mut header = [0; 96];
        disk.read_at(block + superblock.sector_size, &mut header)?;
        if header[..4] != *b"XAGF" {
            return Ok(None);
        }
        // Free blocks, those kept for the trees of free space, and those in these trees.
        free += [48, 52, 60].iter().map(|&at| u64::from(be32(&header, at))).sum::<u64>();
    }
    Ok(Some(free))
}

fn corrupt(expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("XFS log item", 0, expected, actual)
}
