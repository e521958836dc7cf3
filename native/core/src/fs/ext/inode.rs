//! Inodes: what a file is and where its blocks are told.
//!
//! Source: the kernel's documentation, `filesystems/ext4/inodes.rst` and `attributes.rst`.

use crate::error::{Error, Result};
use crate::fields::{bytes, le16, le32};
use crate::fs::NodeKind;
use crate::fs::ext::superblock::{LARGEDIR, Superblock, crc32c_raw};

/// Bytes of an inode that every revision has.
pub const SHORT_INODE: usize = 128;
/// Bytes of the block map, which may hold a short link or the start of inline data instead.
pub const BLOCK_MAP: usize = 60;

const ENCRYPTED: u32 = 0x800;
const EXTENTS: u32 = 0x8_0000;
const INLINE_DATA: u32 = 0x1000_0000;
const CASEFOLD: u32 = 0x4000_0000;

const ATTRIBUTES_MAGIC: u32 = 0xEA02_0000;
/// The prefix `system.` of an attribute's name.
const SYSTEM_PREFIX: u8 = 7;

/// An inode, its checksum checked.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Its number, from 1.
    pub number: u32,
    /// What it is.
    pub kind: NodeKind,
    /// The 12 permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Names.
    pub links: u16,
    /// Seconds since 1970.
    pub modified: i64,
    /// Extent root, block pointers, a short link or the start of inline data.
    pub map: [u8; BLOCK_MAP],
    /// The rest of inline data, where the data is in the inode.
    pub inline_rest: Option<Vec<u8>>,
    flags: u32,
}

impl Inode {
    /// Reads the bytes of inode `number`, which stand at `offset` on the volume.
    pub fn parse(superblock: &Superblock, number: u32, raw: &[u8], offset: u64) -> Result<Self> {
        check_sum(superblock, number, raw, offset)?;
        let mode = le16(raw, 0);
        let kind = match mode >> 12 {
            0x1 => NodeKind::Fifo,
            0x2 => NodeKind::CharacterDevice,
            0x4 => NodeKind::Directory,
            0x6 => NodeKind::BlockDevice,
            0x8 => NodeKind::File,
            0xA => NodeKind::Symlink,
            0xC => NodeKind::Socket,
            _ => NodeKind::Other,
        };
        let flags = le32(raw, 32);
        let long = kind == NodeKind::File || superblock.incompatible & LARGEDIR != 0;
        let size_high = if long { u64::from(le32(raw, 108)) << 32 } else { 0 };
        let inline = flags & INLINE_DATA != 0;
        Ok(Self {
            number,
            kind,
            mode: mode & 0o7777,
            uid: u32::from(le16(raw, 2)) | u32::from(le16(raw, 120)) << 16,
            gid: u32::from(le16(raw, 24)) | u32::from(le16(raw, 122)) << 16,
            size: u64::from(le32(raw, 4)) | size_high,
            links: le16(raw, 26),
            modified: modified(raw),
            map: bytes(raw, 40),
            inline_rest: inline.then(|| inline_rest(raw)),
            flags,
        })
    }

    /// Whether the block map is a tree of extents.
    pub fn has_extents(&self) -> bool {
        self.flags & EXTENTS != 0
    }

    /// Whether names in this directory are looked up in any case.
    pub fn folds_case(&self) -> bool {
        self.flags & CASEFOLD != 0
    }

    /// The target of a link that is short enough to stand in the inode.
    pub fn short_link(&self) -> Option<&[u8]> {
        let size = usize::try_from(self.size).ok().filter(|&size| size < BLOCK_MAP)?;
        let fits = self.inline_rest.is_none() && !self.has_extents();
        fits.then(|| &self.map[..size])
    }

    /// Data and names of encrypted files mean nothing without the key.
    pub fn refuse_encrypted(&self) -> Result<()> {
        if self.flags & ENCRYPTED == 0 {
            return Ok(());
        }
        Err(Error::Unsupported(format!("inode {} is encrypted (fscrypt)", self.number)))
    }
}

fn check_sum(superblock: &Superblock, number: u32, raw: &[u8], offset: u64) -> Result<()> {
    let Some(seed) = superblock.checksum_seed else { return Ok(()) };
    let mut blank = raw.to_vec();
    let mut stored = u32::from(le16(raw, 124));
    let has_high = extra_size(raw) >= 4;
    blank[124..126].fill(0);
    if has_high {
        stored |= u32::from(le16(raw, 130)) << 16;
        blank[130..132].fill(0);
    }
    let seed = crc32c_raw(seed, &number.to_le_bytes());
    let seed = crc32c_raw(seed, &raw[100..104]);
    let sum = crc32c_raw(seed, &blank);
    let sum = if has_high { sum } else { sum & 0xFFFF };
    // An inode that was never written is all zero, without a checksum.
    if sum == stored || raw.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(Error::corrupt(
        format!("checksum of inode {number}"),
        offset,
        format_args!("{sum:#010x}"),
        format_args!("{stored:#010x}"),
    ))
}

/// Bytes behind the first 128 that are fields.
fn extra_size(raw: &[u8]) -> usize {
    let size = usize::from(le16(raw, SHORT_INODE));
    if size.is_multiple_of(4) && SHORT_INODE + size <= raw.len() { size } else { 0 }
}

fn modified(raw: &[u8]) -> i64 {
    let seconds = i64::from(le32(raw, 16).cast_signed());
    let epoch = if extra_size(raw) >= 12 { i64::from(le32(raw, 136) & 3) } else { 0 };
    seconds + (epoch << 32)
}

/// The value of the attribute `system.data`, empty where it is missing or damaged.
fn inline_rest(raw: &[u8]) -> Vec<u8> {
    let extra = extra_size(raw);
    let area = raw.get(SHORT_INODE + extra..).unwrap_or_default();
    if extra == 0 || le32(area, 0) != ATTRIBUTES_MAGIC {
        return Vec::new();
    }
    let entries = &area[4..];
    let mut at = 0;
    while let Some(entry) = entries.get(at..).filter(|entry| entry.len() >= 16) {
        if le32(entry, 0) == 0 {
            break;
        }
        let length = usize::from(entry[0]);
        if entry[1] == SYSTEM_PREFIX && entry.get(16..16 + length) == Some(b"data") {
            let start = usize::from(le16(entry, 2));
            let size = usize::try_from(le32(entry, 8)).unwrap_or(usize::MAX);
            let value = entries.get(start..).unwrap_or_default();
            return value[..size.min(value.len())].to_vec();
        }
        at += (16 + length).next_multiple_of(4);
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_before_1970_and_after_2038_are_told_apart_by_the_extra_bits() {
        let mut raw = vec![0; 256];
        raw[16..20].copy_from_slice(&(-5i32).to_le_bytes());
        assert_eq!(modified(&raw), -5);
        raw[128] = 32;
        raw[136] = 1;
        assert_eq!(modified(&raw), (1 << 32) - 5);
    }

    #[test]
    fn inline_data_that_points_outside_is_cut() {
        let mut raw = vec![0; 256];
        raw[128] = 32;
        raw[160..164].copy_from_slice(&ATTRIBUTES_MAGIC.to_le_bytes());
        raw[164..168].copy_from_slice(&[4, SYSTEM_PREFIX, 80, 0]);
        raw[172..176].copy_from_slice(&u32::MAX.to_le_bytes());
        raw[180..184].copy_from_slice(b"data");
        assert_eq!(inline_rest(&raw).len(), 256 - 164 - 80);
        raw[166..168].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(inline_rest(&raw).is_empty());
    }
}
