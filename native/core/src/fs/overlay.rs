//! A volume with some blocks replaced by others of it: a journal that is replayed where it lies.

use crate::disk::{BlockMap, Disk, Mapping, Target};
use crate::error::Result;
use std::collections::BTreeMap;

/// Where the bytes of a replaced block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Byte offset on the volume, of a whole block inside it.
    pub offset: u64,
    /// What stands in front of the block's own first four bytes, if anything.
    pub start: Option<[u8; 4]>,
}

/// A disk with replaced blocks.
pub struct Overlay {
    disk: Disk,
    block_size: u64,
    blocks: BTreeMap<u64, Replacement>,
}

impl Overlay {
    /// `disk` with `blocks`, by number, replaced.
    pub fn new(disk: Disk, block_size: u64, blocks: BTreeMap<u64, Replacement>) -> Self {
        Self { disk, block_size: block_size.max(1), blocks }
    }
}

impl BlockMap for Overlay {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let (block, within) = (offset / self.block_size, offset % self.block_size);
        let Some(replacement) = self.blocks.get(&block) else {
            let next = self.blocks.range(block..).next().map(|(&next, _)| next * self.block_size);
            let length = next.map_or(length, |next| length.min(next - offset));
            return Ok(self.disk.resolve(offset, length)?.into());
        };
        let length = length.min(self.block_size - within);
        if replacement.start.is_some() {
            return Ok(Mapping { length, target: Target::Opaque });
        }
        Ok(self.disk.resolve(replacement.offset + within, length)?.into())
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let (block, within) = (offset / self.block_size, offset % self.block_size);
        let Some(replacement) = self.blocks.get(&block) else {
            return self.disk.read_at(offset, buffer);
        };
        self.disk.read_at(replacement.offset + within, buffer)?;
        let start = replacement.start.iter().flatten();
        let skipped = usize::try_from(within).unwrap_or(usize::MAX);
        buffer.iter_mut().zip(start.skip(skipped)).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::disk_of;
    use std::sync::Arc;

    #[test]
    fn replaced_blocks_are_seen_and_their_neighbours_are_not_changed() {
        let bytes: Vec<u8> = (0..8u8).flat_map(|block| [block; 16]).collect();
        let mut blocks = BTreeMap::new();
        blocks.insert(1, Replacement { offset: 6 * 16, start: None });
        blocks.insert(3, Replacement { offset: 7 * 16, start: Some(*b"abcd") });
        let disk = Disk::new(Arc::new(Overlay::new(disk_of(&bytes), 16, blocks)), None);
        let mut seen = vec![0; 128];
        disk.read_at(0, &mut seen).unwrap();
        let mut expected = bytes;
        expected[16..32].fill(6);
        expected[48..64].fill(7);
        expected[48..52].copy_from_slice(b"abcd");
        assert_eq!(seen, expected);
        for offset in 0..125 {
            let mut three = [0; 3];
            disk.read_at(offset, &mut three).unwrap();
            let offset = usize::try_from(offset).unwrap();
            assert_eq!(three, expected[offset..offset + 3]);
        }
    }
}
