//! A logical volume as a map over the physical volumes that hold it.

use crate::disk::{BlockMap, Disk, Mapping};
use crate::error::Result;

/// One stretch of a logical volume, in turns on each of its stripes.
pub struct Segment {
    /// Where it starts in the logical volume, in bytes.
    pub start: u64,
    /// Bytes, a multiple of `chunk` times the stripes where there are several.
    pub length: u64,
    /// Bytes in a row on one stripe; not 0.
    pub chunk: u64,
    /// Physical volumes and where the stripe starts on each, checked to be inside.
    pub stripes: Vec<(Disk, u64)>,
}

/// Segments that tile a logical volume from 0 on.
pub struct LogicalMap {
    segments: Vec<Segment>,
    size: u64,
}

impl LogicalMap {
    /// A map of segments in order, without gaps.
    pub fn new(segments: Vec<Segment>) -> Self {
        let size = segments.last().map_or(0, |last| last.start + last.length);
        Self { segments, size }
    }

    /// The disk that holds a byte, where it is there, and how many bytes follow in a row.
    fn place(&self, offset: u64) -> Option<(&Disk, u64, u64)> {
        let after = self.segments.partition_point(|segment| segment.start <= offset);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let within = offset - segment.start;
        let left = segment.length - within;
        let count = segment.stripes.len() as u64;
        if count == 1 {
            let (disk, start) = segment.stripes.first()?;
            return Some((disk, start + within, left));
        }
        let (chunk, inside) = (within / segment.chunk, within % segment.chunk);
        let stripe = usize::try_from(chunk.checked_rem(count)?).ok()?;
        let (disk, start) = segment.stripes.get(stripe)?;
        Some((disk, start + chunk / count * segment.chunk + inside, segment.chunk - inside))
    }
}

impl BlockMap for LogicalMap {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let Some((disk, place, left)) = self.place(offset) else {
            return Err(crate::Error::Invalid(format!("no segment at offset {offset:#x}")));
        };
        Ok(disk.resolve(place, length.min(left))?.into())
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let Some((disk, place, _)) = self.place(offset) else {
            return Err(crate::Error::Invalid(format!("no segment at offset {offset:#x}")));
        };
        disk.read_at(place, buffer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::disk_of;
    use std::sync::Arc;

    #[test]
    fn stripes_take_turns() {
        let one = disk_of(b"..AAABBB....");
        let two = disk_of(b"...aaabbb...");
        let linear = Segment { start: 0, length: 2, chunk: 2, stripes: vec![(one.clone(), 0)] };
        let stripes = vec![(one, 2), (two, 3)];
        let striped = Segment { start: 2, length: 12, chunk: 3, stripes };
        let disk = Disk::new(Arc::new(LogicalMap::new(vec![linear, striped])), None);
        let mut seen = vec![0; 14];
        disk.read_at(0, &mut seen).unwrap();
        assert_eq!(seen, b"..AAAaaaBBBbbb");
        let mut part = [0; 4];
        disk.read_at(6, &mut part).unwrap();
        assert_eq!(&part, b"aaBB");
    }
}
