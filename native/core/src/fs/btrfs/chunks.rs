//! Where logical addresses of btrfs are on the one device that is read.

use super::tree::Key;
use crate::error::{Error, Result};
use crate::fields::{le16, le64};
use std::collections::BTreeMap;

/// Object and kind of a chunk's key.
const CHUNK_TREE: u64 = 256;
/// Kind of a chunk's key.
pub const CHUNK_ITEM: u8 = 228;
const HEAD: usize = 48;
const STRIPE: usize = 32;
/// Bits of a chunk's type that spread one chunk over several devices.
const SPREAD: [(u64, &str); 4] =
    [(1 << 3, "RAID0"), (1 << 6, "RAID10"), (1 << 7, "RAID5"), (1 << 8, "RAID6")];
const MOST_CHUNKS: usize = 1 << 20;

/// A chunk's type: it holds data.
const DATA: u64 = 1;

#[derive(Debug)]
struct Chunk {
    length: u64,
    data: bool,
    /// Where each copy starts on this device.
    copies: Vec<u64>,
}

/// All chunks, by logical address.
#[derive(Debug, Default)]
pub struct Chunks(BTreeMap<u64, Chunk>);

impl Chunks {
    /// Adds the chunks of the superblock.
    pub fn add_system(&mut self, array: &[u8], device: u64) -> Result<()> {
        let mut at = 0;
        while at < array.len() {
            let key = Key::parse(array, at);
            let stripes = usize::from(le16(array, at + Key::LENGTH + 44));
            let end = at + Key::LENGTH + HEAD + stripes * STRIPE;
            let item = array.get(at + Key::LENGTH..end);
            let Some(item) = item.filter(|_| key.kind == CHUNK_ITEM) else {
                return Err(Error::Invalid(format!("btrfs: no system chunk at byte {at}")));
            };
            self.add(key, item, device)?;
            at = end;
        }
        Ok(())
    }

    /// Adds a chunk of the chunk tree.
    pub fn add(&mut self, key: Key, item: &[u8], device: u64) -> Result<()> {
        let (length, kind) = (le64(item, 0), le64(item, 24));
        let count = usize::from(le16(item, 44));
        let sane = length > 0 && key.offset.checked_add(length).is_some();
        if key.object != CHUNK_TREE || !sane || count == 0 || item.len() < HEAD + count * STRIPE {
            return Err(Error::Invalid(format!(
                "btrfs chunk at {:#x}: {length} bytes in {count} stripes",
                key.offset
            )));
        }
        if let Some((_, name)) = SPREAD.iter().find(|(bit, _)| kind & bit != 0 && count > 1) {
            return Err(Error::Unsupported(format!("btrfs with data or metadata as {name}")));
        }
        let stripes = item[HEAD..HEAD + count * STRIPE].chunks_exact(STRIPE);
        let here = stripes.filter(|stripe| le64(stripe, 0) == device);
        let copies: Vec<u64> = here.map(|stripe| le64(stripe, 8)).collect();
        if copies.is_empty() {
            return Err(Error::Unsupported(format!(
                "btrfs over several devices: the chunk at {:#x} is not on this one",
                key.offset
            )));
        }
        if self.0.len() >= MOST_CHUNKS {
            return Err(Error::Unsupported(format!("btrfs of more than {MOST_CHUNKS} chunks")));
        }
        self.0.insert(key.offset, Chunk { length, data: kind & DATA != 0, copies });
        Ok(())
    }

    /// How many copies of data this device has.
    pub fn data_copies(&self) -> u64 {
        let data = self.0.values().filter(|chunk| chunk.data);
        data.map(|chunk| chunk.copies.len() as u64).max().unwrap_or(1)
    }

    /// Where each copy of a logical address is on the device, and how many bytes go on there.
    pub fn find(&self, address: u64) -> Result<(Vec<u64>, u64)> {
        let found = self.0.range(..=address).next_back();
        let found = found.filter(|(start, chunk)| address - *start < chunk.length);
        let Some((start, chunk)) = found else {
            return Err(Error::Invalid(format!("btrfs: address {address:#x} is in no chunk")));
        };
        let skip = address - start;
        let copies = chunk.copies.iter().map(|copy| copy.saturating_add(skip)).collect();
        Ok((copies, chunk.length - skip))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn item(length: u64, kind: u64, stripes: &[(u64, u64)]) -> Vec<u8> {
        let mut item = vec![0; HEAD];
        item[..8].copy_from_slice(&length.to_le_bytes());
        item[24..32].copy_from_slice(&kind.to_le_bytes());
        item[44] = u8::try_from(stripes.len()).unwrap();
        for (device, offset) in stripes {
            item.extend_from_slice(&device.to_le_bytes());
            item.extend_from_slice(&offset.to_le_bytes());
            item.extend_from_slice(&[0; 16]);
        }
        item
    }

    fn key(offset: u64) -> Key {
        Key { object: CHUNK_TREE, kind: CHUNK_ITEM, offset }
    }

    #[test]
    fn an_address_has_a_place_for_each_copy() {
        let mut chunks = Chunks::default();
        chunks.add(key(1000), &item(500, 1 | 1 << 5, &[(1, 7000), (1, 9000)]), 1).unwrap();
        assert_eq!(chunks.find(1200).unwrap(), (vec![7200, 9200], 300));
        assert_eq!(chunks.data_copies(), 2);
        assert!(chunks.find(999).is_err());
        assert!(chunks.find(1500).is_err());
    }

    #[test]
    fn what_is_elsewhere_or_cannot_be_is_refused() {
        let mut chunks = Chunks::default();
        let spread = item(500, 1 << 3, &[(1, 0), (2, 0)]);
        let error = chunks.add(key(0), &spread, 1).unwrap_err();
        assert!(error.to_string().contains("RAID0"));
        assert!(chunks.add(key(0), &item(500, 0, &[(2, 0)]), 1).is_err());
        assert!(chunks.add(key(0), &item(0, 0, &[(1, 0)]), 1).is_err());
        assert!(chunks.add(key(u64::MAX), &item(2, 0, &[(1, 0)]), 1).is_err());
        assert!(chunks.add(key(0), &item(500, 0, &[(1, 0)])[..60], 1).is_err());
        assert!(chunks.add_system(&[0; 20], 1).is_err());
    }
}
