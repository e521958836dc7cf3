//! The copy planner over any layers of extents: every data byte is read once, from its place.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use vhdtool_core::Result;
use vhdtool_core::disk::{BlockMap, Disk, Mapping, Target};
use vhdtool_core::file::File;
use vhdtool_core::memory::file_of;
use vhdtool_core::planner::Planner;

#[derive(Arbitrary, Debug)]
struct Input {
    layers: Vec<Vec<(u16, u8)>>,
    size: u16,
    chunk_shift: u8,
    seed: u8,
}

/// A layer of runs, repeated over the disk.
struct Runs {
    runs: Vec<(u16, u8)>,
    size: u64,
    file: Arc<File>,
}

impl BlockMap for Runs {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, offset: u64, length: u64) -> Result<Mapping> {
        let period: u64 = self.runs.iter().map(|(run, _)| u64::from(*run) + 1).sum();
        let mut start = offset - offset % period.max(1);
        for (run, kind) in &self.runs {
            let end = start + u64::from(*run) + 1;
            if offset < end {
                let target = match kind % 3 {
                    0 => Target::File { file: Arc::clone(&self.file), offset },
                    1 => Target::Zero,
                    _ => Target::Unallocated,
                };
                return Ok(Mapping { length: length.min(end - offset), target });
            }
            start = end;
        }
        Ok(Mapping { length, target: Target::Unallocated })
    }
}

fuzz_target!(|input: Input| {
    let size = u64::from(input.size);
    let bytes: Vec<u8> = (0..input.size)
        .map(|at| (at.wrapping_mul(31) as u8).wrapping_add(input.seed) | 1)
        .collect();
    let file = file_of(&bytes);
    let mut disk: Option<Disk> = None;
    for runs in input.layers.into_iter().take(4) {
        let map = Runs { runs, size, file: Arc::clone(&file) };
        disk = Some(Disk::new(Arc::new(map), disk.as_ref()));
    }
    let Some(disk) = disk else { return };
    let mut expected = vec![0; bytes.len()];
    disk.read_at(0, &mut expected).expect("every range of the disk can be read");
    let chunk = 512 << (input.chunk_shift % 8);
    let mut copied = vec![0; bytes.len()];
    let mut planner = Planner::new(&disk, size, chunk);
    loop {
        let window = planner.window(3).expect("every chunk can be planned");
        if window.is_empty() {
            break;
        }
        for part in window {
            assert!(part.offset % chunk == 0 && part.length <= chunk && !part.pieces.is_empty());
            let place = part.offset as usize;
            let end = place + part.length as usize;
            assert!(copied[place..end].iter().all(|&byte| byte == 0), "a chunk is planned twice");
            part.read(0, &mut copied[place..end]).expect("every piece can be read");
        }
    }
    assert_eq!(copied, expected);
});
