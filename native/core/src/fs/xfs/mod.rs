//! XFS, versions 4 and 5 (Linux, `fs/xfs/libxfs`), read-only.

mod directory;
mod extents;
mod inode;
mod log;
mod logged_inode;
mod patch;
mod replay;
mod store;
mod superblock;
mod transactions;

pub use superblock::detect;

use self::inode::{Format, Inode};
use self::log::Log;
use self::patch::Patches;
use self::store::{LINK, Store};
use self::superblock::Superblock;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::be32;
use crate::fs::names::NameCache;
use crate::fs::{Entry, FileSystem, NodeKind, Stat, Volume, uuid_text};

/// `XSLM`, the start of a symbolic link's block.
const LINK_MAGIC: u32 = 0x5853_4C4D;
/// Linux has no longer links.
const LONGEST_LINK: u64 = 1024;

/// An XFS that was opened.
struct Xfs {
    store: Store,
    clean: Option<bool>,
    free: Option<u64>,
    notes: Vec<String>,
    names: NameCache,
}

/// Opens the XFS of a volume; what its log adds is seen as if it were on the volume.
pub fn open(volume: &Disk) -> Result<Box<dyn FileSystem>> {
    let superblock = Superblock::read(volume, true)?;
    let mut notes = Vec::new();
    if superblock.needs_repair {
        notes.push("it is marked as needing xfs_repair: Linux refuses to mount it".to_owned());
    }
    let claimed = superblock.blocks.saturating_mul(superblock.block_size);
    if claimed > volume.size() {
        notes.push(format!(
            "the file system has {claimed} bytes and its volume {}: Linux refuses to mount it",
            volume.size()
        ));
    }
    let (patches, clean) = match recover(volume, &superblock, &mut notes) {
        Ok(Recovered::Nothing { clean }) => (Patches::default(), clean),
        Ok(Recovered::Changes(patches)) => (patches, Some(false)),
        Err(error) => {
            notes.push(format!(
                "the log needs to be replayed and was not ({error}): files are seen as they were \
                 before the last changes"
            ));
            (Patches::default(), Some(false))
        }
    };
    let mut store = Store::new(volume, superblock, patches);
    if store.is_patched(0, 512) {
        store.superblock = Superblock::read(&store.disk, false)?;
    }
    let free = if clean == Some(false) {
        // Counters of the superblock are written at the end.
        store.free_blocks().ok().flatten()
    } else {
        Some(store.superblock.free_blocks)
    };
    Ok(Box::new(Xfs { store, clean, free, notes, names: NameCache::default() }))
}

enum Recovered {
    /// The log holds nothing, or cannot be looked at.
    Nothing { clean: Option<bool> },
    /// What it changes.
    Changes(Patches),
}

fn recover(volume: &Disk, superblock: &Superblock, notes: &mut Vec<String>) -> Result<Recovered> {
    if superblock.log_start == 0 {
        notes.push("the log is on another device and was not looked at".to_owned());
        return Ok(Recovered::Nothing { clean: None });
    }
    let log = Log::new(volume, superblock)?;
    let Some(span) = log.dirty()? else { return Ok(Recovered::Nothing { clean: Some(true) }) };
    let done = replay::replay(volume, superblock, &log, span)?;
    if !done.unfinished.is_empty() {
        notes.push(format!(
            "{} changes of extents that the log begins and does not end were not carried on: \
             the files may be seen with old data",
            done.unfinished.len()
        ));
    }
    Ok(Recovered::Changes(done.patches))
}

impl Xfs {
    fn directory(&self, node: u64) -> Result<Inode> {
        let inode = Inode::read(&self.store, node)?;
        if inode.stat.kind == NodeKind::Directory {
            return Ok(inode);
        }
        Err(Error::Invalid(format!("XFS inode {node} is not a directory")))
    }

