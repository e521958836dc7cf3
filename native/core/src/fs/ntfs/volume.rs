//! What the file system says of itself: label, dirty flag, log, free clusters.

use super::mft::Mft;
use super::record::kind;
use crate::error::Result;
use crate::windows::{to_wtf8, u16_at, u32_at, u64_at, units};

const LOG_FILE: u64 = 2;
const VOLUME: u64 = 3;
const BITMAP: u64 = 6;

const DIRTY: u16 = 1;
/// A restart area says that no client (NTFS itself) uses the log.
const NO_CLIENT: u16 = 0xFFFF;
const CLEAN: u16 = 2;
/// The most bytes of a bitmap that are counted: 16 TiB of 4 KiB clusters.
const MOST_BITMAP: u64 = 512 << 20;

/// The label, and whether the volume is marked for a check.
pub fn label(mft: &Mft) -> Result<(Vec<u8>, Option<bool>)> {
    let file = mft.file(VOLUME)?;
    let label = file.value(kind::VOLUME_NAME, 256)?.unwrap_or_default();
    let flags = file.value(kind::VOLUME_INFORMATION, 64)?;
    let dirty = flags.and_then(|bytes| u16_at(&bytes, 10)).map(|flags| flags & DIRTY != 0);
    Ok((to_wtf8(&units(&label)), dirty))
}

/// Whether the log says that the volume was dismounted in order.
pub fn log_clean(mft: &Mft) -> Result<Option<bool>> {
    let Some(stream) = mft.file(LOG_FILE)?.stream(kind::DATA, &[])? else { return Ok(None) };
    let mut start = vec![0; 128 << 10];
    let read = stream.read_at(&mft.volume, 0, &mut start)?;
    start.truncate(read);
    // A log as it is made: nothing was written since.
    if start.len() >= 4096 && start[..4096].iter().all(|&byte| byte == 0xFF) {
        return Ok(Some(true));
    }
    // Two pages tell the state, the one with the higher sequence number was written last.
    let first = restart(&start);
    let page = u32_at(&start, 0x10).filter(|page| first.is_some() && page.is_power_of_two());
    let pages: Vec<usize> = match page {
        Some(page) => vec![page as usize],
        None => (9..=16).map(|shift| 1 << shift).collect(),
    };
    let second = pages.iter().find_map(|&page| restart(start.get(page..)?));
    Ok(first.max(second).map(|(_, clean)| clean))
}

/// Sequence number and state of a restart page.
fn restart(page: &[u8]) -> Option<(u64, bool)> {
    if !page.starts_with(b"RSTR") && !page.starts_with(b"CHKD") {
        return None;
    }
    let area = page.get(usize::from(u16_at(page, 0x18)?)..)?;
    let clean = u16_at(area, 12)? == NO_CLIENT || u16_at(area, 14)? & CLEAN != 0;
    Some((u64_at(area, 0)?, clean))
}

/// Bytes in free clusters; `None` where the bitmap is too large to count.
pub fn free(mft: &Mft) -> Result<Option<u64>> {
    let Some(stream) = mft.file(BITMAP)?.stream(kind::DATA, &[])? else { return Ok(None) };
    let (clusters, cluster) = (mft.boot.clusters, mft.boot.cluster);
    let needed = clusters.div_ceil(8);
    if needed > MOST_BITMAP || stream.size < needed {
        return Ok(None);
    }
    let mut used = 0u64;
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < needed {
        let (length, stored) = stream.extent(offset);
        if !stored {
            offset += length;
            continue;
        }
        let length = length.min(needed - offset).min(buffer.len() as u64);
        let piece = &mut buffer[..usize::try_from(length).unwrap_or(0)];
        stream.read_at(&mft.volume, offset, piece)?;
        offset += length;
        if offset == needed && clusters % 8 != 0 {
            // Bits past the last cluster are set, and count for nothing.
            if let Some(last) = piece.last_mut() {
                *last &= 0xFF >> (8 - clusters % 8);
            }
        }
        let (words, rest) = piece.as_chunks::<8>();
        used +=
            words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum::<u64>();
        used += rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
    }
    Ok(Some((clusters - used) * cluster))
}
