//! Where the blocks of a file are: trees of extents, or the older block pointers.
//!
//! Source: the kernel's documentation, `filesystems/ext4/ifork.rst`.

use crate::error::{Error, Result};
use crate::fields::{le16, le32};
use crate::fs::ext::image::Image;
use crate::fs::ext::inode::{BLOCK_MAP, Inode};

const EXTENT_MAGIC: u16 = 0xF30A;
const HEADER: usize = 12;
const ENTRY: usize = 12;
/// The deepest tree that 32-bit block numbers need.
const MOST_LEVELS: u16 = 5;
/// Lengths above this are of extents that were allocated and not written.
const LONGEST_WRITTEN: u64 = 32768;
const DIRECT: u64 = 12;

/// Blocks of a file that are stored alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Blocks, at least 1.
    pub length: u64,
    /// The first one on the volume; `None` reads as zeros.
    pub physical: Option<u64>,
}

/// The run that starts with a block of a file.
pub fn run(image: &Image, inode: &Inode, logical: u64) -> Result<Run> {
    if inode.has_extents() {
        by_extents(image, inode, logical)
    } else {
        by_pointers(image, inode, logical)
    }
}

/// Fills `buffer` from `offset` of a file; returns how many bytes there were before its end.
pub fn read(image: &Image, inode: &Inode, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let left = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let wanted = left.min(buffer.len());
    let buffer = &mut buffer[..wanted];
    if let Some(rest) = &inode.inline_rest {
        let stored = inode.map.iter().chain(rest).copied().chain(std::iter::repeat(0));
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(BLOCK_MAP + rest.len());
        buffer.iter_mut().zip(stored.skip(start)).for_each(|(to, from)| *to = from);
        return Ok(wanted);
    }
    let size = image.superblock.block_size;
    let mut filled = 0;
    while filled < wanted {
        let place = offset + filled as u64;
        let run = run(image, inode, place / size)?;
        let within = place % size;
        let bytes = run.length.saturating_mul(size) - within;
        let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(wanted - filled);
        let piece = &mut buffer[filled..filled + length];
        match run.physical {
            Some(block) => image.read(block, within, piece, &data_of(inode))?,
            None => piece.fill(0),
        }
        filled += length;
    }
    Ok(wanted)
}

fn data_of(inode: &Inode) -> String {
    format!("data of inode {}", inode.number)
}

fn by_extents(image: &Image, inode: &Inode, logical: u64) -> Result<Run> {
    let mut node = inode.map.to_vec();
    let mut place = 0;
    let mut expected = None;
    // Where the part of the file ends for which this node speaks.
    let mut end = 1u64 << 32;
    if logical >= end {
        return Ok(Run { length: u64::MAX - logical, physical: None });
    }
    loop {
        let depth = check_header(&node, expected, inode, place)?;
        let count = usize::from(le16(&node, 2));
        let entries = &node[HEADER..].as_chunks::<ENTRY>().0[..count];
        let after = entries.partition_point(|entry| u64::from(le32(entry, 0)) <= logical);
        let next = entries.get(after).map_or(end, |entry| u64::from(le32(entry, 0)).min(end));
        let hole = Run { length: next.saturating_sub(logical).max(1), physical: None };
        let Some(entry) = after.checked_sub(1).and_then(|last| entries.get(last)) else {
            return Ok(hole);
        };
        let into = logical - u64::from(le32(entry, 0));
        if depth == 0 {
            return Ok(leaf(entry, into).unwrap_or(hole));
        }
        place = u64::from(le32(entry, 4)) | u64::from(le16(entry, 8)) << 32;
        node = image.block(place, &format!("extent tree of inode {}", inode.number))?;
        expected = Some(depth - 1);
        end = next;
    }
}

