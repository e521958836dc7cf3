//! Archives of cpio, "newc" and "crc": a header of 110 ASCII bytes, the name, the file's bytes; name
//! and bytes are each filled up to four. As in Linux, checksums are not looked at.

use super::{Form, LONGEST_NAME, Listing, MOST_UNPACKED};
use crate::error::{Error, Result};
use std::fmt::Display;
use std::io::BufRead;

const HEADER: usize = 110;
const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];
/// Where the header has the sizes of the file and of the name.
const FILE_SIZE: usize = 54;
const NAME_SIZE: usize = 94;
const TRAILER: &[u8] = b"TRAILER!!!";

/// The bytes of a part in order, read or passed over.
pub(super) struct Source<'a> {
    reader: Box<dyn BufRead + 'a>,
    place: Place,
    /// How far the position may come; a plain part is bounded by the file.
    most: u64,
}

/// Where a source is, for errors.
#[derive(Clone, Copy)]
struct Place {
    form: Form,
    /// Offset of the part in the file.
    start: u64,
    /// Bytes of the part that were taken, unpacked.
    position: u64,
}

/// Takes the names of one archive, to its trailer.
pub(super) fn list(source: &mut Source, listing: &mut Listing) -> Result<()> {
    let start = source.position();
    let mut header = [0; HEADER];
    let mut name = [0; LONGEST_NAME];
    loop {
        let place = source.place;
        source.read(&mut header)?;
        if !MAGICS.iter().any(|magic| header.starts_with(magic)) {
            let found = header[..6].escape_ascii();
            return Err(place.corrupt("070701 or 070702", format!("{:?}", found.to_string())));
        }
        let size = number(&header, FILE_SIZE).map_err(|text| place.corrupt("a size", text))?;
        let length = number(&header, NAME_SIZE).map_err(|text| place.corrupt("a size", text))?;
        let room = usize::try_from(length).ok().filter(|&length| length > 0);
        let Some(name) = room.and_then(|length| name.get_mut(..length)) else {
            return Err(place.corrupt(format!("a name of 1 to {LONGEST_NAME} bytes"), length));
        };
        source.read(name)?;
        source.fill_up(start)?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let name = &name[..end];
        if name == TRAILER {
            return Ok(());
        }
        source.skip(size)?;
        source.fill_up(start)?;
        listing.push(name)?;
    }
}

/// Eight hexadecimal digits.
fn number(header: &[u8; HEADER], at: usize) -> std::result::Result<u64, String> {
    let digits = &header[at..at + 8];
    let mut found = 0;
    for &digit in digits {
        let value = char::from(digit).to_digit(16);
        let value = value.ok_or_else(|| format!("{:?}", digits.escape_ascii().to_string()))?;
        found = found << 4 | u64::from(value);
    }
    Ok(found)
}

impl<'a> Source<'a> {
    pub(super) fn new(reader: Box<dyn BufRead + 'a>, form: Form, start: u64, most: u64) -> Self {
        let most = if form == Form::Plain { u64::MAX } else { most };
        Self { reader, place: Place { form, start, position: 0 }, most }
    }

    /// Bytes that were taken.
    pub(super) fn position(&self) -> u64 {
        self.place.position
    }

    /// Whether another archive follows, after zeros; if not, the part was read to its end.
    pub(super) fn at_archive(&mut self) -> Result<bool> {
        loop {
            let piece = self.piece()?;
            let length = piece.len();
            let zeros = piece.iter().position(|&byte| byte != 0).unwrap_or(length);
            self.take(zeros)?;
            if length == 0 || zeros < length {
                return Ok(length > 0);
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let piece = self.more()?;
            let length = piece.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&piece[..length]);
            filled += length;
            self.take(length)?;
        }
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let piece = self.more()?.len();
            let passed = usize::try_from(left).unwrap_or(piece).min(piece);
            self.take(passed)?;
            left -= passed as u64;
        }
        Ok(())
    }

    /// Passes over what fills up to four bytes, counted from the start of the archive.
    fn fill_up(&mut self, start: u64) -> Result<()> {
        let length = self.position() - start;
        self.skip(length.next_multiple_of(4) - length)
    }

    /// The next bytes; none at the end.
    fn piece(&mut self) -> Result<&[u8]> {
        let place = self.place;
        self.reader.fill_buf().map_err(|error| place.corrupt("sound data", error))
    }

    /// The next bytes; an error at the end.
    fn more(&mut self) -> Result<&[u8]> {
        let place = self.place;
        let piece = self.piece()?;
        if piece.is_empty() {
            return Err(place.corrupt("a whole archive", "cut off"));
        }
        Ok(piece)
    }

    fn take(&mut self, length: usize) -> Result<()> {
        self.reader.consume(length);
        self.place.position += length as u64;
        if self.place.position > self.most {
            return Err(Error::Unsupported(format!(
                "the initial RAM disk unpacks to more than {} MiB",
                MOST_UNPACKED >> 20
            )));
        }
        Ok(())
    }
}

impl Place {
    fn corrupt(self, expected: impl Display, actual: impl Display) -> Error {
        let Self { form, start, position } = self;
        if form == Form::Plain {
            return Error::corrupt("cpio archive", start + position, expected, actual);
        }
        let structure = format!("byte {position} of the {form:?} part of the initial RAM disk");
        Error::corrupt(structure, start, expected, actual)
    }
}
