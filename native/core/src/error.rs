//! The one error type of the crate.

use std::fmt::Display;
use std::io;

/// What went wrong, with the place and the values that show it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with file name and offset.
        context: String,
        /// The system's own word.
        source: io::Error,
    },
    /// A structure of an image says something that cannot be true.
    #[error("{structure} at offset {offset:#x}: is {actual}, expected {expected}")]
    Corrupt {
        /// Name of the structure, as in the format's specification.
        structure: String,
        /// Byte offset in the image file.
        offset: u64,
        /// What a sound image has there.
        expected: String,
        /// What was found.
        actual: String,
    },
    /// The image is sound as far as seen, and needs something we cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// The caller asked for something outside the disk or otherwise impossible.
    #[error("{0}")]
    Invalid(String),
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O error with what was being done.
    pub fn io(context: impl Into<String>, source: io::Error) -> Self {
        Self::Io { context: context.into(), source }
    }

    /// A structure that cannot be believed.
    pub fn corrupt(
        structure: impl Into<String>,
        offset: u64,
        expected: impl Display,
        actual: impl Display,
    ) -> Self {
        Self::Corrupt {
            structure: structure.into(),
            offset,
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }
}
