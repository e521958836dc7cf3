//! The bytes of an attribute: in the record, in clusters, in no clusters, or compressed.

use super::lznt1;
use super::record::{Attribute, Body};
use super::runs::Runs;
use crate::disk::Disk;
use crate::error::{Error, Result};

const COMPRESSION: u16 = 0x00FF;
const LZNT1: u16 = 1;
const ENCRYPTED: u16 = 0x4000;
/// The most bytes that are compressed together: 16 clusters of 4 KiB, by Windows.
const MOST_UNIT: u64 = 4 << 20;

/// Where the bytes of an attribute are, put together from its pieces.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Bytes.
    pub size: u64,
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    Resident(Vec<u8>),
    Clusters(Clusters),
}

#[derive(Debug, Clone)]
struct Clusters {
    runs: Runs,
    /// Bytes of a cluster.
    cluster: u64,
    /// Bytes that were ever written; what follows reads as zero.
    initialized: u64,
    /// Bytes that are compressed together, 0 for none.
    unit: u64,
    /// What cannot be read of it.
    unread: Option<String>,
}

impl Stream {
    /// Starts with the first piece of an attribute.
    pub fn new(attribute: &Attribute<'_>, cluster: u64, clusters: u64) -> Result<Self> {
        let (first, unit, size, initialized, encoded) = match attribute.body {
            Body::Resident(bytes) => {
                let storage = Storage::Resident(bytes.to_vec());
                return Ok(Self { size: bytes.len() as u64, storage });
            }
            Body::Clusters { first, unit, size, initialized, runs } => {
                (first, unit, size, initialized, runs)
            }
        };
        let mut runs = Runs::default();
        runs.extend(encoded, first, clusters)?;
        let method = attribute.flags & COMPRESSION;
        let mut unread = None;
        if attribute.flags & ENCRYPTED != 0 {
            unread = Some("the file is encrypted by EFS and is not read".to_owned());
        } else if method > LZNT1 {
            unread = Some(format!("NTFS compression method {method} is not read"));
        }
        let unit = if method == 0 { 0 } else { cluster.checked_shl(unit.into()).unwrap_or(0) };
        if unit > MOST_UNIT || method == LZNT1 && unit <= cluster {
            return Err(Error::corrupt(
                "NTFS compression unit",
                0,
                format_args!("2 clusters to {MOST_UNIT} bytes"),
                format_args!("{unit} bytes"),
            ));
        }
        let clusters = Clusters { runs, cluster, initialized, unit, unread };
        Ok(Self { size, storage: Storage::Clusters(clusters) })
    }

    /// Adds the next piece.
    pub fn extend(&mut self, attribute: &Attribute<'_>, clusters: u64) -> Result<()> {
        match (&mut self.storage, attribute.body) {
            (Storage::Clusters(stored), Body::Clusters { first, runs, .. }) => {
                stored.runs.extend(runs, first, clusters)
            }
            _ => Err(Error::corrupt(
                "NTFS attribute in pieces",
                0,
                "clusters in every piece",
                "bytes in a file record",
            )),
        }
    }

    /// Fills `buffer` from `offset` until it is full or the bytes end; returns how many.
    pub fn read_at(&self, volume: &Disk, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let left = self.size.saturating_sub(offset).min(buffer.len() as u64);
        let length = usize::try_from(left).unwrap_or(buffer.len());
        let buffer = &mut buffer[..length];
        match &self.storage {
            Storage::Resident(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer.copy_from_slice(&bytes[start..start + length]);
            }
            Storage::Clusters(stored) => stored.read(volume, offset, buffer)?,
        }
        Ok(length)
    }

