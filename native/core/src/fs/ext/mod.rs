//! ext2, ext3 and ext4. A journal that needs recovery is replayed in memory when one is opened.

mod directory;
mod image;
mod inode;
mod journal;
mod map;
mod superblock;
#[cfg(test)]
mod tests;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fs::names::NameCache;
use crate::fs::overlay::Overlay;
use crate::fs::{Entry, FileSystem, NodeKind, Stat, Volume, uuid_text};
use image::Image;
use std::sync::Arc;
use superblock::{CASEFOLD, HAS_JOURNAL, RECOVER, Superblock};

const ROOT: u64 = 2;
/// Longer targets are in no file system that Linux wrote.
const LONGEST_LINK: u64 = 64 << 10;

/// Whether a volume has the superblock of an ext file system.
pub fn detect(volume: &Disk) -> bool {
    read_superblock(volume).is_ok_and(|raw| superblock::is_superblock(&raw))
}

/// Opens the ext file system of a volume.
pub fn open(volume: &Disk) -> Result<Box<dyn FileSystem>> {
    let superblock = Superblock::parse(&read_superblock(volume)?)?;
    let clean = superblock.is_clean();
    let mut notes = Vec::new();
    if !superblock.checksum_right {
        notes.push("the superblock's checksum is wrong: Linux refuses to mount it".to_owned());
    }
    let claimed = superblock.blocks * superblock.block_size;
    if claimed > volume.size() {
        notes.push(format!(
            "the file system has {claimed} bytes and its volume {}: Linux refuses to mount it",
            volume.size()
        ));
    }
    let must_recover = superblock.incompatible & RECOVER != 0;
    let mut image = Image { disk: volume.clone(), superblock };
    if must_recover {
        match recover(&image) {
            Ok((recovered, found)) => {
                image = recovered;
                notes.extend(found);
            }
            Err(error) => notes.push(format!(
                "the journal needs to be replayed and was not ({error}): files are seen as they \
                 were before the last changes"
            )),
        }
    }
    if image.superblock.incompatible & CASEFOLD != 0 {
        notes.push("names that ignore case are compared without Unicode normalisation".to_owned());
    }
    Ok(Box::new(Ext { image, clean, notes, names: NameCache::default() }))
}

fn read_superblock(volume: &Disk) -> Result<Vec<u8>> {
    let mut raw = vec![0; superblock::LENGTH];
    if volume.size() < superblock::OFFSET + superblock::LENGTH as u64 {
        return Err(Error::corrupt("volume", 0, "2048 bytes", volume.size()));
    }
    volume.read_at(superblock::OFFSET, &mut raw)?;
    Ok(raw)
}

/// The volume as it is after its journal was replayed, and what was not.
fn recover(image: &Image) -> Result<(Image, Vec<String>)> {
    let superblock = &image.superblock;
    if superblock.compatible & HAS_JOURNAL == 0 || superblock.journal_inode == 0 {
        return Err(Error::Unsupported("the journal is on another device".to_owned()));
    }
    let inode = image.inode(superblock.journal_inode.into())?;
    let replay = journal::replay(image, &inode)?;
    let overlay = Overlay::new(image.disk.clone(), superblock.block_size, replay.blocks);
    let disk = Disk::new(Arc::new(overlay), None);
    let superblock = Superblock::parse(&read_superblock(&disk)?)?;
    Ok((Image { disk, superblock }, replay.notes))
}

struct Ext {
    image: Image,
    clean: bool,
    notes: Vec<String>,
    names: NameCache,
}

impl FileSystem for Ext {
    fn volume(&self) -> Volume {
        let superblock = &self.image.superblock;
        let free = self.image.free_blocks();
        Volume {
            kind: superblock.kind().to_owned(),
            label: superblock.label.clone(),
            uuid: uuid_text(superblock.uuid),
            size: superblock.blocks * superblock.block_size,
            free: free.and_then(|blocks| blocks.checked_mul(superblock.block_size)),
            ignores_case: false,
            clean: Some(self.clean),
            errors: superblock.has_errors(),
            notes: self.notes.clone(),
            ..Volume::default()
        }
    }

    fn root(&self) -> u64 {
        ROOT
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        let names = self.names.names(directory, || self.entries(directory))?;
        let found = names.get(name).copied();
        if found.is_none() && self.image.superblock.incompatible & CASEFOLD != 0 {
            return self.lookup_folded(directory, name);
        }
        Ok(found)
    }

    fn entries(&self, directory: u64) -> Result<Vec<Entry>> {
        directory::entries(&self.image, &self.image.inode(directory)?)
    }

    fn stat(&self, node: u64) -> Result<Stat> {
        let inode = self.image.inode(node)?;
        Ok(Stat {
            kind: inode.kind,
            size: inode.size,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            links: inode.links.into(),
            modified: inode.modified,
            inode: node,
        })
    }

    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let inode = self.image.inode(node)?;
        if inode.kind != NodeKind::File {
            return Err(Error::Invalid(format!("inode {node} is not a regular file")));
        }
        inode.refuse_encrypted()?;
        map::read(&self.image, &inode, offset, buffer)
    }

    fn read_link(&self, node: u64) -> Result<Vec<u8>> {
        let inode = self.image.inode(node)?;
        if inode.kind != NodeKind::Symlink {
            return Err(Error::Invalid(format!("inode {node} is not a symbolic link")));
        }
        inode.refuse_encrypted()?;
        if let Some(target) = inode.short_link() {
            return Ok(target.to_vec());
        }
        let mut target = vec![0; usize::try_from(inode.size.min(LONGEST_LINK)).unwrap_or(0)];
        map::read(&self.image, &inode, 0, &mut target)?;
        Ok(target)
    }
}

impl Ext {
    /// Looks a name up in a directory that ignores case, by simple lower case.
    fn lookup_folded(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        if !self.image.inode(directory)?.folds_case() {
            return Ok(None);
        }
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let wanted = name.to_lowercase();
        let names = self.names.names(directory, || self.entries(directory))?;
        let found = names.iter().find(|(name, _)| {
            std::str::from_utf8(name).is_ok_and(|name| name.to_lowercase() == wanted)
        });
        Ok(found.map(|(_, &node)| node))
    }
}
