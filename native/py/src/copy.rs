//! Copying, verifying, comparing.

use crate::disk::{Disk, File};
use crate::error::to_python;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use vhdtool_core::copy::{self, DynamicLayout};
use vhdtool_core::flat::FlatMap;
use vhdtool_core::stream::{self, Compression};
use vhdtool_core::{compare as comparing, digest, disk, job, output};

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Job(Arc<job::Job>);

#[pymethods]
impl Job {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn check(&self) -> PyResult<()> {
        self.0.check().map_err(to_python)
    }

    #[getter]
    fn done(&self) -> u64 {
        self.0.done()
    }

    #[getter]
    fn total(&self) -> Option<u64> {
        self.0.total()
    }
}

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Output(output::Output);

#[pymethods]
impl Output {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn create(path: PathBuf) -> PyResult<Self> {
        Ok(Self(output::Output::create(&path).map_err(to_python)?))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> PyResult<()> {
        self.0.write_at(offset, data).map_err(to_python)
    }

    fn set_len(&self, length: u64) -> PyResult<()> {
        self.0.set_len(length).map_err(to_python)
    }

    fn file(&self) -> PyResult<File> {
        Ok(File(Arc::new(self.0.file().map_err(to_python)?)))
    }

    fn disk(&self, py: Python<'_>, offset: u64, size: u64) -> PyResult<Disk> {
        let map = py.detach(|| {
            self.0.settle()?;
            FlatMap::new(Arc::new(self.0.file()?), offset, size)
        });
        Ok(Disk(disk::Disk::new(Arc::new(map.map_err(to_python)?), None)))
    }

    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.settle()).map_err(to_python)
    }

    #[pyo3(signature = (*, replace = false))]
    fn commit(&self, py: Python<'_>, replace: bool) -> PyResult<()> {
        py.detach(|| self.0.commit(replace)).map_err(to_python)
    }

    fn abort(&self) {
        self.0.abort();
    }
}

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Digests(digest::Digests);

#[pymethods]
impl Digests {
    #[getter]
    fn chunks(&self) -> u64 {
        self.0.chunks()
    }
}

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct CopyStats {
    read_bytes: u64,
    written_bytes: u64,
    size: u64,
    digests: Option<Py<Digests>>,
}

fn stats(py: Python<'_>, stats: copy::Stats) -> PyResult<CopyStats> {
    let digests = stats.digests.map(|digests| Py::new(py, Digests(digests))).transpose()?;
    let (read_bytes, written_bytes) = (stats.read, stats.written);
    Ok(CopyStats { read_bytes, written_bytes, size: stats.size, digests })
}

#[pyfunction]
#[pyo3(signature = (job, source, output, *, offset = 0, threads = None, digests = false))]
pub fn copy_flat(
    py: Python<'_>,
    job: &Job,
    source: &Disk,
    output: &Output,
    offset: u64,
    threads: Option<usize>,
    digests: bool,
) -> PyResult<CopyStats> {
    let copied =
        py.detach(|| copy::copy_flat(&job.0, &source.0, &output.0, offset, threads, digests));
    stats(py, copied.map_err(to_python)?)
}

#[pyfunction]
#[pyo3(signature = (job, source, output, *, first_block, block_size, table_entries,
    threads = None, digests = false))]
#[allow(clippy::too_many_arguments)]
pub fn copy_dynamic<'py>(
    py: Python<'py>,
    job: &Job,
    source: &Disk,
    output: &Output,
    first_block: u64,
    block_size: u64,
    table_entries: u64,
    threads: Option<usize>,
    digests: bool,
) -> PyResult<(Bound<'py, PyBytes>, u64, CopyStats)> {
    let layout = DynamicLayout { first_block, block_size, table_entries };
    let copied =
        py.detach(|| copy::copy_dynamic(&job.0, &source.0, &output.0, layout, threads, digests));
    let (table, end, figures) = copied.map_err(to_python)?;
    Ok((PyBytes::new(py, &table), end, stats(py, figures)?))
}

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Stream(Mutex<stream::Stream>);

#[pymethods]
impl Stream {
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (path, compression = None, job = None))]
    fn open(
        py: Python<'_>,
        path: Option<PathBuf>,
        compression: Option<&str>,
        job: Option<&Job>,
    ) -> PyResult<Self> {
        let compression = match compression {
            None => Compression::None,
            Some("gzip") => Compression::Gzip,
            Some("xz") => Compression::Xz,
            Some("zstd") => Compression::Zstd,
            Some("detect") => Compression::Detect,
            Some(other) => {
                let message = format!("compression {other:?} is none of gzip, xz, zstd, detect");
                return Err(PyValueError::new_err(message));
            }
        };
        let job = job.map(|job| Arc::clone(&job.0)).unwrap_or_default();
        let opened = py.detach(|| stream::Stream::open(path.as_deref(), compression, job));
        Ok(Self(Mutex::new(opened.map_err(to_python)?)))
    }

    fn peek<'py>(&self, py: Python<'py>, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| {
            let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            stream.peek(length).map(<[u8]>::to_vec)
        });
        Ok(PyBytes::new(py, &bytes.map_err(to_python)?))
    }
}

#[pyfunction]
#[pyo3(signature = (job, stream, output, *, limit = None, total = None, digests = false))]
pub fn copy_stream(
    py: Python<'_>,
    job: &Job,
    stream: &Stream,
    output: &Output,
    limit: Option<u64>,
    total: Option<u64>,
    digests: bool,
) -> PyResult<CopyStats> {
    let copied = py.detach(|| {
        let mut stream = stream.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream::copy_stream(&job.0, &mut stream, &output.0, limit, total, digests)
    });
    stats(py, copied.map_err(to_python)?)
}

#[pyfunction]
pub fn verify(py: Python<'_>, job: &Job, disk: &Disk, digests: &Digests) -> PyResult<Option<u64>> {
    py.detach(|| digests.0.verify(&job.0, &disk.0, copy::default_threads())).map_err(to_python)
}

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct Comparison {
    first_difference: Option<u64>,
    different_bytes: u64,
}

#[pyfunction]
#[pyo3(signature = (job, a, b, *, pad = false))]
pub fn compare(py: Python<'_>, job: &Job, a: &Disk, b: &Disk, pad: bool) -> PyResult<Comparison> {
    let found = py.detach(|| comparing::compare(&job.0, &a.0, &b.0, pad)).map_err(to_python)?;
    let (first_difference, different_bytes) = (found.first_difference, found.different_bytes);
    Ok(Comparison { first_difference, different_bytes })
}

#[pyfunction]
pub fn is_zero(py: Python<'_>, data: &[u8]) -> bool {
    py.detach(|| vhdtool_core::zero::is_zero(data))
}
