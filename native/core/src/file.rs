//! Read-only files with positioned reads, shared freely between threads.

use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that stand in front of the file's own, at their offset (a replayed log).
#[derive(Debug, Clone)]
pub struct Patch {
    /// Byte offset in the file.
    pub offset: u64,
    /// The bytes that a reader sees there.
    pub bytes: Vec<u8>,
}

/// An opened image file. Never written through, never seeked.
#[derive(Debug)]
pub struct File {
    handle: Arc<fs::File>,
    path: PathBuf,
    size: u64,
    /// Sorted by offset, disjoint.
    patches: Vec<Patch>,
}

impl File {
    /// Opens a regular file or a block device for reading.
    pub fn open(path: &Path) -> Result<Self> {
        let wrap = |source| Error::io(format!("cannot open {}", path.display()), source);
        let handle = open_without_waiting(path).map_err(wrap)?;
        let metadata = handle.metadata().map_err(wrap)?;
        let size = if metadata.is_file() {
            metadata.len()
        } else if is_block_device(&metadata) {
            device_size(&handle).map_err(wrap)?
        } else {
            return Err(wrap(io::Error::new(
                io::ErrorKind::InvalidInput,
                "neither a regular file nor a block device",
            )));
        };
        Ok(Self { handle: Arc::new(handle), path: path.to_owned(), size, patches: Vec::new() })
    }

    /// The file behind an open handle, under the name that messages call it by.
    pub fn from_handle(handle: fs::File, path: &Path) -> Result<Self> {
        let metadata = handle.metadata();
        let size = metadata
            .map_err(|source| Error::io(format!("cannot stat {}", path.display()), source))?
            .len();
        Ok(Self { handle: Arc::new(handle), path: path.to_owned(), size, patches: Vec::new() })
    }

    /// The same file seen through `patches` (later ones win) and with another length.
    #[must_use]
    pub fn with_patches(&self, patches: Vec<Patch>, size: u64) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
            path: self.path.clone(),
            size,
            patches: flatten(patches),
        }
    }

    /// Length in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The name it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode, to tell whether two names are one file.
    #[cfg(unix)]
    pub fn identity(&self) -> Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Bytes that the file takes on its file system, where that is known.
    pub fn allocated(&self) -> Option<u64> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let of_file = self.metadata().ok().filter(fs::Metadata::is_file);
            of_file.and_then(|metadata| metadata.blocks().checked_mul(512))
        }
        #[cfg(not(unix))]
        None
    }

    fn metadata(&self) -> Result<fs::Metadata> {
        self.handle
            .metadata()
            .map_err(|source| Error::io(format!("cannot stat {}", self.path.display()), source))
    }

    /// Fills `buffer` from `offset`; bytes past the end of the file are an error.
    pub fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = self.read_at(offset, buffer)?;
        if read == buffer.len() {
            return Ok(());
        }
        Err(Error::corrupt(
            format!("file {}", self.path.display()),
            offset,
            format_args!("{} bytes", buffer.len()),
            format_args!("{read} bytes before the end of the file"),
        ))
    }

    /// Reads from `offset` until `buffer` is full or the file ends; returns how many bytes.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let wanted = self.size.saturating_sub(offset).min(buffer.len() as u64);
        let wanted = usize::try_from(wanted).unwrap_or(buffer.len());
        let mut filled = 0;
        while filled < wanted {
            match pread(&self.handle, &mut buffer[filled..wanted], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let context =
                        format!("cannot read {} at offset {offset:#x}", self.path.display());
                    return Err(Error::io(context, source));
                }
            }
        }
        if !self.patches.is_empty() {
            // A patch may lie past the end of the file on disk: a log that grew it.
            buffer[filled..wanted].fill(0);
            filled = wanted;
            self.apply_patches(offset, &mut buffer[..filled]);
        }
        Ok(filled)
    }

    fn apply_patches(&self, offset: u64, buffer: &mut [u8]) {
        let end = offset.saturating_add(buffer.len() as u64);
        let first = self.patches.partition_point(|patch| {
            patch.offset.saturating_add(patch.bytes.len() as u64) <= offset
        });
        for patch in self.patches[first..].iter().take_while(|patch| patch.offset < end) {
            let start = patch.offset.max(offset);
            let stop = (patch.offset + patch.bytes.len() as u64).min(end);
            let length = usize::try_from(stop - start).unwrap_or(0);
            let into = usize::try_from(start - offset).unwrap_or(0);
            let from = usize::try_from(start - patch.offset).unwrap_or(0);
            buffer[into..into + length].copy_from_slice(&patch.bytes[from..from + length]);
        }
    }

    /// The first range at or after `offset` that may hold data, `None` when only a hole follows.
    ///
    /// Where the system cannot tell, the rest of the file is one range.
    pub fn next_data(&self, offset: u64) -> Option<(u64, u64)> {
        if offset >= self.size {
            return None;
        }
        if !self.patches.is_empty() {
            return Some((offset, self.size));
        }
        seek_data(&self.handle, offset, self.size)
    }
}

