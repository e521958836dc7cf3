//! What the core finds in tables and logs, as plain attributes.

use crate::disk::{Disk, File};
use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use vhdtool_core::{audit, partitions, qcow2, vhd, vhdx, vhdx_log};

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

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct TableReport {
    entries: u64,
    examined: u64,
    allocated: u64,
    beyond_size: u64,
    past_end: Vec<(u64, u64)>,
    clobbering: Vec<(u64, u64)>,
    overlapping: Vec<(u64, u64, u64)>,
    past_end_count: u64,
    clobbering_count: u64,
    overlapping_count: u64,
    overlap_checked: bool,
    end_of_blocks: u64,
}

#[pyfunction]
#[pyo3(signature = (file, *, size, table_offset, table_entries, block_size, reserved, data_end,
    limit = 16))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
pub fn vhd_table_report(
    py: Python<'_>,
    file: &File,
    size: u64,
    table_offset: u64,
    table_entries: u64,
    block_size: u64,
    reserved: Vec<(u64, u64)>,
    data_end: u64,
    limit: usize,
) -> PyResult<TableReport> {
    let geometry = vhd::Geometry { size, table_offset, table_entries, block_size };
    let audited = py.detach(|| audit::vhd_table(&file.0, geometry, &reserved, data_end, limit));
    let found = audited.map_err(to_python)?;
    let placement = found.placement;
    Ok(TableReport {
        entries: found.entries,
        examined: found.examined,
        allocated: found.allocated,
        beyond_size: found.beyond_size,
        past_end: placement.past_end,
        clobbering: placement.clobbering,
        overlapping: placement.overlapping,
        past_end_count: placement.past_end_count,
        clobbering_count: placement.clobbering_count,
        overlapping_count: placement.overlapping_count,
        overlap_checked: placement.overlap_checked,
        end_of_blocks: placement.end_of_blocks,
    })
}

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct BitmapReport {
    blocks: u64,
    examined: u64,
    clear_sectors: u64,
    nonzero_bytes: u64,
    first_offset: Option<u64>,
    complete: bool,
}

#[pyfunction]
#[pyo3(signature = (file, *, size, table_offset, table_entries, block_size, max_blocks, max_bytes))]
#[allow(clippy::too_many_arguments)]
pub fn vhd_bitmap_report(
    py: Python<'_>,
    file: &File,
    size: u64,
    table_offset: u64,
    table_entries: u64,
    block_size: u64,
    max_blocks: u64,
    max_bytes: u64,
) -> PyResult<BitmapReport> {
    let geometry = vhd::Geometry { size, table_offset, table_entries, block_size };
    let found = py.detach(|| audit::clear_sectors(&file.0, geometry, max_blocks, max_bytes));
    let found = found.map_err(to_python)?;
    Ok(BitmapReport {
        blocks: found.blocks,
        examined: found.examined,
        clear_sectors: found.clear_sectors,
        nonzero_bytes: found.nonzero_bytes,
        first_offset: found.first_offset,
        complete: found.complete,
    })
}

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct VhdxTableReport {
    entries: u64,
    states: [u64; 8],
    bad_states: Vec<(u64, u64)>,
    bad_state_count: u64,
    past_end: Vec<(u64, u64)>,
    clobbering: Vec<(u64, u64)>,
    overlapping: Vec<(u64, u64, u64)>,
    past_end_count: u64,
    clobbering_count: u64,
    overlapping_count: u64,
    overlap_checked: bool,
}

#[pyfunction]
#[pyo3(signature = (file, *, size, table_offset, table_length, block_size, sector_size,
    differencing, reserved, limit = 16))]
#[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
pub fn vhdx_table_report(
    py: Python<'_>,
    file: &File,
    size: u64,
    table_offset: u64,
    table_length: u64,
    block_size: u64,
    sector_size: u64,
    differencing: bool,
    reserved: Vec<(u64, u64)>,
    limit: usize,
) -> PyResult<VhdxTableReport> {
    let geometry =
        vhdx::Geometry { size, table_offset, table_length, block_size, sector_size, differencing };
    let audited = py.detach(|| audit::vhdx_table(&file.0, geometry, &reserved, limit));
    let found = audited.map_err(to_python)?;
    let placement = found.placement;
    Ok(VhdxTableReport {
        entries: found.entries,
        states: found.states,
        bad_states: found.bad_states,
        bad_state_count: found.bad_state_count,
        past_end: placement.past_end,
        clobbering: placement.clobbering,
        overlapping: placement.overlapping,
        past_end_count: placement.past_end_count,
        clobbering_count: placement.clobbering_count,
        overlapping_count: placement.overlapping_count,
        overlap_checked: placement.overlap_checked,
    })
}

#[pyclass(frozen, get_all, module = "vhdtool._native")]
pub struct Qcow2Info {
    version: u32,
    size: u64,
    cluster_size: u64,
    backing_file: Option<String>,
    backing_format: Option<String>,
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)]
pub fn qcow2_info(py: Python<'_>, path: PathBuf) -> PyResult<Qcow2Info> {
    let read = py.detach(|| {
        let file = vhdtool_core::file::File::open(&path)?;
        qcow2::Header::read(&file)
    });
    let header = read.map_err(to_python)?;
    Ok(Qcow2Info {
        version: header.version,
        size: header.size,
        cluster_size: header.cluster_size,
        backing_file: header.backing_file,
        backing_format: header.backing_format,
    })
}

type GptRow<'py> = (u32, Bound<'py, PyBytes>, Bound<'py, PyBytes>, u64, u64, u64, String);

#[pyfunction]
pub fn gpt_entries<'py>(
    py: Python<'py>,
    data: &[u8],
    entry_size: usize,
    count: usize,
) -> Vec<GptRow<'py>> {
    let found = partitions::gpt_entries(data, entry_size, count).into_iter();
    let bytes = |guid: [u8; 16]| PyBytes::new(py, &guid);
    found
        .map(|one| {
            let (kind, unique) = (bytes(one.type_guid), bytes(one.unique_guid));
            (one.index, kind, unique, one.first_lba, one.last_lba, one.attributes, one.name)
        })
        .collect()
}

type Logical = (Vec<(u64, u8, u8, u64, u64)>, Option<(u64, String)>);

#[pyfunction]
pub fn mbr_logical(
    py: Python<'_>,
    disk: &Disk,
    first_lba: u64,
    sectors: u64,
    sector_size: u64,
) -> PyResult<Logical> {
    let walked = py.detach(|| partitions::logical(&disk.0, first_lba, sectors, sector_size));
    let (found, problem) = walked.map_err(to_python)?;
    let row = |one: &partitions::Logical| {
        (one.entry_offset, one.status, one.type_code, one.first_lba, one.sector_count)
    };
    Ok((found.iter().map(row).collect(), problem))
}
