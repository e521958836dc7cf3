//! What an initial RAM disk holds: the names in its archives.
//!
//! A file has cpio archives one after another, plain or compressed, with zeros between them:
//! microcode first, then the rest (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

use crate::error::{Error, Result};
use crate::fields::le32;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

/// Names that are listed at most.
pub const MOST_NAMES: usize = 200_000;
/// What all archives may unpack to, bytes.
pub const MOST_BYTES: u64 = 512 << 20;
const MOST_ARCHIVES: usize = 64;
/// Of a cpio header: the magic and thirteen numbers of eight hexadecimal digits.
const HEADER: usize = 110;
const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];
const TRAILER: &[u8] = b"TRAILER!!!";
const LONGEST_NAME: u64 = 4096;
const XZ_MEMORY: u64 = 256 << 20;
const ZSTD_WINDOW_LOG: u32 = 27;
const LZ4_MAGIC: u32 = 0x184C_2102;
/// What a block of LZ4's old format unpacks to at most.
const LZ4_BLOCK: usize = 8 << 20;
const PIECE: usize = 256 << 10;

/// Lists the names in an initial RAM disk, of all its archives, as stored.
pub fn names(data: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut listing = Listing { names: Vec::new(), left: MOST_BYTES, archives: 0 };
    let mut rest = data;
    loop {
        skip_zeros(&mut rest).map_err(|error| damaged(&error))?;
        if rest.is_empty() {
            return Ok(listing.names);
        }
        listing.part(&mut rest)?;
    }
}

struct Listing {
    names: Vec<Vec<u8>>,
    left: u64,
    archives: usize,
}

impl Listing {
    /// Lists the archive, or what is compressed, that `rest` begins with, and moves past it.
    fn part(&mut self, rest: &mut &[u8]) -> Result<()> {
        let data = *rest;
        if MAGICS.iter().any(|magic| data.starts_with(magic)) {
            return self.archive(rest);
        }
        if data.starts_with(b"\x1f\x8b") {
            let mut decoder = flate2::bufread::GzDecoder::new(data);
            self.unpacked(&mut decoder)?;
            *rest = decoder.into_inner();
        } else if data.starts_with(b"\x28\xb5\x2f\xfd") {
            let decoder = zstd::stream::read::Decoder::with_buffer(data);
            let mut decoder = decoder.map_err(|error| damaged(&error))?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|error| damaged(&error))?;
            self.unpacked(&mut decoder)?;
            *rest = decoder.finish();
        } else if data.starts_with(b"\xfd7zXZ\0") {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, 0);
            *rest = self.lzma(data, stream)?;
        } else if data.starts_with(b"\x5d\0\0") {
            let stream = liblzma::stream::Stream::new_lzma_decoder(XZ_MEMORY);
            *rest = self.lzma(data, stream)?;
        } else if data.starts_with(b"BZh") {
            let mut decoder = bzip2::bufread::BzDecoder::new(data);
            self.unpacked(&mut decoder)?;
            *rest = decoder.into_inner();
        } else if data.len() >= 4 && le32(data, 0) == LZ4_MAGIC {
            let mut decoder = Lz4::new(&data[4..]);
            self.unpacked(&mut decoder)?;
            *rest = decoder.rest;
        } else if data.starts_with(b"\x89LZO") {
            return Err(Error::Unsupported("LZO compression is not read".into()));
        } else {
            let start: Vec<String> =
                data.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            return Err(damaged(&format!("a part starts with {}", start.join(" "))));
        }
        Ok(())
    }

    fn lzma<'a>(
        &mut self,
        data: &'a [u8],
        stream: std::result::Result<liblzma::stream::Stream, liblzma::stream::Error>,
    ) -> Result<&'a [u8]> {
        let stream = stream.map_err(|error| damaged(&error))?;
        let mut decoder = liblzma::bufread::XzDecoder::new_stream(data, stream);
        self.unpacked(&mut decoder)?;
        Ok(decoder.into_inner())
    }

    /// Lists the archives in what a decoder unpacks, to its end.
    fn unpacked(&mut self, decoder: &mut dyn Read) -> Result<()> {
        let mut source = BufReader::with_capacity(PIECE, decoder.take(self.left));
        let done = self.archives(&mut source);
        self.left = source.get_ref().limit();
        if self.left == 0 {
            return Err(damaged(&format!("it unpacks to more than {} MiB", MOST_BYTES >> 20)));
        }
        done
    }

    fn archives(&mut self, source: &mut impl BufRead) -> Result<()> {
        loop {
            skip_zeros(source).map_err(|error| damaged(&error))?;
            if source.fill_buf().map_err(|error| damaged(&error))?.is_empty() {
                return Ok(());
            }
            self.archive(source)?;
        }
    }

    /// Takes the names of one archive, to its trailer.
    fn archive(&mut self, source: &mut impl BufRead) -> Result<()> {
        self.archives += 1;
        if self.archives > MOST_ARCHIVES {
            return Err(damaged(&format!("it has more than {MOST_ARCHIVES} archives")));
        }
        loop {
            let mut header = [0; HEADER];
            source.read_exact(&mut header).map_err(|error| damaged(&error))?;
            if !MAGICS.contains(&&header[..6]) {
                return Err(damaged(&"a cpio header has no magic"));
            }
            let (size, length) = (number(&header, 6)?, number(&header, 11)?);
            if length == 0 || length > LONGEST_NAME {
                return Err(damaged(&format!("a name in it has {length} bytes")));
            }
            let mut name = Vec::new();
            let taken = source.by_ref().take(length).read_to_end(&mut name);
            taken.map_err(|error| damaged(&error))?;
            skip(source, (HEADER as u64 + length).next_multiple_of(4) - HEADER as u64 - length)?;
            name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
            if name == TRAILER {
                return Ok(());
            }
            skip(source, size.next_multiple_of(4))?;
            self.names.push(name);
            if self.names.len() > MOST_NAMES {
                return Err(damaged(&format!("it has more than {MOST_NAMES} names")));
            }
        }
    }
}

