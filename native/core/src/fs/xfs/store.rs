//! Blocks of an XFS, and the proof that a metadata block is what it should be.

use super::patch::{Patched, Patches};
use super::superblock::{Superblock, checksum};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, be32, be64, le32};
use std::sync::Arc;

/// Where a version 5 metadata block has its checksum, address, UUID and owner.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    /// Name for messages.
    pub name: &'static str,
    checksum: usize,
    address: usize,
    uuid: usize,
    /// None where the kernel does not hold a block to its owner.
    owner: Option<usize>,
}

/// Directory blocks with names (`xfs_dir3_data_hdr`).
pub const NAMES: Seal =
    Seal { name: "XFS directory block", checksum: 4, address: 8, uuid: 24, owner: Some(40) };
/// Nodes of an extent tree (`xfs_btree_block`, long form).
pub const EXTENT_TREE: Seal =
    Seal { name: "XFS extent tree block", checksum: 64, address: 24, uuid: 40, owner: None };
/// Symbolic links outside their inode (`xfs_dsymlink_hdr`).
pub const LINK: Seal =
    Seal { name: "XFS symbolic link block", checksum: 12, address: 40, uuid: 16, owner: Some(32) };

/// A volume with the superblock that explains it, and what the log adds.
pub struct Store {
    /// The volume, log replayed.
    pub disk: Disk,
    /// The superblock.
    pub superblock: Superblock,
    patches: Arc<Patches>,
}

impl Store {
    /// The volume as it would be after `patches`.
    pub fn new(disk: &Disk, superblock: Superblock, patches: Patches) -> Self {
        let patches = Arc::new(patches);
        let disk = Patched::over(disk, &patches);
        Self { disk, superblock, patches }
    }

    /// Reads `count` blocks; the range must lie in one allocation group.
    pub fn blocks(&self, block: u64, count: u64) -> Result<Vec<u8>> {
        let offset = self.superblock.offset_of(block, count)?;
        let length = usize::try_from(count * self.superblock.block_size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        self.disk.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether replayed changes lie in a range: its checksum is older than they are.
    pub fn is_patched(&self, offset: u64, length: usize) -> bool {
        self.patches.touch(offset, length as u64)
    }

    /// Checks a version 5 block that starts at block number `block` against its seal.
    pub fn check(&self, bytes: &[u8], seal: Seal, block: u64, owner: u64) -> Result<()> {
        if !self.superblock.v5 {
            return Ok(());
        }
        let offset = self.superblock.offset_of(block, 1)?;
        let wrong = |expected: String, actual: String| {
            Err(Error::corrupt(seal.name, offset, expected, actual))
        };
        let (stored, computed) = (le32(bytes, seal.checksum), checksum(bytes, seal.checksum));
        if stored != computed && !self.is_patched(offset, bytes.len()) {
            return wrong(format!("checksum {stored:#010x}"), format!("{computed:#010x}"));
        }
        let address = be64(bytes, seal.address);
        if address != offset / 512 {
            return wrong(format!("address {}", offset / 512), address.to_string());
        }
        let uuid: [u8; 16] = fields::bytes(bytes, seal.uuid);
        if uuid != self.superblock.meta_uuid {
            return wrong("of this file system".to_owned(), "of another one".to_owned());
        }
        match seal.owner.map(|at| be64(bytes, at)) {
            Some(found) if found != owner => {
                wrong(format!("owned by inode {owner}"), format!("by inode {found}"))
            }
            _ => Ok(()),
        }
    }

    /// Free blocks by the allocation groups, which are right when the superblock is not.
    pub fn free_blocks(&self) -> Result<Option<u64>> {
        const MOST_GROUPS: u64 = 1 << 16;
        let superblock = &self.superblock;
        if superblock.groups > MOST_GROUPS {
            return Ok(None);
        }
        let mut free: u64 = 0;
        for group in 0..superblock.groups {
            let block = superblock.offset_of(group << superblock.group_log, 1)?;
            let mut header = [0; 96];
            self.disk.read_at(block + superblock.sector_size, &mut header)?;
            if header[..4] != *b"XAGF" {
                return Ok(None);
            }
            // Free blocks, those kept for the trees of free space, and those in these trees.
            free += [48, 52, 60].iter().map(|&at| u64::from(be32(&header, at))).sum::<u64>();
        }
        Ok(Some(free))
    }
}
