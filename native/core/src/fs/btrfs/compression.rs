//! Compressed extents of btrfs: zlib, LZO, zstd.

use super::lzo;
use crate::error::{Error, Result};
use crate::fields::le32;
use std::io::Read;

/// Linux compresses at most this much at once.
pub const LARGEST: u64 = 128 << 10;
/// The window that holds it.
const WINDOW_LOG: u32 = 17;

/// Decompresses an extent into `output`; what it does not fill stays zero.
pub fn decompress(kind: u8, data: &[u8], output: &mut [u8], sector_size: usize) -> Result<()> {
    match kind {
        1 => fill(flate2::read::ZlibDecoder::new(data), output, "zlib"),
        2 => lzo_extent(data, output, sector_size),
        3 => {
            let decoder = zstd::stream::read::Decoder::with_buffer(data);
            let mut decoder = decoder.map_err(|error| damaged("zstd", &error))?.single_frame();
            decoder.window_log_max(WINDOW_LOG).map_err(|error| damaged("zstd", &error))?;
            fill(decoder, output, "zstd")
        }
        other => Err(Error::Unsupported(format!("btrfs compression of kind {other}"))),
    }
}

fn fill(mut decoder: impl Read, output: &mut [u8], name: &str) -> Result<()> {
    let mut done = 0;
    while done < output.len() {
        match decoder.read(&mut output[done..]) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) => return Err(damaged(name, &error)),
        }
    }
    Ok(())
}

/// LZO in segments, one for each sector of output. The head of a segment is in one sector.
fn lzo_extent(data: &[u8], output: &mut [u8], sector_size: usize) -> Result<()> {
    let total = usize::try_from(le32(data, 0)).unwrap_or(usize::MAX);
    let Some(data) = data.get(..total).filter(|data| data.len() >= 4) else {
        return Err(damaged("LZO", &format!("{total} bytes of {}", data.len())));
    };
    let mut at = 4;
    for sector in output.chunks_mut(sector_size) {
        let left = sector_size - at % sector_size;
        if left < 4 {
            at += left;
        }
        if at >= data.len() {
            break;
        }
        let length = usize::try_from(le32(data, at)).unwrap_or(usize::MAX);
        let segment = (at + 4).checked_add(length).and_then(|end| data.get(at + 4..end));
        if segment.is_none_or(|segment| lzo::decompress(segment, sector).is_none()) {
            return Err(damaged("LZO", &format!("the segment at byte {at}")));
        }
        at += 4 + length;
    }
    Ok(())
}

fn damaged(name: &str, what: &dyn std::fmt::Display) -> Error {
    Error::Invalid(format!("btrfs: damaged {name} data: {what}"))
}
