//! The master file table: file records by number, and files that take several of them.

use super::boot::Boot;
use super::record::{Attribute, Body, NUMBER, Record, kind};
use super::stream::Stream;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::windows::{u16_at, u32_at, u64_at, units};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the table that are read at once and kept, and how many such pieces.
const PIECE: u64 = 16 << 10;
const MOST_PIECES: usize = 512;
/// The most bytes of an attribute list, as Windows has it.
const MOST_LIST: u64 = 256 << 10;

/// The master file table of a volume.
pub struct Mft {
    /// The volume.
    pub volume: Disk,
    /// Its boot sector.
    pub boot: Boot,
    stream: Stream,
    pieces: Mutex<HashMap<u64, Arc<Vec<u8>>>>,
}

impl Mft {
    /// Finds the table; with a note where its first record had to be read from the mirror.
    pub fn open(volume: Disk, boot: Boot) -> Result<(Self, Option<String>)> {
        let mut note = None;
        let first = first_record(&volume, &boot, boot.mft).or_else(|error| {
            let record = first_record(&volume, &boot, boot.mirror).map_err(|_| error)?;
            note = Some("the first file record is damaged and was read from the mirror".into());
            Ok::<_, Error>(record)
        })?;
        let Some(attribute) = first.find(kind::DATA, &[])? else {
            return Err(Error::corrupt("NTFS file record 0", 0, "$DATA", "none"));
        };
        let stream = Stream::new(&attribute, boot.cluster, boot.clusters)?;
        let mut mft = Self { volume, boot, stream, pieces: Mutex::default() };
        // The rest of the table is found through what is known of it so far.
        for entry in mft.list(&first)?.unwrap_or_default() {
            if entry.kind == kind::DATA && entry.name.is_empty() && entry.first > 0 {
                let record = mft.record(entry.reference & NUMBER)?;
                let piece = entry.in_record(&record)?;
                mft.stream.extend(&piece, boot.clusters)?;
            }
        }
        Ok((mft, note))
    }

    /// A file record, its fixups checked.
    pub fn record(&self, number: u64) -> Result<Record> {
        let length = self.boot.record;
        let offset = number.checked_mul(length as u64);
        let Some(offset) = offset.filter(|&offset| offset < self.stream.size) else {
            return Err(Error::corrupt(
                "NTFS file record",
                0,
                format_args!("a number below {}", self.stream.size / length as u64),
                number,
            ));
        };
        let piece = self.piece(offset / PIECE)?;
        let start = usize::try_from(offset % PIECE).unwrap_or(0);
        let Some(bytes) = piece.get(start..start + length) else {
            return Err(Error::corrupt("NTFS file record", offset, "a whole record", "a part"));
        };
        Record::new(number, bytes.to_vec(), offset)
    }

    fn piece(&self, index: u64) -> Result<Arc<Vec<u8>>> {
        let pieces = || self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(piece) = pieces().get(&index) {
            return Ok(Arc::clone(piece));
        }
        let mut bytes = vec![0; usize::try_from(PIECE).unwrap_or(0)];
        let read = self.stream.read_at(&self.volume, index * PIECE, &mut bytes)?;
        bytes.truncate(read);
        let piece = Arc::new(bytes);
        let mut pieces = pieces();
        if pieces.len() == MOST_PIECES {
            pieces.clear();
        }
        pieces.insert(index, Arc::clone(&piece));
        Ok(piece)
    }

    /// The file that a reference stands for.
    pub fn file(&self, reference: u64) -> Result<File<'_>> {
        let number = reference & NUMBER;
        let record = self.record(number)?;
        let wrong = |expected: String, actual: String| {
            Err(Error::corrupt(format!("NTFS file record {number}"), 0, expected, actual))
        };
        if !record.in_use() || record.base() & NUMBER != 0 {
            return wrong("a file".into(), "no file".into());
        }
        let sequence = reference >> 48;
        if sequence != 0 && sequence != u64::from(record.sequence()) {
            let actual = record.sequence().to_string();
            return wrong(format!("sequence number {sequence}"), actual);
        }
        let list = self.list(&record)?;
        Ok(File { mft: self, record, list })
    }

    fn list(&self, record: &Record) -> Result<Option<Vec<ListEntry>>> {
        let Some(attribute) = record.find(kind::ATTRIBUTE_LIST, &[])? else { return Ok(None) };
        let stream = Stream::new(&attribute, self.boot.cluster, self.boot.clusters)?;
        let bytes = stream.read_all(&self.volume, MOST_LIST, "NTFS attribute list")?;
        let mut entries = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 4).unwrap_or(0));
            let entry = rest.get(..length).and_then(ListEntry::parse);
            let Some(entry) = entry else {
                let structure = format!("attribute list of NTFS file record {}", record.number);
                let offset = (bytes.len() - rest.len()) as u64;
                return Err(Error::corrupt(structure, offset, "an entry", "a damaged one"));
            };
            entries.push(entry);
            rest = &rest[length..];
        }
        Ok(Some(entries))
    }
}

