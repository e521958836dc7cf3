//! qcow2 images, by the crate imago. Its parents are ours: it opens nothing but the image itself.

use crate::disk::{BlockMap, Mapping, Target};
use crate::error::{Error, Result};
use crate::file::File;
use imago::format::drivers::FormatDriverInstance;
use imago::qcow2::Qcow2;
use imago::{DenyImplicitOpenGate, FormatAccess, FormatDriverBuilder, ShallowMapping};
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

const MAGIC: [u8; 4] = *b"QFI\xFB";
/// Cluster sizes that qemu knows: 512 bytes to 2 MiB.
const CLUSTER_BITS: RangeInclusive<u32> = 9..=21;
/// qemu refuses larger tables too.
const LARGEST_L1: u64 = 32 * 1024 * 1024;
const LARGEST_REFCOUNT_TABLE: u64 = 8 * 1024 * 1024;
const LONGEST_BACKING_NAME: u32 = 1023;
/// Incompatible features: dirty and corrupt do not keep us from reading.
const KNOWN_FEATURES: u64 = 0b11;
/// The features that have a name, by their bit.
const NAMED_FEATURES: [(u64, &str); 3] = [
    (1 << 2, "its data in another file"),
    (1 << 3, "clusters compressed by another method than deflate, such as zstd"),
    (1 << 4, "extended L2 entries"),
];
/// The header extension that names the format of the backing file.
const BACKING_FORMAT: u32 = 0xE279_2ACA;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version, 2 or 3.
    pub version: u32,
    /// Size of the virtual disk in bytes.
    pub size: u64,
    /// Bytes of a cluster.
    pub cluster_size: u64,
    /// File offset of the L1 table.
    pub table_offset: u64,
    /// Name of the backing file, as it stands there.
    pub backing_file: Option<String>,
    /// Its format, where the image says.
    pub backing_format: Option<String>,
}

impl Header {
    /// Reads and checks the header (QEMU, docs/interop/qcow2).
    pub fn read(file: &File) -> Result<Self> {
        let mut bytes = [0; 104];
        let length = file.read_at(0, &mut bytes)?;
        if length < 72 || bytes[..4] != MAGIC {
            return Err(corrupt(0, "the magic 51 46 49 FB and 72 bytes", "something else"));
        }
        let version = u32_at(&bytes, 4);
        if !(2..=3).contains(&version) {
            return Err(Error::Unsupported(format!(
                "qcow2 version is {version}, known are 2 and 3"
            )));
        }
        let bits = u32_at(&bytes, 20);
        if !CLUSTER_BITS.contains(&bits) {
            return Err(corrupt(20, "cluster bits from 9 to 21", bits));
        }
        if u32_at(&bytes, 32) != 0 {
            return Err(Error::Unsupported("the qcow2 image is encrypted".to_owned()));
        }
        let features = if version == 3 { u64_at(&bytes, 72) & !KNOWN_FEATURES } else { 0 };
        if features != 0 {
            let named = NAMED_FEATURES.iter().find(|(bit, _)| features & bit != 0);
            let has = named.map_or("features that are not known", |&(_, name)| name);
            return Err(Error::Unsupported(format!("the qcow2 image has {has}")));
        }
        let cluster_size = 1 << bits;
        Self::check_table(
            file,
            40,
            "L1 table",
            u64_at(&bytes, 40),
            u64::from(u32_at(&bytes, 36)) * 8,
            LARGEST_L1,
        )?;
        let (entries, size) = (u64::from(u32_at(&bytes, 36)), u64_at(&bytes, 24));
        let needed = size.div_ceil(cluster_size * (cluster_size / 8));
        if entries < needed {
            let expected = format!("at least {needed} L1 entries for a disk of {size} bytes");
            return Err(corrupt(36, expected, entries));
        }
        let refcounts = u64::from(u32_at(&bytes, 56)) * cluster_size;
        let name = "refcount table";
        Self::check_table(file, 48, name, u64_at(&bytes, 48), refcounts, LARGEST_REFCOUNT_TABLE)?;
        let header_length = if version == 2 { 72 } else { u64::from(u32_at(&bytes, 100)) };
        let backing_file = Self::backing_file(file, u64_at(&bytes, 8), u32_at(&bytes, 16))?;
        let backing_format = Self::extension(file, header_length, cluster_size)?;
        Ok(Self {
            version,
            size,
            cluster_size,
            table_offset: u64_at(&bytes, 40),
            backing_file,
            backing_format,
        })
    }

