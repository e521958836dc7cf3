//! The yardstick of `make bench`: copies known ranges of a file, and does nothing else.
//!
//! `plain_copy SOURCE RUNS TARGET`. RUNS is text: the length of the target, then lines of three
//! numbers (offset in SOURCE, offset in TARGET, length; bytes). It writes as `vhdtool convert`
//! does: past the page cache by eight threads, or on tmpfs through it by one for each processor.
//! No format is read, no zeros are looked for, nothing is checked.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use vhdtool_core::buffer::{ALIGNMENT, AlignedBuffer};
use vhdtool_core::output::Output;

const DIRECT: (usize, u64) = (8, 2 << 20);
const CACHED_STEP: u64 = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [source, runs, target] = names.as_slice() else {
        return Err("usage: plain_copy SOURCE RUNS TARGET".into());
    };
    let source = fs::File::open(source)?;
    let text = fs::read_to_string(runs)?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse::<u64>);
    let size = numbers.next().ok_or("RUNS is empty")??;
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    let output = Output::create(Path::new(target))?;
    output.set_len(size)?;
    let direct = output.direct_handle();
    let processors = std::thread::available_parallelism()?.get();
    let (threads, step) = if direct.is_some() { DIRECT } else { (processors, CACHED_STEP) };
    let handle = direct.as_ref().unwrap_or(output.handle());
    let pieces: Vec<(u64, u64, u64)> = numbers
        .chunks_exact(3)
        .flat_map(|run| {
            let cuts = (0..run[2]).step_by(usize::try_from(step).unwrap_or(usize::MAX));
            cuts.map(|at| (run[0] + at, run[1] + at, step.min(run[2] - at)))
        })
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> std::io::Result<()> {
                    let mut buffer = AlignedBuffer::new(usize::try_from(step).unwrap_or(0));
                    loop {
                        let piece = pieces.get(next.fetch_add(1, Ordering::Relaxed));
                        let Some(&(from, to, length)) = piece else { return Ok(()) };
                        let bytes = buffer.get_mut(usize::try_from(length).unwrap_or(0));
                        assert!(direct.is_none() || bytes.len().is_multiple_of(ALIGNMENT));
                        source.read_exact_at(bytes, from)?;
                        handle.write_all_at(bytes, to)?;
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Ok(())))
    })?;
    output.commit(false)?;
    Ok(())
}
