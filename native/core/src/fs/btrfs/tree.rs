//! Trees of btrfs: blocks that prove what they are, and items in the order of their keys.

use super::chunks::{CHUNK_ITEM, Chunks};
use super::superblock::{Checksum, Link, Superblock};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, le32, le64};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes in front of the items of a block.
const HEADER: usize = 101;
const ITEM: usize = 25;
const POINTER: usize = 33;
/// Linux has levels 0 to 7.
const HIGHEST_LEVEL: u8 = 7;
/// Blocks that one walk may visit.
const MOST_NODES: usize = 1 << 18;
/// Bytes of blocks that are remembered.
const CACHE: usize = 8 << 20;

/// The key of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `objectid`: an inode, a subvolume.
    pub object: u64,
    /// `type`.
    pub kind: u8,
    /// `offset`; what it means depends on the kind.
    pub offset: u64,
}

impl Key {
    /// Bytes of a stored key.
    pub const LENGTH: usize = 17;

    /// Reads a stored key.
    pub fn parse(bytes: &[u8], at: usize) -> Self {
        Self {
            object: le64(bytes, at),
            kind: bytes.get(at + 8).copied().unwrap_or(0),
            offset: le64(bytes, at + 9),
        }
    }
}

/// A block of a tree, checked.
struct Node {
    bytes: Vec<u8>,
    link: Link,
    count: usize,
}

impl Node {
    fn key(&self, index: usize) -> Key {
        let size = if self.link.level == 0 { ITEM } else { POINTER };
        Key::parse(&self.bytes, HEADER + index * size)
    }

    /// The last key that is not after `from`, or the first one.
    fn start(&self, from: Key) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle) <= from {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }

    fn child(&self, index: usize) -> Link {
        let at = HEADER + index * POINTER + Key::LENGTH;
        let level = self.link.level.saturating_sub(1);
        Link { address: le64(&self.bytes, at), generation: le64(&self.bytes, at + 8), level }
    }

    fn item(&self, index: usize) -> Option<&[u8]> {
        let at = HEADER + index * ITEM + Key::LENGTH;
        let start = usize::try_from(le32(&self.bytes, at)).ok()?.checked_add(HEADER)?;
        let length = usize::try_from(le32(&self.bytes, at + 4)).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }
}

#[derive(Default)]
struct Cache {
    nodes: HashMap<u64, Arc<Node>>,
    order: VecDeque<u64>,
}

/// A volume, with all that is needed to follow the addresses in its trees.
pub struct Forest {
    /// The volume.
    pub disk: Disk,
    /// Its superblock.
    pub superblock: Superblock,
    chunks: Chunks,
    cache: Mutex<Cache>,
}

struct Walk<'a> {
    from: Key,
    last: Option<Key>,
    nodes: usize,
    visit: &'a mut dyn FnMut(Key, &[u8]) -> Result<bool>,
}

impl Forest {
    /// Reads the superblock and the chunk tree.
    pub fn open(volume: &Disk) -> Result<Self> {
        let superblock = Superblock::read(volume)?;
        let device = superblock.device;
        let mut chunks = Chunks::default();
        chunks.add_system(&superblock.system_chunks, device)?;
        let mut forest = Self { disk: volume.clone(), superblock, chunks, cache: Mutex::default() };
        let mut all = Chunks::default();
        let first = Key { object: 0, kind: 0, offset: 0 };
        forest.scan(forest.superblock.chunk_root, first, &mut |key, item| {
            if key.kind == CHUNK_ITEM {
                all.add(key, item, device)?;
            }
            Ok(true)
        })?;
        forest.chunks = all;
        Ok(forest)
    }

    /// Visits items in the order of their keys, until `visit` returns false.
    ///
    /// The first is the last one whose key is not after `from`, so that an extent which starts
    /// before a place is found; or the first of the tree.
    pub fn scan(
        &self,
        root: Link,
        from: Key,
        visit: &mut dyn FnMut(Key, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.walk(root, &mut Walk { from, last: None, nodes: 0, visit })?;
        Ok(())
    }

    /// The item with a key.
    pub fn item(&self, root: Link, wanted: Key) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        self.scan(root, wanted, &mut |key, item| {
            if key == wanted {
                found = Some(item.to_vec());
            }
            Ok(key < wanted)
        })?;
        Ok(found)
    }

