//! Values of keys, small, in a cell, or in many.

use super::{Hive, KEY_VALUES, MOST_DAMAGED, NO_OFFSET};
use crate::error::Result;
use crate::windows::{u16_at, u32_at};
use std::collections::HashSet;

/// The most bytes of one value that are read.
pub const MOST_VALUE: usize = 16 << 20;
/// The most bytes of all values of a key.
pub const MOST_DATA: usize = 64 << 20;
/// Data that is longer lies in several cells, in hives of version 1.4 and later.
const SEGMENT: usize = 16344;
const BIG_DATA_SINCE: u32 = 4;
const HEADER: usize = 20;
const INLINE: u32 = 1 << 31;
const COMPRESSED: u16 = 1;

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// As UTF-8, lone surrogates as WTF-8; empty for the key's default value.
    pub name: Vec<u8>,
    /// The number of its type.
    pub kind: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Hive {
    /// The values of a key. Data past [`MOST_VALUE`] is cut off, values past [`MOST_DATA`] left
    /// out, and both are noted.
    pub fn values(&self, node: u32) -> Result<Vec<Value>> {
        let key = self.key(node)?;
        let count = u32_at(key, KEY_VALUES).unwrap_or(0) as usize;
        let list = u32_at(key, KEY_VALUES + 4).unwrap_or(NO_OFFSET);
        if count == 0 || list == NO_OFFSET {
            return Ok(Vec::new());
        }
        let offsets = self.cell(list).unwrap_or(&[]).as_chunks::<4>().0;
        if offsets.len() < count {
            let held = offsets.len();
            self.note(format!("key at {node:#x}: its list holds {held} of {count} values"));
        }
        let mut values = Vec::new();
        let mut seen = HashSet::new();
        let mut left = MOST_DATA;
        let mut damaged = 0;
        for offset in offsets.iter().take(count).map(|offset| u32::from_le_bytes(*offset)) {
            let value = if seen.insert(offset) { self.value(offset, left) } else { None };
            let Some(value) = value else {
                self.note(format!("key at {node:#x}: {offset:#x} is no value that can be read"));
                damaged += 1;
                if damaged == MOST_DAMAGED {
                    break;
                }
                continue;
            };
            left -= value.data.len();
            values.push(value);
        }
        Ok(values)
    }

    fn value(&self, offset: u32, left: usize) -> Option<Value> {
        let cell = self.cell(offset).filter(|cell| cell.starts_with(b"vk"))?;
        let fields = cell.get(..HEADER)?;
        let owner = || format!("value at {offset:#x}");
        let compressed = u16_at(fields, 16)? & COMPRESSED != 0;
        let length = usize::from(u16_at(fields, 2)?);
        let name = self.name(&cell[HEADER..], length, compressed, owner);
        let length = u32_at(fields, 4)?;
        let data = if length & INLINE != 0 {
            let length = (length & !INLINE) as usize;
            if length > 4 {
                self.note(format!("{}: {length} bytes in a field of 4", owner()));
            }
            fields[8..8 + length.min(4)].to_vec()
        } else {
            let length = length as usize;
            let wanted = length.min(MOST_VALUE);
            if wanted < length {
                self.note(format!("{}: {length} bytes, of which {wanted} are read", owner()));
            }
            let data = if wanted > left { None } else { self.data(u32_at(fields, 8)?, length) };
            let mut data = data?;
            data.truncate(wanted);
            if data.len() < wanted {
                let held = data.len();
                self.note(format!("{}: {held} of its {length} bytes are there", owner()));
            }
            data
        };
        Some(Value { name, kind: u32_at(fields, 12)?, data })
    }

    fn data(&self, offset: u32, length: usize) -> Option<Vec<u8>> {
        if length == 0 {
            return Some(Vec::new());
        }
        let cell = self.cell(offset)?;
        if length <= SEGMENT || self.minor < BIG_DATA_SINCE || !cell.starts_with(b"db") {
            return Some(cell[..length.min(cell.len())].to_vec());
        }
        let count = usize::from(u16_at(cell, 2)?);
        let offsets = self.cell(u32_at(cell, 4)?)?.as_chunks::<4>().0;
        let wanted = length.min(MOST_VALUE);
        let mut data = Vec::new();
        for offset in offsets.iter().take(count).map(|offset| u32::from_le_bytes(*offset)) {
            let Some(segment) = self.cell(offset).filter(|_| data.len() < wanted) else { break };
            let held = segment.len().min(SEGMENT).min(wanted - data.len());
            data.extend_from_slice(&segment[..held]);
        }
        Some(data)
    }
}
