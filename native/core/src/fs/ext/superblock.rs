//! The superblock of ext2, ext3 and ext4, and which features it asks for.
//!
//! Source: the kernel's documentation, `filesystems/ext4/super.rst`.

use crate::error::{Error, Result};
use crate::fields::{bytes, le16, le32};

/// Where it starts on the volume, and how long it is.
pub const OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub const LENGTH: usize = 1024;
const MAGIC: u16 = 0xEF53;

/// Compatible: there is a journal.
pub const HAS_JOURNAL: u32 = 0x4;
const SPARSE_SUPER2: u32 = 0x200;

/// Incompatible: directory entries have the kind of the file.
pub const FILETYPE: u32 = 0x2;
/// Incompatible: the journal must be replayed.
pub const RECOVER: u32 = 0x4;
const JOURNAL_DEV: u32 = 0x8;
/// Incompatible: group descriptors are spread over the volume.
pub const META_BG: u32 = 0x10;
const IS_64BIT: u32 = 0x80;
const CSUM_SEED: u32 = 0x2000;
/// Incompatible: directories may be larger than 2 GiB.
pub const LARGEDIR: u32 = 0x4000;
/// Incompatible: directories may ignore the case of names.
pub const CASEFOLD: u32 = 0x2_0000;
/// What is read: kinds in entries, recovery, spread descriptors, extents, 64 bits, multiple mount
/// protection, flexible groups, attributes in inodes, checksum seed, large directories, inline
/// data, encryption (of single files), folding of case.
const READ: u32 = 0x3_E7D6;
const INCOMPATIBLE_NAMES: [(u32, &str); 3] =
    [(0x1, "compression"), (JOURNAL_DEV, "journal_dev"), (0x1000, "dirdata")];

const SPARSE_SUPER: u32 = 0x1;
/// Read-only compatible: metadata has checksums.
pub const METADATA_CSUM: u32 = 0x400;
const BIGALLOC: u32 = 0x200;

const VALID: u16 = 1;
const ERRORS: u16 = 2;

/// What the superblock says, as far as it is used, and checked.
#[derive(Debug, Clone)]
pub struct Superblock {
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks that are allocated together.
    pub cluster_blocks: u64,
    /// Blocks of the file system.
    pub blocks: u64,
    /// Inodes; their numbers start at 1.
    pub inodes: u32,
    /// The block in which group 0 starts.
    pub first_data_block: u64,
    /// Blocks of a group.
    pub blocks_per_group: u64,
    /// Inodes of a group.
    pub inodes_per_group: u32,
    /// Bytes of an inode.
    pub inode_size: usize,
    /// Bytes of a group descriptor.
    pub descriptor_size: u64,
    /// From this block of descriptors on they are spread.
    pub first_meta_block: u64,
    /// Compatible features.
    pub compatible: u32,
    /// Incompatible features.
    pub incompatible: u32,
    /// Read-only compatible features.
    pub read_only: u32,
    /// UUID of the file system.
    pub uuid: [u8; 16],
    /// Label as stored, without the NULs.
    pub label: Vec<u8>,
    /// Inode of the journal, 0 where there is none.
    pub journal_inode: u32,
    /// What checksums of metadata start with, where there are any.
    pub checksum_seed: Option<u32>,
    /// Whether its own checksum, if it has one, is right.
    pub checksum_right: bool,
    state: u16,
    backup_groups: [u32; 2],
}

/// CRC-32C as ext4 and jbd2 chain it: neither the start nor the end is inverted.
pub fn crc32c_raw(seed: u32, data: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, data)
}

/// Whether these 1024 bytes are a superblock.
pub fn is_superblock(raw: &[u8]) -> bool {
    le16(raw, 0x38) == MAGIC
}

