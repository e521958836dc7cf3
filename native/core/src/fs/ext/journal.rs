//! Replay of a jbd2 journal in memory: which blocks of the journal stand for which of the volume.
//!
//! Committed transactions count, up to the first that is not whole; revoked blocks do not. The
//! source is never written. Source: the kernel's documentation, `filesystems/ext4/journal.rst`.

use crate::error::{Error, Result};
use crate::fields::{be16, be32, be64, bytes, le16, le32};
use crate::fs::ext::image::Image;
use crate::fs::ext::inode::Inode;
use crate::fs::ext::map;
use crate::fs::ext::superblock::crc32c_raw;
use crate::fs::overlay::Replacement;
use std::collections::{BTreeMap, HashMap};

const MAGIC: u32 = 0xC03B_3998;
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPERBLOCK_V1: u32 = 3;
const SUPERBLOCK_V2: u32 = 4;
const REVOKE: u32 = 5;

const OLD_CHECKSUMS: u32 = 1;
const REVOKES: u32 = 1;
const IS_64BIT: u32 = 2;
const ASYNC_COMMIT: u32 = 4;
const CHECKSUM_V2: u32 = 8;
const CHECKSUM_V3: u32 = 0x10;
const FAST_COMMIT: u32 = 0x20;
const READ: u32 = REVOKES | IS_64BIT | ASYNC_COMMIT | CHECKSUM_V2 | CHECKSUM_V3 | FAST_COMMIT;

const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST_TAG: u32 = 8;
const BLOCK_HEADER: usize = 12;

const DEFAULT_FAST_COMMIT_BLOCKS: u64 = 256;
const FAST_COMMIT_HEAD: u16 = 9;

/// The most blocks of a log that are followed: 2 GiB of 4 KiB blocks.
const MOST_BLOCKS: u64 = 1 << 19;
/// The most revoked blocks of one transaction.
const MOST_REVOKED: usize = 1 << 22;

/// What a journal has to say.
#[derive(Debug, Default)]
pub struct Replay {
    /// Blocks of the volume and what stands for them.
    pub blocks: BTreeMap<u64, Replacement>,
    /// What could not be replayed.
    pub notes: Vec<String>,
}

/// Finds what a journal would write to the volume.
pub fn replay(image: &Image, inode: &Inode) -> Result<Replay> {
    let Some(journal) = Journal::open(image, inode)? else { return Ok(Replay::default()) };
    let mut log = Log::default();
    journal.scan(&mut log)?;
    journal.note_fast_commits(&mut log)?;
    let mut replay = Replay { blocks: BTreeMap::new(), notes: log.notes };
    for write in log.writes {
        let revoked =
            log.revoked.get(&write.block).is_some_and(|&by| !is_after(write.sequence, by));
        if revoked {
            continue;
        }
        if journal.is_whole(&write)? {
            replay.blocks.insert(write.block, write.replacement);
        } else {
            replay.notes.push(format!(
                "the journal's copy of block {} in transaction {} has a wrong checksum and was \
                 not replayed",
                write.block, write.sequence
            ));
        }
    }
    Ok(replay)
}

/// Whether sequence number `a` comes after `b`; they wrap.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// A block that a transaction writes.
struct Write {
    block: u64,
    sequence: u32,
    checksum: u32,
    replacement: Replacement,
}

/// What committed transactions say.
#[derive(Default)]
struct Log {
    writes: Vec<Write>,
    /// Block, and the last transaction that revoked what was written to it before.
    revoked: HashMap<u64, u32>,
    /// The first sequence number that was not committed.
    end: u32,
    notes: Vec<String>,
}

struct Journal<'a> {
    image: &'a Image,
    inode: &'a Inode,
    first: u64,
    /// The block behind the last one.
    last: u64,
    start: u64,
    sequence: u32,
    incompatible: u32,
    compatible: u32,
    seed: u32,
}

