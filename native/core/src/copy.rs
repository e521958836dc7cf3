//! Copying a disk's data into an output, sparse and in parallel.

use crate::buffer::{ALIGNMENT, AlignedBuffer};
use crate::digest::Digests;
use crate::disk::{Disk, ExtentKind, Extents};
use crate::error::{Error, Result};
use crate::job::{Crew, Job};
use crate::output::Output;
use crate::planner::{CHUNK, Chunk, Planner};
use crate::zero::data_runs;
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Direct writes wait for the device: more of them under way than there are processors.
const DIRECT_THREADS: usize = 8;
/// Buffered writes are copies between memories: pieces that stay in a processor's cache.
const CACHED_STEP: usize = 256 * 1024;
/// Chunks that are put into the order of the source's file at a time (256 MiB).
const WINDOW: usize = 128;
/// With more extents than this the amount of data is not counted before the copy.
const COUNTED_EXTENTS: usize = 1 << 20;

/// What a copy did.
#[derive(Debug, Default)]
pub struct Stats {
    /// Bytes read from the source.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    /// Bytes of the virtual disk.
    pub size: u64,
    /// Checksums of the chunks, if they were asked for.
    pub digests: Option<Digests>,
}

/// How many threads to use where the caller does not say.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}

/// Bytes of data on `disk`, unless it takes too long to tell.
pub fn count_data(disk: &Disk) -> Result<Option<u64>> {
    let mut data = 0;
    for (number, extent) in Extents::new(disk, 0, disk.size()).enumerate() {
        let extent = extent?;
        if number >= COUNTED_EXTENTS {
            return Ok(None);
        }
        data += if extent.kind == ExtentKind::Data { extent.length } else { 0 };
    }
    Ok(Some(data))
}

/// Copies what is not zero on `source` to `output` from `start` on; the rest stays a hole.
pub fn copy_flat(
    job: &Job,
    source: &Disk,
    output: &Output,
    start: u64,
    threads: Option<usize>,
    with_digests: bool,
) -> Result<Stats> {
    job.start(count_data(source)?);
    let end = start + source.size();
    if output.len()? < end {
        output.set_len(end)?;
    }
    let writer = Writer::new(output, start);
    let default = if writer.direct.is_some() { DIRECT_THREADS } else { default_threads() };
    let planner = Planner::new(source, source.size(), CHUNK);
    let queue = Mutex::new(Queue { planner, window: Vec::new() });
    let digests = with_digests.then(Digests::default);
    let read = AtomicU64::new(0);
    Crew::default().run(threads.unwrap_or(default), |crew| {
        let mut buffer = AlignedBuffer::new(usize::try_from(CHUNK).unwrap_or(0));
        while !crew.has_failed() {
            job.check()?;
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next()?;
            let Some(chunk) = next else { break };
            let length = usize::try_from(chunk.length).unwrap_or(0);
            let step = if with_digests || writer.is_direct() { length } else { CACHED_STEP };
            for skip in (0..length).step_by(step) {
                let bytes = buffer.get_mut(step.min(length - skip));
                let count = chunk.read(skip as u64, bytes)?;
                read.fetch_add(count, Ordering::Relaxed);
                if let Some(digests) = &digests {
                    digests.add(chunk.offset, bytes);
                }
                writer.write(chunk.offset + skip as u64, bytes)?;
                job.advance(count);
            }
        }
        Ok(())
    })?;
    let written = writer.written.into_inner();
    Ok(Stats { read: read.into_inner(), written, size: source.size(), digests })
}

/// Chunks to copy, a window at a time.
struct Queue<'a> {
    planner: Planner<'a>,
    /// In reverse, so that the next one is popped.
    window: Vec<Chunk>,
}

impl Queue<'_> {
    fn next(&mut self) -> Result<Option<Chunk>> {
        if self.window.is_empty() {
            self.window = self.planner.window(WINDOW)?;
            self.window.reverse();
        }
        Ok(self.window.pop())
    }
}

/// Writes what is not zero, past the page cache where that works.
pub struct Writer<'a> {
    output: &'a Output,
    start: u64,
    direct: Option<fs::File>,
    /// Set when the file system refused a direct write after all.
    refused: AtomicBool,
    written: AtomicU64,
}

impl<'a> Writer<'a> {
    /// A writer to `output` from `start` on.
    pub fn new(output: &'a Output, start: u64) -> Self {
        let direct = output.direct_handle().filter(|_| start.is_multiple_of(ALIGNMENT as u64));
        let (refused, written) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { output, start, direct, refused, written }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.refused.load(Ordering::Relaxed)
    }

    /// Writes the runs of `bytes`, an aligned buffer for `offset` of the disk, that are not zero.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        for run in data_runs(bytes) {
            let place = self.start + offset + run.start as u64;
            let run = &bytes[run];
            let direct = if self.is_direct() { run.len() - run.len() % ALIGNMENT } else { 0 };
            let direct = self.write_direct(place, &run[..direct])?;
            if direct < run.len() {
                self.output.write_at(place + direct as u64, &run[direct..])?;
            }
            self.written.fetch_add(run.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns how much of `bytes` was written: all, or nothing where direct writes are refused.
    fn write_direct(&self, place: u64, bytes: &[u8]) -> Result<usize> {
        let Some(direct) = self.direct.as_ref().filter(|_| !bytes.is_empty()) else { return Ok(0) };
        match direct.write_all_at(bytes, place) {
            Ok(()) => Ok(bytes.len()),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                self.refused.store(true, Ordering::Relaxed);
                Ok(0)
            }
            Err(source) => Err(self.output.error(place, source)),
        }
    }
}

