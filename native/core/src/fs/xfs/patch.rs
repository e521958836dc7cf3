//! Changes of the log in front of a volume: nothing is written, no reader can forget them.

use crate::disk::{BlockMap, Disk, Mapping, Target};
use crate::error::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Bytes of a patch: a basic block of XFS.
pub const SECTOR: u64 = 512;

/// Sectors by their number, with the bytes that they will have.
#[derive(Default)]
pub struct Patches {
    sectors: BTreeMap<u64, Box<[u8; 512]>>,
}

impl Patches {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sectors.is_empty()
    }

    /// How many sectors are changed.
    pub fn len(&self) -> usize {
        self.sectors.len()
    }

    /// Whether any byte of a range is changed.
    pub fn touch(&self, offset: u64, length: u64) -> bool {
        let end = offset.saturating_add(length).div_ceil(SECTOR);
        let first = offset / SECTOR;
        first < end && self.sectors.range(first..end).next().is_some()
    }

    /// Puts bytes at an offset of the volume.
    pub fn write(&mut self, disk: &Disk, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let inside = usize::try_from(at % SECTOR).unwrap_or(0);
            let length = (512 - inside).min(bytes.len() - done);
            let sector = self.sector(disk, at / SECTOR)?;
            sector[inside..inside + length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
        Ok(())
    }

    /// Reads bytes as they are after the changes so far.
    pub fn read(&self, disk: &Disk, offset: u64, buffer: &mut [u8]) -> Result<()> {
        disk.read_at(offset, buffer)?;
        let end = offset.saturating_add(buffer.len() as u64);
        for (&number, sector) in self.sectors.range(offset / SECTOR..end.div_ceil(SECTOR)) {
            let start = number * SECTOR;
            let (from, to) = (start.max(offset), (start + SECTOR).min(end));
            let place = |at: u64, base: u64| usize::try_from(at - base).unwrap_or(0);
            buffer[place(from, offset)..place(to, offset)]
                .copy_from_slice(&sector[place(from, start)..place(to, start)]);
        }
        Ok(())
    }

    fn sector(&mut self, disk: &Disk, number: u64) -> Result<&mut [u8; 512]> {
        match self.sectors.entry(number) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(place) => {
                let mut bytes = Box::new([0; 512]);
                disk.read_at(number * SECTOR, &mut bytes[..])?;
                Ok(place.insert(bytes))
            }
        }
    }
}

/// A volume with patches in front.
pub struct Patched {
    disk: Disk,
    patches: Arc<Patches>,
}

impl Patched {
    /// The volume itself where there are no patches.
    pub fn over(disk: &Disk, patches: &Arc<Patches>) -> Disk {
        if patches.is_empty() {
            return disk.clone();
        }
        let map = Self { disk: disk.clone(), patches: Arc::clone(patches) };
        Disk::new(Arc::new(map), None)
    }
}

impl BlockMap for Patched {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let first = offset / SECTOR;
        let next = self.patches.sectors.range(first..).next().map(|(&number, _)| number);
        if next == Some(first) {
            let left = (first + 1) * SECTOR - offset;
            return Ok(Mapping { length: length.min(left), target: Target::Opaque });
        }
        let length = next.map_or(length, |next| length.min(next * SECTOR - offset));
        Ok(self.disk.resolve(offset, length)?.into())
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.patches.read(&self.disk, offset, buffer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::disk_of;

    #[test]
    fn patches_are_seen_and_nothing_else_changes() {
        let bytes: Vec<u8> = (0..4096u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let disk = disk_of(&bytes);
        let mut patches = Patches::default();
        patches.write(&disk, 500, &[0xEE; 30]).unwrap();
        patches.write(&disk, 2000, &[0xDD; 1]).unwrap();
        let mut expected = bytes;
        expected[500..530].fill(0xEE);
        expected[2000] = 0xDD;
        assert_eq!(patches.len(), 3);
        assert!(patches.touch(0, 512) && patches.touch(1023, 1) && !patches.touch(1024, 512));
        let mut seen = vec![0; 3000];
        patches.read(&disk, 400, &mut seen).unwrap();
        assert_eq!(seen, expected[400..3400]);
        let patched = Patched::over(&disk, &Arc::new(patches));
        for (offset, length) in [(0, 4096), (511, 2), (700, 1400), (2000, 1), (4095, 1)] {
            let mut seen = vec![0; length];
            patched.read_at(offset, &mut seen).unwrap();
            let offset = usize::try_from(offset).unwrap();
            assert_eq!(seen, expected[offset..offset + length]);
        }
    }

    #[test]
    fn nothing_is_patched_past_the_end() {
        let mut patches = Patches::default();
        assert!(patches.write(&disk_of(&[0; 512]), 600, &[1]).is_err());
    }
}
