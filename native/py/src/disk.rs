//! `File` and `Disk`.

use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;
use vhdtool_core::disk::{self, BlockMap, ExtentKind, Extents, Mapping, Target};
use vhdtool_core::file::{self, Patch};
use vhdtool_core::flat::FlatMap;
use vhdtool_core::qcow2::Qcow2Map;
use vhdtool_core::slice::SliceMap;
use vhdtool_core::vhd::{ClearBits, VhdMap};
use vhdtool_core::vhdx::VhdxMap;
use vhdtool_core::{Error, vhd, vhdx};

#[pyclass(frozen, module = "vhdtool._native")]
pub struct File(pub Arc<file::File>);

#[pymethods]
impl File {
    #[new]
    #[allow(clippy::needless_pass_by_value)]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let file = py.detach(|| file::File::open(&path)).map_err(to_python)?;
        Ok(Self(Arc::new(file)))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    #[getter]
    fn allocated(&self) -> Option<u64> {
        self.0.allocated()
    }

    #[getter]
    fn identity(&self) -> PyResult<(u64, u64)> {
        self.0.identity().map_err(to_python)
    }

    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        // What a header claims is no reason to take that much memory.
        let left = usize::try_from(self.0.size().saturating_sub(offset)).unwrap_or(length);
        let mut read = 0;
        let bytes = PyBytes::new_with(py, length.min(left), |buffer| {
            read = py.detach(|| self.0.read_at(offset, buffer)).map_err(to_python)?;
            Ok(())
        })?;
        if read == length.min(left) {
            Ok(bytes)
        } else {
            Ok(PyBytes::new(py, &bytes.as_bytes()[..read]))
        }
    }

    fn next_data(&self, offset: u64) -> Option<(u64, u64)> {
        self.0.next_data(offset)
    }

    fn with_patches(&self, patches: Vec<(u64, Vec<u8>)>, size: u64) -> Self {
        let patches = patches.into_iter().map(|(offset, bytes)| Patch { offset, bytes }).collect();
        Self(Arc::new(self.0.with_patches(patches, size)))
    }
}

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Disk(pub disk::Disk);

#[pymethods]
impl Disk {
    #[staticmethod]
    fn flat(file: &File, offset: u64, size: u64) -> PyResult<Self> {
        let map = FlatMap::new(Arc::clone(&file.0), offset, size).map_err(to_python)?;
        Ok(Self(disk::Disk::new(Arc::new(map), None)))
    }

    #[staticmethod]
    #[pyo3(signature = (file, *, size, table_offset, table_entries, block_size,
        differencing = false, ignore_bitmap = false, parent = None))]
    #[allow(clippy::too_many_arguments)]
    fn vhd(
        file: &File,
        size: u64,
        table_offset: u64,
        table_entries: u64,
        block_size: u64,
        differencing: bool,
        ignore_bitmap: bool,
        parent: Option<&Self>,
    ) -> PyResult<Self> {
        let geometry = vhd::Geometry { size, table_offset, table_entries, block_size };
        let clear_bits = match (differencing, ignore_bitmap) {
            (true, _) => ClearBits::Parent,
            (false, true) => ClearBits::Stored,
            (false, false) => ClearBits::Zero,
        };
        let map = VhdMap::new(Arc::clone(&file.0), geometry, clear_bits).map_err(to_python)?;
        Ok(Self::over(map, parent))
    }

    #[staticmethod]
    #[pyo3(signature = (file, *, size, table_offset, table_length, block_size, sector_size,
        differencing = false, parent = None))]
    #[allow(clippy::too_many_arguments)]
    fn vhdx(
        file: &File,
        size: u64,
        table_offset: u64,
        table_length: u64,
        block_size: u64,
        sector_size: u64,
        differencing: bool,
        parent: Option<&Self>,
    ) -> PyResult<Self> {
        let geometry = vhdx::Geometry {
            size,
            table_offset,
            table_length,
            block_size,
            sector_size,
            differencing,
        };
        let map = VhdxMap::new(Arc::clone(&file.0), geometry).map_err(to_python)?;
        Ok(Self::over(map, parent))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (path, parent = None))]
    fn qcow2(py: Python<'_>, path: PathBuf, parent: Option<&Self>) -> PyResult<Self> {
        let opened = py.detach(|| Qcow2Map::new(Arc::new(file::File::open(&path)?)));
        Ok(Self::over(opened.map_err(to_python)?, parent))
    }

    #[staticmethod]
    fn reader(source: Py<PyAny>, size: u64) -> Self {
        Self::over(PythonMap { source, size }, None)
    }

    fn slice(&self, offset: u64, length: u64) -> PyResult<Self> {
        let map = SliceMap::new(self.0.clone(), offset, length).map_err(to_python)?;
        Ok(Self::over(map, None))
    }

    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let left = usize::try_from(self.0.size().saturating_sub(offset)).unwrap_or(length);
        // Python's own memory: where there is not enough, that is its MemoryError.
        PyBytes::new_with(py, length.min(left), |buffer| {
            py.detach(|| self.0.read_at(offset, buffer)).map_err(to_python)
        })
    }

    #[pyo3(signature = (offset = 0, length = None, limit = 65536))]
    fn extents(
        &self,
        py: Python<'_>,
        offset: u64,
        length: Option<u64>,
        limit: usize,
    ) -> PyResult<Vec<(u64, u64, u8)>> {
        let end = length.map_or(self.0.size(), |length| offset.saturating_add(length));
        py.detach(|| {
            Extents::new(&self.0, offset, end)
                .take(limit)
                .map(|extent| {
                    extent.map(|extent| (extent.offset, extent.length, number(extent.kind)))
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(to_python)
    }
}

impl Disk {
    fn over(map: impl BlockMap + 'static, parent: Option<&Self>) -> Self {
        Self(disk::Disk::new(Arc::new(map), parent.map(|parent| &parent.0)))
    }
}

/// A flat disk that a Python object decodes.
struct PythonMap {
    source: Py<PyAny>,
    size: u64,
}

/// The most that is asked of a Python object at once.
const PYTHON_READ: usize = 2 << 20;

impl BlockMap for PythonMap {
    fn size(&self) -> u64 {
        self.size
    }

    fn map(&self, _offset: u64, length: u64) -> vhdtool_core::Result<Mapping> {
        Ok(Mapping { length, target: Target::Opaque })
    }

    fn read_opaque(&self, offset: u64, buffer: &mut [u8]) -> vhdtool_core::Result<()> {
        for (number, piece) in buffer.chunks_mut(PYTHON_READ).enumerate() {
            let place = offset + (number * PYTHON_READ) as u64;
            Python::attach(|py| {
                let bytes = self.source.call_method1(py, "read_at", (place, piece.len()))?;
                let bytes = bytes.cast_bound::<PyBytes>(py)?.as_bytes();
                if bytes.len() != piece.len() {
                    let message = format!("{} bytes instead of {}", bytes.len(), piece.len());
                    return Err(pyo3::exceptions::PyOSError::new_err(message));
                }
                piece.copy_from_slice(bytes);
                Ok(())
            })
            .map_err(|error: PyErr| {
                let context = format!("cannot read the disk at offset {place:#x}");
                Error::io(context, std::io::Error::other(error.to_string()))
            })?;
        }
        Ok(())
    }
}

fn number(kind: ExtentKind) -> u8 {
    match kind {
        ExtentKind::Data => 0,
        ExtentKind::Zero => 1,
        ExtentKind::Hole => 2,
    }
}
