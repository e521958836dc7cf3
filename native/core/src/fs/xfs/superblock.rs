//! The superblock of XFS, and the addresses that it explains (Linux, `xfs_format.h`).

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, be16, be32, be64, le32};

const MAGIC: [u8; 4] = *b"XFSB";
/// The largest sector that XFS knows.
const LARGEST_SECTOR: usize = 32768;
const CRC: usize = 224;

/// Bits of `sb_versionnum`, version 4.
const DIRECTORIES_V2: u16 = 0x2000;
const ASCII_CI: u16 = 0x4000;
const MORE_BITS: u16 = 0x8000;
/// Bits of `sb_features2`: lazy counters, attributes 2, parent pointers, 32-bit project
/// numbers, checksums, file types.
const KNOWN_FEATURES2: u32 = 0x0000_039A;
const FEATURES2_FTYPE: u32 = 0x0000_0200;

/// Bits of `sb_features_incompat`, version 5.
const FTYPE: u32 = 0x01;
const META_UUID: u32 = 0x04;
const NEEDS_REPAIR: u32 = 0x10;
/// All that change nothing for a reader, or are read: also sparse inodes, bigtime, 64-bit extent
/// counts, exchanged ranges, parent pointers, metadata directories.
const KNOWN_INCOMPAT: u32 = 0x1FF;

/// What the superblock says, checked.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone)]
pub struct Superblock {
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks of the data device.
    pub blocks: u64,
    /// As `blkid` prints it, in bytes.
    pub uuid: [u8; 16],
    /// The UUID that metadata blocks carry.
    pub meta_uuid: [u8; 16],
    /// First block of the log; 0 for a log on another device.
    pub log_start: u64,
    /// Blocks of the log.
    pub log_blocks: u64,
    /// Inode of the root directory.
    pub root: u64,
    /// Blocks of an allocation group; the last one may be shorter.
    pub group_blocks: u64,
    /// Allocation groups.
    pub groups: u64,
    /// Bits of a block number inside its group.
    pub group_log: u32,
    /// Bytes of a sector.
    pub sector_size: u64,
    /// Bytes of an inode.
    pub inode_size: usize,
    /// Bits of an inode's place inside its block.
    pub inodes_log: u32,
    /// Blocks of a directory block.
    pub directory_blocks: u64,
    /// `sb_fname` without its zeros.
    pub label: Vec<u8>,
    /// Free blocks, as of the last clean unmount.
    pub free_blocks: u64,
    /// Metadata carries checksums, addresses and owners.
    pub v5: bool,
    /// Directory entries carry the type of the file.
    pub ftype: bool,
    /// Names are looked up without regard to the case of ASCII letters.
    pub ascii_ci: bool,
    /// A tool was stopped halfway; the kernel refuses to mount it.
    pub needs_repair: bool,
}

/// Whether a volume starts with the superblock of an XFS.
pub fn detect(volume: &Disk) -> bool {
    let mut magic = [0; 4];
    volume.size() >= 512 && volume.read_at(0, &mut magic).is_ok() && magic == MAGIC
}

impl Superblock {
    /// Reads and checks the first superblock; `sealed` if its checksum is, too.
    pub fn read(volume: &Disk, sealed: bool) -> Result<Self> {
        let mut bytes = vec![0; 512];
        volume.read_at(0, &mut bytes)?;
        let sector_size = usize::from(be16(&bytes, 102));
        if !sector_size.is_power_of_two() || !(512..=LARGEST_SECTOR).contains(&sector_size) {
            return Err(corrupt(102, "a sector size from 512 to 32768", sector_size));
        }
        if sector_size > 512 {
            bytes.resize(sector_size, 0);
            volume.read_at(0, &mut bytes)?;
        }
        Self::parse(&bytes, sealed)
    }

