//! `$UpCase`: how the volume tells letters of other case.

use crate::windows::units;
use std::cmp::Ordering;

/// Bytes of the table: one unit of UTF-16 for each.
pub const BYTES: u64 = 128 << 10;

/// The table of capital letters of a volume.
pub struct Upcase(Vec<u16>);

impl Upcase {
    /// Takes the bytes of `$UpCase`; `None` when they are too few.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() as u64 == BYTES).then(|| Self(units(bytes)))
    }

    /// A table by Unicode, for a volume whose own cannot be read.
    pub fn unicode() -> Self {
        let capital = |unit: u16| {
            let mut letters = char::from_u32(unit.into())?.to_uppercase();
            let capital = letters.next().filter(|_| letters.next().is_none())?;
            u16::try_from(u32::from(capital)).ok()
        };
        Self((0..=u16::MAX).map(|unit| capital(unit).unwrap_or(unit)).collect())
    }

    /// Orders names as directories do, case aside.
    pub fn compare(&self, one: &[u16], other: &[u16]) -> Ordering {
        let capital = |unit: &u16| self.0[usize::from(*unit)];
        one.iter().map(capital).cmp(other.iter().map(capital))
    }
}
