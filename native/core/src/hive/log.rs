//! Transaction logs: what was to be written to a hive when it was left dirty.
//!
//! Windows 8.1 and later write entries, each with a sequence number and two hashes, by turns to
//! LOG1 and LOG2. Windows before wrote one set of dirty pages.

use super::base::{Base, LENGTH, SECTOR};
use super::marvin;
use crate::windows::{u32_at, u64_at};

/// A log of entries, by its base block.
const ENTRIES: u32 = 6;
const ENTRY_HEADER: usize = 40;
/// A hive is written in pages of this many bytes at least.
const PAGE: usize = 512;
const BIN: u32 = 4096;

/// What the logs make of a hive.
pub struct Replay {
    /// The hive as it is after the replay.
    pub bytes: Vec<u8>,
    /// Its base block.
    pub base: Base,
    /// What was applied, for a note.
    pub applied: String,
}

/// Pages that replace what a hive holds: its size after that, and (offset, bytes) in the hive bins.
struct Change<'a> {
    sequence: u32,
    size: u32,
    pages: Vec<(u32, &'a [u8])>,
}

/// Applies the logs of a dirty hive; `None` when they hold nothing for it.
pub fn replay(hive: &[u8], base: Base, logs: &[&[u8]]) -> Option<Replay> {
    let sound: Vec<(&[u8], Base)> = logs
        .iter()
        .filter_map(|&log| Some((log, Base::read(log).filter(|base| base.sound)?)))
        .collect();
    let newest = sound.iter().map(|(_, base)| *base).max_by_key(|base| base.primary)?;
    // The base block of a log is a copy of the hive's, for a hive whose own is damaged.
    let start = if base.sound { base } else { newest };
    let entries = sound.iter().filter(|(_, log)| log.kind == ENTRIES);
    let mut changes = follow(entries.flat_map(|(log, _)| entries_of(log)).collect(), base);
    let applied = if let Some(last) = changes.last() {
        format!("{} log entries up to number {}", changes.len(), last.sequence)
    } else {
        // The hive's base block and its log are written with one time; it stands in the first bin.
        let written = if base.sound { base.written } else { u64_at(hive, LENGTH + 20)? };
        let fits = |log: &Base| log.primary == log.secondary && log.written == written;
        let old = sound.iter().filter(|(_, log)| log.kind != ENTRIES && fits(log));
        changes.extend(old.filter_map(|(log, base)| pages(log, base)).take(1));
        format!("{} dirty pages of its log", changes.first()?.pages.len())
    };
    let most = hive.len() + logs.iter().map(|log| log.len()).sum::<usize>() + LENGTH;
    let mut bytes = hive.to_vec();
    let mut size = start.size;
    for change in changes {
        size = change.size;
        let length = LENGTH + size as usize;
        // What a hive grows by is in its log.
        if length > most {
            return None;
        }
        bytes.resize(bytes.len().max(length), 0);
        for (offset, page) in change.pages {
            let place = LENGTH + offset as usize;
            bytes.get_mut(place..place + page.len())?.copy_from_slice(page);
        }
    }
    Some(Replay { bytes, base: Base { size, ..start }, applied })
}

/// The entries to apply, in order: without a gap, from the one that the hive waits for.
fn follow(mut changes: Vec<Change<'_>>, base: Base) -> Vec<Change<'_>> {
    changes.sort_by_key(|change| change.sequence);
    let gap = |pair: &[Change<'_>]| pair[1].sequence != pair[0].sequence.wrapping_add(1);
    if !base.sound {
        // Which one it waits for is not known: all that lead to the newest, old ones change nothing.
        let last = changes.windows(2).rposition(gap);
        return changes.split_off(last.map_or(0, |last| last + 1));
    }
    changes.retain(|change| change.sequence >= base.secondary);
    if changes.first().is_none_or(|first| first.sequence != base.secondary) {
        return Vec::new();
    }
    let first = changes.windows(2).position(gap);
    changes.truncate(first.map_or(changes.len(), |first| first + 1));
    changes
}

/// The entries of a log up to the first that is damaged.
fn entries_of(log: &[u8]) -> Vec<Change<'_>> {
    let mut found = Vec::new();
    let mut rest = log.get(SECTOR..).unwrap_or(&[]);
    while let Some((change, length)) = entry(rest) {
        found.push(change);
        rest = &rest[length..];
    }
    found
}

fn entry(bytes: &[u8]) -> Option<(Change<'_>, usize)> {
    let length = u32_at(bytes, 4)? as usize;
    let entry = bytes.get(..length).filter(|entry| entry.starts_with(b"HvLE"))?;
    let whole = length >= ENTRY_HEADER && length.is_multiple_of(SECTOR);
    if !whole
        || u64_at(entry, 24)? != marvin::hash(&entry[ENTRY_HEADER..])
        || u64_at(entry, 32)? != marvin::hash(&entry[..32])
    {
        return None;
    }
    let count = u32_at(entry, 20)? as usize;
    let mut table = entry[ENTRY_HEADER..].as_chunks::<8>().0.iter();
    let mut data = entry.get(ENTRY_HEADER.checked_add(count.checked_mul(8)?)?..)?;
    let size = u32_at(entry, 16).filter(|size| size.is_multiple_of(BIN))?;
    let mut pages = Vec::new();
    for reference in table.by_ref().take(count) {
        let (offset, length) = (u32_at(reference, 0)?, u32_at(reference, 4)?);
        let (page, after) = data.split_at_checked(length as usize)?;
        if offset.checked_add(length)? > size {
            return None;
        }
        pages.push((offset, page));
        data = after;
    }
    Some((Change { sequence: u32_at(entry, 12)?, size, pages }, length))
}

/// The pages of a log of the old kind: a bitmap of all pages, then the dirty ones.
fn pages<'a>(log: &'a [u8], base: &Base) -> Option<Change<'a>> {
    let rest = log.get(SECTOR..)?.strip_prefix(b"DIRT")?;
    let bitmap = rest.get(..(base.size as usize / PAGE).div_ceil(8))?;
    let start = (SECTOR + 4 + bitmap.len()).next_multiple_of(SECTOR);
    let mut data = log.get(start..)?;
    let mut pages = Vec::new();
    for page in 0..base.size as usize / PAGE {
        if bitmap[page / 8] & 1 << (page % 8) != 0 {
            let (bytes, after) = data.split_at_checked(PAGE)?;
            pages.push((u32::try_from(page * PAGE).ok()?, bytes));
            data = after;
        }
    }
    Some(Change { sequence: base.primary, size: base.size, pages })
}
