//! File records and their attributes, and the fixups that guard every multi-sector structure.

use crate::error::{Error, Result};
use crate::windows::{u16_at, u32_at, u64_at, units};

/// Bytes that one entry of an update sequence guards, whatever the sector size.
const STRIDE: usize = 512;
/// The low bits of a reference are the number of a record, the high ones its sequence number.
pub const NUMBER: u64 = (1 << 48) - 1;

const IN_USE: u16 = 1;
const DIRECTORY: u16 = 2;
const END: u32 = 0xFFFF_FFFF;

/// Types of attributes that are read.
pub mod kind {
    /// Times and flags.
    pub const STANDARD_INFORMATION: u32 = 0x10;
    /// Where the attributes are that did not fit.
    pub const ATTRIBUTE_LIST: u32 = 0x20;
    /// A name in a directory.
    pub const FILE_NAME: u32 = 0x30;
    /// The label.
    pub const VOLUME_NAME: u32 = 0x60;
    /// Version and flags.
    pub const VOLUME_INFORMATION: u32 = 0x70;
    /// The bytes of a file, or of a named stream.
    pub const DATA: u32 = 0x80;
    /// The top of a directory's tree.
    pub const INDEX_ROOT: u32 = 0x90;
    /// The rest of it.
    pub const INDEX_ALLOCATION: u32 = 0xA0;
    /// What makes a file something else.
    pub const REPARSE_POINT: u32 = 0xC0;
}

/// Puts back the last two bytes of every 512, checking that all were written together.
pub fn fix(block: &mut [u8], magic: [u8; 4], structure: &str, offset: u64) -> Result<()> {
    let corrupt =
        |expected: String, actual: String| Err(Error::corrupt(structure, offset, expected, actual));
    if !block.starts_with(&magic) {
        let found = &block[..magic.len().min(block.len())];
        let expected = format!("{:?}", String::from_utf8_lossy(&magic));
        return corrupt(expected, format!("{:?}", String::from_utf8_lossy(found)));
    }
    let place = usize::from(u16_at(block, 4).unwrap_or(0));
    let count = usize::from(u16_at(block, 6).unwrap_or(0));
    let strides = block.len() / STRIDE;
    if count != strides + 1 || place < 8 || place + 2 * count > STRIDE - 2 {
        let expected = format!("{} entries of an update sequence in the first sector", strides + 1);
        return corrupt(expected, format!("{count} at {place:#x}"));
    }
    let sequence: Vec<[u8; 2]> = block[place..place + 2 * count].as_chunks::<2>().0.to_vec();
    for (stride, saved) in block.chunks_exact_mut(STRIDE).zip(&sequence[1..]) {
        let end = &mut stride[STRIDE - 2..];
        if end != sequence[0] {
            let expected = format!("update sequence number {:02x?}", sequence[0]);
            return corrupt(expected, format!("{end:02x?} in a sector: a torn write"));
        }
        end.copy_from_slice(saved);
    }
    Ok(())
}

/// A file record after its fixups.
#[derive(Debug, Clone)]
pub struct Record {
    /// Place in the master file table.
    pub number: u64,
    bytes: Vec<u8>,
}

impl Record {
    /// Checks the bytes of record `number`, which lay at `offset` of the volume.
    pub fn new(number: u64, mut bytes: Vec<u8>, offset: u64) -> Result<Self> {
        fix(&mut bytes, *b"FILE", &format!("NTFS file record {number}"), offset)?;
        let used = u32_at(&bytes, 0x18).unwrap_or(0) as usize;
        if used > bytes.len() {
            let structure = format!("NTFS file record {number}, bytes in use");
            let expected = format!("at most {}", bytes.len());
            return Err(Error::corrupt(structure, offset + 0x18, expected, used));
        }
        bytes.truncate(used);
        Ok(Self { number, bytes })
    }

