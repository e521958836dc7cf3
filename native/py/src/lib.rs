//! The module `vhdtool._native`: argument conversion, error mapping, GIL release. No logic.

use pyo3::prelude::*;

mod copy;
mod disk;
mod error;
mod fs;
mod hive;
mod initramfs;
mod lvm;
mod report;

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::copy::{
        Comparison, CopyStats, Digests, Job, Output, Stream, compare, copy_dynamic, copy_flat,
        copy_stream, is_zero, verify,
    };
    #[pymodule_export]
    use crate::disk::{Disk, File};
    #[pymodule_export]
    use crate::fs::FileSystem;
    #[pymodule_export]
    use crate::hive::Hive;
    #[pymodule_export]
    use crate::initramfs::initramfs_names;
    #[pymodule_export]
    use crate::lvm::lvm_volumes;
    #[pymodule_export]
    use crate::report::{
        BitmapReport, Qcow2Info, TableReport, VhdxLogReport, VhdxTableReport, crc32c, gpt_entries,
        mbr_logical, qcow2_info, vhd_bitmap_report, vhd_table_report, vhdx_replay_log,
        vhdx_table_report,
    };
}
