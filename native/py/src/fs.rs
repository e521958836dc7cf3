//! `FileSystem`.

use crate::disk::Disk;
use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vhdtool_core::fs::{self, NodeKind};

/// The most that is read of a file by one call.
const MOST: usize = 64 << 20;

#[pyclass(frozen, module = "vhdtool._native")]
pub struct FileSystem(Box<dyn fs::FileSystem>);

#[pymethods]
impl FileSystem {
    #[staticmethod]
    fn open(py: Python<'_>, volume: &Disk) -> PyResult<Self> {
        py.detach(|| fs::open(&volume.0)).map(Self).map_err(to_python)
    }

    /// Kind, label, UUID, size, free, whether case is ignored, notes; clean, errors, dirty, log clean.
    #[allow(clippy::type_complexity)]
    fn volume<'py>(
        &self,
        py: Python<'py>,
    ) -> (
        String,
        Bound<'py, PyBytes>,
        String,
        u64,
        Option<u64>,
        bool,
        Vec<String>,
        Option<bool>,
        bool,
        Option<bool>,
        Option<bool>,
    ) {
        let found = py.detach(|| self.0.volume());
        let label = PyBytes::new(py, &found.label);
        (
            found.kind,
            label,
            found.uuid,
            found.size,
            found.free,
            found.ignores_case,
            found.notes,
            found.clean,
            found.errors,
            found.dirty,
            found.log_clean,
        )
    }

    #[getter]
    fn root(&self) -> u64 {
        self.0.root()
    }

    #[getter]
    fn top_level(&self) -> u64 {
        self.0.top_level()
    }

    fn lookup(&self, py: Python<'_>, directory: u64, name: &[u8]) -> PyResult<Option<u64>> {
        py.detach(|| self.0.lookup(directory, name)).map_err(to_python)
    }

    fn entries<'py>(
        &self,
        py: Python<'py>,
        directory: u64,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u64)>> {
        let entries = py.detach(|| self.0.entries(directory)).map_err(to_python)?;
        Ok(entries.iter().map(|entry| (PyBytes::new(py, &entry.name), entry.node)).collect())
    }

    /// Kind, size, mode, uid, gid, links, modified, inode.
    #[allow(clippy::type_complexity)]
    fn stat(
        &self,
        py: Python<'_>,
        node: u64,
    ) -> PyResult<(&'static str, u64, u16, u32, u32, u32, i64, u64)> {
        let stat = py.detach(|| self.0.stat(node)).map_err(to_python)?;
        let kind = match stat.kind {
            NodeKind::File => "file",
            NodeKind::Directory => "directory",
            NodeKind::Symlink => "symlink",
            NodeKind::CharacterDevice => "character device",
            NodeKind::BlockDevice => "block device",
            NodeKind::Fifo => "fifo",
            NodeKind::Socket => "socket",
            NodeKind::Other => "other",
        };
        let (mode, links) = (stat.mode, stat.links);
        Ok((kind, stat.size, mode, stat.uid, stat.gid, links, stat.modified, stat.inode))
    }

    fn read_at<'py>(
        &self,
        py: Python<'py>,
        node: u64,
        offset: u64,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py
            .detach(|| {
                // What an inode claims is no reason to take that much memory.
                let left = self.0.stat(node)?.size.saturating_sub(offset);
                let left = usize::try_from(left).unwrap_or(length);
                let mut buffer = vec![0; length.min(left).min(MOST)];
                let read = self.0.read_at(node, offset, &mut buffer)?;
                buffer.truncate(read);
                Ok(buffer)
            })
            .map_err(to_python)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn read_link<'py>(&self, py: Python<'py>, node: u64) -> PyResult<Bound<'py, PyBytes>> {
        let target = py.detach(|| self.0.read_link(node)).map_err(to_python)?;
        Ok(PyBytes::new(py, &target))
    }
}
