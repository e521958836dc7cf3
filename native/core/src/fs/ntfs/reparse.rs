//! Reparse points: links, and files whose bytes are elsewhere.

use crate::fs::NodeKind;
use crate::windows::{to_wtf8, u16_at, u32_at, units};

/// The most bytes of a reparse point, as Windows has it.
pub const MOST: u64 = 16 << 10;

const MOUNT_POINT: u32 = 0xA000_0003;
const SYMLINK: u32 = 0xA000_000C;
const LX_SYMLINK: u32 = 0xA000_001D;
const WOF: u32 = 0x8000_0017;
/// Tags with this bit stand for another file, not for bytes of this one.
const NAME_SURROGATE: u32 = 0x2000_0000;
/// `OneDrive` and its like: 0x9000001A to 0x9000F01A.
const CLOUD: u32 = 0x9000_001A;

/// What a reparse point makes of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Reparse {
    /// A link, with its target as the guest's paths are written.
    Link(Vec<u8>),
    /// A link to the folder of the volume that has a drive letter: the letter, the path from there.
    Drive(u8, Vec<u8>),
    /// A node of another kind.
    Kind(NodeKind),
    /// A file whose bytes are not where files have them: why it is not read.
    Elsewhere(String),
}

/// Reads the bytes of a reparse point; `None` when they are damaged.
pub fn parse(bytes: &[u8]) -> Option<Reparse> {
    let tag = u32_at(bytes, 0)?;
    let data = bytes.get(8..8 + usize::from(u16_at(bytes, 4)?))?;
    let elsewhere = |what: &str| {
        Some(Reparse::Elsewhere(format!("{what} (reparse tag {tag:#010x}) is not read")))
    };
    match tag {
        MOUNT_POINT => Some(windows_link(&units(substitute(data, 8)?), false)),
        SYMLINK => {
            let relative = u32_at(data, 8)? & 1 != 0;
            Some(windows_link(&units(substitute(data, 12)?), relative))
        }
        LX_SYMLINK => Some(Reparse::Link(data.get(4..)?.to_vec())),
        0x8000_0023 => Some(Reparse::Kind(NodeKind::Socket)),
        0x8000_0024 => Some(Reparse::Kind(NodeKind::Fifo)),
        0x8000_0025 => Some(Reparse::Kind(NodeKind::CharacterDevice)),
        0x8000_0026 => Some(Reparse::Kind(NodeKind::BlockDevice)),
        WOF => elsewhere(&wof(data)),
        0x8000_0013 => elsewhere("a deduplicated file"),
        0x8000_0007 => elsewhere("a file of Single Instance Storage"),
        0xC000_0004 | 0x8000_0006 => elsewhere("a file of Hierarchical Storage Management"),
        _ if tag & 0xFFFF_0FFF == CLOUD => elsewhere("a file of a cloud provider"),
        _ => Some(Reparse::Kind(NodeKind::Other)),
    }
}

/// Whether a directory with this tag keeps what is in it.
pub fn keeps_names(bytes: &[u8]) -> bool {
    u32_at(bytes, 0).is_some_and(|tag| tag & NAME_SURROGATE == 0)
}

/// The name that Windows follows, not the one that it shows.
fn substitute(data: &[u8], names: usize) -> Option<&[u8]> {
    let start = names + usize::from(u16_at(data, 0)?);
    data.get(start..start + usize::from(u16_at(data, 2)?))
}

fn wof(data: &[u8]) -> String {
    let provider = u32_at(data, 4);
    let name = match (provider, u32_at(data, 12)) {
        (Some(1), _) => "a file in a WIM archive",
        (Some(2), Some(0)) => "a system-compressed file (XPRESS4K)",
        (Some(2), Some(1)) => "a system-compressed file (LZX)",
        (Some(2), Some(2)) => "a system-compressed file (XPRESS8K)",
        (Some(2), Some(3)) => "a system-compressed file (XPRESS16K)",
        _ => "a system-compressed file",
    };
    name.to_owned()
}

fn windows_link(target: &[u16], relative: bool) -> Reparse {
    let path = |units: &[u16]| {
        let mut path = to_wtf8(units);
        for byte in &mut path {
            if *byte == b'\\' {
                *byte = b'/';
            }
        }
        path
    };
    if relative {
        return Reparse::Link(path(target));
    }
    let text = path(target);
    match text.strip_prefix(b"/??/") {
        Some([letter, b':', rest @ ..])
            if letter.is_ascii_alphabetic() && (rest.is_empty() || rest[0] == b'/') =>
        {
            let rest = if rest.is_empty() { b"/" } else { rest };
            Reparse::Drive(letter.to_ascii_uppercase(), rest.to_vec())
        }
        // Another volume by its GUID, a share, a device.
        _ => Reparse::Kind(NodeKind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(tag: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(u16::try_from(data.len()).unwrap_or(0).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(data);
        bytes
    }

    fn link(tag: u32, target: &str, flags: Option<u32>) -> Option<Reparse> {
        let name: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(name.len()).unwrap_or(0);
        let mut data: Vec<u8> = [0, length, 0, 0].into_iter().flat_map(u16::to_le_bytes).collect();
        if let Some(flags) = flags {
            data.extend(flags.to_le_bytes());
        }
        data.extend(name);
        parse(&point(tag, &data))
    }

    #[test]
    fn links_are_written_as_paths_of_the_guest() {
        let relative = link(SYMLINK, r"..\Users\J\u{e9}", Some(1));
        assert_eq!(relative, Some(Reparse::Link(br"../Users/J/u{e9}".to_vec())));
        let junction = link(MOUNT_POINT, r"\??\c:\Users", None);
        assert_eq!(junction, Some(Reparse::Drive(b'C', b"/Users".to_vec())));
        let root = link(SYMLINK, r"\??\D:", Some(0));
        assert_eq!(root, Some(Reparse::Drive(b'D', b"/".to_vec())));
        let wsl = parse(&point(LX_SYMLINK, b"\x02\0\0\0../etc"));
        assert_eq!(wsl, Some(Reparse::Link(b"../etc".to_vec())));
    }

    #[test]
    fn what_leads_elsewhere_is_no_link() {
        for target in [r"\??\Volume{00000000-0000-0000-0000-000000000000}\", r"\??\UNC\a\b"] {
            assert_eq!(link(MOUNT_POINT, target, None), Some(Reparse::Kind(NodeKind::Other)));
        }
        let wof = [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0];
        let Some(Reparse::Elsewhere(reason)) = parse(&point(WOF, &wof)) else {
            panic!("not said");
        };
        assert!(reason.contains("LZX") && reason.contains("0x80000017"), "{reason}");
    }

    #[test]
    fn damaged_points_are_refused() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&point(SYMLINK, &[0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0])), None);
        assert_eq!(parse(&point(LX_SYMLINK, b"")), None);
        assert_eq!(parse(&SYMLINK.to_le_bytes()), None);
    }
}
