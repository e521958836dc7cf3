//! Bytes that come once: standard input and compressed files.

use crate::copy::{Stats, Writer, default_threads};
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::job::{Crew, Job};
use crate::output::Output;
use crate::planner::CHUNK;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The most that can be looked at before it is read.
const MOST_PEEKED: usize = 1 << 20;

/// What unpacking may take: a dictionary of 128 MiB, as the highest level of zstd has.
const MOST_MEMORY: u64 = 136 << 20;
/// What zstd says of a frame that would take more.
const ZSTD_REFUSAL: &str = "too much memory";

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip, any number of members.
    Gzip,
    /// xz, any number of streams.
    Xz,
    /// Zstandard, any number of frames.
    Zstd,
    /// One of these, by the first bytes.
    Detect,
}

/// What the formats start with: RFC 1952, the .xz format 2.1.1.1, RFC 8878.
const MAGICS: [(&[u8], Compression); 3] = [
    (&[0x1F, 0x8B, 0x08], Compression::Gzip),
    (&[0xFD, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
    (&[0x28, 0xB5, 0x2F, 0xFD], Compression::Zstd),
];

/// A source that is read from its start to its end.
pub struct Stream {
    name: String,
    reader: Box<dyn Read + Send>,
    peeked: Vec<u8>,
    job: Arc<Job>,
}

impl Stream {
    /// Opens a file, or standard input where there is no path; `job` can end the wait for it.
    pub fn open(path: Option<&Path>, compression: Compression, job: Arc<Job>) -> Result<Self> {
        let name = path.map_or("standard input".to_owned(), |path| path.display().to_string());
        let wrap = |source| Self::failure(&job, format!("cannot open {name}"), source);
        let raw: Box<dyn Read + Send> = match path {
            Some(path) => Box::new(fs::File::open(path).map_err(wrap)?),
            None => standard_input(&job).map_err(wrap)?,
        };
        let (raw, compression) = match compression {
            Compression::Detect => detect(raw).map_err(wrap)?,
            known => (raw, known),
        };
        let reader: Box<dyn Read + Send> = match compression {
            Compression::None | Compression::Detect => raw,
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(buffered(raw))),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let decoder = liblzma::stream::Stream::new_stream_decoder(MOST_MEMORY, flags);
                let decoder = decoder.map_err(|error| wrap(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(buffered(raw), decoder))
            }
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(buffered(raw)).map_err(wrap)?)
            }
        };
        Ok(Self { name, reader, peeked: Vec::new(), job })
    }

    /// The first bytes, at most a MiB; they are read again later.
    pub fn peek(&mut self, length: usize) -> Result<&[u8]> {
        let have = self.peeked.len();
        let length = length.min(MOST_PEEKED);
        if have < length {
            self.peeked.resize(length, 0);
            let more = fill(&mut self.reader, &mut self.peeked[have..]);
            self.peeked.truncate(have + *more.as_ref().unwrap_or(&0));
            more.map_err(|source| self.error(have as u64, source))?;
        }
        Ok(&self.peeked[..length.min(self.peeked.len())])
    }

    /// Fills `buffer` as far as the stream goes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.peeked.len().min(buffer.len());
        buffer[..ready].copy_from_slice(&self.peeked[..ready]);
        self.peeked.drain(..ready);
        Ok(ready + fill(&mut self.reader, &mut buffer[ready..])?)
    }

    fn error(&self, offset: u64, source: io::Error) -> Error {
        Self::failure(&self.job, format!("cannot read {}, after {offset} bytes", self.name), source)
    }

    /// What failed, unless it was told to.
    fn failure(job: &Job, context: String, source: io::Error) -> Error {
        if let Err(cancelled) = job.check() {
            return cancelled;
        }
        let limit = source.get_ref().and_then(|inner| inner.downcast_ref());
        if matches!(limit, Some(liblzma::stream::Error::MemLimit))
            || source.to_string().contains(ZSTD_REFUSAL)
        {
            let most = MOST_MEMORY >> 20;
            return Error::Unsupported(format!("{context}: unpacking takes more than {most} MiB"));
        }
        Error::io(context, source)
    }
}

/// Standard input. Nothing may come of it for long: a cancelled job ends the wait.
#[cfg(unix)]
struct Input {
    file: fs::File,
    job: Arc<Job>,
}

