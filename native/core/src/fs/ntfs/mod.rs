//! NTFS: attributes in and out of file records, compressed and sparse files, directories.
//!
//! Not read, and said so: files encrypted by EFS, system-compressed (WOF), deduplicated or kept by
//! a cloud provider. The log is not replayed; whether it is clean is told. Structures by [MS-FSCC]
//! and the documentation of the Linux-NTFS project.

mod boot;
mod index;
mod lznt1;
mod mft;
mod record;
mod reparse;
mod runs;
#[doc(hidden)]
pub mod sample;
mod stream;
#[cfg(test)]
mod tests;
mod upcase;
mod volume;

pub use boot::is_ntfs;

use super::{Entry, FileSystem, NodeKind, Stat, Volume};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::windows::{from_wtf8, u64_at, unix_seconds};
use index::Directory;
use mft::{File, Mft};
use record::kind;
use reparse::Reparse;
use std::sync::OnceLock;
use upcase::Upcase;

const UPCASE: u64 = 10;
const ROOT: u64 = 5;
/// The records before are the file system's own files: there by name, but not listed.
const FIRST_LISTED: u64 = 16;
/// The drive letter that a volume with Windows on it gives itself.
const SYSTEM_DRIVE: u8 = b'C';

/// A volume with NTFS.
pub struct Ntfs {
    mft: Mft,
    upcase: Upcase,
    notes: Vec<String>,
    has_windows: OnceLock<bool>,
}

impl Ntfs {
    /// Opens a volume.
    pub fn open(volume: &Disk) -> Result<Self> {
        let boot = boot::read(volume)?;
        let (mft, note) = Mft::open(volume.clone(), boot)?;
        let mut notes: Vec<String> = note.into_iter().collect();
        if boot.size > volume.size() {
            notes.push(format!(
                "the file system has {} bytes, the volume only {}: what is past its end is not read",
                boot.size,
                volume.size()
            ));
        }
        let upcase = mft
            .file(UPCASE)
            .and_then(|file| file.value(kind::DATA, upcase::BYTES))
            .ok()
            .and_then(|bytes| Upcase::new(&bytes?))
            .unwrap_or_else(|| {
                notes.push("$UpCase is damaged: names are compared by Unicode".to_owned());
                Upcase::unicode()
            });
        Ok(Self { mft, upcase, notes, has_windows: OnceLock::new() })
    }

    fn reparse(&self, file: &File<'_>) -> Result<Option<(Reparse, bool)>> {
        let Some(bytes) = file.value(kind::REPARSE_POINT, reparse::MOST)? else {
            return Ok(None);
        };
        let Some(found) = reparse::parse(&bytes) else {
            let structure = format!("reparse point of NTFS file {}", file.record.number);
            return Err(Error::corrupt(structure, 0, "a sound one", "a damaged one"));
        };
        let found = match found {
            // Which letter a volume has is known to its Windows only.
            Reparse::Drive(SYSTEM_DRIVE, path) if self.has_windows() => Reparse::Link(path),
            Reparse::Drive(..) => Reparse::Kind(NodeKind::Other),
            other => other,
        };
        Ok(Some((found, reparse::keeps_names(&bytes))))
    }

    fn has_windows(&self) -> bool {
        *self.has_windows.get_or_init(|| {
            let windows = self.lookup(ROOT, b"Windows").ok().flatten();
            windows.is_some_and(|node| matches!(self.lookup(node, b"System32"), Ok(Some(_))))
        })
    }

    /// Notes what a part of the volume's own files would have told.
    fn told<T: Default>(found: Result<T>, what: &str, notes: &mut Vec<String>) -> T {
        found.unwrap_or_else(|error| {
            notes.push(format!("{what} cannot be read: {error}"));
            T::default()
        })
    }
}

impl FileSystem for Ntfs {
    fn volume(&self) -> Volume {
        let mut notes = self.notes.clone();
        let (label, dirty) = Self::told(volume::label(&self.mft), "$Volume", &mut notes);
        let log_clean = Self::told(volume::log_clean(&self.mft), "$LogFile", &mut notes);
        let free = Self::told(volume::free(&self.mft), "$Bitmap", &mut notes);
        Volume {
            kind: "NTFS".to_owned(),
            label,
            uuid: format!("{:016X}", self.mft.boot.serial),
            size: self.mft.boot.size,
            free,
            ignores_case: true,
            dirty,
            log_clean,
            notes,
            ..Volume::default()
        }
    }

    fn root(&self) -> u64 {
        ROOT
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>> {
        let Some(name) = from_wtf8(name) else { return Ok(None) };
        let file = self.mft.file(directory)?;
        Directory::open(&self.mft, &file)?.lookup(&name, &self.upcase)
    }

    fn entries(&self, directory: u64) -> Result<Vec<Entry>> {
        let file = self.mft.file(directory)?;
        Directory::open(&self.mft, &file)?.entries(FIRST_LISTED)
    }

    fn stat(&self, node: u64) -> Result<Stat> {
        let file = self.mft.file(node)?;
        let mut size = file.stream(kind::DATA, &[])?.map_or(0, |stream| stream.size);
        let directory = file.record.is_directory();
        let mut kind = if directory { NodeKind::Directory } else { NodeKind::File };
        match self.reparse(&file)? {
            Some((Reparse::Link(target), _)) => {
                (kind, size) = (NodeKind::Symlink, target.len() as u64);
            }
            Some((Reparse::Kind(other), keeps)) if !directory || !keeps => kind = other,
            _ => {}
        }
        let times = file.value(kind::STANDARD_INFORMATION, 1 << 10)?;
        Ok(Stat {
            kind,
            size: if kind == NodeKind::Directory { 0 } else { size },
            mode: 0,
            uid: 0,
            gid: 0,
            links: file.names()?,
            modified: unix_seconds(times.and_then(|bytes| u64_at(&bytes, 8)).unwrap_or(0)),
            inode: file.record.number,
        })
    }

    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let file = self.mft.file(node)?;
        if let Some((Reparse::Elsewhere(reason), _)) = self.reparse(&file)? {
            return Err(Error::Unsupported(reason));
        }
        let Some(stream) = file.stream(kind::DATA, &[])? else { return Ok(0) };
        stream.read_at(&self.mft.volume, offset, buffer)
    }

    fn read_link(&self, node: u64) -> Result<Vec<u8>> {
        let file = self.mft.file(node)?;
        match self.reparse(&file)? {
            Some((Reparse::Link(target), _)) => Ok(target),
            _ => Err(Error::Invalid(format!("NTFS file {} is no link", file.record.number))),
        }
    }
}
