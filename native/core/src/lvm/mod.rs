//! LVM2: logical volumes, linear and striped, over the physical volumes that were found.

mod label;
mod map;
mod text;

use crate::disk::Disk;
use label::Label;
use map::{LogicalMap, Segment};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use text::{Section, Value};

pub use label::checksum;

const SECTOR: u64 = 512;
/// The most logical volumes that are returned.
const MOST_VOLUMES: usize = 4096;

/// A logical volume, or a volume group that could not be read (`name` is empty then).
pub struct LogicalVolume {
    /// Name of the volume group.
    pub group: String,
    /// Name of the logical volume.
    pub name: String,
    /// Its bytes, where they can be read.
    pub disk: Option<Disk>,
    /// Why not, else empty.
    pub note: String,
}

/// Finds the logical volumes of all groups on these volumes; those without a label are passed over.
pub fn volumes(disks: &[Disk]) -> Vec<LogicalVolume> {
    let mut found = Vec::new();
    let mut members: BTreeMap<[u8; 32], Disk> = BTreeMap::new();
    let mut groups: BTreeMap<String, (u64, String, Section)> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut left = label::MOST_TEXT;
    for disk in disks {
        match label::read(disk) {
            Ok(Some(label)) => {
                members.entry(label.uuid).or_insert_with(|| disk.clone());
                let length = label.text.as_ref().map_or(0, |text| text.len() as u64);
                let Some(rest) = left.checked_sub(length) else {
                    problems.push((None, "the groups have too much metadata to read".to_owned()));
                    break;
                };
                left = rest;
                add_group(&label, &mut groups, &mut problems);
            }
            Ok(None) => {}
            Err(error) => problems.push((None, error.to_string())),
        }
    }
    for (_, name, group) in groups.values() {
        found.extend(group_volumes(name, group, &members));
    }
    // Another member of the group may have had the metadata whole.
    let known: HashSet<[u8; 32]> =
        groups.values().flat_map(|(.., group)| members_of(group)).collect();
    let unread = problems.into_iter().filter(|(of, _)| of.is_none_or(|of| !known.contains(&of)));
    found.extend(unread.map(|(_, note)| LogicalVolume {
        group: String::new(),
        name: String::new(),
        disk: None,
        note,
    }));
    found.truncate(MOST_VOLUMES);
    found
}

/// What was wrong with the metadata, and of which physical volume, where that is known.
type Problem = (Option<[u8; 32]>, String);

/// The UUIDs of the physical volumes of a group.
fn members_of(group: &Section) -> Vec<[u8; 32]> {
    let members = group.section("physical_volumes").into_iter().flat_map(Section::sections);
    members.filter_map(|(_, member)| uuid_of(member)).collect()
}

/// The UUID of a physical volume as its label has it, without dashes.
fn uuid_of(member: &Section) -> Option<[u8; 32]> {
    let id = member.text("id")?;
    let raw: Vec<u8> = id.bytes().filter(|&byte| byte != b'-').collect();
    raw.try_into().ok()
}

/// Keeps the newest metadata of each group.
fn add_group(
    label: &Label,
    groups: &mut BTreeMap<String, (u64, String, Section)>,
    problems: &mut Vec<Problem>,
) {
    let Some(text) = &label.text else {
        problems.extend(label.problem.as_ref().map(|one| (Some(label.uuid), one.to_string())));
        return;
    };
    let parsed = text::parse(text).unwrap_or_default();
    let Some((name, group)) = parsed.sections().next() else {
        let problem = "the LVM metadata does not follow its grammar".to_owned();
        problems.push((Some(label.uuid), problem));
        return;
    };
    let id = group.text("id").unwrap_or(name).to_owned();
    let sequence = group.number("seqno").unwrap_or(0);
    if groups.get(&id).is_none_or(|(known, ..)| *known < sequence) {
        groups.insert(id, (sequence, name.to_owned(), group.clone()));
    }
}

fn group_volumes(
    name: &str,
    group: &Section,
    members: &BTreeMap<[u8; 32], Disk>,
) -> Vec<LogicalVolume> {
    let empty = Section::default();
    let volumes = group.section("logical_volumes").unwrap_or(&empty);
    let snapshots: HashSet<&str> = volumes
        .sections()
        .flat_map(|(_, volume)| volume.sections())
        .filter_map(|(_, segment)| segment.text("cow_store"))
        .collect();
    let visible = volumes
        .sections()
        .filter(|(_, volume)| volume.list("status").contains(&Value::Text("VISIBLE".to_owned())));
    visible
        .take(MOST_VOLUMES)
        .map(|(volume_name, volume)| {
            let mapped = if snapshots.contains(&volume_name) {
                Err("it is a snapshot, which is not read".to_owned())
            } else {
                segments(group, volume, members)
            };
            let (disk, note) = match mapped {
                Ok(segments) => {
                    (Some(Disk::new(Arc::new(LogicalMap::new(segments)), None)), String::new())
                }
                Err(note) => (None, note),
            };
            LogicalVolume { group: name.to_owned(), name: volume_name.to_owned(), disk, note }
        })
        .collect()
}

