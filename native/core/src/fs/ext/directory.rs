//! Directories: a list of names in blocks, or in the inode itself.
//!
//! The index of large directories (htree) hides in entries that are not used, so that reading the
//! list finds every name. Source: the kernel's documentation, `filesystems/ext4/directory.rst`.

use crate::error::{Error, Result};
use crate::fields::{le16, le32};
use crate::fs::ext::image::Image;
use crate::fs::ext::inode::{BLOCK_MAP, Inode};
use crate::fs::ext::map;
use crate::fs::ext::superblock::FILETYPE;
use crate::fs::{Entry, MAX_ENTRIES, NodeKind};

/// The most bytes of one directory that are read: a million names of 100 bytes.
const MOST_BYTES: u64 = 128 << 20;
const HEADER: usize = 8;
/// An inline directory starts with the inode of its parent.
const INLINE_START: usize = 4;

/// Lists the names of a directory, without `.` and `..`.
pub fn entries(image: &Image, inode: &Inode) -> Result<Vec<Entry>> {
    if inode.kind != NodeKind::Directory {
        return Err(Error::Invalid(format!("inode {} is not a directory", inode.number)));
    }
    inode.refuse_encrypted()?;
    let mut list = List {
        inode,
        entries: Vec::new(),
        has_kinds: image.superblock.incompatible & FILETYPE != 0,
    };
    if let Some(rest) = &inode.inline_rest {
        list.add_block(&inode.map[INLINE_START..BLOCK_MAP])?;
        list.add_block(rest)?;
        return Ok(list.entries);
    }
    let blocks = inode.size.div_ceil(image.superblock.block_size);
    let most = MOST_BYTES / image.superblock.block_size;
    let (mut logical, mut read) = (0, 0);
    while logical < blocks {
        let run = map::run(image, inode, logical)?;
        let length = run.length.min(blocks - logical);
        if let Some(first) = run.physical {
            read += length;
            if read > most {
                return Err(list.too_large());
            }
            for block in first..first.saturating_add(length) {
                list.add_block(&image.block(block, &format!("directory inode {}", inode.number))?)?;
            }
        }
        logical += length;
    }
    Ok(list.entries)
}

struct List<'a> {
    inode: &'a Inode,
    entries: Vec<Entry>,
    has_kinds: bool,
}

impl List<'_> {
    fn add_block(&mut self, block: &[u8]) -> Result<()> {
        let mut at = 0;
        while at + HEADER <= block.len() {
            let entry = &block[at..];
            let length = entry_length(le16(entry, 4), block.len());
            if length < HEADER || !length.is_multiple_of(4) || length > entry.len() {
                return Err(self.damaged(at, format_args!("an entry of {length} bytes")));
            }
            self.add(&entry[..length], at)?;
            at += length;
        }
        Ok(())
    }

    fn add(&mut self, entry: &[u8], at: usize) -> Result<()> {
        let node = le32(entry, 0);
        if node == 0 {
            return Ok(());
        }
        // Without the feature the byte behind is the high half of the length, always 0.
        let length = if self.has_kinds { entry[6].into() } else { usize::from(le16(entry, 6)) };
        let name = entry.get(HEADER..HEADER + length).unwrap_or_default();
        if name == b"." || name == b".." {
            return Ok(());
        }
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Err(
                self.damaged(at, format_args!("the name {:?}", name.escape_ascii().to_string()))
            );
        }
        if self.entries.len() == MAX_ENTRIES {
            return Err(self.too_large());
        }
        self.entries.push(Entry { name: name.to_vec(), node: node.into() });
        Ok(())
    }

    fn damaged(&self, at: usize, actual: std::fmt::Arguments<'_>) -> Error {
        let structure = format!("directory inode {}, at {at:#x} of a block", self.inode.number);
        Error::corrupt(structure, 0, "an entry inside the block with a possible name", actual)
    }

    fn too_large(&self) -> Error {
        Error::Unsupported(format!(
            "directory inode {} has more than {MAX_ENTRIES} names or {MOST_BYTES} bytes",
            self.inode.number
        ))
    }
}

/// In blocks of 64 KiB an entry as long as the block does not fit the field.
fn entry_length(stored: u16, block: usize) -> usize {
    match stored {
        0 | u16::MAX if block == 1 << 16 => block,
        length => length.into(),
    }
}
