//! Checksums of what a copy wrote, to compare with what storage gives back.

use crate::disk::Disk;
use crate::error::Result;
use crate::job::{Crew, Job};
use crate::planner::{CHUNK, Planner};
use crate::zero::is_zero;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// XXH3 of each chunk of a disk that is not all zero, by chunk number.
#[derive(Debug, Default)]
pub struct Digests(Mutex<BTreeMap<u64, u64>>);

impl Digests {
    /// Notes the bytes of the chunk at `offset`, a multiple of [`CHUNK`].
    pub fn add(&self, offset: u64, bytes: &[u8]) {
        if !is_zero(bytes) {
            let digest = xxh3_64(bytes);
            let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            digests.insert(offset / CHUNK, digest);
        }
    }

    /// How many chunks are not all zero.
    pub fn chunks(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Reads `disk` and returns the offset of the first chunk that is not what was noted.
    pub fn verify(&self, job: &Job, disk: &Disk, threads: usize) -> Result<Option<u64>> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        job.start(Some(left.len() as u64 * CHUNK));
        // What is left at the end was noted and not found.
        let left = Mutex::new(left);
        let wrong = Mutex::new(None::<u64>);
        let planner = Mutex::new(Planner::new(disk, disk.size(), CHUNK));
        Crew::default().run(threads, |crew| {
            let mut buffer = vec![0; usize::try_from(CHUNK).unwrap_or(0)];
            while !crew.has_failed() {
                job.check()?;
                let next = planner.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(chunk) = next.transpose()? else { break };
                let bytes = &mut buffer[..usize::try_from(chunk.length).unwrap_or(0)];
                chunk.read(0, bytes)?;
                let number = chunk.offset / CHUNK;
                let noted = left.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                let right = match noted {
                    Some(noted) => noted == xxh3_64(bytes),
                    None => is_zero(bytes),
                };
                if !right {
                    let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                    *wrong = Some(wrong.map_or(chunk.offset, |first| first.min(chunk.offset)));
                }
                job.advance(if noted.is_some() { CHUNK } else { 0 });
            }
            Ok(())
        })?;
        let missing = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        let missing = missing.first_key_value().map(|(number, _)| number * CHUNK);
        let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok([missing, wrong].into_iter().flatten().min())
    }
}
