//! Names in directories of XFS: in the inode, in one block, or in many with an index beside them.

use super::extents::{Extent, extents};
use super::inode::{Format, Inode};
use super::store::{NAMES, Store};
use crate::error::{Error, Result};
use crate::fields::{be16, be32, be64};
use crate::fs::{Entry, MAX_ENTRIES};

/// Blocks with names and, in the same block, their index: `XD2B`, `XDB3`.
const BLOCK: [u32; 2] = [0x5844_3242, 0x5844_4233];
/// Blocks with nothing but names: `XD2D`, `XDD3`.
const DATA: [u32; 2] = [0x5844_3244, 0x5844_4433];
/// The index starts at this byte of a directory; names are below.
const INDEX_START: u64 = 1 << 35;
/// The most bytes of a directory that are gone through for its names.
const MOST_BYTES: u64 = 1 << 30;
/// Marks room without a name.
const FREE: u16 = 0xFFFF;
const LONGEST_NAME: usize = 255;

/// A directory block with names, checked.
struct NameBlock {
    bytes: Vec<u8>,
    number: u64,
    start: usize,
    end: usize,
    /// It has its own index, and is the only one.
    alone: bool,
}

/// The names of a directory without `.` and `..`.
pub fn entries(store: &Store, inode: &Inode) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    if inode.format == Format::Local {
        short_form(store, inode, &mut found)?;
        return Ok(found);
    }
    let superblock = &store.superblock;
    let map = extents(store, inode, 0, INDEX_START / superblock.block_size)?;
    let mut next = 0;
    let mut read = 0;
    for extent in &map {
        let last = (extent.end() - 1) / superblock.directory_blocks;
        while next.max(extent.file_block / superblock.directory_blocks) <= last {
            next = next.max(extent.file_block / superblock.directory_blocks);
            read += superblock.directory_size() as u64;
            if read > MOST_BYTES {
                return Err(corrupt(inode, "at most 1 GiB of names", "more"));
            }
            let block = name_block(store, inode, next, &map)?;
            block.names(store, inode, &mut found)?;
            next += 1;
            if block.alone {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Reads one directory block of names by its place in the directory.
fn name_block(store: &Store, inode: &Inode, number: u64, map: &[Extent]) -> Result<NameBlock> {
    let (bytes, block) = directory_block(store, inode, number, map)?;
    let magic = be32(&bytes, 0);
    let version = usize::from(store.superblock.v5);
    let alone = magic == BLOCK[version];
    if !alone && magic != DATA[version] {
        let actual = format!("magic {magic:#010x}");
        return Err(corrupt(inode, "a block of names", actual));
    }
    store.check(&bytes, NAMES, block, inode.number)?;
    let start = if store.superblock.v5 { 64 } else { 16 };
    let mut end = bytes.len();
    if alone {
        let count = usize::try_from(be32(&bytes, end - 8)).unwrap_or(usize::MAX);
        end = count.checked_mul(8).and_then(|index| (end - 8).checked_sub(index)).unwrap_or(0);
    }
    if end < start {
        return Err(corrupt(inode, "an index inside its block", "a larger one"));
    }
    Ok(NameBlock { bytes, number, start, end, alone })
}

/// Reads one directory block, which may lie in several pieces, and where it starts.
fn directory_block(
    store: &Store,
    inode: &Inode,
    number: u64,
    map: &[Extent],
) -> Result<(Vec<u8>, u64)> {
    let superblock = &store.superblock;
    let first = number * superblock.directory_blocks;
    let mut bytes = Vec::with_capacity(superblock.directory_size());
    let mut start = None;
    let from = map.partition_point(|extent| extent.end() <= first);
    let mut next = first;
    for extent in &map[from..] {
        let end = extent.end().min(first + superblock.directory_blocks);
        if extent.file_block > next || extent.unwritten || end <= next {
            break;
        }
        let block = extent.block + (next - extent.file_block);
        bytes.extend_from_slice(&store.blocks(block, end - next)?);
        start.get_or_insert(block);
        next = end;
    }
    match start {
        Some(start) if bytes.len() == superblock.directory_size() => Ok((bytes, start)),
        _ => Err(corrupt(inode, format!("directory block {number}"), "a hole")),
    }
}

impl NameBlock {
    /// Adds the names of the block.
    fn names(&self, store: &Store, inode: &Inode, found: &mut Vec<Entry>) -> Result<()> {
        let mut at = self.start;
        while at < self.end {
            if be16(&self.bytes, at) == FREE {
                let length = usize::from(be16(&self.bytes, at + 2));
                if length == 0 || length % 8 != 0 {
                    return Err(self.corrupt(inode, at, format!("{length} bytes of free room")));
                }
                at += length;
                continue;
            }
            let (name, node, length) = self.entry(store, inode, at)?;
            push(inode, found, name, node)?;
            at += length;
        }
        Ok(())
    }

    /// The name at a place of the block, its inode, and the bytes that the entry takes.
    fn entry(&self, store: &Store, inode: &Inode, at: usize) -> Result<(&[u8], u64, usize)> {
        let length = usize::from(byte(&self.bytes, at.saturating_add(8)));
        let whole = (8 + 1 + length + usize::from(store.superblock.ftype) + 2).next_multiple_of(8);
        let inside = at >= self.start && at.checked_add(whole).is_some_and(|end| end <= self.end);
        if !inside || length == 0 {
            return Err(self.corrupt(inode, at, format!("a name of {length} bytes")));
        }
        Ok((&self.bytes[at + 9..at + 9 + length], be64(&self.bytes, at), whole))
    }

    fn corrupt(&self, inode: &Inode, at: usize, actual: String) -> Error {
        let expected = format!("an entry inside block {} at {at}", self.number);
        corrupt(inode, expected, actual)
    }
}

/// The names that a small directory keeps in its inode.
fn short_form(store: &Store, inode: &Inode, found: &mut Vec<Entry>) -> Result<()> {
    let fork = &inode.fork;
    let count = usize::from(byte(fork, 0));
    let width = if byte(fork, 1) == 0 { 4 } else { 8 };
    let ftype = usize::from(store.superblock.ftype);
    let mut at = 2 + width;
    for _ in 0..count {
        let length = usize::from(byte(fork, at));
        let number = at + 3 + length + ftype;
        if number + width > fork.len() || length == 0 {
            return Err(corrupt(inode, "names inside the inode", format!("one at byte {at}")));
        }
        let node = if width == 4 { u64::from(be32(fork, number)) } else { be64(fork, number) };
        push(inode, found, &fork[at + 3..at + 3 + length], node)?;
        at = number + width;
    }
    Ok(())
}

fn push(inode: &Inode, found: &mut Vec<Entry>, name: &[u8], node: u64) -> Result<()> {
    if name == b"." || name == b".." {
        return Ok(());
    }
    if name.len() > LONGEST_NAME || name.iter().any(|&byte| byte == 0 || byte == b'/') {
        return Err(corrupt(inode, "names without slash and zero byte", "one with them"));
    }
    if found.len() == MAX_ENTRIES {
        return Err(Error::Unsupported(format!(
            "XFS inode {}: a directory of more than {MAX_ENTRIES} names",
            inode.number
        )));
    }
    found.push(Entry { name: name.to_vec(), node });
    Ok(())
}

/// A directory that cannot be believed.
fn corrupt(
    inode: &Inode,
    expected: impl std::fmt::Display,
    actual: impl std::fmt::Display,
) -> Error {
    Error::Invalid(format!(
        "XFS directory of inode {}: is {actual}, expected {expected}",
        inode.number
    ))
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}