/// Later patches win over earlier ones; the result is sorted and disjoint.
fn flatten(patches: Vec<Patch>) -> Vec<Patch> {
    let mut pages = std::collections::BTreeMap::<u64, Vec<u8>>::new();
    for patch in patches {
        insert_over(&mut pages, patch);
    }
    pages.into_iter().map(|(offset, bytes)| Patch { offset, bytes }).collect()
}

fn insert_over(pages: &mut std::collections::BTreeMap<u64, Vec<u8>>, patch: Patch) {
    let end = patch.offset + patch.bytes.len() as u64;
    let before = pages.range(..patch.offset).next_back().map(|(&start, _)| start);
    let first = before.unwrap_or(patch.offset);
    let touched: Vec<u64> = pages.range(first..end.max(first)).map(|(&start, _)| start).collect();
    for start in touched {
        let Some(bytes) = pages.remove(&start) else { continue };
        let stop = start + bytes.len() as u64;
        if start < patch.offset {
            let keep = usize::try_from((patch.offset - start).min(bytes.len() as u64)).unwrap_or(0);
            pages.insert(start, bytes[..keep].to_vec());
        }
        if stop > end {
            let skip = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
            pages.insert(start.max(end), bytes[skip..].to_vec());
        }
    }
    pages.insert(patch.offset, patch.bytes);
}

#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    // A FIFO named like an image must not hang the tool: it opens at once and is refused by type.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

#[cfg(unix)]
fn is_block_device(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_block_device(_: &fs::Metadata) -> bool {
    false
}

fn device_size(handle: &fs::File) -> io::Result<u64> {
    use std::io::Seek;
    let mut handle: &fs::File = handle;
    handle.seek(io::SeekFrom::End(0))
}

#[cfg(unix)]
fn pread(handle: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(handle, buffer, offset)
}

#[cfg(windows)]
fn pread(handle: &fs::File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(handle, buffer, offset)
}

#[cfg(target_os = "linux")]
fn seek_data(handle: &fs::File, offset: u64, size: u64) -> Option<(u64, u64)> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let start = match seek(handle, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return None,
        Err(_) => return Some((offset, size)),
    };
    let end = seek(handle, SeekFrom::Hole(start)).unwrap_or(size);
    (start < size).then_some((start, end.min(size)))
}

#[cfg(not(target_os = "linux"))]
fn seek_data(_: &fs::File, offset: u64, size: u64) -> Option<(u64, u64)> {
    Some((offset, size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn patch(offset: u64, byte: u8, length: usize) -> Patch {
        Patch { offset, bytes: vec![byte; length] }
    }

    #[test]
    fn later_patches_win_and_stay_disjoint() {
        let flat = flatten(vec![patch(0, 1, 10), patch(4, 2, 2), patch(8, 3, 8), patch(20, 4, 1)]);
        let mut seen = [0u8; 24];
        for piece in &flat {
            let start = usize::try_from(piece.offset).unwrap();
            seen[start..start + piece.bytes.len()].copy_from_slice(&piece.bytes);
        }
        assert_eq!(seen[..16], [1, 1, 1, 1, 2, 2, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!(seen[20], 4);
        assert!(
            flat.windows(2)
                .all(|pair| { pair[0].offset + pair[0].bytes.len() as u64 <= pair[1].offset })
        );
    }
}
