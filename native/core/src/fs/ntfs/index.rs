//! Directories: trees of names in index blocks.

use super::mft::{File, Mft};
use super::record::{fix, kind};
use super::stream::Stream;
use super::upcase::Upcase;
use crate::error::{Error, Result};
use crate::fs::{Entry, MAX_ENTRIES};
use crate::windows::{to_wtf8, u16_at, u32_at, u64_at, units};
use std::cmp::Ordering;
use std::collections::HashSet;

/// `$I30`, the index of names.
const INDEX: [u16; 4] = [0x24, 0x49, 0x33, 0x30];
/// The name space of short names, which every other name space leaves alone.
pub const DOS: u8 = 2;
const HAS_CHILD: u16 = 1;
const LAST: u16 = 2;
/// The most bytes of an index block: Windows makes them of 4 KiB or one cluster.
const MOST_BLOCK: usize = 64 << 10;
const MOST_ROOT: u64 = 64 << 10;

/// A name in an index: the reference of its file, the name, its name space.
struct Name {
    reference: u64,
    units: Vec<u16>,
    space: u8,
}

/// An entry of an index block: the name, unless it is the last, and the block below it.
struct Item {
    name: Option<Name>,
    child: Option<u64>,
}

/// A directory that is being read.
pub struct Directory<'a> {
    mft: &'a Mft,
    number: u64,
    root: Vec<u8>,
    block_size: usize,
    blocks: Option<Stream>,
}

impl<'a> Directory<'a> {
    /// Opens the index of a directory.
    pub fn open(mft: &'a Mft, file: &File<'_>) -> Result<Self> {
        let number = file.record.number;
        let Some(stream) = file.stream(kind::INDEX_ROOT, &INDEX)? else {
            let structure = format!("NTFS directory {number}");
            return Err(Error::corrupt(structure, 0, "an index of names", "none"));
        };
        let root = stream.read_all(&mft.volume, MOST_ROOT, "root of an NTFS index")?;
        let block_size = u32_at(&root, 8).unwrap_or(0) as usize;
        if !block_size.is_power_of_two() || !(512..=MOST_BLOCK).contains(&block_size) {
            let structure = format!("NTFS directory {number}, bytes of a block");
            return Err(Error::corrupt(
                structure,
                8,
                "a power of two from 512 to 65536",
                block_size,
            ));
        }
        let blocks = file.stream(kind::INDEX_ALLOCATION, &INDEX)?;
        Ok(Self { mft, number, root, block_size, blocks })
    }

    /// All names but those of DOS and of the file system's own files.
    pub fn entries(&self, first_number: u64) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let mut pending = vec![None];
        while let Some(block) = pending.pop() {
            for item in self.block(block, &mut seen)? {
                pending.extend(item.child.map(Some));
                let Some(name) = item.name else { continue };
                if name.space == DOS || name.reference & super::record::NUMBER < first_number {
                    continue;
                }
                if entries.len() == MAX_ENTRIES {
                    let message = format!("an NTFS directory of more than {MAX_ENTRIES} names");
                    return Err(Error::Unsupported(message));
                }
                entries.push(Entry { name: to_wtf8(&name.units), node: name.reference });
            }
        }
        Ok(entries)
    }

    /// The reference of a name: of the very name, else of one in other case.
    pub fn lookup(&self, wanted: &[u16], upcase: &Upcase) -> Result<Option<u64>> {
        let mut similar = None;
        let mut seen = HashSet::new();
        let mut pending = vec![None];
        while let Some(block) = pending.pop() {
            for item in self.block(block, &mut seen)? {
                let order = item
                    .name
                    .as_ref()
                    .map_or(Ordering::Greater, |name| upcase.compare(&name.units, wanted));
                if order == Ordering::Less {
                    continue;
                }
                // Names that differ in case only are neighbours, in whatever order.
                pending.extend(item.child.map(Some));
                let Some(name) = item.name.filter(|_| order == Ordering::Equal) else { break };
                if name.units == wanted {
                    return Ok(Some(name.reference));
                }
                similar = similar.or(Some(name.reference));
            }
        }
        Ok(similar)
    }

    /// The entries of a block, each of which is visited once, or of the root.
    fn block(&self, block: Option<u64>, seen: &mut HashSet<u64>) -> Result<Vec<Item>> {
        let Some(cluster) = block else { return self.items(self.root.get(16..).unwrap_or(&[])) };
        if !seen.insert(cluster) {
            return Err(self.corrupt("a tree", format!("block {cluster} in two places")));
        }
        let Some(blocks) = &self.blocks else {
            return Err(self.corrupt("index blocks", "none".into()));
        };
        // Blocks smaller than a cluster are counted in sectors of 512 bytes.
        let cluster_size = self.mft.boot.cluster;
        let unit = if cluster_size <= self.block_size as u64 { cluster_size } else { 512 };
        let offset = cluster.checked_mul(unit);
        let end = offset.and_then(|offset| offset.checked_add(self.block_size as u64));
        let Some(offset) = offset.filter(|_| end.is_some_and(|end| end <= blocks.size)) else {
            let expected = format!("blocks in {} bytes", blocks.size);
            return Err(self.corrupt(&expected, format!("block {cluster}")));
        };
        let mut block = vec![0; self.block_size];
        blocks.read_at(&self.mft.volume, offset, &mut block)?;
        let structure = format!("index block of NTFS directory {}", self.number);
        fix(&mut block, *b"INDX", &structure, offset)?;
        if u64_at(&block, 0x10) != Some(cluster) {
            return Err(self.corrupt(&format!("block {cluster}"), "another one".into()));
        }
        self.items(&block[0x18..])
    }

    /// The entries behind an index header.
    fn items(&self, header: &[u8]) -> Result<Vec<Item>> {
        let damaged = || self.corrupt("index entries", "damaged ones".into());
        let start = u32_at(header, 0).ok_or_else(damaged)? as usize;
        let end = u32_at(header, 4).ok_or_else(damaged)? as usize;
        let mut rest = header.get(start..end).ok_or_else(damaged)?;
        let mut items = Vec::new();
        loop {
            let length = usize::from(u16_at(rest, 8).ok_or_else(damaged)?);
            let flags = u16_at(rest, 12).ok_or_else(damaged)?;
            let entry = rest.get(..length).filter(|entry| entry.len() >= 16).ok_or_else(damaged)?;
            let child = match flags & HAS_CHILD {
                0 => None,
                _ => Some(u64_at(entry, length.saturating_sub(8)).ok_or_else(damaged)?),
            };
            if flags & LAST != 0 {
                items.push(Item { name: None, child });
                return Ok(items);
            }
            let name = Some(name(entry).ok_or_else(damaged)?);
            items.push(Item { name, child });
            rest = &rest[length..];
        }
    }

    fn corrupt(&self, expected: &str, actual: String) -> Error {
        Error::corrupt(format!("NTFS directory {}", self.number), 0, expected, actual)
    }
}

fn name(entry: &[u8]) -> Option<Name> {
    let key = entry.get(16..16 + usize::from(u16_at(entry, 10)?))?;
    let length = 2 * usize::from(*key.get(0x40)?);
    Some(Name {
        reference: u64_at(entry, 0)?,
        units: units(key.get(0x42..0x42 + length)?),
        space: key[0x41],
    })
}