    /// Fills a buffer that lies inside a file.
    fn fill(&self, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let size = self.store.superblock.block_size;
        let end = offset + buffer.len() as u64;
        buffer.fill(0);
        for extent in extents::extents(&self.store, inode, offset / size, end.div_ceil(size))? {
            let from = offset.max(extent.file_block * size);
            let to = end.min(extent.end() * size);
            if extent.unwritten || from >= to {
                continue;
            }
            let skip = from - extent.file_block * size;
            let start = self.store.superblock.offset_of(extent.block, extent.count)? + skip;
            let place = usize::try_from(from - offset).unwrap_or(usize::MAX);
            let length = usize::try_from(to - from).unwrap_or(usize::MAX);
            self.store.disk.read_at(start, &mut buffer[place..place + length])?;
        }
        Ok(())
    }
}

impl FileSystem for Xfs {
    fn volume(&self) -> Volume {
        let superblock = &self.store.superblock;
        let free = self.free.map(|free| free.min(superblock.blocks) * superblock.block_size);
        Volume {
            kind: "XFS".to_owned(),
            label: superblock.label.clone(),
            uuid: uuid_text(superblock.uuid),
            size: superblock.blocks * superblock.block_size,
            free,
            ignores_case: superblock.ascii_ci,
            clean: self.clean,
            errors: superblock.needs_repair,
            notes: self.notes.clone(),
            ..Volume::default()
        }
    }

    fn root(&self) -> u64 {
        self.store.superblock.root
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        let names = self.names.names(directory, || self.entries(directory))?;
        if !self.store.superblock.ascii_ci {
            return Ok(names.get(name).copied());
        }
        let found = names.get(name).or_else(|| {
            names.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, node)| node)
        });
        Ok(found.copied())
    }

    fn entries(&self, directory: u64) -> Result<Vec<Entry>> {
        directory::entries(&self.store, &self.directory(directory)?)
    }

    fn stat(&self, node: u64) -> Result<Stat> {
        Ok(Inode::read(&self.store, node)?.stat)
    }

    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let inode = Inode::read(&self.store, node)?;
        if inode.stat.kind != NodeKind::File {
            return Err(Error::Invalid(format!("XFS inode {node} is not a regular file")));
        }
        if inode.realtime {
            return Err(Error::Unsupported(format!(
                "XFS inode {node} has its data on the realtime device"
            )));
        }
        let left = inode.stat.size.saturating_sub(offset);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if length > 0 {
            self.fill(&inode, offset, &mut buffer[..length])?;
        }
        Ok(length)
    }

    fn read_link(&self, node: u64) -> Result<Vec<u8>> {
        let inode = Inode::read(&self.store, node)?;
        let wrong = |what: &str| Err(Error::Invalid(format!("XFS inode {node} {what}")));
        if inode.stat.kind != NodeKind::Symlink {
            return wrong("is not a symbolic link");
        }
        if inode.stat.size > LONGEST_LINK {
            return wrong("is a symbolic link of more than 1024 bytes");
        }
        let size = usize::try_from(inode.stat.size).unwrap_or(0);
        if inode.format == Format::Local {
            return match inode.fork.get(..size) {
                Some(target) => Ok(target.to_vec()),
                None => wrong("is a symbolic link longer than its inode"),
            };
        }
        let superblock = &self.store.superblock;
        let mut target = Vec::with_capacity(size);
        let blocks = (size as u64 * 2 + 1024).div_ceil(superblock.block_size);
        for extent in extents::extents(&self.store, &inode, 0, blocks)? {
            // Each extent of a link is one buffer of the kernel, with one header.
            let bytes = self.store.blocks(extent.block, extent.count.min(blocks))?;
            if superblock.v5 {
                if be32(&bytes, 0) != LINK_MAGIC {
                    return wrong("is a symbolic link without its header");
                }
                let part = usize::try_from(be32(&bytes, 8)).unwrap_or(usize::MAX);
                let place = usize::try_from(be32(&bytes, 4)).unwrap_or(usize::MAX);
                self.store.check(&bytes, LINK, extent.block, node)?;
                let Some(part) = bytes[56..].get(..part).filter(|_| place == target.len()) else {
                    return wrong("is a symbolic link whose parts do not fit");
                };
                target.extend_from_slice(part);
            } else {
                target.extend_from_slice(&bytes);
            }
        }
        if target.len() < size {
            return wrong("is a symbolic link with missing parts");
        }
        target.truncate(size);
        Ok(target)
    }
}
