//! What an initial RAM disk holds: the names in it.
//!
//! It is cpio archives, plain or compressed, one after another with zeros between them: microcode
//! first, then the rest. As Linux does (`init/initramfs.c`), each compressed part is unpacked by
//! itself and holds whole archives. Nothing unpacked is kept but the names.

mod cpio;
mod lz4;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use crate::error::{Error, Result};
use cpio::Source;
use std::io::{BufRead, BufReader};

/// The most bytes that compressed parts may unpack to, together.
pub const MOST_UNPACKED: u64 = 512 << 20;
/// The most names.
pub const MOST_NAMES: usize = 200_000;
/// The most bytes of names.
pub const MOST_NAME_BYTES: usize = 64 << 20;
/// The longest name with its zero: `PATH_MAX` of Linux.
pub const LONGEST_NAME: usize = 4096;
/// The most compressed parts and archives, counted together.
const MOST_PARTS: usize = 128;
/// What xz and LZMA may take of memory.
const MOST_MEMORY: u64 = 256 << 20;
/// Unpacked bytes that are looked at at once.
const PIECE: usize = 128 << 10;

/// How a part is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Gzip,
    Xz,
    Lzma,
    Bzip2,
    Zstd,
    Lz4,
}

/// What parts start with. LZMA has no magic: 0x5D are the usual properties, and then comes a
/// dictionary of whole 64 KiB.
const MAGICS: [(&[u8], Form); 8] = [
    (b"070701", Form::Plain),
    (b"070702", Form::Plain),
    (&[0x1F, 0x8B], Form::Gzip),
    (&[0xFD, b'7', b'z', b'X', b'Z', 0], Form::Xz),
    (&[0x5D, 0, 0], Form::Lzma),
    (b"BZh", Form::Bzip2),
    (&[0x28, 0xB5, 0x2F, 0xFD], Form::Zstd),
    (&lz4::MAGIC, Form::Lz4),
];

/// The names that were found so far, and what may still come.
struct Listing {
    names: Vec<Vec<u8>>,
    name_bytes: usize,
    parts: usize,
    unpacked: u64,
}

/// Lists the names in an initial RAM disk, of all its archives in their order, as stored.
///
/// # Errors
///
/// [`Error::Corrupt`] where a part is damaged, cut off or no archive; [`Error::Unsupported`] where
/// it is compressed in a way that is not read (lzop), or holds more than the bounds above.
pub fn names(data: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut listing = Listing { names: Vec::new(), name_bytes: 0, parts: 0, unpacked: 0 };
    let mut rest = data;
    loop {
        let zeros = rest.iter().position(|&byte| byte != 0);
        let Some(zeros) = zeros else { return Ok(listing.names) };
        rest = &rest[zeros..];
        let start = (data.len() - rest.len()) as u64;
        let form = form(rest).ok_or_else(|| unknown(rest, start))?;
        listing.count_part()?;
        let reader = open(form, &mut rest).map_err(|error| {
            let structure = format!("{form:?} part of the initial RAM disk");
            Error::corrupt(structure, start, "a sound head", error)
        })?;
        let mut source = Source::new(reader, form, start, MOST_UNPACKED - listing.unpacked);
        if form == Form::Plain {
            cpio::list(&mut source, &mut listing)?;
        } else {
            while source.at_archive()? {
                listing.count_part()?;
                cpio::list(&mut source, &mut listing)?;
            }
            listing.unpacked += source.position();
        }
    }
}

fn form(part: &[u8]) -> Option<Form> {
    MAGICS.iter().find(|(magic, _)| part.starts_with(magic)).map(|&(_, form)| form)
}

fn unknown(part: &[u8], start: u64) -> Error {
    let head = &part[..part.len().min(6)];
    if head.starts_with(&[0x89, b'L', b'Z']) {
        return Error::Unsupported(format!("the initial RAM disk is LZO at offset {start:#x}"));
    }
    let structure = "part of the initial RAM disk";
    Error::corrupt(structure, start, "an archive", format!("{:?}", head.escape_ascii().to_string()))
}

/// Reads a part; `rest` is what follows it, once it was read to its end and dropped.
fn open<'a>(form: Form, rest: &'a mut &[u8]) -> std::io::Result<Box<dyn BufRead + 'a>> {
    Ok(match form {
        Form::Plain => Box::new(rest),
        Form::Gzip => buffered(flate2::bufread::GzDecoder::new(rest)),
        Form::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MOST_MEMORY, 0)?;
            buffered(liblzma::bufread::XzDecoder::new_stream(rest, stream))
        }
        Form::Lzma => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(MOST_MEMORY)?;
            buffered(liblzma::bufread::XzDecoder::new_stream(rest, stream))
        }
        Form::Bzip2 => buffered(bzip2::bufread::BzDecoder::new(rest)),
        // Its windows are at most 128 MiB, as Linux has it.
        Form::Zstd => buffered(zstd::stream::read::Decoder::with_buffer(rest)?.single_frame()),
        Form::Lz4 => buffered(lz4::Reader::new(rest)),
    })
}

fn buffered<'a>(reader: impl std::io::Read + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(PIECE, reader))
}

impl Listing {
    fn count_part(&mut self) -> Result<()> {
        self.parts += 1;
        within(self.parts, MOST_PARTS, "archives")
    }

    fn push(&mut self, name: &[u8]) -> Result<()> {
        self.name_bytes += name.len();
        within(self.names.len() + 1, MOST_NAMES, "names")?;
        within(self.name_bytes, MOST_NAME_BYTES, "bytes of names")?;
        self.names.push(name.to_vec());
        Ok(())
    }
}

fn within(count: usize, most: usize, what: &str) -> Result<()> {
    if count > most {
        return Err(Error::Unsupported(format!(
            "the initial RAM disk has more than {most} {what}"
        )));
    }
    Ok(())
}