/// The number at a place in a cpio header, counted from 0.
fn number(header: &[u8; HEADER], place: usize) -> Result<u64> {
    let digits = str::from_utf8(&header[6 + place * 8..][..8]).unwrap_or("");
    let sound = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let parsed = sound.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    parsed.ok_or_else(|| damaged(&"a cpio header has no number where one belongs"))
}

fn skip_zeros(source: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = source.fill_buf()?;
        let length = buffer.len();
        let zeros = buffer.iter().position(|&byte| byte != 0).unwrap_or(length);
        source.consume(zeros);
        if zeros < length || length == 0 {
            return Ok(());
        }
    }
}

fn skip(source: &mut impl BufRead, mut length: u64) -> Result<()> {
    while length > 0 {
        let there = source.fill_buf().map_err(|error| damaged(&error))?.len();
        if there == 0 {
            return Err(damaged(&"it ends in the middle of a file"));
        }
        let step = usize::try_from(length).unwrap_or(usize::MAX).min(there);
        source.consume(step);
        length -= step as u64;
    }
    Ok(())
}

/// LZ4's old format, the only one that Linux unpacks: blocks, each after its length.
struct Lz4<'a> {
    rest: &'a [u8],
    block: Vec<u8>,
    unread: Range<usize>,
}

impl<'a> Lz4<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { rest: data, block: vec![0; LZ4_BLOCK], unread: 0..0 }
    }

    /// Unpacks the next block; false at the end, which is where no block can be.
    fn next_block(&mut self) -> std::io::Result<bool> {
        while self.rest.len() >= 4 && le32(self.rest, 0) == LZ4_MAGIC {
            self.rest = &self.rest[4..];
        }
        if self.rest.len() < 4 || le32(self.rest, 0) == 0 {
            return Ok(false);
        }
        let wrong = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        let length = usize::try_from(le32(self.rest, 0)).unwrap_or(usize::MAX);
        let packed = length.checked_add(4).and_then(|end| self.rest.get(4..end));
        let packed = packed.ok_or_else(|| wrong(format!("an LZ4 block of {length} bytes")))?;
        let unpacked = lz4_flex::block::decompress_into(packed, &mut self.block);
        self.unread = 0..unpacked.map_err(|error| wrong(error.to_string()))?;
        self.rest = &self.rest[4 + length..];
        Ok(true)
    }
}

impl Read for Lz4<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.unread.is_empty() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = (&self.block[self.unread.clone()]).read(buffer)?;
        self.unread.start += count;
        Ok(count)
    }
}

fn damaged(what: &dyn std::fmt::Display) -> Error {
    Error::Invalid(format!("initial RAM disk: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[&str]) -> Vec<u8> {
        let mut data = Vec::new();
        for name in files.iter().copied().chain(["TRAILER!!!"]) {
            let size = if name == "TRAILER!!!" { 0 } else { 5 };
            let mut numbers = [0; 13];
            (numbers[6], numbers[11]) = (size, name.len() + 1);
            data.extend(b"070701");
            for number in numbers {
                data.extend(format!("{number:08x}").bytes());
            }
            data.extend(name.bytes());
            data.push(0);
            data.resize(data.len().next_multiple_of(4), 0);
            data.extend(b"hello\0\0\0".iter().take(size.next_multiple_of(4)));
        }
        data
    }

    fn lz4(data: &[u8]) -> Vec<u8> {
        let mut packed = LZ4_MAGIC.to_le_bytes().to_vec();
        for block in data.chunks(100) {
            let block = lz4_flex::block::compress(block);
            packed.extend(u32::try_from(block.len()).unwrap_or(0).to_le_bytes());
            packed.extend(block);
        }
        packed
    }

    #[test]
    fn archives_of_every_compression_are_listed_in_one_file() {
        let mut data = archive(&["early"]);
        data.extend([0; 700]);
        for (number, pack) in [
            |data: &[u8]| zstd::stream::encode_all(data, 3).unwrap_or_default(),
            |data: &[u8]| lz4(data),
        ]
        .iter()
        .enumerate()
        {
            let mut inner = archive(&[&format!("{number}/a"), "b"]);
            inner.extend([0; 512]);
            inner.extend(archive(&["c"]));
            data.extend(pack(&inner));
            data.extend([0; 9]);
        }
        let found: Vec<_> =
            names(&data).unwrap_or_default().into_iter().map(String::from_utf8).collect();
        let expected = ["early", "0/a", "b", "c", "1/a", "b", "c"];
        assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn damage_anywhere_is_an_error_or_a_list() {
        let mut sound = archive(&["early"]);
        sound.extend(zstd::stream::encode_all(&archive(&["a", "b"])[..], 3).unwrap_or_default());
        sound.extend(lz4(&archive(&["c"])));
        assert_eq!(names(&sound).map(|found| found.len()).ok(), Some(4));
        for at in 0..sound.len() {
            let mut data = sound.clone();
            data[at] ^= 0xFF;
            let _ = names(&data);
            let _ = names(&sound[..at]);
        }
    }
}
