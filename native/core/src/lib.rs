//! The native core of vhdtool: where the bytes of a virtual disk are, and how to move them fast.
//!
//! Nothing here knows Python. A format supplies a [`disk::BlockMap`]; reading, extents and copying
//! are written once above it. Every number that comes from a disk is checked before it is used.
#![forbid(unsafe_code)]

pub mod audit;
pub mod bitmap;
pub mod buffer;
pub mod compare;
pub mod copy;
pub mod digest;
pub mod disk;
pub mod error;
pub mod fields;
pub mod file;
pub mod flat;
pub mod fs;
pub mod hive;
pub mod initramfs;
pub mod job;
pub mod lvm;
#[doc(hidden)]
pub mod memory;
pub mod output;
pub mod partitions;
pub mod planner;
pub mod qcow2;
pub mod slice;
pub mod stream;
pub mod table;
pub mod vhd;
pub mod vhdx;
pub mod vhdx_log;
pub mod windows;
pub mod zero;

pub use error::{Error, Result};
