//! Which parts of a disk are to be read, and in what order. Holes cost nothing.

use crate::disk::{Disk, ExtentKind, Segment, Segments, Source};
use crate::error::Result;

/// Bytes of the virtual disk that are read, looked through and written as one.
pub const CHUNK: u64 = 2 * 1024 * 1024;

/// A chunk of the virtual disk that has data.
pub struct Chunk {
    /// First byte on the disk, a multiple of the chunk size.
    pub offset: u64,
    /// Bytes; less than the chunk size only at the end of the disk.
    pub length: u64,
    /// The stretches of it that are stored somewhere, in order.
    pub pieces: Vec<Segment>,
}

impl Chunk {
    /// Where its first piece lies in its file; what a window is sorted by.
    fn place(&self) -> u64 {
        match self.pieces.first().map(|piece| &piece.source) {
            Some(Source::File(_, offset)) => *offset,
            _ => self.offset,
        }
    }

    /// Fills `buffer` with the bytes from `skip` on; returns how many were read from a source.
    pub fn read(&self, skip: u64, buffer: &mut [u8]) -> Result<u64> {
        let start = self.offset + skip;
        let end = start + buffer.len() as u64;
        let mut filled = start;
        let mut read = 0;
        for piece in &self.pieces {
            let (from, to) = (piece.offset.max(start), (piece.offset + piece.length).min(end));
            if from >= to {
                continue;
            }
            buffer[index(filled - start)..index(from - start)].fill(0);
            piece.read(from - piece.offset, &mut buffer[index(from - start)..index(to - start)])?;
            read += to - from;
            filled = to;
        }
        buffer[index(filled - start)..].fill(0);
        Ok(read)
    }
}

/// Offsets inside a buffer that is in memory.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Hands out the chunks of a disk that have data, in order.
pub struct Planner<'a> {
    segments: Segments<'a>,
    size: u64,
    chunk: u64,
    /// What is left of a segment that reaches past the chunk handed out last.
    rest: Option<Segment>,
}

impl<'a> Planner<'a> {
    /// Plans the first `size` bytes of `disk` in chunks of `chunk` bytes.
    pub fn new(disk: &'a Disk, size: u64, chunk: u64) -> Self {
        let size = size.min(disk.size());
        Self { segments: disk.segments(0, size), size, chunk, rest: None }
    }

    /// The next `count` chunks in the order in which their bytes lie in the source's file.
    pub fn window(&mut self, count: usize) -> Result<Vec<Chunk>> {
        let mut window = self.by_ref().take(count).collect::<Result<Vec<_>>>()?;
        window.sort_by_key(Chunk::place);
        Ok(window)
    }

    fn next_data(&mut self) -> Option<Result<Segment>> {
        if let Some(rest) = self.rest.take() {
            return Some(Ok(rest));
        }
        self.segments
            .find(|segment| segment.as_ref().map_or(true, |s| s.kind() == ExtentKind::Data))
    }

    /// Cuts `segment` at `end`; what lies past it waits for the next chunk.
    fn cut(&mut self, mut segment: Segment, end: u64) -> Segment {
        let Some(over) = (segment.offset + segment.length).checked_sub(end).filter(|&o| o > 0)
        else {
            return segment;
        };
        segment.length -= over;
        let source = match &segment.source {
            Source::File(file, offset) => Source::File(file.clone(), offset + segment.length),
            other => other.clone(),
        };
        self.rest = Some(Segment { offset: end, length: over, source });
        segment
    }
}

impl Iterator for Planner<'_> {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.next_data()? {
            Ok(segment) => segment,
            Err(error) => return Some(Err(error)),
        };
        let offset = first.offset - first.offset % self.chunk;
        let end = (offset + self.chunk).min(self.size);
        let mut pieces = vec![self.cut(first, end)];
        while self.rest.is_none() {
            match self.next_data() {
                Some(Ok(segment)) if segment.offset < end => {
                    let piece = self.cut(segment, end);
                    pieces.push(piece);
                }
                Some(Ok(segment)) => self.rest = Some(segment),
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        Some(Ok(Chunk { offset, length: end - offset, pieces }))
    }
}
