//! Registry hives: keys and values by the offset of their cells.
//!
//! A dirty hive is read as Windows would after its start: its logs are applied in memory. What is
//! damaged is left out and told by [`Hive::notes`]; nothing outside the hive bins is believed.

mod base;
mod bins;
mod log;
mod marvin;
#[doc(hidden)]
pub mod sample;
#[cfg(test)]
mod tests;
mod value;

pub use value::{MOST_DATA, MOST_VALUE, Value};

use crate::error::{Error, Result};
use crate::windows::{to_wtf8, u16_at, u32_at, u64_at, units, unix_seconds};
use base::Base;
use bins::Bins;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Bytes that a hive is read from.
pub type Bytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// The most notes that are kept.
const MOST_NOTES: usize = 64;
/// After so many damaged entries the rest of a list is not read: hives may share long ones.
const MOST_DAMAGED: usize = 1000;
/// Offsets of fields of a key.
const KEY_FLAGS: usize = 2;
const KEY_WRITTEN: usize = 4;
const KEY_PARENT: usize = 16;
const KEY_SUBKEYS: usize = 20;
const KEY_LIST: usize = 28;
const KEY_VALUES: usize = 36;
const KEY_NAME: usize = 76;
const NO_OFFSET: u32 = u32::MAX;
/// A key's name is in Latin-1, not in UTF-16.
const KEY_COMPRESSED: u16 = 0x20;

/// A hive that was opened.
pub struct Hive {
    bytes: Bytes,
    bins: Bins,
    root: u32,
    minor: u32,
    notes: Mutex<Vec<String>>,
}

impl Hive {
    /// Opens a hive; `logs` are the bytes of its logs, in any order.
    pub fn open(bytes: Bytes, logs: &[&[u8]]) -> Result<Self> {
        let mut bytes = bytes;
        let mut notes = Vec::new();
        let hive = (*bytes).as_ref();
        let Some(mut base) = Base::read(hive).filter(|_| hive.len() >= base::LENGTH) else {
            let start = String::from_utf8_lossy(&hive[..hive.len().min(4)]).into_owned();
            let actual = format!("{start:?} in {} bytes", hive.len());
            return Err(Error::corrupt("registry hive", 0, "\"regf\" in 4096 bytes", actual));
        };
        if base.is_dirty() {
            let state = if base.sound {
                format!("sequence numbers {} and {}", base.primary, base.secondary)
            } else {
                "wrong checksum of its base block".to_owned()
            };
            if let Some(replay) = log::replay(hive, base, logs) {
                notes.push(format!("the hive is dirty ({state}): {} applied", replay.applied));
                base = replay.base;
                bytes = Box::new(replay.bytes);
            } else {
                let logs = if logs.is_empty() { "it has no logs" } else { "its logs do not fit" };
                notes.push(format!(
                    "the hive is dirty ({state}) and {logs}: its last changes may be missing"
                ));
            }
        }
        if base.major != 1 || !(2..=6).contains(&base.minor) {
            let version = format!("{}.{}", base.major, base.minor);
            return Err(Error::Unsupported(format!(
                "registry hives of version {version} are not read"
            )));
        }
        let bins = Bins::find((*bytes).as_ref(), base.size, &mut notes);
        let (root, minor) = (base.root, base.minor);
        let hive = Self { bytes, bins, root, minor, notes: Mutex::new(notes) };
        hive.key(root)?;
        Ok(hive)
    }

