//! Inodes as the log of XFS has them: in the order of the machine that wrote it.

use super::replay::corrupt;
use crate::error::Result;
use crate::fields::{be16, le64};

/// The root of an extent tree: in the log as in memory, with the header of a whole block.
pub fn tree_root(logged: &[u8], fork: &mut [u8], v5: bool) -> Result<()> {
    let header = if v5 { 72 } else { 24 };
    let most = logged.len().saturating_sub(header) / 16;
    let room = fork.len().saturating_sub(4) / 16;
    let count = usize::from(be16(logged, 6));
    if count > most || count > room {
        return Err(corrupt("a tree root that fits its inode", count));
    }
    fork.fill(0);
    fork[..4].copy_from_slice(&logged[4..8]);
    let keys = &logged[header..header + count * 8];
    fork[4..4 + keys.len()].copy_from_slice(keys);
    let pointers = header + most * 8;
    let pointers = &logged[pointers..pointers + count * 8];
    fork[4 + room * 8..4 + room * 8 + pointers.len()].copy_from_slice(pointers);
    Ok(())
}

/// The core of an inode, which the log has in the order of the machine.
pub fn big_endian(core: &[u8]) -> Vec<u8> {
    const BIGTIME: u64 = 8;
    const NREXT64: u64 = 16;
    let mut bytes = core.to_vec();
    let mut swap = |at: usize, length: usize| {
        if let Some(field) = bytes.get_mut(at..at + length) {
            field.reverse();
        }
    };
    let flags2 = if core.len() >= 176 { le64(core, 120) } else { 0 };
    for at in [0, 2, 6, 20, 22, 80, 88, 90] {
        swap(at, 2);
    }
    for at in [8, 12, 16, 72, 76, 84, 92, 128] {
        swap(at, 4);
    }
    for at in [56, 64, 104, 112, 120, 152] {
        swap(at, 8);
    }
    for at in [32, 40, 48, 144] {
        if flags2 & BIGTIME != 0 {
            swap(at, 8);
        } else {
            swap(at, 4);
            swap(at + 4, 4);
        }
    }
    if flags2 & NREXT64 != 0 {
        swap(24, 8);
    } else {
        swap(30, 2);
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fields::{be32, be64};

    #[test]
    fn the_core_of_an_inode_is_turned_round() {
        let mut core = vec![0; 176];
        core[..6].copy_from_slice(&[0x4E, 0x49, 0xA4, 0x81, 3, 2]);
        core[8..12].copy_from_slice(&7u32.to_le_bytes());
        core[40..44].copy_from_slice(&5i32.to_le_bytes());
        core[56..64].copy_from_slice(&0x0102_0304u64.to_le_bytes());
        let turned = big_endian(&core);
        assert_eq!(turned[..6], [0x49, 0x4E, 0x81, 0xA4, 3, 2]);
        assert_eq!((be32(&turned, 8), be32(&turned, 40), be64(&turned, 56)), (7, 5, 0x0102_0304));
        core[120] = 8; // bigtime
        core[40..48].copy_from_slice(&9u64.to_le_bytes());
        assert_eq!(be64(&big_endian(&core), 40), 9);
    }

    #[test]
    fn the_root_of_a_tree_moves_to_where_an_inode_has_it() {
        // Room for 3 entries in the log, for 2 in the inode; 2 are there.
        let mut logged = vec![0; 72 + 3 * 16];
        logged[4..8].copy_from_slice(&[0, 1, 0, 2]);
        logged[72..88].copy_from_slice(&[1; 16]);
        logged[96..112].copy_from_slice(&[2; 16]);
        let mut fork = vec![9; 40];
        tree_root(&logged, &mut fork, true).unwrap();
        assert_eq!(fork[..4], [0, 1, 0, 2]);
        assert_eq!((&fork[4..20], &fork[20..36]), (&[1; 16][..], &[2; 16][..]));
        logged[7] = 3;
        assert!(tree_root(&logged, &mut fork, true).is_err());
        assert!(tree_root(&logged[..60], &mut fork, true).is_err());
    }
}
