//! `File` and `Disk`.

use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;
use vhdtool_core::disk::{self, ExtentKind, Extents};
use vhdtool_core::file::{self, Patch};
use vhdtool_core::flat::FlatMap;

#[pyclass(frozen, module = "vhdtool._native")]
pub struct File(pub Arc<file::File>);

#[pymethods]
impl File {
    #[new]
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
        let mut buffer = vec![0; length.min(left)];
        let read = py.detach(|| self.0.read_at(offset, &mut buffer)).map_err(to_python)?;
        Ok(PyBytes::new(py, &buffer[..read]))
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
        let mut buffer = vec![0; length.min(left)];
        py.detach(|| self.0.read_at(offset, &mut buffer)).map_err(to_python)?;
        Ok(PyBytes::new(py, &buffer))
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
                .map(|extent| extent.map(|extent| (extent.offset, extent.length, number(extent.kind))))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(to_python)
    }
}

fn number(kind: ExtentKind) -> u8 {
    match kind {
        ExtentKind::Data => 0,
        ExtentKind::Zero => 1,
        ExtentKind::Hole => 2,
    }
}
