//! btrfs on one device, read-only. Subvolumes are directories where they hang.

mod chunks;
mod compression;
mod file;
mod lzo;
mod subvolumes;
mod superblock;
mod tree;

pub use superblock::detect;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::le16;
use crate::fs::names::NameCache;
use crate::fs::{Entry, FileSystem, MAX_ENTRIES, NodeKind, Stat, Volume, uuid_text};
use file::EMPTY_DIRECTORY;
use subvolumes::{Subvolume, Subvolumes, TOP_LEVEL, hangs_here};
use tree::{Forest, Key};

const INODE_ITEM: u8 = 1;
const DIR_INDEX: u8 = 96;
const ROOT_ITEM: u8 = 132;
const LONGEST_NAME: usize = 255;
/// Linux has no longer links.
const LONGEST_LINK: u64 = 4096;

struct Btrfs {
    forest: Forest,
    subvolumes: Subvolumes,
    root: u64,
    top_level: u64,
    notes: Vec<String>,
    names: NameCache,
}

/// Opens the btrfs of a volume at its default subvolume.
pub fn open(volume: &Disk) -> Result<Box<dyn FileSystem>> {
    let forest = Forest::open(volume)?;
    let subvolumes = Subvolumes::default();
    let default = subvolumes::default(&forest)?;
    let root = subvolumes.root_node(&forest, default)?;
    let top_level = subvolumes.root_node(&forest, TOP_LEVEL)?;
    let (Some(root), Some(top_level)) = (root, top_level) else {
        return Err(Error::Invalid(format!("btrfs: no subvolume {default}")));
    };
    let notes = notes(&forest, volume.size());
    Ok(Box::new(Btrfs { forest, subvolumes, root, top_level, notes, names: NameCache::default() }))
}

fn notes(forest: &Forest, size: u64) -> Vec<String> {
    let superblock = &forest.superblock;
    let mut notes = Vec::new();
    if superblock.log_root != 0 {
        notes.push(
            "the tree log needs to be replayed and was not: files that were flushed just before \
             the end are seen as they were before"
                .to_owned(),
        );
    }
    if superblock.devices > 1 {
        notes.push(format!(
            "the file system is on {} devices, of which one was read",
            superblock.devices
        ));
    }
    if superblock.devices == 1 && superblock.total_bytes > size {
        notes.push(format!(
            "the file system has {} bytes and its volume {size}: Linux refuses to mount it",
            superblock.total_bytes
        ));
    }
    if let Some(name) = forest.unchecked() {
        notes.push(format!("checksums are {name}, which is not checked"));
    }
    notes
}

impl Btrfs {
    fn directory(&self, node: u64) -> Result<(usize, Subvolume, u64)> {
        let (place, subvolume, inode) = self.subvolumes.split(node)?;
        if file::stat(&self.forest, subvolume.root, inode)?.kind == NodeKind::Directory {
            return Ok((place, subvolume, inode));
        }
        Err(Error::Invalid(format!("btrfs inode {inode} is not a directory")))
    }

    /// The node that the location in a directory entry leads to.
    fn target(
        &self,
        place: usize,
        subvolume: Subvolume,
        directory: u64,
        name: &[u8],
        location: Key,
    ) -> Result<u64> {
        match location.kind {
            INODE_ITEM => Subvolumes::node(place, location.object),
            ROOT_ITEM => {
                let id = location.object;
                let here = hangs_here(&self.forest, subvolume.id, directory, name, id)?;
                let root = if here { self.subvolumes.root_node(&self.forest, id)? } else { None };
                root.map_or_else(|| Subvolumes::node(place, EMPTY_DIRECTORY), Ok)
            }
            other => Err(Error::Invalid(format!(
                "btrfs directory {directory}: an entry leads to an item of kind {other}"
            ))),
        }
    }
}

impl FileSystem for Btrfs {
    fn volume(&self) -> Volume {
        let superblock = &self.forest.superblock;
        Volume {
            kind: "btrfs".to_owned(),
            label: superblock.label.clone(),
            uuid: uuid_text(superblock.uuid),
            size: superblock.total_bytes,
            free: self.forest.free(),
            ignores_case: false,
            clean: (superblock.log_root != 0).then_some(false),
            errors: superblock.errors,
            notes: self.notes.clone(),
            ..Volume::default()
        }
    }

    fn root(&self) -> u64 {
        self.root
    }

    fn top_level(&self) -> u64 {
        self.top_level
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        let names = self.names.names(directory, || self.entries(directory))?;
        Ok(names.get(name).copied())
    }

    fn entries(&self, directory: u64) -> Result<Vec<Entry>> {
        let (place, subvolume, inode) = self.directory(directory)?;
        let mut found = Vec::new();
        let first = Key { object: inode, kind: DIR_INDEX, offset: 0 };
        self.forest.scan(subvolume.root, first, &mut |key, item| {
            if (key.object, key.kind) < (inode, DIR_INDEX) {
                return Ok(true);
            }
            if (key.object, key.kind) != (inode, DIR_INDEX) {
                return Ok(false);
            }
            let length = usize::from(le16(item, 27));
            let data = usize::from(le16(item, 25));
            let name = item.get(30..30 + length).filter(|name| {
                !name.is_empty()
                    && data == 0
                    && name.len() <= LONGEST_NAME
                    && name.iter().all(|&byte| byte != 0 && byte != b'/')
                    && *name != b"."
                    && *name != b".."
            });
            let Some(name) = name else {
                return Err(Error::Invalid(format!(
                    "btrfs directory {inode}: entry {} has no sound name",
                    key.offset
                )));
            };
            if found.len() == MAX_ENTRIES {
                return Err(Error::Unsupported(format!(
                    "btrfs directory {inode}: more than {MAX_ENTRIES} names"
                )));
            }
            let node = self.target(place, subvolume, inode, name, Key::parse(item, 0))?;
            found.push(Entry { name: name.to_vec(), node });
            Ok(true)
        })?;
        Ok(found)
    }

    fn stat(&self, node: u64) -> Result<Stat> {
        let (_, subvolume, inode) = self.subvolumes.split(node)?;
        file::stat(&self.forest, subvolume.root, inode)
    }

    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let (_, subvolume, inode) = self.subvolumes.split(node)?;
        let stat = file::stat(&self.forest, subvolume.root, inode)?;
        if stat.kind != NodeKind::File {
            return Err(Error::Invalid(format!("btrfs inode {inode} is not a regular file")));
        }
        let left = usize::try_from(stat.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if length > 0 {
            file::fill(&self.forest, subvolume.root, inode, offset, &mut buffer[..length])?;
        }
        Ok(length)
    }

    fn read_link(&self, node: u64) -> Result<Vec<u8>> {
        let (_, subvolume, inode) = self.subvolumes.split(node)?;
        let stat = file::stat(&self.forest, subvolume.root, inode)?;
        if stat.kind != NodeKind::Symlink || stat.size > LONGEST_LINK {
            return Err(Error::Invalid(format!(
                "btrfs inode {inode} is not a symbolic link of at most {LONGEST_LINK} bytes"
            )));
        }
        let mut target = vec![0; usize::try_from(stat.size).unwrap_or(0)];
        file::fill(&self.forest, subvolume.root, inode, 0, &mut target)?;
        Ok(target)
    }
}
