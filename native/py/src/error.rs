//! Core errors as the exceptions that Python code defines.

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use vhdtool_core::Error;

pyo3::import_exception!(vhdtool.errors, CorruptImage);
pyo3::import_exception!(vhdtool.errors, UnsupportedImage);

/// Chooses the Python class for a core error.
#[allow(clippy::needless_pass_by_value)]
pub fn to_python(error: Error) -> PyErr {
    match error {
        Error::Io { context, source } => {
            // With an errno, OSError picks the right subclass (FileNotFoundError and so on).
            let (code, text) = (source.raw_os_error(), source.to_string());
            let number = code.map(|code| format!(" (os error {code})"));
            let text = number.and_then(|number| text.strip_suffix(&number)).unwrap_or(&text);
            PyOSError::new_err((code, format!("{context}: {text}")))
        }
        Error::Corrupt { structure, offset, expected, actual } => Python::attach(|py| {
            let values = PyDict::new(py);
            let filled = values
                .set_item("offset", offset)
                .and_then(|()| values.set_item("expected", expected))
                .and_then(|()| values.set_item("actual", actual));
            let built = filled
                .and_then(|()| py.get_type::<CorruptImage>().call((structure,), Some(&values)));
            built.map_or_else(|error| error, PyErr::from_value)
        }),
        Error::Unsupported(message) => UnsupportedImage::new_err(message),
        Error::Invalid(message) => PyValueError::new_err(message),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
    }
}