/// The segments of a logical volume in order, or why it cannot be read.
fn segments(
    group: &Section,
    volume: &Section,
    members: &BTreeMap<[u8; 32], Disk>,
) -> Result<Vec<Segment>, String> {
    let extent = group.number("extent_size").and_then(|sectors| sectors.checked_mul(SECTOR));
    let extent = extent.filter(|&size| size > 0).ok_or("the size of its extents is unknown")?;
    let mut segments = Vec::new();
    for (_, section) in volume.sections() {
        segments.push(segment(group, section, members, extent)?);
    }
    segments.sort_by_key(|segment| segment.start);
    let mut end = 0;
    for segment in &segments {
        if segment.start != end {
            return Err(format!("its segments do not join at byte {end}"));
        }
        end += segment.length;
    }
    if segments.is_empty() {
        return Err("it has no segments".to_owned());
    }
    Ok(segments)
}

fn segment(
    group: &Section,
    section: &Section,
    members: &BTreeMap<[u8; 32], Disk>,
    extent: u64,
) -> Result<Segment, String> {
    let kind = section.text("type").unwrap_or_default();
    if kind != "striped" {
        return Err(format!("its segments of type \"{kind}\" are not read"));
    }
    let bytes = |key: &str, unit: u64| {
        let value = section.number(key).and_then(|number| number.checked_mul(unit));
        // Sums of two stay inside 64 bits.
        value.filter(|&value| value < 1 << 62).ok_or(format!("its {key} is impossible"))
    };
    let start = bytes("start_extent", extent)?;
    let length = bytes("extent_count", extent)?;
    let pairs = section.list("stripes").as_chunks::<2>().0;
    let count = pairs.len() as u64;
    if count == 0 || length == 0 || length % count != 0 {
        return Err(format!("{count} stripes cannot share its {length} bytes"));
    }
    let chunk = if count == 1 { length } else { bytes("stripe_size", SECTOR)? };
    if chunk == 0 || !(length / count).is_multiple_of(chunk) {
        return Err(format!("its stripes of {chunk} bytes do not fill {} bytes", length / count));
    }
    let mut stripes = Vec::new();
    for pair in pairs {
        let [Value::Text(name), Value::Number(first)] = pair else {
            return Err("its list of stripes is impossible".to_owned());
        };
        stripes.push(stripe(group, members, name, *first, extent, length / count)?);
    }
    Ok(Segment { start, length, chunk, stripes })
}