/// Where the blocks of a new dynamic VHD go.
#[derive(Debug, Clone, Copy)]
pub struct DynamicLayout {
    /// File offset of the first block, a multiple of 512.
    pub first_block: u64,
    /// Bytes of data in a block, a power of two.
    pub block_size: u64,
    /// Entries of the table.
    pub table_entries: u64,
}

/// Copies to the blocks of a dynamic VHD in the order of the disk, whatever the threads do.
///
/// Returns the table, the file offset after the last block, and the figures.
pub fn copy_dynamic(
    job: &Job,
    source: &Disk,
    output: &Output,
    layout: DynamicLayout,
    threads: Option<usize>,
    with_digests: bool,
) -> Result<(Vec<u8>, u64, Stats)> {
    job.start(count_data(source)?);
    let geometry = crate::vhd::Geometry {
        size: source.size(),
        table_offset: 0,
        table_entries: layout.table_entries,
        block_size: layout.block_size,
    };
    geometry.validate()?;
    if with_digests && !layout.block_size.is_multiple_of(CHUNK) {
        return Err(Error::Invalid(format!("digests need blocks of whole {CHUNK} bytes")));
    }
    if geometry.blocks() > layout.table_entries {
        let message = format!("{} blocks in {} entries", geometry.blocks(), layout.table_entries);
        return Err(Error::Invalid(message));
    }
    let bitmap = vec![0xFF; usize::try_from(geometry.bitmap_length()).unwrap_or(0)];
    let entries = usize::try_from(layout.table_entries).unwrap_or(0);
    let blocks = Blocks {
        state: Mutex::new(BlockState {
            turn: 0,
            next: layout.first_block,
            table: vec![crate::vhd::UNUSED; entries],
        }),
        turned: std::sync::Condvar::new(),
    };
    let writer = Writer { direct: None, ..Writer::new(output, 0) };
    let digests = with_digests.then(Digests::default);
    let read = AtomicU64::new(0);
    let queue = Mutex::new(Planner::new(source, source.size(), layout.block_size).enumerate());
    Crew::default().run(threads.unwrap_or_else(default_threads), |crew| {
        let block_length = usize::try_from(layout.block_size).unwrap_or(0);
        let mut buffer = vec![0; block_length];
        let failing = |error| {
            crew.fail(error);
            // Under the lock, so that nobody starts to wait between its look and this word.
            let state = blocks.state.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.turned.notify_all();
            drop(state);
            Err(Error::Cancelled)
        };
        while !crew.has_failed() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((turn, chunk)) = next else { break };
            let step = || -> Result<()> {
                job.check()?;
                let chunk = chunk?;
                let bytes = &mut buffer[..usize::try_from(chunk.length).unwrap_or(0)];
                let count = chunk.read(0, bytes)?;
                read.fetch_add(count, Ordering::Relaxed);
                let stored = !crate::zero::is_zero(bytes);
                let block = chunk.offset / layout.block_size;
                let length = bitmap.len() as u64 + layout.block_size;
                let Some(place) = blocks.place(crew, turn, block, stored.then_some(length))? else {
                    return Ok(());
                };
                if let Some(digests) = &digests {
                    for (number, piece) in
                        bytes.chunks(usize::try_from(CHUNK).unwrap_or(1)).enumerate()
                    {
                        digests.add(chunk.offset + number as u64 * CHUNK, piece);
                    }
                }
                output.write_at(place, &bitmap)?;
                writer.write(place + bitmap.len() as u64, bytes)?;
                job.advance(count);
                Ok(())
            };
            if let Err(error) = step() {
                return failing(error);
            }
        }
        Ok(())
    })?;
    let state = blocks.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let table = state.table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    let stats =
        Stats { read: read.into_inner(), written: writer.written(), size: source.size(), digests };
    Ok((table, state.next, stats))
}

/// How long to wait for a turn before looking whether the others are still there.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(100);

struct Blocks {
    state: Mutex<BlockState>,
    turned: std::sync::Condvar,
}

struct BlockState {
    turn: usize,
    next: u64,
    table: Vec<u32>,
}

impl Blocks {
    /// Waits for `turn`, then gives `block` its place in the file if it has a `length` to store.
    fn place(
        &self,
        crew: &Crew,
        turn: usize,
        block: u64,
        length: Option<u64>,
    ) -> Result<Option<u64>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.turn != turn {
            if crew.has_failed() {
                return Err(Error::Cancelled);
            }
            let waited = self.turned.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.turn += 1;
        self.turned.notify_all();
        let Some(length) = length else { return Ok(None) };
        let place = state.next;
        let sector = u32::try_from(place / crate::vhd::SECTOR).ok();
        let Some(sector) = sector.filter(|&sector| sector != crate::vhd::UNUSED) else {
            let message = "a dynamic VHD cannot hold more than 2 TiB of data";
            return Err(Error::Unsupported(message.to_owned()));
        };
        let entry = usize::try_from(block).ok().and_then(|block| state.table.get_mut(block));
        *entry.ok_or_else(|| Error::Invalid(format!("no table entry for block {block}")))? = sector;
        state.next = place + length;
        Ok(Some(place))
    }
}
