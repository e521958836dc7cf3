//! LVM2: logical volumes, linear and striped, over the physical volumes that were found.

mod label;
mod map;
mod text;

use crate::disk::Disk;
use label::Label;
use map::{LogicalMap, Segment};
use std::collections::BTreeMap;
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
    for disk in disks {
        match label::read(disk) {
            Ok(Some(label)) => {
                members.entry(label.uuid).or_insert_with(|| disk.clone());
                add_group(&label, &mut groups, &mut problems);
            }
            Ok(None) => {}
            Err(error) => problems.push(error.to_string()),
        }
    }
    for (_, name, group) in groups.values() {
        found.extend(group_volumes(name, group, &members));
    }
    // Another member of the group may have had the metadata whole.
    let unread = found.is_empty() || problems.len() >= disks.len();
    found.extend(problems.into_iter().filter(|_| unread).map(|note| LogicalVolume {
        group: String::new(),
        name: String::new(),
        disk: None,
        note,
    }));
    found.truncate(MOST_VOLUMES);
    found
}

/// Keeps the newest metadata of each group.
fn add_group(
    label: &Label,
    groups: &mut BTreeMap<String, (u64, String, Section)>,
    problems: &mut Vec<String>,
) {
    let Some(text) = &label.text else {
        problems.extend(label.problem.as_ref().map(ToString::to_string));
        return;
    };
    let parsed = text::parse(text).unwrap_or_default();
    let Some((name, group)) = parsed.sections().next() else {
        problems.push("the LVM metadata does not follow its grammar".to_owned());
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
    let snapshots: Vec<&str> = volumes
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
    let id = member.text("id").unwrap_or_default();
    let raw: Vec<u8> = id.bytes().filter(|&byte| byte != b'-').collect();
    let disk = <[u8; 32]>::try_from(raw).ok().and_then(|uuid| members.get(&uuid));
    let disk = disk.ok_or(format!("the physical volume {name} ({id}) is not among the disks"))?;
    let data = member.number("pe_start").and_then(|sectors| sectors.checked_mul(SECTOR));
    let start = first.checked_mul(extent).and_then(|first| first.checked_add(data?));
    let start =
        start.filter(|start| start.checked_add(length).is_some_and(|end| end <= disk.size()));
    let start = start.ok_or(format!("it reaches past the end of the physical volume {name}"))?;
    Ok((disk.clone(), start))
}