#[cfg(unix)]
impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        loop {
            self.job.check().map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&MOMENT)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                // Where it cannot be waited for, reading tells why.
                Ok(_) | Err(_) => return self.file.read(buffer),
            }
        }
    }
}

#[cfg(unix)]
fn standard_input(job: &Arc<Job>) -> io::Result<Box<dyn Read + Send>> {
    use std::os::fd::AsFd;
    // Past the buffer of the standard library, which could hold what `poll` does not see.
    let file = fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(Box::new(Input { file, job: Arc::clone(job) }))
}

#[cfg(not(unix))]
fn standard_input(_job: &Arc<Job>) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(io::stdin()))
}

/// Tells how a stream is compressed, and gives it back whole.
fn detect(mut raw: Box<dyn Read + Send>) -> io::Result<(Box<dyn Read + Send>, Compression)> {
    let mut head = vec![0; 6];
    let length = fill(&mut raw, &mut head)?;
    head.truncate(length);
    let found = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
    let compression = found.map_or(Compression::None, |&(_, compression)| compression);
    Ok((Box::new(io::Cursor::new(head).chain(raw)), compression))
}

fn buffered(raw: Box<dyn Read + Send>) -> io::BufReader<Box<dyn Read + Send>> {
    io::BufReader::with_capacity(256 * 1024, raw)
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes a stream sparsely from the start of `output`; [`Stats::size`] is its length.
///
/// More than `limit` bytes are an error; `total`, where it is known, is for those who watch.
pub fn copy_stream(
    job: &Job,
    stream: &mut Stream,
    output: &Output,
    limit: Option<u64>,
    total: Option<u64>,
    with_digests: bool,
) -> Result<Stats> {
    job.start(total);
    let writers = default_threads();
    let writer = Writer::new(output, 0);
    let digests = with_digests.then(Digests::default);
    let (full_in, full_out) = sync_channel::<(u64, Vec<u8>)>(writers);
    let (empty_in, empty_out) = sync_channel::<Vec<u8>>(2 * writers + 1);
    for _ in 0..=2 * writers {
        let _ = empty_in.send(vec![0; usize::try_from(CHUNK).unwrap_or(0)]);
    }
    let full_out = Mutex::new(full_out);
    // Who takes it first reads the stream; it goes away with that thread and so ends the others.
    let source = Mutex::new(Some((stream, full_in, empty_out)));
    let size = Mutex::new(0);
    Crew::default().run(writers + 1, |crew| {
        let taken = source.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stream, full, empty)) = taken {
            let length = read_all(job, crew, stream, &full, &empty, limit)?;
            *size.lock().unwrap_or_else(PoisonError::into_inner) = length;
            return Ok(());
        }
        loop {
            let next = full_out.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((offset, bytes)) = next else { return Ok(()) };
            if crew.has_failed() {
                return Ok(());
            }
            if let Some(digests) = &digests {
                digests.add(offset, &bytes);
            }
            writer.write(offset, &bytes)?;
            let _ = empty_in.send(bytes);
        }
    })?;
    let size = size.into_inner().unwrap_or_else(PoisonError::into_inner);
    if output.len()? < size {
        output.set_len(size)?;
    }
    Ok(Stats { read: size, written: writer.written(), size, digests })
}

fn read_all(
    job: &Job,
    crew: &Crew,
    stream: &mut Stream,
    full: &std::sync::mpsc::SyncSender<(u64, Vec<u8>)>,
    empty: &Receiver<Vec<u8>>,
    limit: Option<u64>,
) -> Result<u64> {
    let mut offset = 0;
    loop {
        job.check()?;
        if crew.has_failed() {
            return Err(Error::Cancelled);
        }
        let wait = std::time::Duration::from_millis(100);
        let Ok(mut buffer) = empty.recv_timeout(wait) else { continue };
        buffer.resize(usize::try_from(CHUNK).unwrap_or(0), 0);
        let read = stream.read(&mut buffer);
        let read = read.map_err(|source| stream.error(offset, source))?;
        if read == 0 {
            job.check()?;
            return Ok(offset);
        }
        buffer.truncate(read);
        let place = offset;
        offset += read as u64;
        if limit.is_some_and(|limit| offset > limit) {
            return Err(Error::Invalid(format!(
                "{} holds more than {} bytes",
                stream.name,
                limit.unwrap_or(0)
            )));
        }
        job.advance(read as u64);
        if full.send((place, buffer)).is_err() {
            return Err(Error::Cancelled);
        }
    }
}
