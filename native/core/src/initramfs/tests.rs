//! Archives written here, packed by the crates that unpack them, whole and damaged.

use super::*;
use std::io::Write;

/// An archive of files, each with `size` bytes.
fn cpio(names: &[&str], size: usize) -> Vec<u8> {
    let mut archive = Vec::new();
    for &name in names.iter().chain(&["TRAILER!!!"]) {
        let size = if name == "TRAILER!!!" { 0 } else { size };
        let mut fields = [0; 13];
        fields[6] = size;
        fields[11] = name.len() + 1;
        archive.extend(b"070701");
        for field in fields {
            write!(archive, "{field:08X}").unwrap();
        }
        archive.extend(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.resize((archive.len() + size).next_multiple_of(4), 0xA5);
    }
    archive
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn lzma(data: &[u8]) -> Vec<u8> {
    let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut packed = lz4::MAGIC.to_vec();
    for block in data.chunks(8 << 20) {
        let block = lz4_flex::block::compress(block);
        packed.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        packed.extend(block);
    }
    packed
}

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKED: [(&str, Pack); 6] =
    [("gzip", gzip), ("xz", xz), ("lzma", lzma), ("bzip2", bzip2), ("zstd", zstd), ("lz4", lz4)];

fn listed(data: &[u8]) -> Vec<String> {
    let names = names(data).unwrap();
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

#[test]
fn archives_one_after_another_are_listed() {
    let mut data = cpio(&["kernel/x86/microcode"], 1001);
    data.resize(data.len() + 700, 0);
    assert_eq!(listed(&data), ["kernel/x86/microcode"]);
    for (form, pack) in PACKED {
        let mut inner = cpio(&["a", "b/c.ko"], 300_000);
        inner.resize(inner.len() + 512, 0);
        inner.extend(cpio(&["d"], 3));
        let mut data = data.clone();
        data.extend(pack(&inner));
        data.resize(data.len() + 9, 0);
        assert_eq!(listed(&data), ["kernel/x86/microcode", "a", "b/c.ko", "d"], "{form}");
        data.extend(gzip(&cpio(&["e"], 0)));
        data.extend(zstd(&cpio(&["f"], 0)));
        data.extend(cpio(&["g"], 0));
        let all = ["kernel/x86/microcode", "a", "b/c.ko", "d", "e", "f", "g"];
        assert_eq!(listed(&data), all, "{form}");
    }
}

#[test]
fn archives_with_checksums_are_listed() {
    let mut data = cpio(&["a", "b"], 5);
    let starts: Vec<_> =
        (0..data.len() - 5).filter(|&at| data[at..].starts_with(b"07070")).collect();
    for at in starts {
        data[at + 5] = b'2';
    }
    assert_eq!(listed(&data), ["a", "b"]);
}

#[test]
fn parts_need_not_be_padded() {
    for (form, pack) in PACKED {
        let mut data = pack(&cpio(&["a"], 70_000));
        if form == "lz4" {
            // Its end is a length of 0.
            data.extend([0; 4]);
        }
        data.extend(cpio(&["b"], 0));
        assert_eq!(listed(&data), ["a", "b"], "{form}");
    }
}

#[test]
fn lz4_in_several_blocks_and_frames_is_listed() {
    let inner = cpio(&["a", "b", "c"], 7 << 20);
    let mut data = lz4(&inner);
    data.extend(lz4(&cpio(&["d"], 1)));
    assert_eq!(listed(&data), ["a", "b", "c", "d"]);
}

#[test]
fn a_part_cut_off_anywhere_is_an_error() {
    for (form, pack) in PACKED {
        let inner = cpio(&["a", "b/c.ko"], 300);
        let packed = pack(&inner);
        for length in 1..packed.len() {
            if form == "lz4" && length == lz4::MAGIC.len() {
                continue; // a frame without blocks
            }
            assert!(names(&packed[..length]).is_err(), "{form} of {length} bytes");
        }
        for length in 1..inner.len() {
            assert!(names(&pack(&inner[..length])).is_err(), "{length} bytes in {form}");
            assert!(names(&inner[..length]).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn damage_is_no_panic() {
    for (_, pack) in PACKED {
        let packed = pack(&cpio(&["a", "b/c.ko"], 300));
        for at in 0..packed.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut packed = packed.clone();
                packed[at] ^= change;
                let _ = names(&packed);
            }
        }
    }
}

#[test]
fn what_is_no_archive_is_an_error() {
    let text = |data: &[u8]| names(data).unwrap_err().to_string();
    assert!(text(b"\x89LZO\0\r\n").contains("LZO at offset 0x0"));
    assert!(text(b"garbage").contains("\"garbag\""));
    assert!(text(&gzip(&[b'x'; 200])).contains("byte 0 of the Gzip part"));
    let mut data = cpio(&["a"], 0);
    data[94..102].fill(b'0');
    assert!(text(&data).contains("offset 0x0: is 0, expected a name of 1 to 4096 bytes"));
    data[94..102].fill(b'F');
    assert!(text(&data).contains("is 4294967295"));
    data[94] = b'+';
    assert!(text(&data).contains("\"+FFFFFFF\""));
    let mut data = cpio(&["a"], 0);
    data[54..62].fill(b'F');
    assert!(text(&data).contains("cut off"));
}

#[test]
fn a_name_ends_at_its_first_zero() {
    let mut data = cpio(&["a.b"], 0);
    data[111] = 0;
    assert_eq!(listed(&data), ["a"]);
}

#[test]
fn bounds_are_kept() {
    let unsupported = |data: &[u8]| match names(data) {
        Err(Error::Unsupported(text)) => text,
        other => panic!("{:?}", other.map(|names| names.len())),
    };
    assert!(unsupported(&cpio(&[], 0).repeat(129)).contains("128 archives"));
    assert!(unsupported(&gzip(&cpio(&[], 0).repeat(129))).contains("128 archives"));
    assert!(unsupported(&gzip(b"").repeat(129)).contains("128 archives"));
    assert!(unsupported(&cpio(&vec!["a"; MOST_NAMES + 1], 0)).contains("200000 names"));
    let long = "a".repeat(LONGEST_NAME - 1);
    assert_eq!(listed(&cpio(&[&long], 0)), [long]);
    let mut listing =
        Listing { names: vec![], name_bytes: MOST_NAME_BYTES - 1, parts: 0, unpacked: 0 };
    assert!(listing.push(b"a").is_ok());
    assert!(listing.push(b"a").is_err());
}

#[test]
fn unpacking_ends_at_its_bound() {
    let data = cpio(&["a"], 1000);
    let length = data.len() as u64;
    let mut listing = Listing { names: vec![], name_bytes: 0, parts: 0, unpacked: 0 };
    for (most, fits) in [(length, true), (length - 1, false)] {
        let mut source = Source::new(Box::new(&*data), Form::Zstd, 0, most);
        assert_eq!(cpio::list(&mut source, &mut listing).is_ok(), fits);
    }
}
