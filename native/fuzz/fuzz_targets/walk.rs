//! Looks at what a file system holds, as a caller would.

use vhdtool_core::fs::{FileSystem, NodeKind};

/// Visits at most 64 nodes and reads a little of each.
pub fn walk(filesystem: &dyn FileSystem) {
    let _ = filesystem.volume();
    let mut pending = vec![filesystem.root()];
    let mut buffer = vec![0; 10_000];
    for _ in 0..64 {
        let Some(node) = pending.pop() else { break };
        let Ok(stat) = filesystem.stat(node) else { continue };
        match stat.kind {
            NodeKind::Directory => {
                let _ = filesystem.lookup(node, b"name");
                let entries = filesystem.entries(node).unwrap_or_default();
                for entry in &entries {
                    assert!(!entry.name.is_empty());
                    assert!(!entry.name.contains(&b'/') && !entry.name.contains(&0));
                }
                pending.extend(entries.iter().take(64).map(|entry| entry.node));
            }
            NodeKind::File => {
                for offset in [0, 5000, stat.size / 2, stat.size.saturating_sub(100)] {
                    let read = filesystem.read_at(node, offset, &mut buffer);
                    assert!(read.is_ok_and(|read| read <= buffer.len()) || stat.size > 0);
                }
            }
            NodeKind::Symlink => {
                let target = filesystem.read_link(node);
                assert!(target.is_ok_and(|target| target.len() <= 64 << 10) || stat.size > 0);
            }
            _ => {}
        }
    }
}
