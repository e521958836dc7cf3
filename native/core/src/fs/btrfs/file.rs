//! Inodes of btrfs and the bytes of files.

use super::compression::{LARGEST, decompress};
use super::superblock::Link;
use super::tree::{Forest, Key};
use crate::error::{Error, Result};
use crate::fields::{le32, le64};
use crate::fs::{NodeKind, Stat};

const INODE_ITEM: u8 = 1;
const EXTENT_DATA: u8 = 108;
const INODE_LENGTH: usize = 160;
/// Bytes in front of inline data.
const HEAD: usize = 21;
const EXTENT: usize = 53;
/// A name of a subvolume that does not hang there leads to this: an empty directory.
pub const EMPTY_DIRECTORY: u64 = 2;

/// What `stat` says of an inode.
pub fn stat(forest: &Forest, root: Link, inode: u64) -> Result<Stat> {
    if inode == EMPTY_DIRECTORY {
        return Ok(Stat {
            kind: NodeKind::Directory,
            size: 0,
            mode: 0o755,
            uid: 0,
            gid: 0,
            links: 1,
            modified: 0,
            inode,
        });
    }
    let key = Key { object: inode, kind: INODE_ITEM, offset: 0 };
    let item = forest.item(root, key)?.filter(|item| item.len() >= INODE_LENGTH);
    let Some(item) = item else {
        return Err(Error::Invalid(format!("btrfs: no inode {inode}")));
    };
    let mode = le32(&item, 52);
    let Some(kind) = kind_of(mode) else {
        return Err(Error::Invalid(format!("btrfs inode {inode}: mode is {mode:#o}")));
    };
    let size = le64(&item, 16);
    if i64::try_from(size).is_err() {
        return Err(Error::Invalid(format!("btrfs inode {inode}: size is {size}")));
    }
    Ok(Stat {
        kind,
        size,
        mode: u16::try_from(mode & 0o7777).unwrap_or(0),
        uid: le32(&item, 44),
        gid: le32(&item, 48),
        links: le32(&item, 40),
        modified: le64(&item, 136).cast_signed(),
        inode,
    })
}

/// Fills a buffer that lies inside a file.
pub fn fill(forest: &Forest, root: Link, inode: u64, offset: u64, buffer: &mut [u8]) -> Result<()> {
    buffer.fill(0);
    let end = offset + buffer.len() as u64;
    let first = Key { object: inode, kind: EXTENT_DATA, offset };
    forest.scan(root, first, &mut |key, item| {
        if (key.object, key.kind) < (inode, EXTENT_DATA) {
            return Ok(true);
        }
        if (key.object, key.kind) != (inode, EXTENT_DATA) || key.offset >= end {
            return Ok(false);
        }
        let extent = Extent::parse(item, inode)?;
        let from = offset.max(key.offset);
        let to = end.min(key.offset.saturating_add(extent.length));
        if from < to {
            let place = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
            extent.read(forest, from - key.offset, &mut buffer[place(from)..place(to)])?;
        }
        Ok(true)
    })
}

enum Source<'a> {
    /// In the tree.
    Inline(&'a [u8]),
    /// At a logical address: how many bytes are stored, and how many to skip of them.
    Stored { address: u64, stored: u64, skip: u64 },
    /// A hole, or room that was never written.
    Zero,
}

struct Extent<'a> {
    /// Bytes of the file.
    length: u64,
    /// Bytes before compression.
    whole: u64,
    compression: u8,
    source: Source<'a>,
}

impl<'a> Extent<'a> {
    fn parse(item: &'a [u8], inode: u64) -> Result<Self> {
        let wrong =
            |what: &str| Err(Error::Invalid(format!("btrfs inode {inode}: an extent {what}")));
        if item.len() < HEAD {
            return wrong("without its head");
        }
        let (whole, compression) = (le64(item, 8), item[16]);
        if item[17] != 0 || item[18] != 0 || item[19] != 0 {
            return Err(Error::Unsupported(format!("btrfs inode {inode}: an encrypted extent")));
        }
        if item[20] == 0 {
            let data = &item[HEAD..];
            if whole > LARGEST || (compression == 0 && whole > data.len() as u64) {
                return wrong("in the tree that is too short");
            }
            return Ok(Self { length: whole, whole, compression, source: Source::Inline(data) });
        }
        if item.len() < EXTENT || item[20] > 2 {
            return wrong("of an unknown kind");
        }
        let (address, stored) = (le64(item, 21), le64(item, 29));
        let (skip, length) = (le64(item, 37), le64(item, 45));
        if address == 0 || item[20] == 2 {
            return Ok(Self { length, whole, compression, source: Source::Zero });
        }
        if skip.checked_add(length).is_none_or(|end| end > whole)
            || (compression == 0 && whole > stored)
            || (compression != 0 && whole.max(stored) > LARGEST)
        {
            return wrong("that is longer than its data");
        }
        let source = Source::Stored { address, stored, skip };
        Ok(Self { length, whole, compression, source })
    }

    /// Reads from `start` bytes after the extent's own start; the range lies inside it.
    fn read(&self, forest: &Forest, start: u64, buffer: &mut [u8]) -> Result<()> {
        let mut kept = Vec::new();
        let (data, skip) = match self.source {
            Source::Zero => return Ok(()),
            Source::Inline(data) => (data, start),
            Source::Stored { address, skip, .. } if self.compression == 0 => {
                let address = address.saturating_add(skip).saturating_add(start);
                return forest.data(address, buffer);
            }
            Source::Stored { address, stored, skip } => {
                kept.resize(usize::try_from(stored).unwrap_or(0), 0);
                forest.data(address, &mut kept)?;
                (&kept[..], skip.saturating_add(start))
            }
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let whole;
        let plain = if self.compression == 0 {
            data
        } else {
            let mut output = vec![0; usize::try_from(self.whole).unwrap_or(0)];
            let sector_size = forest.superblock.sector_size;
            decompress(self.compression, data, &mut output, sector_size)?;
            whole = output;
            &whole
        };
        let found = plain.get(skip..).and_then(|plain| plain.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or_else(|| {
            Error::Invalid("btrfs: an extent is longer than its data".to_owned())
        })?);
        Ok(())
    }
}

fn kind_of(mode: u32) -> Option<NodeKind> {
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