/// Checks a node and returns its depth.
fn check_header(node: &[u8], expected: Option<u16>, inode: &Inode, block: u64) -> Result<u16> {
    let (magic, count, depth) = (le16(node, 0), usize::from(le16(node, 2)), le16(node, 6));
    let sound = magic == EXTENT_MAGIC
        && count <= (node.len() - HEADER) / ENTRY
        && expected.map_or(depth <= MOST_LEVELS, |expected| depth == expected);
    if sound {
        return Ok(depth);
    }
    Err(Error::corrupt(
        format!("extent node of inode {} in block {block}", inode.number),
        0,
        format_args!("magic 0xf30a, depth {}", expected.unwrap_or(MOST_LEVELS)),
        format_args!("magic {magic:#06x}, {count} entries, depth {depth}"),
    ))
}

/// What an extent says of the block that is `into` blocks behind its start.
fn leaf(entry: &[u8], into: u64) -> Option<Run> {
    let length = u64::from(le16(entry, 4));
    let written = length <= LONGEST_WRITTEN;
    let length = if written { length } else { length - LONGEST_WRITTEN };
    let first = u64::from(le32(entry, 8)) | u64::from(le16(entry, 6)) << 32;
    (into < length)
        .then(|| Run { length: length - into, physical: written.then_some(first + into) })
}

fn by_pointers(image: &Image, inode: &Inode, logical: u64) -> Result<Run> {
    let per_block = image.superblock.block_size / 4;
    if logical < DIRECT {
        let direct = usize::try_from(DIRECT * 4).unwrap_or(0);
        return Ok(pointer_run(&inode.map[..direct], logical));
    }
    let mut rest = logical - DIRECT;
    let mut span = per_block;
    for level in 1..=3usize {
        if rest < span {
            let root = u64::from(le32(&inode.map, (11 + level) * 4));
            return indirect_run(image, inode, root, span, rest);
        }
        rest -= span;
        span *= per_block;
    }
    Ok(Run { length: u64::MAX - logical, physical: None })
}

/// Goes down from a block of pointers that speaks for `span` blocks.
fn indirect_run(image: &Image, inode: &Inode, root: u64, span: u64, rest: u64) -> Result<Run> {
    let per_block = image.superblock.block_size / 4;
    let (mut block, mut span, mut rest) = (root, span, rest);
    loop {
        if block == 0 {
            return Ok(Run { length: span - rest, physical: None });
        }
        let pointers = image.block(block, &format!("block pointers of inode {}", inode.number))?;
        if span == per_block {
            return Ok(pointer_run(&pointers, rest));
        }
        span /= per_block;
        let index = usize::try_from(rest / span).unwrap_or(usize::MAX / 4);
        block = le32(&pointers, index * 4).into();
        rest %= span;
    }
}

/// The run of pointers from `index` on that are all zero or count up.
fn pointer_run(pointers: &[u8], index: u64) -> Run {
    let all = pointers.as_chunks::<4>().0.iter();
    let mut rest = all.skip(usize::try_from(index).unwrap_or(usize::MAX)).map(|raw| le32(raw, 0));
    let first = rest.next().unwrap_or(0);
    let mut length = 1u64;
    for pointer in rest {
        let alike =
            if first == 0 { pointer == 0 } else { u64::from(pointer) == u64::from(first) + length };
        if !alike {
            break;
        }
        length += 1;
    }
    Run { length, physical: (first != 0).then_some(first.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_that_count_up_are_one_run() {
        let raw: Vec<u8> =
            [7u32, 8, 9, 0, 0, 3].iter().flat_map(|pointer| pointer.to_le_bytes()).collect();
        let run = |index| pointer_run(&raw, index);
        assert_eq!(run(0), Run { length: 3, physical: Some(7) });
        assert_eq!(run(2), Run { length: 1, physical: Some(9) });
        assert_eq!(run(3), Run { length: 2, physical: None });
        assert_eq!(run(99), Run { length: 1, physical: None });
    }

    #[test]
    fn unwritten_extents_read_as_zeros() {
        let mut entry = [0; 12];
        entry[4..6].copy_from_slice(&0x8003u16.to_le_bytes());
        entry[8] = 9;
        assert_eq!(leaf(&entry, 1), Some(Run { length: 2, physical: None }));
        assert_eq!(leaf(&entry, 3), None);
        entry[4..6].copy_from_slice(&0x8000u16.to_le_bytes());
        assert_eq!(leaf(&entry, 0), Some(Run { length: 32768, physical: Some(9) }));
    }
}