    /// The root key.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// What was found wrong so far, one sentence each.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST_NOTES && !notes.contains(&text) {
            notes.push(text);
            if notes.len() == MOST_NOTES {
                notes.push("more is damaged".to_owned());
            }
        }
    }

    fn cell(&self, offset: u32) -> Option<&[u8]> {
        self.bins.cell((*self.bytes).as_ref(), offset)
    }

    fn key(&self, node: u32) -> Result<&[u8]> {
        let cell = self.cell(node).filter(|cell| cell.starts_with(b"nk") && cell.len() >= KEY_NAME);
        let offset = base::LENGTH as u64 + u64::from(node);
        cell.ok_or_else(|| Error::corrupt("registry key", offset, "a key", "none"))
    }

    /// The names and cells of the keys below a key; names as UTF-8, lone surrogates as WTF-8.
    pub fn subkeys(&self, node: u32) -> Result<Vec<(Vec<u8>, u32)>> {
        let key = self.key(node)?;
        let expected = u32_at(key, KEY_SUBKEYS).unwrap_or(0) as usize;
        let list = u32_at(key, KEY_LIST).unwrap_or(NO_OFFSET);
        if expected == 0 || list == NO_OFFSET {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut damaged = 0;
        self.each_listed(list, &mut |child| {
            // A key below two others, or below itself, would make a circle.
            let key = self.key(child).ok().filter(|key| u32_at(key, KEY_PARENT) == Some(node));
            if let Some(key) = key.filter(|_| child != self.root && seen.insert(child)) {
                found.push((self.key_name(key, child), child));
            } else {
                self.note(format!("key at {node:#x}: {child:#x} is no key below it"));
                damaged += 1;
            }
            damaged < MOST_DAMAGED
        });
        if found.len() != expected {
            let read = found.len();
            self.note(format!("key at {node:#x}: {read} of {expected} keys below it are read"));
        }
        Ok(found)
    }

    fn key_name(&self, key: &[u8], node: u32) -> Vec<u8> {
        let length = usize::from(u16_at(key, 72).unwrap_or(0));
        let compressed = u16_at(key, KEY_FLAGS).unwrap_or(0) & KEY_COMPRESSED != 0;
        self.name(&key[KEY_NAME..], length, compressed, || format!("key at {node:#x}"))
    }

    fn name(
        &self,
        bytes: &[u8],
        length: usize,
        compressed: bool,
        owner: impl Fn() -> String,
    ) -> Vec<u8> {
        let held = length.min(bytes.len());
        if held < length {
            self.note(format!("{}: its name of {length} bytes is cut off", owner()));
        }
        if compressed {
            let units: Vec<u16> = bytes[..held].iter().map(|&byte| byte.into()).collect();
            return to_wtf8(&units);
        }
        to_wtf8(&units(&bytes[..held]))
    }

    /// Calls `use_cell` with the cells that a list of keys names, until it returns false; lists of
    /// lists are one level deep.
    fn each_listed(&self, offset: u32, use_cell: &mut dyn FnMut(u32) -> bool) {
        let mut seen = HashSet::new();
        let mut pending = vec![(offset, true)];
        while let Some((offset, may_nest)) = pending.pop() {
            let cell = self.cell(offset).filter(|_| seen.insert(offset)).unwrap_or(&[]);
            let stride = match cell.get(..2) {
                Some(b"lf" | b"lh") => 8,
                Some(b"li") => 4,
                Some(b"ri") if may_nest => 4,
                _ => {
                    self.note(format!("list of keys at {offset:#x} is damaged"));
                    continue;
                }
            };
            let count = usize::from(u16_at(cell, 2).unwrap_or(0));
            let entries = cell.get(4..).unwrap_or(&[]).chunks_exact(stride);
            if entries.len() < count {
                self.note(format!("list of keys at {offset:#x} does not hold its {count} entries"));
            }
            let mut offsets = entries.take(count).filter_map(|entry| u32_at(entry, 0));
            if cell.starts_with(b"ri") {
                pending.extend(offsets.map(|offset| (offset, false)));
                // They are taken from the end.
                pending.reverse();
            } else if !offsets.all(&mut *use_cell) {
                return;
            }
        }
    }

    /// When a key was last written, in seconds since 1970.
    pub fn modified(&self, node: u32) -> Result<i64> {
        let key = self.key(node)?;
        Ok(unix_seconds(u64_at(key, KEY_WRITTEN).unwrap_or(0)))
    }
}
