//! The legacy frames of LZ4, the only ones that Linux unpacks: a magic, then blocks that each have
//! their length before them and hold 8 MiB, the last one less.

use crate::fields::le32;
use lz4_flex::block::{decompress_into, get_maximum_output_size};
use std::io::{self, Read};

/// 0x184C2102, little-endian.
pub(super) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4C, 0x18];
const BLOCK: usize = 8 << 20;
/// The length of a block that could not be compressed.
const LARGEST: usize = get_maximum_output_size(BLOCK);

/// Unpacks the frames at the start of `rest`, and moves `rest` on to what follows them.
pub(super) struct Reader<'a, 'data> {
    rest: &'a mut &'data [u8],
    block: Vec<u8>,
    /// What of `block` was not given out.
    start: usize,
    end: usize,
}

impl<'a, 'data> Reader<'a, 'data> {
    pub(super) fn new(rest: &'a mut &'data [u8]) -> Self {
        Self { rest, block: vec![0; BLOCK], start: 0, end: 0 }
    }

    /// Unpacks the next block. As in Linux, fewer than four bytes or a length of 0 are the end, and
    /// another frame may follow.
    fn next_block(&mut self) -> io::Result<bool> {
        while self.rest.starts_with(&MAGIC) {
            *self.rest = &self.rest[4..];
        }
        let length = usize::try_from(le32(self.rest, 0)).unwrap_or(usize::MAX);
        if self.rest.len() < 4 || length == 0 {
            return Ok(false);
        }
        let packed = self.rest[4..].get(..length).filter(|_| length <= LARGEST);
        let packed = packed.ok_or_else(|| {
            io::Error::other(format!("a block of {length} bytes, {} are left", self.rest.len() - 4))
        })?;
        self.end = decompress_into(packed, &mut self.block).map_err(io::Error::other)?;
        self.start = 0;
        *self.rest = &self.rest[4 + length..];
        Ok(true)
    }
}

impl Read for Reader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.start == self.end {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let ready = &self.block[self.start..self.end];
        let length = ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ready[..length]);
        self.start += length;
        Ok(length)
    }
}