    /// All of it, when that is at most `limit` bytes.
    pub fn read_all(&self, volume: &Disk, limit: u64, structure: &str) -> Result<Vec<u8>> {
        if self.size > limit {
            let expected = format!("at most {limit} bytes");
            return Err(Error::corrupt(structure, 0, expected, self.size));
        }
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(0)];
        self.read_at(volume, 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Bytes from `offset` on that are stored in one piece, and whether they are stored at all.
    pub fn extent(&self, offset: u64) -> (u64, bool) {
        let Storage::Clusters(stored) = &self.storage else { return (self.size, true) };
        match stored.runs.at(offset / stored.cluster) {
            Some(run) => (run.end() * stored.cluster - offset, run.place.is_some()),
            None => (self.size.saturating_sub(offset), true),
        }
    }
}

impl Clusters {
    fn read(&self, volume: &Disk, offset: u64, buffer: &mut [u8]) -> Result<()> {
        if let Some(unread) = &self.unread {
            return Err(Error::Unsupported(unread.clone()));
        }
        let written = self.initialized.saturating_sub(offset).min(buffer.len() as u64);
        let written = usize::try_from(written).unwrap_or(buffer.len());
        let (buffer, rest) = buffer.split_at_mut(written);
        rest.fill(0);
        if self.unit == 0 {
            self.stored(volume, offset, buffer)
        } else {
            self.compressed(volume, offset, buffer)
        }
    }

    /// Reads bytes as they lie in the clusters.
    fn stored(&self, volume: &Disk, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let cluster = offset / self.cluster;
            let Some(run) = self.runs.at(cluster) else { return Err(self.unmapped(cluster)) };
            let left = (run.end() * self.cluster - offset).min(buffer.len() as u64);
            let (piece, rest) = buffer.split_at_mut(usize::try_from(left).unwrap_or(buffer.len()));
            match run.place {
                Some(place) => {
                    let skipped = offset - run.first * self.cluster;
                    volume.read_at(place * self.cluster + skipped, piece)?;
                }
                None => piece.fill(0),
            }
            offset += left;
            buffer = rest;
        }
        Ok(())
    }

    /// Reads bytes unit by unit.
    fn compressed(&self, volume: &Disk, mut offset: u64, mut buffer: &mut [u8]) -> Result<()> {
        let mut unit = Vec::new();
        while !buffer.is_empty() {
            let start = offset - offset % self.unit;
            let skipped = usize::try_from(offset - start).unwrap_or(0);
            let left = (self.unit - (offset - start)).min(buffer.len() as u64);
            let (piece, rest) = buffer.split_at_mut(usize::try_from(left).unwrap_or(buffer.len()));
            let stored = self.stored_in_unit(start / self.cluster)? * self.cluster;
            if stored == 0 {
                piece.fill(0);
            } else if stored == self.unit {
                self.stored(volume, offset, piece)?;
            } else {
                let mut packed = vec![0; usize::try_from(stored).unwrap_or(0)];
                self.stored(volume, start, &mut packed)?;
                unit.resize(usize::try_from(self.unit).unwrap_or(0), 0);
                if !lznt1::decompress(&packed, &mut unit) {
                    return Err(Error::corrupt(
                        "compressed NTFS file",
                        start,
                        format_args!("{stored} bytes of LZNT1"),
                        "something else",
                    ));
                }
                piece.copy_from_slice(&unit[skipped..skipped + piece.len()]);
            }
            offset += left;
            buffer = rest;
        }
        Ok(())
    }

    /// How many clusters of the unit that starts with `first` are stored: the first ones.
    fn stored_in_unit(&self, first: u64) -> Result<u64> {
        let end = first + self.unit / self.cluster;
        let mut cluster = first;
        let mut stored = None;
        while cluster < end {
            // The last unit of a file may end with its last run.
            let Some(run) = self.runs.at(cluster) else { break };
            match (run.place, stored) {
                (None, None) => stored = Some(cluster - first),
                (Some(_), Some(_)) => {
                    return Err(Error::corrupt(
                        "compressed NTFS file",
                        cluster * self.cluster,
                        "no clusters after a hole in a compression unit",
                        "clusters",
                    ));
                }
                _ => {}
            }
            cluster = run.end();
        }
        if cluster == first {
            return Err(self.unmapped(first));
        }
        Ok(stored.unwrap_or(cluster.min(end) - first))
    }

    fn unmapped(&self, cluster: u64) -> Error {
        Error::corrupt(
            "NTFS list of runs",
            cluster * self.cluster,
            format_args!("a run for cluster {cluster} of the file"),
            format_args!("{} clusters", self.runs.end()),
        )
    }
}