impl Superblock {
    /// Reads the 1024 bytes of a superblock and checks what is computed with.
    pub fn parse(raw: &[u8]) -> Result<Self> {
        let incompatible = le32(raw, 0x60);
        refuse_unknown(incompatible)?;
        let wrong = |field: &str, expected: &str, actual: u64| {
            Error::corrupt(format!("ext superblock, {field}"), OFFSET, expected, actual)
        };
        let read_only = le32(raw, 0x64);
        let (dynamic, has_64bit) = (le32(raw, 0x4C) > 0, incompatible & IS_64BIT != 0);
        let log_block = le32(raw, 0x18);
        if log_block > 6 {
            return Err(wrong("log_block_size", "at most 6", log_block.into()));
        }
        let block_size = 1024u64 << log_block;
        let log_cluster = le32(raw, 0x1C).wrapping_sub(log_block);
        let cluster_blocks = match (read_only & BIGALLOC != 0, log_cluster) {
            (false, _) => 1,
            (true, 0..=20) => 1u64 << log_cluster,
            (true, _) => return Err(wrong("log_cluster_size", "a sane size", log_cluster.into())),
        };
        let high = |at: usize| if has_64bit { u64::from(le32(raw, at)) << 32 } else { 0 };
        let blocks = u64::from(le32(raw, 0x4)) | high(0x150);
        let first_data_block = u64::from(le32(raw, 0x14));
        if first_data_block > 1 || blocks <= first_data_block || blocks > u64::MAX / block_size {
            return Err(wrong("blocks_count", "a possible number", blocks));
        }
        let blocks_per_group = u64::from(le32(raw, 0x20));
        if blocks_per_group == 0 {
            return Err(wrong("blocks_per_group", "at least 1", 0));
        }
        let inodes_per_group = le32(raw, 0x28);
        if inodes_per_group == 0 {
            return Err(wrong("inodes_per_group", "at least 1", 0));
        }
        let inode_size = if dynamic { usize::from(le16(raw, 0x58)) } else { 128 };
        if inode_size < 128 || !inode_size.is_power_of_two() || inode_size as u64 > block_size {
            let expected = "a power of two from 128 to a block";
            return Err(wrong("inode_size", expected, inode_size as u64));
        }
        let descriptor_size = if has_64bit { u64::from(le16(raw, 0xFE)) } else { 32 };
        if !(32..=1024).contains(&descriptor_size) || !descriptor_size.is_power_of_two() {
            let expected = "a power of two from 32 to 1024";
            return Err(wrong("desc_size", expected, descriptor_size));
        }
        let uuid = bytes(raw, 0x68);
        let checksums = read_only & METADATA_CSUM != 0;
        let seed = if incompatible & CSUM_SEED != 0 {
            le32(raw, 0x270)
        } else {
            crc32c_raw(u32::MAX, &uuid)
        };
        let sum = crc32c_raw(u32::MAX, raw.get(..0x3FC).unwrap_or(raw));
        let label: [u8; 16] = bytes(raw, 0x78);
        Ok(Self {
            block_size,
            cluster_blocks,
            blocks,
            inodes: le32(raw, 0),
            first_data_block,
            blocks_per_group,
            inodes_per_group,
            inode_size,
            descriptor_size,
            first_meta_block: le32(raw, 0x104).into(),
            compatible: le32(raw, 0x5C),
            incompatible,
            read_only,
            uuid,
            label: label.into_iter().take_while(|&byte| byte != 0).collect(),
            journal_inode: le32(raw, 0xE0),
            checksum_seed: checksums.then_some(seed),
            checksum_right: !checksums || sum == le32(raw, 0x3FC),
            state: le16(raw, 0x3A),
            backup_groups: [le32(raw, 0x24C), le32(raw, 0x250)],
        })
    }

    /// `ext2`, `ext3` or `ext4`, as libblkid tells them apart.
    pub fn kind(&self) -> &'static str {
        const EXT3_READ_ONLY: u32 = 0x7;
        let newer = self.read_only & !EXT3_READ_ONLY != 0
            || self.incompatible & !(FILETYPE | RECOVER | META_BG) != 0;
        match (newer, self.compatible & HAS_JOURNAL != 0) {
            (true, _) => "ext4",
            (false, true) => "ext3",
            (false, false) => "ext2",
        }
    }

    /// Whether it was unmounted, by its state and its journal.
    pub fn is_clean(&self) -> bool {
        self.state & VALID != 0 && self.incompatible & RECOVER == 0
    }

    /// Whether the kernel has noted errors in it.
    pub fn has_errors(&self) -> bool {
        self.state & ERRORS != 0
    }

    /// How many groups there are.
    pub fn groups(&self) -> u64 {
        (self.blocks - self.first_data_block).div_ceil(self.blocks_per_group)
    }

    /// Whether a copy of the superblock stands at the start of a group.
    pub fn has_copy(&self, group: u64) -> bool {
        if group == 0 {
            return true;
        }
        if self.compatible & SPARSE_SUPER2 != 0 {
            return self.backup_groups.iter().any(|&backup| u64::from(backup) == group);
        }
        if group == 1 || self.read_only & SPARSE_SUPER == 0 {
            return true;
        }
        [3, 5, 7].into_iter().any(|base| is_power_of(group, base))
    }
}

fn refuse_unknown(incompatible: u32) -> Result<()> {
    let unread = incompatible & !READ;
    if unread == 0 {
        return Ok(());
    }
    let known = INCOMPATIBLE_NAMES.iter().filter(|(bit, _)| unread & bit != 0);
    let mut names: Vec<String> = known.map(|(_, name)| (*name).to_owned()).collect();
    let rest = INCOMPATIBLE_NAMES.iter().fold(unread, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    Err(Error::Unsupported(format!(
        "the ext file system has incompatible features that are not read: {}",
        names.join(", ")
    )))
}

fn is_power_of(number: u64, base: u64) -> bool {
    let mut left = number;
    while left > 1 && left.is_multiple_of(base) {
        left /= base;
    }
    left == 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_in_powers_of_three_five_and_seven() {
        let found: Vec<u64> = (2..130)
            .filter(|&group| [3, 5, 7].iter().any(|&base| is_power_of(group, base)))
            .collect();
        assert_eq!(found, [3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }

    #[test]
    fn features_that_are_not_read_are_named() {
        let error = refuse_unknown(0x8000_1001).unwrap_err().to_string();
        assert!(error.ends_with("compression, dirdata, 0x80000000"), "{error}");
        assert!(refuse_unknown(READ).is_ok());
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let mut raw = vec![0; LENGTH];
        assert!(Superblock::parse(&raw).is_err());
        raw[0x18] = 99;
        assert!(Superblock::parse(&raw).is_err());
    }
}