impl<'a> Journal<'a> {
    /// Reads the journal's superblock; `None` where the journal is empty.
    fn open(image: &'a Image, inode: &'a Inode) -> Result<Option<Self>> {
        let mut raw = vec![0; 1024];
        let place = map::run(image, inode, 0)?.physical.unwrap_or(0);
        image.read(place, 0, &mut raw, "journal superblock")?;
        let wrong = |expected: &str, actual: String| {
            let offset = place.saturating_mul(image.superblock.block_size);
            Err(Error::corrupt("journal superblock", offset, expected, actual))
        };
        let kind = be32(&raw, 4);
        if be32(&raw, 0) != MAGIC || ![SUPERBLOCK_V1, SUPERBLOCK_V2].contains(&kind) {
            return wrong("magic 0xc03b3998", format!("{:#x} of kind {kind}", be32(&raw, 0)));
        }
        let feature = |at| if kind == SUPERBLOCK_V2 { be32(&raw, at) } else { 0 };
        let (compatible, incompatible) = (feature(36), feature(40));
        if incompatible & !READ != 0 {
            let unread = incompatible & !READ;
            return Err(Error::Unsupported(format!("the journal has the features {unread:#x}")));
        }
        if u64::from(be32(&raw, 12)) != image.superblock.block_size {
            return wrong("the file system's block size", be32(&raw, 12).to_string());
        }
        let checksums = incompatible & (CHECKSUM_V2 | CHECKSUM_V3) != 0;
        let mut blank = raw.clone();
        blank[0xFC..0x100].fill(0);
        if checksums && crc32c_raw(u32::MAX, &blank) != be32(&raw, 0xFC) {
            return wrong("a right checksum", "another".to_owned());
        }
        let fast = match (incompatible & FAST_COMMIT != 0, u64::from(be32(&raw, 0x54))) {
            (false, _) => 0,
            (true, 0) => DEFAULT_FAST_COMMIT_BLOCKS,
            (true, blocks) => blocks,
        };
        let (first, start) = (u64::from(be32(&raw, 20)), u64::from(be32(&raw, 28)));
        let last = u64::from(be32(&raw, 16)).saturating_sub(fast);
        if start == 0 && fast == 0 {
            return Ok(None);
        }
        if first == 0 || first >= last || (start != 0 && !(first..last).contains(&start)) {
            return wrong("a start inside", format!("{start} of {first} to {last}"));
        }
        let seed = crc32c_raw(u32::MAX, &bytes::<16>(&raw, 48));
        let sequence = be32(&raw, 24);
        Ok(Some(Self {
            image,
            inode,
            first,
            last,
            start,
            sequence,
            incompatible,
            compatible,
            seed,
        }))
    }

    /// Follows the log to its end and keeps what was committed.
    fn scan(&self, log: &mut Log) -> Result<()> {
        let mut sequence = self.sequence;
        let mut at = self.start;
        let mut open: Vec<Write> = Vec::new();
        let mut revokes: Vec<u64> = Vec::new();
        // A block with a wrong checksum may be an old one where the log really ends.
        let mut suspect = false;
        let mut last_commit = 0;
        let whole = self.last - self.first;
        let mut left = if at == 0 { 0 } else { whole.min(MOST_BLOCKS) };
        while left > 0 {
            let block = self.block(at)?;
            if be32(&block, 0) != MAGIC || be32(&block, 8) != sequence {
                break;
            }
            at = self.after(at);
            left -= 1;
            match be32(&block, 4) {
                DESCRIPTOR => {
                    suspect |= !self.has_right_tail(&block);
                    let before = open.len();
                    self.add_tags(&block, sequence, &mut at, &mut open)?;
                    left = left.saturating_sub((open.len() - before) as u64);
                }
                REVOKE => {
                    suspect |= !self.has_right_tail(&block);
                    self.add_revokes(&block, &mut revokes);
                    if revokes.len() + log.revoked.len() > MOST_REVOKED {
                        let text = format!("the journal revokes more than {MOST_REVOKED} blocks");
                        return Err(Error::Unsupported(text));
                    }
                }
                COMMIT => {
                    let time = be64(&block, 48);
                    if suspect || !self.has_right_commit(&block) {
                        if time >= last_commit {
                            log.notes.push(format!(
                                "transaction {sequence} of the journal has a wrong checksum; it \
                                 and what follows was not replayed"
                            ));
                        }
                        break;
                    }
                    last_commit = time;
                    log.writes.append(&mut open);
                    log.revoked.extend(revokes.drain(..).map(|block| (block, sequence)));
                    sequence = sequence.wrapping_add(1);
                }
                _ => break,
            }
        }
        if left == 0 && whole > MOST_BLOCKS {
            let text = format!("the log has more than {MOST_BLOCKS} blocks");
            return Err(Error::Unsupported(text));
        }
        log.end = sequence;
        if self.compatible & OLD_CHECKSUMS != 0 && !log.writes.is_empty() {
            log.notes.push("the checksums of the journal (version 1) were not verified".to_owned());
        }
        Ok(())
    }

    /// Says so where operations were logged as fast commits, which are not replayed.
    fn note_fast_commits(&self, log: &mut Log) -> Result<()> {
        if self.incompatible & FAST_COMMIT == 0 {
            return Ok(());
        }
        // The block between the log and the area of fast commits is not used.
        let block = self.block(self.last + 1)?;
        if le16(&block, 0) == FAST_COMMIT_HEAD && le32(&block, 8) == log.end {
            log.notes.push(format!(
                "fast commits after transaction {} were not replayed: the latest changes are not \
                 seen",
                log.end.wrapping_sub(1)
            ));
        }
        Ok(())
    }

