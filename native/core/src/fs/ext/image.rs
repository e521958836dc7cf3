//! Blocks, group descriptors and inodes of an ext volume.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{le16, le32};
use crate::fs::ext::inode::Inode;
use crate::fs::ext::superblock::{META_BG, OFFSET, Superblock};

/// Groups whose free blocks are added up: 16 TiB of 4 KiB blocks. Above, nothing is said.
const MOST_COUNTED_GROUPS: u64 = 1 << 17;

/// A volume and what its superblock says.
pub struct Image {
    /// The volume, with its journal replayed where that was needed.
    pub disk: Disk,
    /// Its superblock.
    pub superblock: Superblock,
}

impl Image {
    /// Fills `buffer` from `within` bytes into a block on; `what` names the user of the block.
    pub fn read(&self, block: u64, within: u64, buffer: &mut [u8], what: &str) -> Result<()> {
        let size = self.superblock.block_size;
        let start = block.checked_mul(size).and_then(|start| start.checked_add(within));
        let start = start.filter(|_| block < self.superblock.blocks);
        let end = start.and_then(|start| start.checked_add(buffer.len() as u64));
        match (start, end) {
            (Some(start), Some(end)) if end <= self.disk.size() => self.disk.read_at(start, buffer),
            _ => Err(Error::corrupt(
                what,
                start.unwrap_or(u64::MAX),
                format_args!(
                    "blocks below {}",
                    self.superblock.blocks.min(self.disk.size() / size)
                ),
                format_args!("block {block}"),
            )),
        }
    }

    /// All bytes of a block.
    pub fn block(&self, block: u64, what: &str) -> Result<Vec<u8>> {
        let mut buffer = vec![0; usize::try_from(self.superblock.block_size).unwrap_or(0)];
        self.read(block, 0, &mut buffer, what)?;
        Ok(buffer)
    }

    /// Reads an inode.
    pub fn inode(&self, number: u64) -> Result<Inode> {
        let superblock = &self.superblock;
        let known = u32::try_from(number).ok().filter(|&n| n > 0 && n <= superblock.inodes);
        let Some(known) = known else {
            let expected = format_args!("1 to {}", superblock.inodes).to_string();
            return Err(Error::corrupt("inode number", OFFSET, expected, number));
        };
        let group = u64::from((known - 1) / superblock.inodes_per_group);
        let index = u64::from((known - 1) % superblock.inodes_per_group);
        let table = self.inode_table(group)?;
        let place = index * superblock.inode_size as u64;
        let block = table.saturating_add(place / superblock.block_size);
        let within = place % superblock.block_size;
        let mut raw = vec![0; superblock.inode_size];
        self.read(block, within, &mut raw, "inode table")?;
        Inode::parse(superblock, known, &raw, block * superblock.block_size + within)
    }

    /// Blocks that the group descriptors call free; `None` where there are too many to add up.
    pub fn free_blocks(&self) -> Option<u64> {
        let groups = self.superblock.groups();
        if groups > MOST_COUNTED_GROUPS {
            return None;
        }
        let per_block = self.superblock.block_size / self.superblock.descriptor_size;
        let size = usize::try_from(self.superblock.descriptor_size).ok()?;
        let mut free = 0u64;
        for first in (0..groups).step_by(usize::try_from(per_block).ok()?) {
            let block = self.block(self.descriptor_block(first), "group descriptors").ok()?;
            let used = usize::try_from(per_block.min(groups - first)).ok()?;
            for descriptor in block.chunks_exact(size).take(used) {
                let high = if size > 32 { u64::from(le16(descriptor, 0x2C)) << 16 } else { 0 };
                free += u64::from(le16(descriptor, 0xC)) | high;
            }
        }
        free.checked_mul(self.superblock.cluster_blocks)
    }

    fn inode_table(&self, group: u64) -> Result<u64> {
        let per_block = self.superblock.block_size / self.superblock.descriptor_size;
        let within = group % per_block * self.superblock.descriptor_size;
        let mut raw = [0; 64];
        let used = if self.superblock.descriptor_size > 32 { 64 } else { 32 };
        let block = self.descriptor_block(group);
        self.read(block, within, &mut raw[..used], "group descriptors")?;
        Ok(u64::from(le32(&raw, 0x8)) | u64::from(le32(&raw, 0x28)) << 32)
    }

    /// The block that holds a group's descriptor.
    fn descriptor_block(&self, group: u64) -> u64 {
        let superblock = &self.superblock;
        let per_block = superblock.block_size / superblock.descriptor_size;
        let number = group / per_block;
        // Not the first data block: with bigalloc that is 0 even where blocks have 1 KiB.
        let superblock_at = OFFSET / superblock.block_size;
        if superblock.incompatible & META_BG == 0 || number < superblock.first_meta_block {
            return superblock_at + 1 + number;
        }
        let first = number * per_block;
        let start = superblock.first_data_block + first * superblock.blocks_per_group;
        let shifted = number == 0 && superblock_at > superblock.first_data_block;
        start + u64::from(superblock.has_copy(first)) + u64::from(shifted)
    }
}
