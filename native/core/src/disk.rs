//! A disk as a flat array of bytes. Written once, above every format's block map.

use crate::error::{Error, Result};
use crate::file::File;
use std::sync::Arc;

/// What a range of a virtual disk is made of, by the format's own tables.
#[derive(Debug, Clone)]
pub enum Target {
    /// The bytes lie in a file, in one piece.
    File {
        /// The file that holds them.
        file: Arc<File>,
        /// Where they start in it.
        offset: u64,
    },
    /// The bytes are in the image but not as they are (compressed): [`BlockMap::read_opaque`].
    Opaque,
    /// The tables say zero, whatever a parent has there.
    Zero,
    /// Not in this image: the parent's bytes, or zeros where there is none.
    Unallocated,
}

/// The start of a range, and how far it is mapped alike.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Bytes from the asked offset; at least 1 and at most what was asked.
    pub length: u64,
    /// Where they are.
    pub target: Target,
}

/// All that a format supplies: where a range of the virtual disk is stored.
pub trait BlockMap: Send + Sync {
    /// Size of the virtual disk in bytes.
    fn size(&self) -> u64;

    /// Maps the start of `offset..offset + length`, a non-empty range inside the disk.
    fn map(&self, offset: u64, length: u64) -> Result<Mapping>;

    /// Reads bytes that `map` called [`Target::Opaque`].
    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let _ = buffer;
        Err(Error::Invalid(format!("no opaque bytes at offset {offset:#x}")))
    }
}

/// How a stretch of a disk reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Stored somewhere; may still be zeros.
    Data,
    /// Zero by the word of an image's tables.
    Zero,
    /// Stored nowhere in the chain; reads as zero.
    Hole,
}

/// A stretch of a disk of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes, never 0.
    pub length: u64,
    /// How it reads.
    pub kind: ExtentKind,
}

/// A stretch of a disk and where its bytes come from, parents included.
#[derive(Clone)]
pub struct Segment {
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes, never 0.
    pub length: u64,
    /// Where they come from.
    pub source: Source,
}

/// Where the bytes of a [`Segment`] come from.
#[derive(Clone)]
pub enum Source {
    /// A file, from this offset.
    File(Arc<File>, u64),
    /// A block map that decodes them, from the segment's own offset.
    Opaque(Arc<dyn BlockMap>),
    /// Zero by an image's tables.
    Zero,
    /// Zero because nothing stores it.
    Hole,
}

impl Segment {
    /// How the segment reads.
    pub fn kind(&self) -> ExtentKind {
        match self.source {
            Source::File(..) | Source::Opaque(_) => ExtentKind::Data,
            Source::Zero => ExtentKind::Zero,
            Source::Hole => ExtentKind::Hole,
        }
    }

    /// Fills `buffer` with the segment's bytes from `skip` bytes after its start.
    pub fn read(&self, skip: u64, buffer: &mut [u8]) -> Result<()> {
        match &self.source {
            Source::File(file, start) => file.read_exact_at(start + skip, buffer),
            Source::Opaque(map) => map.read_opaque(self.offset + skip, buffer),
            Source::Zero | Source::Hole => {
                buffer.fill(0);
                Ok(())
            }
        }
    }
}

/// For a map over other disks: where one of them has the bytes.
impl From<Segment> for Mapping {
    fn from(segment: Segment) -> Self {
        let target = match segment.source {
            Source::File(file, offset) => Target::File { file, offset },
            Source::Opaque(_) => Target::Opaque,
            Source::Zero => Target::Zero,
            Source::Hole => Target::Unallocated,
        };
        Self { length: segment.length, target }
    }
}

/// An opened image with its parents.
#[derive(Clone)]
pub struct Disk {
    /// The image first, then its parent, grandparent and so on.
    layers: Vec<Arc<dyn BlockMap>>,
    size: u64,
}

impl Disk {
    /// A disk of one image over its parent, if it has one.
    pub fn new(map: Arc<dyn BlockMap>, parent: Option<&Disk>) -> Self {
        let size = map.size();
        let mut layers = vec![map];
        if let Some(parent) = parent {
            layers.extend(parent.layers.iter().cloned());
        }
        Self { layers, size }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Finds where the start of `offset..offset + length` comes from.
    pub fn resolve(&self, offset: u64, length: u64) -> Result<Segment> {
        let end = offset.checked_add(length).filter(|&end| length > 0 && end <= self.size);
        if end.is_none() {
            return Err(Error::Invalid(format!(
                "range of {length} bytes at offset {offset:#x} is not inside the disk of {} bytes",
                self.size
            )));
        }
        let mut length = length;
        for layer in &self.layers {
            // A parent may be smaller than its child: past its end nothing is stored.
            let Some(inside) = layer.size().checked_sub(offset).filter(|&inside| inside > 0) else {
                break;
            };
            let mapping = layer.map(offset, length.min(inside))?;
            // What a layer does not map further is asked of it again at the next offset.
            length = mapping.length.clamp(1, length);
            let source = match mapping.target {
                Target::File { file, offset } => Source::File(file, offset),
                Target::Opaque => Source::Opaque(Arc::clone(layer)),
                Target::Zero => Source::Zero,
                Target::Unallocated => continue,
            };
            return Ok(Segment { offset, length, source });
        }
        Ok(Segment { offset, length, source: Source::Hole })
    }

    /// Walks `offset..end` as segments, in order.
    pub fn segments(&self, offset: u64, end: u64) -> Segments<'_> {
        Segments { disk: self, offset, end: end.min(self.size) }
    }

    /// Fills `buffer` from `offset`; the range must lie inside the disk.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = (buffer.len() - filled) as u64;
            let segment = self.resolve(offset.saturating_add(filled as u64), left)?;
            let length = usize::try_from(segment.length).unwrap_or(buffer.len() - filled);
            segment.read(0, &mut buffer[filled..filled + length])?;
            filled += length;
        }
        Ok(())
    }
}

/// Iterator of [`Disk::segments`].
pub struct Segments<'a> {
    disk: &'a Disk,
    offset: u64,
    end: u64,
}

impl Iterator for Segments<'_> {
    type Item = Result<Segment>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.end {
            return None;
        }
        let segment = self.disk.resolve(self.offset, self.end - self.offset);
        match &segment {
            Ok(segment) => self.offset += segment.length,
            Err(_) => self.offset = self.end,
        }
        Some(segment)
    }
}

/// Joins neighbouring segments of one kind into extents.
pub struct Extents<'a> {
    segments: std::iter::Peekable<Segments<'a>>,
}

impl<'a> Extents<'a> {
    /// Extents that tile `offset..end`.
    pub fn new(disk: &'a Disk, offset: u64, end: u64) -> Self {
        Self { segments: disk.segments(offset, end).peekable() }
    }
}

impl Iterator for Extents<'_> {
    type Item = Result<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.segments.next()? {
            Ok(segment) => segment,
            Err(error) => return Some(Err(error)),
        };
        let mut extent = Extent { offset: first.offset, length: first.length, kind: first.kind() };
        while let Some(Ok(next)) =
            self.segments.next_if(|next| next.as_ref().is_ok_and(|next| next.kind() == extent.kind))
        {
            extent.length += next.length;
        }
        Some(Ok(extent))
    }
}
