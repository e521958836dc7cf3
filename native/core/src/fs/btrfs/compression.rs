//! Compressed extents of btrfs: zlib, LZO, zstd.

use super::lzo;
use crate::error::{Error, Result};
use crate::fields::le32;
use std::io::Read;

/// Linux compresses at most this much at once.
pub const LARGEST: u64 = 128 << 10;
/// The window that holds it.
const WINDOW_LOG: u32 = 17;

/// Decompresses an extent into `output`, which is zero; what the data does not fill is zero, too.
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
    // Decoders use the room behind what they count.
    output[done..].fill(0);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_lzo_segments_do_not_cross_sectors() {
        let literal = |count: u8| {
            let mut stream = vec![count + 17];
            stream.extend_from_slice(&vec![count; usize::from(count)]);
            stream.extend_from_slice(&[17, 0, 0]);
            stream
        };
        // The first segment ends 2 bytes before the sector of 64 does.
        let (first, second) = (literal(50), literal(3));
        let mut data = vec![0; 4];
        data.extend_from_slice(&[54, 0, 0, 0]);
        data.extend_from_slice(&first);
        data.extend_from_slice(&[0, 0]);
        data.extend_from_slice(&[7, 0, 0, 0]);
        data.extend_from_slice(&second);
        data[0] = u8::try_from(data.len()).unwrap();
        let mut output = [0; 128];
        decompress(2, &data, &mut output, 64).unwrap();
        assert_eq!(output[..50], [50; 50]);
        assert_eq!(output[64..67], [3; 3]);
        data[0] += 1;
        assert!(decompress(2, &data, &mut output, 64).is_err());
    }

    #[test]
    fn what_a_short_stream_does_not_fill_is_zero() {
        for count in 1..400 {
            let text: Vec<u8> =
                (0..count).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
            let level = flate2::Compression::new(3);
            let mut zlib = Vec::new();
            flate2::read::ZlibEncoder::new(&text[..], level).read_to_end(&mut zlib).unwrap();
            let zstd = zstd::stream::encode_all(&text[..], 3).unwrap();
            for (kind, data) in [(1, zlib), (3, zstd)] {
                let mut output = vec![0; 8192];
                decompress(kind, &data, &mut output, 4096).unwrap();
                assert_eq!(output[..text.len()], text, "{count} lines");
                assert!(output[text.len()..].iter().all(|&byte| byte == 0), "{count} lines");
            }
        }
    }

    #[test]
    fn damaged_streams_and_unknown_kinds_are_errors() {
        for kind in [1, 2, 3, 4] {
            assert!(decompress(kind, b"no stream", &mut [0; 100], 4096).is_err());
        }
    }

    #[test]
    fn a_window_larger_than_an_extent_is_not_taken() {
        // A frame that says its window has 2 GiB.
        let frame = [0x28, 0xB5, 0x2F, 0xFD, 0, 0xA8, 1, 0, 0];
        assert!(decompress(3, &frame, &mut [0; 100], 4096).is_err());
    }
}
