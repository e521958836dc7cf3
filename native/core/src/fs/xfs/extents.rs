//! Where the blocks of a file are: the list in its inode, or the tree below it.

use super::inode::{Format, Inode};
use super::store::{EXTENT_TREE, Store};
use crate::error::{Error, Result};
use crate::fields::{be16, be32, be64};

const RECORD: usize = 16;
const MAGIC_V4: u32 = 0x424D_4150; // BMAP
const MAGIC_V5: u32 = 0x424D_4133; // BMA3
/// No tree of XFS is higher.
const MOST_LEVELS: u16 = 12;
/// Nodes that one question may visit, and extents that it may bring.
const MOST_NODES: usize = 1 << 17;
const MOST_EXTENTS: usize = 1 << 21;

/// Blocks of a file that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First block in the file.
    pub file_block: u64,
    /// Block number on the volume.
    pub block: u64,
    /// Blocks, never 0.
    pub count: u64,
    /// Never written: reads as zeros.
    pub unwritten: bool,
}

impl Extent {
    /// Takes a record of 128 bits apart: 1 flag, 54 file block, 52 block, 21 count.
    fn parse(bytes: &[u8], at: usize) -> Self {
        let (high, low) = (be64(bytes, at), be64(bytes, at + 8));
        Self {
            file_block: (high & !(1 << 63)) >> 9,
            block: (high & 0x1FF) << 43 | low >> 21,
            count: low & 0x1F_FFFF,
            unwritten: high >> 63 != 0,
        }
    }

    /// First block of the file after it.
    pub fn end(&self) -> u64 {
        self.file_block + self.count
    }
}

/// The extents of a file that have blocks in `from..to`, in order.
pub fn extents(store: &Store, inode: &Inode, from: u64, to: u64) -> Result<Vec<Extent>> {
    let mut walk = Walk { store, inode, from, to, reached: 0, nodes: 0, found: Vec::new() };
    match inode.format {
        Format::Extents => {
            let most = inode.fork.len() / RECORD;
            let count = usize::try_from(inode.extents).ok().filter(|&count| count <= most);
            let Some(count) = count else {
                let actual = format!("{} extents", inode.extents);
                return Err(walk.corrupt(format!("at most {most} extents"), actual));
            };
            walk.records(&inode.fork, 0, count)?;
        }
        Format::Tree => {
            let (level, count) = (be16(&inode.fork, 0), usize::from(be16(&inode.fork, 2)));
            let most = inode.fork.len().saturating_sub(4) / RECORD;
            if !(1..=MOST_LEVELS).contains(&level) || count == 0 || count > most {
                let actual = format!("level {level} with {count} entries");
                return Err(walk.corrupt("the root of a tree".to_owned(), actual));
            }
            walk.node(&inode.fork, 4, most, count, level)?;
        }
        Format::Local | Format::Device => {
            let actual = format!("{:?}", inode.format);
            return Err(walk.corrupt("data in extents".to_owned(), actual));
        }
    }
    Ok(walk.found)
}

struct Walk<'a> {
    store: &'a Store,
    inode: &'a Inode,
    from: u64,
    to: u64,
    /// The end of the last extent that was seen: they must ascend.
    reached: u64,
    nodes: usize,
    found: Vec<Extent>,
}

impl Walk<'_> {
    /// Goes down into the children of a node that may hold wanted extents.
    fn node(
        &mut self,
        bytes: &[u8],
        keys: usize,
        most: usize,
        count: usize,
        level: u16,
    ) -> Result<()> {
        let pointers = keys + most * 8;
        for index in 0..count {
            let next = be64(bytes, keys + (index + 1) * 8);
            if index + 1 < count && next <= self.from {
                continue;
            }
            if index > 0 && be64(bytes, keys + index * 8) >= self.to {
                break;
            }
            self.child(be64(bytes, pointers + index * 8), level - 1)?;
        }
        Ok(())
    }

    fn child(&mut self, block: u64, level: u16) -> Result<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            let actual = "more".to_owned();
            return Err(self.corrupt(format!("at most {MOST_NODES} nodes of its tree"), actual));
        }
        let bytes = self.store.blocks(block, 1)?;
        let v5 = self.store.superblock.v5;
        let (magic, header) = if v5 { (MAGIC_V5, 72) } else { (MAGIC_V4, 24) };
        let (found, depth) = (be32(&bytes, 0), be16(&bytes, 4));
        if found != magic || depth != level {
            let actual = format!("magic {found:#010x}, level {depth}");
            return Err(self.corrupt(format!("a tree block of level {level}"), actual));
        }
        self.store.check(&bytes, EXTENT_TREE, block, self.inode.number)?;
        let most = (bytes.len() - header) / RECORD;
        let count = usize::from(be16(&bytes, 6));
        if count == 0 || count > most {
            return Err(self.corrupt(format!("from 1 to {most} entries"), count.to_string()));
        }
        if level == 0 {
            return self.records(&bytes, header, count);
        }
        self.node(&bytes, header, most, count, level)
    }

    fn records(&mut self, bytes: &[u8], start: usize, count: usize) -> Result<()> {
        for index in 0..count {
            let extent = Extent::parse(bytes, start + index * RECORD);
            if extent.count == 0 || extent.file_block < self.reached {
                let expected = format!("extents that ascend from block {}", self.reached);
                let actual = format!("{} blocks at {}", extent.count, extent.file_block);
                return Err(self.corrupt(expected, actual));
            }
            self.reached = extent.end();
            if extent.end() <= self.from || extent.file_block >= self.to {
                continue;
            }
            if self.found.len() == MOST_EXTENTS {
                let expected = format!("at most {MOST_EXTENTS} extents in one piece");
                return Err(self.corrupt(expected, "more".to_owned()));
            }
            self.found.push(extent);
        }
        Ok(())
    }

    fn corrupt(&self, expected: String, actual: String) -> Error {
        let name = format!("extents of XFS inode {}", self.inode.number);
        let offset = self.store.superblock.inode_offset(self.inode.number).unwrap_or(0);
        Error::corrupt(name, offset, expected, actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_apart() {
        let (file_block, block, count) =
            (0x2A_BCDE_F012_3456u64, 0xF_EDCB_A987_6543u64, 0x1F_FFFFu64);
        let high = 1 << 63 | file_block << 9 | block >> 43;
        let low = block << 21 | count;
        let record = [high.to_be_bytes(), low.to_be_bytes()].concat();
        let expected = Extent { file_block, block, count, unwritten: true };
        assert_eq!(Extent::parse(&record, 0), expected);
    }
}
