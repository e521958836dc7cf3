//! Inodes of XFS, versions 1 to 3.

use super::store::Store;
use super::superblock::checksum;
use crate::error::{Error, Result};
use crate::fields::{self, be16, be32, be64, le32};
use crate::fs::{NodeKind, Stat};

const MAGIC: u16 = 0x494E;
const CRC: usize = 100;
const CORE_V2: usize = 100;
const CORE_V3: usize = 176;
/// `di_flags`: the data lies on the realtime device.
const REALTIME: u16 = 1;
/// `di_flags2`: times count nanoseconds from 1901; extent counts have 64 bits.
const BIGTIME: u64 = 8;
const NREXT64: u64 = 16;
/// Seconds from the first bigtime to 1970.
const BIGTIME_EPOCH: i64 = 1 << 31;

/// Where the data of an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// In the inode: short directories and links.
    Local,
    /// In extents that the inode lists.
    Extents,
    /// In extents of a tree whose root is in the inode.
    Tree,
    /// Nowhere: a device, a pipe, a socket.
    Device,
}

/// An inode, checked.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Its number.
    pub number: u64,
    /// What `stat` says.
    pub stat: Stat,
    /// Where its data is.
    pub format: Format,
    /// Extents, as counted.
    pub extents: u64,
    /// Its data lies on the realtime device.
    pub realtime: bool,
    /// The data fork.
    pub fork: Vec<u8>,
}

impl Inode {
    /// Reads an inode.
    pub fn read(store: &Store, number: u64) -> Result<Self> {
        let superblock = &store.superblock;
        let offset = superblock.inode_offset(number)?;
        let mut bytes = vec![0; superblock.inode_size];
        store.disk.read_at(offset, &mut bytes)?;
        let corrupt = |expected: &str, actual: String| {
            Err(Error::corrupt(format!("XFS inode {number}"), offset, expected, actual))
        };
        let version = bytes[4];
        if be16(&bytes, 0) != MAGIC {
            return corrupt("the magic IN", format!("{:#06x}", be16(&bytes, 0)));
        }
        if !(1..=3).contains(&version) || (version == 3) != superblock.v5 {
            return corrupt("the version of the file system", format!("version {version}"));
        }
        if version == 3 {
            let sum = checksum(&bytes, CRC);
            if sum != le32(&bytes, CRC) && !store.is_patched(offset, bytes.len()) {
                let actual = format!("{:#010x} for {sum:#010x}", le32(&bytes, CRC));
                return corrupt("its checksum", actual);
            }
            let uuid: [u8; 16] = fields::bytes(&bytes, 160);
            if be64(&bytes, 152) != number || uuid != superblock.meta_uuid {
                return corrupt("its own number and UUID", format!("inode {}", be64(&bytes, 152)));
            }
        }
        let flags2 = if version == 3 { be64(&bytes, 120) } else { 0 };
        let core = if version == 3 { CORE_V3 } else { CORE_V2 };
        let room = bytes.len() - core;
        let fork = match usize::from(bytes[82]) * 8 {
            0 => room,
            size if size <= room => size,
            size => return corrupt("a data fork inside the inode", format!("{size} bytes")),
        };
        let mode = be16(&bytes, 2);
        let Some(kind) = kind_of(mode) else {
            return corrupt("the mode of a file in use", format!("{mode:#o}"));
        };
        let format = match bytes[5] {
            0 => Format::Device,
            1 => Format::Local,
            2 => Format::Extents,
            3 => Format::Tree,
            other => return corrupt("a format from 0 to 3", other.to_string()),
        };
        let size = be64(&bytes, 56);
        if i64::try_from(size).is_err() {
            return corrupt("a size below 2^63", size.to_string());
        }
        Ok(Self {
            number,
            stat: Stat {
                kind,
                size,
                mode: mode & 0o7777,
                uid: be32(&bytes, 8),
                gid: be32(&bytes, 12),
                links: if version == 1 { u32::from(be16(&bytes, 6)) } else { be32(&bytes, 16) },
                modified: seconds(fields::bytes(&bytes, 40), flags2),
                inode: number,
            },
            format,
            extents: if flags2 & NREXT64 == 0 {
                u64::from(be32(&bytes, 76))
            } else {
                be64(&bytes, 24)
            },
            realtime: be16(&bytes, 90) & REALTIME != 0 && kind == NodeKind::File,
            fork: bytes[core..core + fork].to_vec(),
        })
    }
}

fn seconds(stored: [u8; 8], flags2: u64) -> i64 {
    if flags2 & BIGTIME != 0 {
        let nanoseconds = u64::from_be_bytes(stored);
        return i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0) - BIGTIME_EPOCH;
    }
    i64::from(i32::from_be_bytes(fields::bytes(&stored, 0)))
}

fn kind_of(mode: u16) -> Option<NodeKind> {
    Some(match mode >> 12 {
        0o01 => NodeKind::Fifo,
        0o02 => NodeKind::CharacterDevice,
        0o04 => NodeKind::Directory,
        0o06 => NodeKind::BlockDevice,
        0o10 => NodeKind::File,
        0o12 => NodeKind::Symlink,
        0o14 => NodeKind::Socket,
        _ => return None,
    })
}
