//! Subvolumes of btrfs: which there are, where they hang, and which is the default one.

use super::superblock::Link;
use super::tree::{Forest, Key};
use crate::error::{Error, Result};
use crate::fields::{le16, le32, le64};
use std::sync::{Mutex, PoisonError};

/// The subvolume that holds all others.
pub const TOP_LEVEL: u64 = 5;
const ROOT_ITEM: u8 = 132;
const ROOT_REF: u8 = 156;
const DIR_ITEM: u8 = 84;
/// Bytes of an inode number in a node; inode numbers of btrfs are given out one by one.
const INODE_BITS: u32 = 48;
const MOST_SUBVOLUMES: usize = 1 << 16;
/// Bytes of the first version of a root item.
const SHORTEST_ROOT_ITEM: usize = 239;

/// A tree of files.
#[derive(Debug, Clone, Copy)]
pub struct Subvolume {
    /// Its number.
    pub id: u64,
    /// Root of its tree.
    pub root: Link,
    /// Inode of its root directory.
    pub directory: u64,
}

/// Subvolumes that were seen. The place of one is the upper part of its nodes.
#[derive(Default)]
pub struct Subvolumes(Mutex<Vec<Subvolume>>);

impl Subvolumes {
    /// The node of an inode in the subvolume at `place`.
    pub fn node(place: usize, inode: u64) -> Result<u64> {
        if inode >> INODE_BITS != 0 {
            return Err(Error::Unsupported(format!("btrfs: inode number {inode:#x}")));
        }
        Ok((place as u64) << INODE_BITS | inode)
    }

    /// The place, the subvolume and the inode of a node.
    pub fn split(&self, node: u64) -> Result<(usize, Subvolume, u64)> {
        let place = usize::try_from(node >> INODE_BITS).unwrap_or(usize::MAX);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(place) {
            Some(subvolume) => Ok((place, *subvolume, node & ((1 << INODE_BITS) - 1))),
            None => Err(Error::Invalid(format!("btrfs: no node {node:#x}"))),
        }
    }

    /// The node of a subvolume's root directory; None for one that is being deleted, or is not.
    pub fn root_node(&self, forest: &Forest, id: u64) -> Result<Option<u64>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|subvolume| subvolume.id == id);
        let directory = place.and_then(|place| known.get(place)).map(|known| known.directory);
        drop(known);
        if let (Some(place), Some(directory)) = (place, directory) {
            return Self::node(place, directory).map(Some);
        }
        let Some(subvolume) = find(forest, id)? else { return Ok(None) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST_SUBVOLUMES {
            let message = format!("btrfs: more than {MOST_SUBVOLUMES} subvolumes");
            return Err(Error::Unsupported(message));
        }
        known.push(subvolume);
        Self::node(known.len() - 1, subvolume.directory).map(Some)
    }
}

/// Reads the root item of a subvolume.
fn find(forest: &Forest, id: u64) -> Result<Option<Subvolume>> {
    let mut found = None;
    // The offset of the key is the transaction that made a snapshot.
    let last = Key { object: id, kind: ROOT_ITEM, offset: u64::MAX };
    forest.scan(forest.superblock.root, last, &mut |key, item| {
        if key.object == id && key.kind == ROOT_ITEM && item.len() >= SHORTEST_ROOT_ITEM {
            found = Some(item.to_vec());
        }
        Ok(false)
    })?;
    let Some(item) = found.filter(|item| le32(item, 216) > 0) else { return Ok(None) };
    let root = Link { address: le64(&item, 176), generation: le64(&item, 160), level: item[238] };
    Ok(Some(Subvolume { id, root, directory: le64(&item, 168) }))
}

/// Whether a name in a directory of `parent` is where the subvolume `id` hangs: a snapshot has
/// copies of such names that lead nowhere, and Linux shows empty directories for them.
pub fn hangs_here(
    forest: &Forest,
    parent: u64,
    directory: u64,
    name: &[u8],
    id: u64,
) -> Result<bool> {
    let key = Key { object: parent, kind: ROOT_REF, offset: id };
    let Some(item) = forest.item(forest.superblock.root, key)? else { return Ok(false) };
    let length = usize::from(le16(&item, 16));
    Ok(le64(&item, 0) == directory && item.get(18..18 + length) == Some(name))
}

/// The number of the default subvolume.
pub fn default(forest: &Forest) -> Result<u64> {
    let directory = forest.superblock.root_directory;
    let mut found = TOP_LEVEL;
    let first = Key { object: directory, kind: DIR_ITEM, offset: 0 };
    forest.scan(forest.superblock.root, first, &mut |key, item| {
        if key.object == directory && key.kind == DIR_ITEM && item.get(30..37) == Some(b"default") {
            found = le64(item, 0);
        }
        Ok(key.object < directory || key.object == directory && key.kind <= DIR_ITEM)
    })?;
    Ok(found)
}
