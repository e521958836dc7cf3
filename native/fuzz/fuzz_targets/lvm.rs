//! Physical volumes with right checksums whose metadata says anything.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vhdtool_core::lvm::{checksum, volumes};
use vhdtool_core::memory::disk_of;

#[derive(Arbitrary, Debug)]
struct Input {
    header: Vec<u8>,
    offset: u16,
    size: u32,
    length: Option<u64>,
    wrap: u16,
    text: String,
    segments: Vec<(u64, u64, bool, Vec<(bool, u64)>, u64)>,
    extent: u32,
}

fn member(input: &Input, letter: u8, text: &[u8]) -> Vec<u8> {
    let mut raw = vec![letter; 80_000];
    raw[..512 * 2].fill(0);
    raw[512..520].copy_from_slice(b"LABELONE");
    raw[520] = 1;
    raw[532] = 32;
    raw[536..544].copy_from_slice(b"LVM2 001");
    raw[544..576].fill(letter);
    let pairs = [70_000u64, 0, 0, 0, 4096 + u64::from(input.offset & 1), input.size.into(), 0, 0];
    for (field, value) in raw[584..].chunks_mut(8).zip(pairs) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    let header = &input.header[..input.header.len().min(400)];
    raw[600..600 + header.len().min(16)].copy_from_slice(&header[..header.len().min(16)]);
    let sum = checksum(&raw[532..1024]);
    raw[528..532].copy_from_slice(&sum.to_le_bytes());
    let area = &mut raw[4096..70_000];
    area[..512].fill(0);
    area[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    let start = 512 + u64::from(input.wrap);
    area[40..48].copy_from_slice(&start.to_le_bytes());
    let length = input.length.unwrap_or(text.len() as u64);
    area[48..56].copy_from_slice(&length.to_le_bytes());
    area[56..60].copy_from_slice(&checksum(text).to_le_bytes());
    let sum = checksum(&area[4..512]);
    area[..4].copy_from_slice(&sum.to_le_bytes());
    for (index, byte) in text.iter().enumerate() {
        let size = u64::from(input.size).max(513);
        let ring = size - 512;
        let place = 512 + (start - 512 + index as u64) % ring;
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| area.get_mut(place)) {
            *slot = *byte;
        }
    }
    raw
}

/// Metadata that follows the grammar, with numbers that may be anything.
fn metadata(input: &Input) -> String {
    let mut segments = String::new();
    for (index, (start, count, linear, stripes, size)) in input.segments.iter().enumerate() {
        let kind = if *linear { "striped" } else { "thin" };
        let list: Vec<String> = stripes
            .iter()
            .map(|(first, place)| format!("\"{}\", {place}", if *first { "a" } else { "b" }))
            .collect();
        segments += &format!(
            "s{index} {{ start_extent = {start} extent_count = {count} type = \"{kind}\" \
             stripe_size = {size} stripes = [{}] }} ",
            list.join(", ")
        );
    }
    let member =
        |letter: &str| format!("{letter} {{ id = \"{}\" pe_start = 8 }}", letter.repeat(32));
    format!(
        "vg {{ id = \"x\" seqno = 1 extent_size = {} physical_volumes {{ {} {} }} \
         logical_volumes {{ lv {{ status = [\"VISIBLE\"] {segments} }} }} {} }}",
        input.extent,
        member("a"),
        member("b"),
        input.text
    )
}

fuzz_target!(|input: Input| {
    let text = metadata(&input);
    let disks = [
        disk_of(&member(&input, b'a', text.as_bytes())),
        disk_of(&member(&input, b'b', input.text.as_bytes())),
    ];
    for volume in volumes(&disks) {
        assert!(volume.disk.is_some() != (!volume.note.is_empty()));
        let Some(disk) = volume.disk else { continue };
        let mut buffer = vec![0; 5000];
        for offset in [0, disk.size() / 2, disk.size().saturating_sub(5000)] {
            let length = usize::try_from(disk.size() - offset).unwrap_or(5000).min(5000);
            assert!(disk.read_at(offset, &mut buffer[..length]).is_ok());
        }
    }
});