    fn parse(bytes: &[u8], sealed: bool) -> Result<Self> {
        if bytes[..4] != MAGIC {
            return Err(corrupt(0, "the magic XFSB", "something else"));
        }
        let version = be16(bytes, 100);
        let v5 = match version & 15 {
            4 => false,
            5 => true,
            other => {
                return Err(Error::Unsupported(format!("XFS version {other}, known are 4 and 5")));
            }
        };
        if v5 && sealed && checksum(bytes, CRC) != le32(bytes, CRC) {
            let actual = format!("{:#010x}", checksum(bytes, CRC));
            return Err(corrupt(CRC, format!("checksum {:#010x}", le32(bytes, CRC)), actual));
        }
        if version & DIRECTORIES_V2 == 0 {
            return Err(Error::Unsupported("XFS with directories of version 1".to_owned()));
        }
        if bytes[126] != 0 {
            return Err(Error::Unsupported("XFS whose mkfs or growfs was not finished".to_owned()));
        }
        // Linux wrote the same bits to a misplaced field for a while.
        let features2 = be32(bytes, 200) | be32(bytes, 204);
        let features2 = if version & MORE_BITS == 0 { 0 } else { features2 };
        let incompat = if v5 { be32(bytes, 216) } else { 0 };
        let unknown = if v5 { incompat & !KNOWN_INCOMPAT } else { features2 & !KNOWN_FEATURES2 };
        if unknown != 0 {
            return Err(Error::Unsupported(unknown_features(v5, unknown)));
        }
        let block_log = log(bytes, 120, 9..=16, u64::from(be32(bytes, 4)))?;
        let inode_log = log(bytes, 122, 8..=11, u64::from(be16(bytes, 104)))?;
        let inodes_log = u32::from(bytes[123]);
        if inodes_log + inode_log != block_log {
            return Err(corrupt(123, block_log.saturating_sub(inode_log), inodes_log));
        }
        let directory_log = u32::from(bytes[192]);
        if directory_log + block_log > 16 {
            return Err(corrupt(192, "directory blocks of at most 64 KiB", directory_log));
        }
        let (group_blocks, groups) = (u64::from(be32(bytes, 84)), u64::from(be32(bytes, 88)));
        let group_log = u32::from(bytes[124]);
        if group_log > 31 || group_blocks > 1 << group_log || group_blocks == 0 {
            return Err(corrupt(124, format!("enough bits for {group_blocks} blocks"), group_log));
        }
        let blocks = be64(bytes, 8);
        let whole = group_blocks * groups;
        if blocks == 0 || blocks > whole || blocks <= whole - group_blocks.min(whole) {
            let expected = format!("blocks that fill {groups} groups of {group_blocks}");
            return Err(corrupt(8, expected, blocks));
        }
        let label: [u8; 12] = fields::bytes(bytes, 108);
        let uuid = fields::bytes(bytes, 32);
        Ok(Self {
            block_size: 1 << block_log,
            blocks,
            uuid,
            meta_uuid: if incompat & META_UUID == 0 { uuid } else { fields::bytes(bytes, 248) },
            log_start: be64(bytes, 48),
            log_blocks: u64::from(be32(bytes, 96)),
            root: be64(bytes, 56),
            group_blocks,
            groups,
            group_log,
            sector_size: u64::from(be16(bytes, 102)),
            inode_size: 1 << inode_log,
            inodes_log,
            directory_blocks: 1 << directory_log,
            label: label.split(|&byte| byte == 0).next().unwrap_or_default().to_vec(),
            free_blocks: be64(bytes, 144),
            v5,
            ftype: incompat & FTYPE != 0 || features2 & FEATURES2_FTYPE != 0,
            ascii_ci: version & ASCII_CI != 0,
            needs_repair: incompat & NEEDS_REPAIR != 0,
        })
    }

    /// The byte where `count` blocks from a block number start; they lie in one group.
    pub fn offset_of(&self, block: u64, count: u64) -> Result<u64> {
        let (group, inside) = (block >> self.group_log, block & ((1 << self.group_log) - 1));
        let end = inside.checked_add(count).filter(|&end| end <= self.group_blocks);
        let start =
            end.and(group.checked_mul(self.group_blocks)).and_then(|g| g.checked_add(inside));
        match start.filter(|start| start.checked_add(count).is_some_and(|end| end <= self.blocks)) {
            Some(start) => Ok(start * self.block_size),
            None => Err(Error::Invalid(format!(
                "XFS: {count} blocks at block number {block:#x} are not inside the file system"
            ))),
        }
    }

    /// The byte where an inode lies.
    pub fn inode_offset(&self, inode: u64) -> Result<u64> {
        let block = self.offset_of(inode >> self.inodes_log, 1)?;
        let index = inode & ((1 << self.inodes_log) - 1);
        Ok(block + index * self.inode_size as u64)
    }

    /// Bytes of a directory block.
    pub fn directory_size(&self) -> usize {
        // At most 64 KiB, as was checked.
        usize::try_from(self.block_size * self.directory_blocks).unwrap_or(0)
    }
}

/// The CRC-32C of a structure whose own field for it, at `field`, counts as 0.
pub fn checksum(bytes: &[u8], field: usize) -> u32 {
    let (head, rest) = bytes.split_at(field.min(bytes.len()));
    let sum = crc32c::crc32c_append(crc32c::crc32c(head), &[0; 4]);
    crc32c::crc32c_append(sum, rest.get(4..).unwrap_or_default())
}

/// A base-2 logarithm that must be in a range and say the same as the number beside it.
fn log(bytes: &[u8], at: usize, range: std::ops::RangeInclusive<u32>, value: u64) -> Result<u32> {
    let log = u32::from(bytes[at]);
    if range.contains(&log) && 1 << log == value {
        return Ok(log);
    }
    let expected = format!("from {} to {}, the logarithm of {value}", range.start(), range.end());
    Err(corrupt(at, expected, log))
}

fn unknown_features(v5: bool, bits: u32) -> String {
    let name = match (v5, bits) {
        (true, bits) if bits & 0x600 != 0 => "zoned realtime groups",
        _ => "features that are not known",
    };
    let field = if v5 { "sb_features_incompat" } else { "sb_features2" };
    format!("XFS with {name} ({field} has {bits:#x})")
}

fn corrupt(at: usize, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("XFS superblock", at as u64, expected, actual)
}
