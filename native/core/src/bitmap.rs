//! Sector bitmaps: which sectors of a block are stored in this image.

use crate::error::Result;
use crate::file::File;
use std::sync::{Arc, Mutex, PoisonError};

/// In which order the bits of a byte stand for sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOrder {
    /// The most significant bit is the first sector (VHD).
    MostFirst,
    /// The least significant bit is the first sector (VHDX).
    LeastFirst,
}

/// The bits of one block.
#[derive(Clone)]
pub struct Bitmap {
    bytes: Arc<[u8]>,
    order: BitOrder,
}

impl Bitmap {
    /// A bitmap of these bytes.
    pub fn new(bytes: Vec<u8>, order: BitOrder) -> Self {
        Self { bytes: bytes.into(), order }
    }

    /// Whether sector `index` is stored here; false past the end of the bitmap.
    pub fn get(&self, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|byte| self.bytes.get(byte));
        byte.is_some_and(|byte| self.turned(*byte) << (index % 8) & 0x80 != 0)
    }

    /// How many sectors from `index` to at most `end` are as the first of them.
    pub fn run(&self, index: u64, end: u64) -> u64 {
        let wanted = self.get(index);
        let whole = if wanted { 0xFF } else { 0x00 };
        let mut next = index + 1;
        while next < end {
            let byte = usize::try_from(next / 8).ok().and_then(|byte| self.bytes.get(byte));
            if next.is_multiple_of(8) && byte == Some(&whole) {
                next += 8;
            } else if self.get(next) == wanted {
                next += 1;
            } else {
                break;
            }
        }
        next.min(end) - index
    }

    /// The byte with its first sector in the most significant bit.
    fn turned(&self, byte: u8) -> u8 {
        match self.order {
            BitOrder::MostFirst => byte,
            BitOrder::LeastFirst => byte.reverse_bits(),
        }
    }
}

/// Reads bitmaps and keeps the last one: a block's sectors are asked for one after the other.
pub struct BitmapReader {
    file: Arc<File>,
    order: BitOrder,
    last: Mutex<Option<(u64, Bitmap)>>,
}

impl BitmapReader {
    /// A reader of bitmaps in `file`.
    pub fn new(file: Arc<File>, order: BitOrder) -> Self {
        Self { file, order, last: Mutex::new(None) }
    }

    /// The bitmap of `length` bytes at `offset` of the file.
    pub fn at(&self, offset: u64, length: usize) -> Result<Bitmap> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, bitmap)) = last.as_ref()
            && *kept == offset
        {
            return Ok(bitmap.clone());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(offset, &mut bytes)?;
        let bitmap = Bitmap::new(bytes, self.order);
        *last = Some((offset, bitmap.clone()));
        Ok(bitmap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_sector_is_the_top_bit_in_vhd_and_the_low_bit_in_vhdx() {
        let vhd = Bitmap::new(vec![0x80, 0x01], BitOrder::MostFirst);
        assert!(vhd.get(0) && !vhd.get(7) && vhd.get(15) && !vhd.get(16));
        let vhdx = Bitmap::new(vec![0x80, 0x01], BitOrder::LeastFirst);
        assert!(!vhdx.get(0) && vhdx.get(7) && vhdx.get(8) && !vhdx.get(9));
    }

    #[test]
    fn runs_agree_with_single_bits() {
        for order in [BitOrder::MostFirst, BitOrder::LeastFirst] {
            let bitmap = Bitmap::new(vec![0xFF, 0xFF, 0x0F, 0x00, 0x00, 0xF3], order);
            for start in 0..48 {
                for end in start + 1..=48 {
                    let wanted = bitmap.get(start);
                    let expected =
                        (start..end).take_while(|&bit| bitmap.get(bit) == wanted).count();
                    assert_eq!(bitmap.run(start, end), expected as u64, "{start}..{end}");
                }
            }
        }
    }
}