    /// Reads the tags of a descriptor; a block of the log follows for each.
    fn add_tags(
        &self,
        block: &[u8],
        sequence: u32,
        at: &mut u64,
        open: &mut Vec<Write>,
    ) -> Result<()> {
        let tail = if self.has_checksums() { 4 } else { 0 };
        let size = self.tag_size();
        let (mut place, end) = (BLOCK_HEADER, block.len() - tail);
        while place + size <= end {
            let tag = &block[place..place + size];
            let (flags, checksum) = if self.incompatible & CHECKSUM_V3 != 0 {
                (be32(tag, 4), be32(tag, 12))
            } else {
                (be16(tag, 6).into(), be16(tag, 4).into())
            };
            let has_high = self.incompatible & IS_64BIT != 0;
            let high = if has_high { u64::from(be32(tag, 8)) << 32 } else { 0 };
            let offset = self.place(*at)?.saturating_mul(self.image.superblock.block_size);
            let start = (flags & ESCAPED != 0).then(|| MAGIC.to_be_bytes());
            open.push(Write {
                block: u64::from(be32(tag, 0)) | high,
                sequence,
                checksum,
                replacement: Replacement { offset, start },
            });
            if open.len() as u64 > self.last - self.first {
                let actual = format_args!("{} blocks", open.len()).to_string();
                return Err(Error::corrupt("transaction", 0, "fewer than the journal has", actual));
            }
            *at = self.after(*at);
            place += size + if flags & SAME_UUID == 0 { 16 } else { 0 };
            if flags & LAST_TAG != 0 {
                break;
            }
        }
        Ok(())
    }

    fn add_revokes(&self, block: &[u8], revokes: &mut Vec<u64>) {
        let tail = if self.has_checksums() { 4 } else { 0 };
        let used = usize::try_from(be32(block, 12)).unwrap_or(usize::MAX);
        let records = &block[16..used.clamp(16, block.len() - tail)];
        if self.incompatible & IS_64BIT != 0 {
            revokes.extend(records.as_chunks::<8>().0.iter().map(|record| be64(record, 0)));
        } else {
            revokes
                .extend(records.as_chunks::<4>().0.iter().map(|record| u64::from(be32(record, 0))));
        }
    }

    fn has_checksums(&self) -> bool {
        self.incompatible & (CHECKSUM_V2 | CHECKSUM_V3) != 0
    }

    fn tag_size(&self) -> usize {
        let high = if self.incompatible & IS_64BIT != 0 { 4 } else { 0 };
        match self.incompatible {
            features if features & CHECKSUM_V3 != 0 => 16,
            features if features & CHECKSUM_V2 != 0 => 10 + high,
            _ => 8 + high,
        }
    }

    /// Whether the checksum at the end of a descriptor or revoke block is right.
    fn has_right_tail(&self, block: &[u8]) -> bool {
        let Some((data, tail)) = block.split_last_chunk::<4>() else { return true };
        let sum = crc32c_raw(crc32c_raw(self.seed, data), &[0; 4]);
        !self.has_checksums() || sum == u32::from_be_bytes(*tail)
    }

    fn has_right_commit(&self, block: &[u8]) -> bool {
        let mut blank = block.to_vec();
        blank[16..20].fill(0);
        !self.has_checksums() || crc32c_raw(self.seed, &blank) == be32(block, 16)
    }

    /// Whether the log's copy of a block has the checksum that its tag says, and both are inside.
    fn is_whole(&self, write: &Write) -> Result<bool> {
        let size = self.image.superblock.block_size;
        if write.block >= self.image.disk.size() / size {
            return Ok(false);
        }
        let data = self.image.block(write.replacement.offset / size, "journal")?;
        let seed = crc32c_raw(self.seed, &write.sequence.to_be_bytes());
        let sum = crc32c_raw(seed, &data);
        Ok(match self.incompatible {
            features if features & CHECKSUM_V3 != 0 => sum == write.checksum,
            features if features & CHECKSUM_V2 != 0 => sum & 0xFFFF == write.checksum,
            _ => true,
        })
    }

    fn after(&self, at: u64) -> u64 {
        if at + 1 < self.last { at + 1 } else { self.first }
    }

    /// The block of the volume that holds a block of the journal.
    fn place(&self, at: u64) -> Result<u64> {
        map::run(self.image, self.inode, at)?
            .physical
            .ok_or_else(|| Error::corrupt("journal", 0, "no holes", format_args!("block {at}")))
    }

    fn block(&self, at: u64) -> Result<Vec<u8>> {
        self.image.block(self.place(at)?, "journal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        assert!(is_after(2, 1) && !is_after(1, 1) && !is_after(1, 2));
        assert!(is_after(3, u32::MAX - 3));
    }
}
