//! Long work, watched and stopped from another thread.

use crate::error::{Error, Result};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const UNKNOWN: u64 = u64::MAX;

/// Progress and the wish to stop. Shared by the workers and whoever watches them.
#[derive(Debug)]
pub struct Job {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Default for Job {
    fn default() -> Self {
        let total = AtomicU64::new(UNKNOWN);
        Self { done: AtomicU64::new(0), total, cancelled: AtomicBool::new(false) }
    }
}

impl Job {
    /// Makes every loop of the work end soon with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Bytes worked through.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Bytes to work through, once that is known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != UNKNOWN)
    }

    /// Starts a new count for a part of the work.
    pub fn start(&self, total: Option<u64>) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Counts `bytes` more as done.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An error once the work is to stop.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// What worker threads share to end together: the first error is the one reported.
#[derive(Debug, Default)]
pub struct Crew {
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Crew {
    /// Keeps the first error and makes the others stop.
    pub fn fail(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    /// Whether one of the crew has failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Runs `work` on `threads` threads until each has ended; a panic becomes an error.
    pub fn run(self, threads: usize, work: impl Fn(&Self) -> Result<()> + Sync) -> Result<()> {
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                scope.spawn(|| {
                    let worked = panic::catch_unwind(AssertUnwindSafe(|| work(&self)));
                    match worked {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => self.fail(error),
                        Err(_) => self.fail(Error::Invalid("a worker thread panicked".to_owned())),
                    }
                });
            }
        });
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