    fn check_table(
        file: &File,
        field: u64,
        name: &str,
        offset: u64,
        length: u64,
        most: u64,
    ) -> Result<()> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= file.size());
        if inside && length <= most {
            return Ok(());
        }
        let expected = format!("the {name} inside the file, of at most {most} bytes");
        Err(corrupt(field, expected, format_args!("{length} bytes at {offset:#x}")))
    }

    fn backing_file(file: &File, offset: u64, length: u32) -> Result<Option<String>> {
        if offset == 0 || length == 0 {
            return Ok(None);
        }
        if length > LONGEST_BACKING_NAME {
            return Err(corrupt(16, "a backing file name of at most 1023 bytes", length));
        }
        let mut name = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(offset, &mut name)?;
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }

    /// The text of the backing format extension, if the header has it.
    fn extension(file: &File, header_length: u64, cluster_size: u64) -> Result<Option<String>> {
        let mut offset = header_length;
        while offset + 8 <= cluster_size.min(file.size()) {
            let mut head = [0; 8];
            file.read_exact_at(offset, &mut head)?;
            let (kind, length) = (u32_at(&head, 0), u32_at(&head, 4));
            if kind == 0 || u64::from(length) > cluster_size {
                break;
            }
            if kind == BACKING_FORMAT {
                let mut text = vec![0; usize::try_from(length.min(64)).unwrap_or(0)];
                file.read_exact_at(offset + 8, &mut text)?;
                return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
            }
            offset += 8 + u64::from(length).next_multiple_of(8);
        }
        Ok(None)
    }
}

type Image = Qcow2<imago::file::File, FormatAccess<imago::file::File>>;

/// The block map of a qcow2 image.
pub struct Qcow2Map {
    file: Arc<File>,
    image: Image,
    size: u64,
    table_offset: u64,
}

impl Qcow2Map {
    /// Opens the image that `file` is open on.
    pub fn new(file: Arc<File>) -> Result<Self> {
        let header = Header::read(&file)?;
        let path = file.path().to_owned();
        let image = guarded("qcow2 image", 0, || {
            // Opened by us: the gate that keeps imago from opening anything would deny this one too.
            let storage = imago::file::File::try_from(fs::File::open(path)?)?;
            Image::builder(storage)
                .backing(None)
                .data_file(None)
                .write(false)
                .open(DenyImplicitOpenGate::default())
        })?;
        Ok(Self { file, image, size: header.size, table_offset: header.table_offset })
    }

    fn guarded<T>(&self, offset: u64, work: impl FnOnce() -> io::Result<T>) -> Result<T> {
        let structure =
            format!("qcow2 tables of {} for disk offset {offset:#x}", self.file.path().display());
        guarded(&structure, self.table_offset, work)
    }
}

impl BlockMap for Qcow2Map {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let (target, mapped) = self.guarded(offset, || {
            let (mapping, mapped) = self.image.get_mapping(offset, length)?;
            let target = match mapping {
                ShallowMapping::Raw { offset, .. } => Some(offset),
                ShallowMapping::Special { .. } => return Ok((Target::Opaque, mapped)),
                ShallowMapping::Zero { explicit: true, .. } => return Ok((Target::Zero, mapped)),
                // Not in this image, whether it names a backing file or not.
                ShallowMapping::Zero { .. } | ShallowMapping::Indirect { .. } => None,
                ShallowMapping::Eof { .. } => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => return Err(io::ErrorKind::Unsupported.into()),
            };
            let target = target.map_or(Target::Unallocated, |offset| {
                let file = Arc::clone(&self.file);
                Target::File { file, offset }
            });
            Ok((target, mapped))
        })?;
        let length = mapped.clamp(1, length);
        match target {
            // What lies past the end of the file was never written: qemu reads zeros there.
            Target::File { offset, .. } if offset >= self.file.size() => {
                Ok(Mapping { length, target: Target::Zero })
            }
            Target::File { file, offset } => {
                let length = length.min(file.size() - offset);
                Ok(Mapping { length, target: Target::File { file, offset } })
            }
            target => Ok(Mapping { length, target }),
        }
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.guarded(offset, || self.image.readv_special(buffer.into(), offset))
    }
}

/// Runs code of another crate on a hostile image: a panic of it is a corrupt image to us.
fn guarded<T>(structure: &str, place: u64, work: impl FnOnce() -> io::Result<T>) -> Result<T> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    let actual = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) if error.kind() == io::ErrorKind::Unsupported => {
            return Err(Error::Unsupported(format!(
                "the qcow2 image needs what is not read: {error}"
            )));
        }
        Ok(Err(error)) if error.raw_os_error().is_some() => {
            return Err(Error::io(format!("cannot read the {structure}"), error));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "tables that contradict each other".to_owned(),
    };
    Err(Error::corrupt(structure, place, "sound tables", actual))
}

fn corrupt(offset: u64, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("qcow2 header", offset, expected, actual)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_be_bytes(field)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_be_bytes(field)
}
