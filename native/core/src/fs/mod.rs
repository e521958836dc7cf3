//! File systems of guests, read in place. Paths, links and mounts are resolved above, in Python.
//!
//! A volume is a [`Disk`]: a partition is a slice of one, a logical volume a map over some. What
//! the structures say is a lie until it was checked; sizes are not believed, loops end, and what is
//! not read is [`Error::Unsupported`] with the name of the feature.

pub mod btrfs;
pub mod ext;
pub mod fat;
pub mod names;
pub mod ntfs;
pub mod overlay;
pub mod xfs;

use crate::disk::Disk;
use crate::error::{Error, Result};
use std::fmt::Write;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, or a Windows reparse point that acts as one.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Anything else, such as a reparse point that is no link.
    Other,
}

/// What a file system says of a node; what it does not have is 0 (`links`: 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: NodeKind,
    /// Bytes; of a symbolic link the length of its target.
    pub size: u64,
    /// The 12 permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that the node has.
    pub links: u32,
    /// Seconds since 1970-01-01 UTC, rounded down.
    pub modified: i64,
    /// The file system's own number of the node.
    pub inode: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As stored; NTFS and FAT names as UTF-8, lone surrogates as WTF-8.
    pub name: Vec<u8>,
    /// The node that it stands for, as the other calls take it.
    pub node: u64,
}

/// What a file system says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// `ext4`, `XFS`, `btrfs`, `NTFS`, `FAT32`, ...
    pub kind: String,
    /// As stored.
    pub label: Vec<u8>,
    /// As the system's tools print it.
    pub uuid: String,
    /// Bytes that it manages.
    pub size: u64,
    /// Bytes free, where that is stored.
    pub free: Option<u64>,
    /// Names are looked up in any case of letters.
    pub ignores_case: bool,
    /// Whether it was unmounted, where that is stored.
    pub clean: Option<bool>,
    /// Whether the system has noted errors in it.
    pub errors: bool,
    /// Whether NTFS is marked to be checked at the next start, where that is stored.
    pub dirty: Option<bool>,
    /// Whether the log of NTFS says that it was dismounted in order, where that is stored.
    pub log_clean: Option<bool>,
    /// What a reader must know, one sentence each: a journal that was not replayed, and so on.
    pub notes: Vec<String>,
}

/// The most names of one directory that are listed.
pub const MAX_ENTRIES: usize = 1 << 20;

/// A file system that was opened. No position, no writing; shared between threads.
pub trait FileSystem: Send + Sync {
    /// What it says of itself.
    fn volume(&self) -> Volume;

    /// The node of its root directory.
    fn root(&self) -> u64;

    /// The node from which `subvol=` of a mount is looked up: of btrfs the top level, else the root.
    fn top_level(&self) -> u64 {
        self.root()
    }

    /// The node of a name in a directory, without the cost of listing it where that can be had.
    fn lookup(&self, directory: u64, name: &[u8]) -> Result<Option<u64>>;

    /// The names in a directory without `.` and `..`; more than [`MAX_ENTRIES`] are an error.
    fn entries(&self, directory: u64) -> Result<Vec<Entry>>;

    /// What is known of a node.
    fn stat(&self, node: u64) -> Result<Stat>;

    /// Reads from a regular file until `buffer` is full or the file ends; returns how many bytes.
    fn read_at(&self, node: u64, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// The target of a symbolic link, at most 64 KiB.
    fn read_link(&self, node: u64) -> Result<Vec<u8>>;
}

/// Opens the file system on a volume, by its superblock or boot sector.
pub fn open(volume: &Disk) -> Result<Box<dyn FileSystem>> {
    if ext::detect(volume) {
        return ext::open(volume);
    }
    if ntfs::is_ntfs(volume)? {
        return Ok(Box::new(ntfs::Ntfs::open(volume)?));
    }
    if fat::detect(volume) {
        return fat::open(volume);
    }
    if btrfs::detect(volume) {
        return btrfs::open(volume);
    }
    if xfs::detect(volume) {
        return xfs::open(volume);
    }
    Err(Error::Unsupported("no file system that is known".to_owned()))
}

/// A UUID in the groups that the system's tools print.
pub(crate) fn uuid_text(uuid: [u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
