//! The native core of vhdtool: where the bytes of a virtual disk are, and how to move them fast.
//!
//! Nothing here knows Python. A format supplies a [`disk::BlockMap`]; reading, extents and copying
//! are written once above it. Every number that comes from a disk is checked before it is used.
#![forbid(unsafe_code)]

pub mod bitmap;
pub mod disk;
pub mod error;
pub mod file;
pub mod flat;
pub mod slice;
pub mod table;
pub mod vhd;
pub mod vhdx;
pub mod vhdx_log;

pub use error::{Error, Result};