    fn field(&self, offset: usize) -> u16 {
        u16_at(&self.bytes, offset).unwrap_or(0)
    }

    /// How often the record was used.
    pub fn sequence(&self) -> u16 {
        self.field(0x10)
    }

    /// Whether it stands for anything.
    pub fn in_use(&self) -> bool {
        self.field(0x16) & IN_USE != 0
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.field(0x16) & DIRECTORY != 0
    }

    /// The record that this one continues; 0 for a record of its own.
    pub fn base(&self) -> u64 {
        u64_at(&self.bytes, 0x20).unwrap_or(0)
    }

    /// The attributes, in order; the last one is an error where one does not fit.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes { record: self, place: usize::from(self.field(0x14)), ended: false }
    }

    /// The first attribute of a type with a name.
    pub fn find(&self, kind: u32, name: &[u16]) -> Result<Option<Attribute<'_>>> {
        for attribute in self.attributes() {
            let attribute = attribute?;
            if attribute.kind == kind && attribute.name == name {
                return Ok(Some(attribute));
            }
        }
        Ok(None)
    }
}

/// An attribute of a file record.
#[derive(Debug, Clone)]
pub struct Attribute<'a> {
    /// Its type.
    pub kind: u32,
    /// Its name, empty for most.
    pub name: Vec<u16>,
    /// Compressed, encrypted, sparse.
    pub flags: u16,
    /// Number within the record.
    pub instance: u16,
    /// Where its bytes are.
    pub body: Body<'a>,
}

/// Where the bytes of an attribute are.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// In the record.
    Resident(&'a [u8]),
    /// In clusters.
    Clusters {
        /// Cluster of the attribute that the runs start with.
        first: u64,
        /// Binary logarithm of the clusters that are compressed together.
        unit: u8,
        /// Bytes, in the first piece only.
        size: u64,
        /// Bytes that were ever written, in the first piece only.
        initialized: u64,
        /// Encoded list of runs.
        runs: &'a [u8],
    },
}

/// Iterator of [`Record::attributes`].
pub struct Attributes<'a> {
    record: &'a Record,
    place: usize,
    ended: bool,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.record.bytes.get(self.place..).filter(|_| !self.ended)?;
        if u32_at(rest, 0).is_none_or(|kind| kind == END || kind == 0) {
            return None;
        }
        let length = u32_at(rest, 4).unwrap_or(0) as usize;
        let attribute = rest.get(..length).and_then(parse);
        if attribute.is_none() {
            self.ended = true;
            return Some(Err(Error::corrupt(
                format!("NTFS file record {}, attribute", self.record.number),
                self.place as u64,
                "an attribute inside the record",
                format!("{length} bytes of {}", rest.len()),
            )));
        }
        self.place += length;
        attribute.map(Ok)
    }
}

fn parse(bytes: &[u8]) -> Option<Attribute<'_>> {
    let letters = usize::from(*bytes.get(9)?);
    let name_at = usize::from(u16_at(bytes, 10)?);
    let name = match letters {
        0 => Vec::new(),
        _ => units(bytes.get(name_at..name_at + 2 * letters)?),
    };
    let body = if bytes.get(8)? & 1 == 0 {
        let length = u32_at(bytes, 0x10)? as usize;
        let start = usize::from(u16_at(bytes, 0x14)?);
        Body::Resident(bytes.get(start..start.checked_add(length)?)?)
    } else {
        Body::Clusters {
            first: u64_at(bytes, 0x10)?,
            unit: *bytes.get(0x22)?,
            size: u64_at(bytes, 0x30)?,
            initialized: u64_at(bytes, 0x38)?,
            runs: bytes.get(usize::from(u16_at(bytes, 0x20)?)..)?,
        }
    };
    let (flags, instance) = (u16_at(bytes, 12)?, u16_at(bytes, 14)?);
    Some(Attribute { kind: u32_at(bytes, 0)?, name, flags, instance, body })
}