fn first_record(volume: &Disk, boot: &Boot, cluster: u64) -> Result<Record> {
    let offset = cluster.checked_mul(boot.cluster).filter(|_| cluster < boot.clusters);
    let Some(offset) = offset else {
        let expected = format!("a cluster below {}", boot.clusters);
        return Err(Error::corrupt("NTFS boot sector, $MFT", 0x30, expected, cluster));
    };
    let mut bytes = vec![0; boot.record];
    volume.read_at(offset, &mut bytes)?;
    Record::new(0, bytes, offset)
}

/// An entry of an attribute list: where a piece of an attribute is.
struct ListEntry {
    kind: u32,
    name: Vec<u16>,
    first: u64,
    reference: u64,
    instance: u16,
}

impl ListEntry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let letters = usize::from(*bytes.get(6)?);
        let place = usize::from(*bytes.get(7)?);
        let name = match letters {
            0 => Vec::new(),
            _ => units(bytes.get(place..place + 2 * letters)?),
        };
        Some(Self {
            kind: u32_at(bytes, 0)?,
            name,
            first: u64_at(bytes, 8)?,
            reference: u64_at(bytes, 16)?,
            instance: u16_at(bytes, 24)?,
        })
    }

    /// The attribute that the entry means in a record.
    fn in_record<'a>(&self, record: &'a Record) -> Result<Attribute<'a>> {
        for attribute in record.attributes() {
            let attribute = attribute?;
            let same = attribute.instance == self.instance && attribute.kind == self.kind;
            if same && attribute.name == self.name {
                return Ok(attribute);
            }
        }
        Err(Error::corrupt(
            format!("NTFS file record {}", record.number),
            0,
            format_args!("attribute {:#x} number {}", self.kind, self.instance),
            "none",
        ))
    }
}

/// A file or directory: its record, and where the rest of its attributes is.
pub struct File<'a> {
    mft: &'a Mft,
    /// The base record.
    pub record: Record,
    list: Option<Vec<ListEntry>>,
}

impl File<'_> {
    /// Calls `use_piece` with every attribute of a type that the file has, in order.
    fn each(
        &self,
        kind: u32,
        use_piece: &mut dyn FnMut(&Attribute<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(list) = &self.list else {
            for attribute in self.record.attributes() {
                let attribute = attribute?;
                if attribute.kind == kind {
                    use_piece(&attribute)?;
                }
            }
            return Ok(());
        };
        for entry in list.iter().filter(|entry| entry.kind == kind) {
            let number = entry.reference & NUMBER;
            if number == self.record.number {
                use_piece(&entry.in_record(&self.record)?)?;
                continue;
            }
            let record = self.mft.record(number)?;
            if record.base() & NUMBER != self.record.number {
                let structure = format!("NTFS file record {number}, base record");
                let expected = self.record.number;
                return Err(Error::corrupt(structure, 0x20, expected, record.base() & NUMBER));
            }
            use_piece(&entry.in_record(&record)?)?;
        }
        Ok(())
    }

    /// The bytes of an attribute, `None` where the file has none of that type and name.
    pub fn stream(&self, kind: u32, name: &[u16]) -> Result<Option<Stream>> {
        let boot = &self.mft.boot;
        let mut found: Option<Stream> = None;
        self.each(kind, &mut |attribute| {
            if attribute.name != name {
                return Ok(());
            }
            if let Some(stream) = &mut found {
                return stream.extend(attribute, boot.clusters);
            }
            found = Some(Stream::new(attribute, boot.cluster, boot.clusters)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The bytes of a small attribute that has no name.
    pub fn value(&self, kind: u32, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(stream) = self.stream(kind, &[])? else { return Ok(None) };
        let structure = format!("attribute {kind:#x} of NTFS file {}", self.record.number);
        stream.read_all(&self.mft.volume, limit, &structure).map(Some)
    }

    /// How many names it has, those of DOS not counted.
    pub fn names(&self) -> Result<u32> {
        let mut count = 0;
        self.each(kind::FILE_NAME, &mut |attribute| {
            let Body::Resident(bytes) = attribute.body else { return Ok(()) };
            count += u32::from(bytes.get(0x41).is_some_and(|&space| space != super::index::DOS));
            Ok(())
        })?;
        Ok(count)
    }
}
