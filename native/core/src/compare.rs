//! Are two disks the same to a guest?

use crate::copy::default_threads;
use crate::disk::Disk;
use crate::error::Result;
use crate::job::{Crew, Job};
use crate::planner::{CHUNK, Chunk, Planner};
use crate::zero::is_zero;
use std::iter::Peekable;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How two disks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Offset of the first byte that differs.
    pub first_difference: Option<u64>,
    /// How many bytes differ.
    pub different_bytes: u64,
}

/// Compares the common length; with `pad` also what is past it on the longer disk, with zeros.
///
/// Where neither disk stores anything, nothing is read.
pub fn compare(job: &Job, a: &Disk, b: &Disk, pad: bool) -> Result<Comparison> {
    let common = a.size().min(b.size());
    let size = if pad { a.size().max(b.size()) } else { common };
    job.start(Some(size));
    let plan = |disk| Planner::new(disk, size, CHUNK).peekable();
    let pairs = Mutex::new(Pairs { a: plan(a), b: plan(b) });
    let first = AtomicU64::new(u64::MAX);
    let different = AtomicU64::new(0);
    Crew::default().run(default_threads(), |crew| {
        let length = usize::try_from(CHUNK).unwrap_or(0);
        let mut buffers = [vec![0; length], vec![0; length]];
        while !crew.has_failed() {
            job.check()?;
            let next = pairs.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let Some((offset, pair)) = next else { break };
            let length = usize::try_from(CHUNK.min(size - offset)).unwrap_or(0);
            let mut sides = pair.iter().zip(&mut buffers).map(|(chunk, buffer)| {
                let Some(chunk) = chunk else { return Ok(None) };
                buffer[..length].fill(0);
                let stored = usize::try_from(chunk.length).unwrap_or(0);
                chunk.read(0, &mut buffer[..stored])?;
                Ok(Some(&buffer[..length]))
            });
            let (left, right) = (sides.next().transpose()?, sides.next().transpose()?);
            if let Some((start, count)) = difference(left.flatten(), right.flatten()) {
                first.fetch_min(offset + start, Ordering::Relaxed);
                different.fetch_add(count, Ordering::Relaxed);
            }
            job.advance(length as u64);
        }
        Ok(())
    })?;
    let first = Some(first.into_inner()).filter(|&first| first != u64::MAX);
    Ok(Comparison { first_difference: first, different_bytes: different.into_inner() })
}

/// First place and number of differing bytes; None stands for zeros.
fn difference(a: Option<&[u8]>, b: Option<&[u8]>) -> Option<(u64, u64)> {
    let differing: Vec<bool> = match (a, b) {
        (Some(a), Some(b)) if a != b => a.iter().zip(b).map(|(a, b)| a != b).collect(),
        (Some(one), None) | (None, Some(one)) if !is_zero(one) => {
            one.iter().map(|&byte| byte != 0).collect()
        }
        _ => return None,
    };
    let first = differing.iter().position(|&different| different)?;
    let count = differing.iter().filter(|&&different| different).count();
    Some((first as u64, count as u64))
}

/// The chunks at one offset of two disks; those that neither stores are left out.
struct Pairs<'a> {
    a: Peekable<Planner<'a>>,
    b: Peekable<Planner<'a>>,
}

impl Pairs<'_> {
    fn next(&mut self) -> Result<Option<(u64, [Option<Chunk>; 2])>> {
        let offset = |planner: &mut Peekable<Planner<'_>>| {
            planner.peek().map(|chunk| chunk.as_ref().map_or(0, |chunk| chunk.offset))
        };
        let (at_a, at_b) = (offset(&mut self.a), offset(&mut self.b));
        let Some(here) = at_a.into_iter().chain(at_b).min() else { return Ok(None) };
        let a = if at_a == Some(here) { self.a.next().transpose()? } else { None };
        let b = if at_b == Some(here) { self.b.next().transpose()? } else { None };
        Ok(Some((here, [a, b])))
    }
}
