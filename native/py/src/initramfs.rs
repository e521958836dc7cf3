//! `initramfs_names`.

use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use vhdtool_core::initramfs;

/// The names in all archives of an initial RAM disk.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn initramfs_names(py: Python<'_>, data: PyBackedBytes) -> PyResult<Vec<Bound<'_, PyBytes>>> {
    let found = py.detach(|| initramfs::names(&data)).map_err(to_python)?;
    Ok(found.iter().map(|name| PyBytes::new(py, name)).collect())
}
