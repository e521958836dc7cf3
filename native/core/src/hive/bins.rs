//! Hive bins, and the cells in them.

use super::base::LENGTH;
use crate::windows::u32_at;

const HEADER: u32 = 32;
/// Bins start and end at multiples of this.
const STEP: u32 = 4096;

/// Where the bins of a hive are: offsets from the first one, in order.
pub struct Bins(Vec<(u32, u32)>);

impl Bins {
    /// Walks the bins. What is between sound ones is noted, and no cell is read from it.
    pub fn find(hive: &[u8], size: u32, notes: &mut Vec<String>) -> Self {
        let stored = u32::try_from(hive.len().saturating_sub(LENGTH)).unwrap_or(u32::MAX);
        if stored < size {
            notes.push(format!("the hive has {stored} of its {size} bytes of hive bins"));
        }
        let end = stored.min(size);
        let mut bins = Vec::new();
        let mut place = 0;
        let mut damaged = 0;
        while place < end {
            if let Some(length) = length(&hive[LENGTH + place as usize..], place, end - place) {
                bins.push((place, place + length));
                place += length;
            } else {
                damaged += 1;
                place = place.saturating_add(STEP);
            }
        }
        if damaged > 0 {
            notes.push(format!("{damaged} pages of the hive are no hive bins and are not read"));
        }
        Self(bins)
    }

    /// The bytes of an allocated cell, as far as its bin goes.
    pub fn cell<'a>(&self, hive: &'a [u8], offset: u32) -> Option<&'a [u8]> {
        let after = self.0.partition_point(|&(start, _)| start <= offset);
        let &(start, end) = self.0.get(after.checked_sub(1)?)?;
        if offset < start + HEADER || offset >= end || !offset.is_multiple_of(8) {
            return None;
        }
        let place = LENGTH + offset as usize;
        // Allocated cells have a negative size.
        let size = u32_at(hive, place)?.cast_signed().checked_neg()?;
        let size = u32::try_from(size).ok().filter(|&size| size >= 4 && size <= end - offset)?;
        hive.get(place + 4..place + size as usize)
    }
}

/// Bytes of the bin that starts here, if one does.
fn length(bin: &[u8], place: u32, left: u32) -> Option<u32> {
    let length = u32_at(bin, 8).filter(|_| bin.starts_with(b"hbin"))?;
    let sound = length >= STEP && length.is_multiple_of(STEP) && length <= left;
    (sound && u32_at(bin, 4) == Some(place)).then_some(length)
}