/// The physical volume of a stripe and where the stripe starts on it.
fn stripe(
    group: &Section,
    members: &BTreeMap<[u8; 32], Disk>,
    name: &str,
    first: u64,
    extent: u64,
    length: u64,
) -> Result<(Disk, u64), String> {
    let member = group.section("physical_volumes").and_then(|all| all.section(name));
    let member = member.ok_or(format!("there is no physical volume \"{name}\""))?;
    let disk = uuid_of(member).and_then(|uuid| members.get(&uuid));
    let disk = disk.ok_or_else(|| {
        let id = member.text("id").unwrap_or_default();
        format!("the physical volume {name} ({id}) is not among the disks")
    })?;
    let data = member.number("pe_start").and_then(|sectors| sectors.checked_mul(SECTOR));
    let start = first.checked_mul(extent).and_then(|first| first.checked_add(data?));
    let start =
        start.filter(|start| start.checked_add(length).is_some_and(|end| end <= disk.size()));
    let start = start.ok_or(format!("it reaches past the end of the physical volume {name}"))?;
    Ok((disk.clone(), start))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::memory::disk_of;

    const PLACE: usize = 4096;
    const AREA: usize = 65_536;
    const DATA: usize = 1 << 20;

    /// A physical volume of 4 MiB whose UUID is one letter and whose metadata is `text`.
    fn member(letter: u8, text: &str) -> Disk {
        let mut raw = vec![letter; 4 << 20];
        raw[..DATA].fill(0);
        raw[512..520].copy_from_slice(b"LABELONE");
        raw[520] = 1;
        raw[532] = 32;
        raw[536..544].copy_from_slice(b"LVM2 001");
        raw[544..576].fill(letter);
        let pairs = [DATA, 0, 0, 0, PLACE, AREA, 0, 0];
        for (field, value) in raw[584..].chunks_mut(8).zip(pairs) {
            field.copy_from_slice(&(value as u64).to_le_bytes());
        }
        let sum = checksum(&raw[532..1024]);
        raw[528..532].copy_from_slice(&sum.to_le_bytes());
        let area = &mut raw[PLACE..PLACE + AREA];
        area[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
        area[40..42].copy_from_slice(&512u16.to_le_bytes());
        area[48..56].copy_from_slice(&(text.len() as u64).to_le_bytes());
        area[56..60].copy_from_slice(&checksum(text.as_bytes()).to_le_bytes());
        area[512..512 + text.len()].copy_from_slice(text.as_bytes());
        let sum = checksum(&area[4..512]);
        area[..4].copy_from_slice(&sum.to_le_bytes());
        disk_of(&raw)
    }

    /// A group on the members `a` and `b` with one volume of these segments.
    fn group(sequence: u64, segments: &str) -> String {
        let member =
            |letter: &str| format!("{letter} {{ id = \"{}\" pe_start = 2048 }}", letter.repeat(32));
        format!(
            "vg {{ id = \"x\" seqno = {sequence} extent_size = 2048 physical_volumes {{ {} {} }} \
             logical_volumes {{ lv {{ status = [\"READ\", \"VISIBLE\"] {segments} }} }} }}",
            member("a"),
            member("b")
        )
    }

    fn linear(start: u64, count: u64, name: &str, first: u64) -> String {
        format!(
            "s{start} {{ start_extent = {start} extent_count = {count} type = \"striped\" \
             stripes = [\"{name}\", {first}] }}"
        )
    }

    fn note_of(segments: &str) -> String {
        let found = volumes(&[member(b'a', &group(1, segments)), member(b'b', "")]);
        assert!(found.iter().all(|one| one.disk.is_none()));
        found.first().unwrap().note.clone()
    }

    #[test]
    fn volumes_go_over_their_members_by_the_newest_metadata() {
        let new = group(2, &format!("{} {}", linear(0, 2, "b", 1), linear(2, 1, "a", 0)));
        let disks = [member(b'a', &group(1, &linear(0, 1, "a", 0))), member(b'b', &new)];
        let found = volumes(&disks);
        assert_eq!((found.len(), found[0].name.as_str(), found[0].note.as_str()), (1, "lv", ""));
        let disk = found[0].disk.as_ref().unwrap();
        let mut seen = vec![0; 3 << 20];
        disk.read_at(0, &mut seen).unwrap();
        assert!(seen[..2 << 20].iter().all(|&byte| byte == b'b'));
        assert!(seen[2 << 20..].iter().all(|&byte| byte == b'a'));
    }

    #[test]
    fn what_cannot_be_mapped_says_why() {
        assert!(note_of(&linear(0, 9, "a", 0)).contains("past the end"));
        assert!(note_of(&linear(0, 1, "a", u64::MAX >> 1)).contains("past the end"));
        assert!(note_of(&linear(1, 1, "a", 0)).contains("do not join"));
        assert!(note_of(&linear(0, 0, "a", 0)).contains("cannot share"));
        assert!(note_of(&linear(0, u64::MAX >> 1, "a", 0)).contains("impossible"));
        assert!(note_of(&linear(0, 1, "c", 0)).contains("no physical volume"));
        assert!(note_of("").contains("no segments"));
        let thin = "s { start_extent = 0 extent_count = 1 type = \"thin\" }";
        assert!(note_of(thin).contains("\"thin\" are not read"));
        let odd = "s { start_extent = 0 extent_count = 2 type = \"striped\" stripe_size = 3 \
                   stripes = [\"a\", 0, \"b\", 0] }";
        assert!(note_of(odd).contains("do not fill"));
    }

    #[test]
    fn snapshots_and_hidden_volumes_are_not_mapped() {
        let text = group(1, &linear(0, 1, "a", 0)).replace(
            "logical_volumes {",
            "logical_volumes { snapshot0 { status = [\"READ\"] s { type = \"snapshot\" \
             cow_store = \"lv\" } }",
        );
        let found = volumes(&[member(b'a', &text)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].note.contains("snapshot"));
    }

    #[test]
    fn damage_is_told_unless_another_member_has_the_metadata() {
        let damaged = member(b'a', "vg {");
        let found = volumes(std::slice::from_ref(&damaged));
        assert!(found[0].name.is_empty() && found[0].note.contains("grammar"));
        let sound = member(b'b', &group(1, &linear(0, 1, "b", 0)));
        let found = volumes(&[damaged.clone(), sound]);
        assert_eq!((found.len(), found[0].note.as_str()), (1, ""));
        // A group of its own that is damaged is told beside the one that is not.
        let text = group(1, &linear(0, 1, "b", 0)).replace(&"a".repeat(32), &"c".repeat(32));
        let found = volumes(&[member(b'b', &text), damaged]);
        assert_eq!((found.len(), found[0].note.as_str()), (2, ""));
        assert!(found[1].note.contains("grammar"));
        assert!(volumes(&[disk_of(&[0; 100]), disk_of(&[0; 8192])]).is_empty());
    }
}
