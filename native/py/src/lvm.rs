//! `lvm_volumes`.

use crate::disk::Disk;
use pyo3::prelude::*;
use vhdtool_core::lvm;

/// Group, name, disk and note of each logical volume.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, clippy::type_complexity)]
pub fn lvm_volumes(
    py: Python<'_>,
    disks: Vec<PyRef<'_, Disk>>,
) -> Vec<(String, String, Option<Disk>, String)> {
    let disks: Vec<_> = disks.iter().map(|disk| disk.0.clone()).collect();
    let found = py.detach(|| lvm::volumes(&disks));
    let rows = found.into_iter();
    rows.map(|one| (one.group, one.name, one.disk.map(Disk), one.note)).collect()
}
