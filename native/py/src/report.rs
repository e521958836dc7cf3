//! What the core finds in tables and logs, as plain attributes.

use crate::disk::File;
use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vhdtool_core::vhdx_log;

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct VhdxLogReport {
    entries: usize,
    patches: Vec<(u64, Py<PyBytes>)>,
    file_size: u64,
}

#[pyfunction]
#[pyo3(signature = (file, *, log_offset, log_length, log_guid))]
pub fn vhdx_replay_log(
    py: Python<'_>,
    file: &File,
    log_offset: u64,
    log_length: u64,
    log_guid: [u8; 16],
) -> PyResult<VhdxLogReport> {
    let replay = py
        .detach(|| vhdx_log::replay(&file.0, log_offset, log_length, log_guid))
        .map_err(to_python)?;
    let patches = replay.patches.iter();
    let patches = patches.map(|patch| (patch.offset, PyBytes::new(py, &patch.bytes).unbind()));
    Ok(VhdxLogReport {
        entries: replay.entries,
        patches: patches.collect(),
        file_size: replay.file_size,
    })
}

#[pyfunction]
pub fn crc32c(py: Python<'_>, data: &[u8]) -> u32 {
    py.detach(|| ::crc32c::crc32c(data))
}
