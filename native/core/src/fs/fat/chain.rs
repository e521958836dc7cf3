//! Chains of clusters, as the table links them.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::fields::{le16, le32};
use crate::fs::fat::boot::{Boot, Width};

const PAGE: u64 = 4096;
const FAT32_MASK: u32 = 0x0FFF_FFFF;

/// Walks a chain from its first cluster; ends with an error on a link outside or a circle.
pub struct Chain<'a> {
    disk: &'a Disk,
    boot: &'a Boot,
    /// The next cluster, 0 at the end.
    next: u32,
    first: u32,
    /// Steps that are left before it must be a circle.
    left: u64,
    /// The page of the table that was read last, and where it starts.
    page: Vec<u8>,
    page_start: u64,
}

impl<'a> Chain<'a> {
    /// The chain that starts with a cluster; 0 is an empty one.
    pub fn new(disk: &'a Disk, boot: &'a Boot, first: u32) -> Self {
        let left = boot.clusters;
        Self { disk, boot, next: first, first, left, page: Vec::new(), page_start: 0 }
    }

    /// Where a cluster starts on the volume.
    pub fn place(&self, cluster: u32) -> u64 {
        self.boot.data + (u64::from(cluster) - 2) * self.boot.cluster_size
    }

    fn is_cluster(&self, number: u32) -> bool {
        number >= 2 && u64::from(number) - 2 < self.boot.clusters
    }

    /// The table's entry of a cluster: the next one, or 0 where the chain ends.
    fn link(&mut self, cluster: u32) -> Result<u32> {
        let number = u64::from(cluster);
        let (end, link) = match self.boot.width {
            Width::Fat12 => {
                let pair = u32::from(self.entry(number + number / 2, 2, le16)?);
                (0xFF8, if number.is_multiple_of(2) { pair & 0xFFF } else { pair >> 4 })
            }
            Width::Fat16 => (0xFFF8, u32::from(self.entry(number * 2, 2, le16)?)),
            Width::Fat32 => (0x0FFF_FFF8, self.entry(number * 4, 4, le32)? & FAT32_MASK),
        };
        Ok(if link >= end { 0 } else { link })
    }

    fn entry<T>(&mut self, at: u64, size: u64, read: fn(&[u8], usize) -> T) -> Result<T> {
        let inside = at
            .checked_sub(self.page_start)
            .filter(|within| within + size <= self.page.len() as u64);
        let within = if let Some(within) = inside {
            within
        } else {
            // A FAT12 entry may cross pages: pages start where it does.
            let length = PAGE.min(self.boot.table_size.saturating_sub(at));
            self.page = vec![0; usize::try_from(length).unwrap_or(0)];
            self.page_start = at;
            self.disk.read_at(self.boot.table + at, &mut self.page)?;
            0
        };
        Ok(read(&self.page, usize::try_from(within).unwrap_or(usize::MAX)))
    }

    fn damaged(&self, actual: &str) -> Error {
        let structure = format!("FAT chain from cluster {}", self.first);
        let expected = format!("clusters 2 to {}", self.boot.clusters + 1);
        Error::corrupt(structure, self.boot.table, expected, actual)
    }

    fn step(&mut self) -> Result<u32> {
        let cluster = self.next;
        if !self.is_cluster(cluster) {
            return Err(self.damaged(&format!("cluster {cluster}")));
        }
        if self.left == 0 {
            return Err(self.damaged("a circle"));
        }
        self.left -= 1;
        self.next = self.link(cluster)?;
        // A free or a reserved cluster in a chain is one that is not there.
        if self.next == 1 {
            return Err(self.damaged("cluster 1"));
        }
        Ok(cluster)
    }
}

impl Iterator for Chain<'_> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == 0 {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.next = 0;
        }
        Some(step)
    }
}
