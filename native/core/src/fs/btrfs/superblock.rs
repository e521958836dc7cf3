//! The superblock of btrfs (Linux, `uapi/linux/btrfs_tree.h`).

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{self, le16, le32, le64};

/// Where the first superblock is; Linux mounts by no other.
pub const OFFSET: u64 = 64 << 10;
/// Its bytes.
pub const LENGTH: usize = 4096;
const MAGIC: [u8; 8] = *b"_BHRfS_M";
const MAGIC_AT: usize = 64;
/// A block's checksum takes its first 32 bytes.
pub const CHECKSUM: usize = 32;
const LABEL: usize = 299;
const SYSTEM_CHUNKS: usize = 811;
const LARGEST_SYSTEM_CHUNKS: u64 = 2048;

/// Bits of `flags`: errors were noted; metadata without data.
const ERROR: u64 = 4;
const METADUMP: u64 = 3 << 33;

/// Bits of `incompat_flags` that are read, or change nothing for a reader: mixed back references,
/// default subvolume, mixed groups, LZO, zstd, big metadata, extended references, RAID5/6 and
/// RAID1 with more copies (refused chunk by chunk), skinny metadata, no holes, metadata UUID,
/// simple quotas.
const KNOWN_INCOMPAT: u64 = 0x1_0FFF;
const METADATA_UUID: u64 = 0x400;
const NAMED_INCOMPAT: [(u64, &str); 4] = [
    (0x1000, "zoned"),
    (0x2000, "extent tree v2"),
    (0x4000, "RAID stripe tree"),
    (0x8000, "a feature that is not known"),
];

/// How metadata is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32C.
    Crc32c,
    /// XXH64.
    Xxhash64,
    /// A kind that is not computed here, by its name.
    Other(&'static str),
}

/// A block of a tree, as a pointer to it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Logical address.
    pub address: u64,
    /// The transaction that wrote it.
    pub generation: u64,
    /// Levels above the leaves.
    pub level: u8,
}

/// What the superblock says, checked.
#[derive(Debug, Clone)]
pub struct Superblock {
    /// As `blkid` prints it, in bytes.
    pub uuid: [u8; 16],
    /// The UUID that the blocks of trees carry.
    pub metadata_uuid: [u8; 16],
    /// Without its zeros.
    pub label: Vec<u8>,
    /// Root of the tree of trees.
    pub root: Link,
    /// Root of the chunk tree.
    pub chunk_root: Link,
    /// Address of the log's root; 0 where there is none.
    pub log_root: u64,
    /// Object that holds the name of the default subvolume.
    pub root_directory: u64,
    /// Bytes of all devices.
    pub total_bytes: u64,
    /// Bytes used, each copy of a duplicated block not counted.
    pub used_bytes: u64,
    /// Devices.
    pub devices: u64,
    /// Number of this device.
    pub device: u64,
    /// Bytes of a sector: the unit of LZO.
    pub sector_size: usize,
    /// Bytes of a tree block.
    pub node_size: usize,
    /// How metadata is checked.
    pub checksum: Checksum,
    /// Linux has noted errors in it.
    pub errors: bool,
    /// Chunks that are needed to read the chunk tree.
    pub system_chunks: Vec<u8>,
}

/// Whether a volume has the superblock of a btrfs.
pub fn detect(volume: &Disk) -> bool {
    let mut magic = [0; 8];
    volume.size() >= OFFSET + LENGTH as u64
        && volume.read_at(OFFSET + MAGIC_AT as u64, &mut magic).is_ok()
        && magic == MAGIC
}

impl Superblock {
    /// Reads and checks the first superblock.
    pub fn read(volume: &Disk) -> Result<Self> {
        let mut bytes = vec![0; LENGTH];
        volume.read_at(OFFSET, &mut bytes)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes[MAGIC_AT..MAGIC_AT + 8] != MAGIC {
            return Err(corrupt(MAGIC_AT, "the magic _BHRfS_M", "something else"));
        }
        let checksum = match le16(bytes, 196) {
            0 => Checksum::Crc32c,
            1 => Checksum::Xxhash64,
            2 => Checksum::Other("SHA-256"),
            3 => Checksum::Other("BLAKE2b"),
            other => {
                return Err(Error::Unsupported(format!("btrfs with checksums of kind {other}")));
            }
        };
        if !checksum.holds(bytes) {
            return Err(corrupt(0, "the checksum of its bytes", "another one"));
        }
        if le64(bytes, 48) != OFFSET {
            return Err(corrupt(48, OFFSET, le64(bytes, 48)));
        }
        let flags = le64(bytes, 56);
        if flags & METADUMP != 0 {
            return Err(Error::Unsupported("btrfs metadata dump without data".to_owned()));
        }
        let incompat = le64(bytes, 188);
        if incompat & !KNOWN_INCOMPAT != 0 {
            let named = NAMED_INCOMPAT.iter().find(|(bit, _)| incompat & bit != 0);
            let name = named.map_or("features that are not known", |(_, name)| name);
            return Err(Error::Unsupported(format!(
                "btrfs with {name} (incompat flags {incompat:#x})"
            )));
        }
        let sector_size = block_size(bytes, 144, 512)?;
        let node_size = block_size(bytes, 148, sector_size)?;
        let system = u64::from(le32(bytes, 160));
        if system > LARGEST_SYSTEM_CHUNKS {
            return Err(corrupt(160, "at most 2048 bytes of system chunks", system));
        }
        let system = usize::try_from(system).unwrap_or(0);
        let (root_level, chunk_level) = (bytes[198], bytes[199]);
        let uuid = fields::bytes(bytes, 32);
        let metadata_uuid =
            if incompat & METADATA_UUID == 0 { uuid } else { fields::bytes(bytes, 571) };
        let label = bytes[LABEL..LABEL + 256].split(|&byte| byte == 0).next();
        Ok(Self {
            uuid,
            metadata_uuid,
            label: label.unwrap_or_default().to_vec(),
            root: Link { address: le64(bytes, 80), generation: le64(bytes, 72), level: root_level },
            chunk_root: Link {
                address: le64(bytes, 88),
                generation: le64(bytes, 164),
                level: chunk_level,
            },
            log_root: le64(bytes, 96),
            root_directory: le64(bytes, 128),
            total_bytes: le64(bytes, 112),
            used_bytes: le64(bytes, 120),
            devices: le64(bytes, 136),
            device: le64(bytes, 201),
            sector_size,
            node_size,
            checksum,
            errors: flags & ERROR != 0,
            system_chunks: bytes[SYSTEM_CHUNKS..SYSTEM_CHUNKS + system].to_vec(),
        })
    }
}

impl Checksum {
    /// Whether a block has the checksum of its bytes; true where it is not computed here.
    pub fn holds(self, block: &[u8]) -> bool {
        let Some((stored, rest)) = block.split_at_checked(CHECKSUM) else { return false };
        match self {
            Self::Crc32c => le32(stored, 0) == crc32c::crc32c(rest),
            Self::Xxhash64 => le64(stored, 0) == xxhash_rust::xxh64::xxh64(rest, 0),
            Self::Other(_) => true,
        }
    }
}

fn block_size(bytes: &[u8], at: usize, least: usize) -> Result<usize> {
    let size = usize::try_from(le32(bytes, at)).unwrap_or(0);
    if size.is_power_of_two() && (least.max(4096)..=65536).contains(&size) {
        return Ok(size);
    }
    Err(corrupt(at, "a power of two from 4096 to 65536", size))
}

fn corrupt(at: usize, expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("btrfs superblock", OFFSET + at as u64, expected, actual)
}