    fn walk(&self, link: Link, walk: &mut Walk<'_>) -> Result<bool> {
        walk.nodes += 1;
        if walk.nodes > MOST_NODES {
            return Err(Error::Unsupported(format!(
                "btrfs: a tree of more than {MOST_NODES} blocks"
            )));
        }
        let node = self.node(link)?;
        for index in node.start(walk.from)..node.count {
            let key = node.key(index);
            if walk.last.is_some_and(|last| key <= last) {
                return Err(corrupt(link, "keys that ascend", format_args!("{key:?}")));
            }
            let go_on = if link.level > 0 {
                self.walk(node.child(index), walk)?
            } else {
                let Some(item) = node.item(index) else {
                    return Err(corrupt(link, "items inside the block", format_args!("{key:?}")));
                };
                walk.last = Some(key);
                (walk.visit)(key, item)?
            };
            if !go_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn node(&self, link: Link) -> Result<Arc<Node>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.nodes.get(&link.address).filter(|node| node.link == link).cloned();
        drop(cache);
        if let Some(node) = known {
            return Ok(node);
        }
        let node = Arc::new(self.read_node(link)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.nodes.insert(link.address, Arc::clone(&node)).is_none() {
            cache.order.push_back(link.address);
        }
        while cache.order.len() * self.superblock.node_size > CACHE {
            if let Some(oldest) = cache.order.pop_front() {
                cache.nodes.remove(&oldest);
            }
        }
        Ok(node)
    }

    /// Reads a block of a tree from the first of its copies that is sound.
    fn read_node(&self, link: Link) -> Result<Node> {
        let size = self.superblock.node_size;
        let (copies, left) = self.chunks.find(link.address)?;
        if left < size as u64 || link.level > HIGHEST_LEVEL {
            return Err(corrupt(link, "a block inside its chunk, of level 0 to 7", "another"));
        }
        let mut wrong = corrupt(link, "a copy on this device", "none");
        for copy in copies {
            let mut bytes = vec![0; size];
            let read = self.disk.read_at(copy, &mut bytes);
            match read.and_then(|()| self.check(bytes, link)) {
                Ok(node) => return Ok(node),
                Err(error) => wrong = error,
            }
        }
        Err(wrong)
    }

    fn check(&self, bytes: Vec<u8>, link: Link) -> Result<Node> {
        if !self.superblock.checksum.holds(&bytes) {
            return Err(corrupt(link, "the checksum of its bytes", "another one"));
        }
        let uuid: [u8; 16] = fields::bytes(&bytes, 32);
        if le64(&bytes, 48) != link.address || uuid != self.superblock.metadata_uuid {
            let actual = format!("{:#x} of another", le64(&bytes, 48));
            return Err(corrupt(link, "its own address and file system", actual));
        }
        if le64(&bytes, 80) != link.generation || bytes[100] != link.level {
            let actual = format!("{}, level {}", le64(&bytes, 80), bytes[100]);
            let expected = format!("generation {}, level {}", link.generation, link.level);
            return Err(corrupt(link, expected, actual));
        }
        let size = if link.level == 0 { ITEM } else { POINTER };
        let most = (bytes.len() - HEADER) / size;
        let count = usize::try_from(le32(&bytes, 96)).unwrap_or(usize::MAX);
        if count > most || (count == 0 && link.level > 0) {
            return Err(corrupt(link, format!("at most {most} entries"), count));
        }
        Ok(Node { bytes, link, count })
    }

    /// Reads bytes of data by their logical address.
    pub fn data(&self, address: u64, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let (copies, left) = self.chunks.find(address.saturating_add(done as u64))?;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - done);
            let copy = copies.first().copied().unwrap_or(u64::MAX);
            self.disk.read_at(copy, &mut buffer[done..done + length])?;
            done += length;
        }
        Ok(())
    }

    /// Bytes that files may still take, counted as what they would hold.
    pub fn free(&self) -> Option<u64> {
        let room = self.superblock.total_bytes / self.chunks.data_copies();
        room.checked_sub(self.superblock.used_bytes)
    }

    /// What is not checked, if anything.
    pub fn unchecked(&self) -> Option<&'static str> {
        match self.superblock.checksum {
            Checksum::Other(name) => Some(name),
            Checksum::Crc32c | Checksum::Xxhash64 => None,
        }
    }
}

fn corrupt(link: Link, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    let address = link.address;
    Error::Invalid(format!("btrfs tree block at {address:#x}: is {actual}, expected {expected}"))
}
