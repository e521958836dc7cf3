//! `Hive`.

use crate::error::to_python;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};
use vhdtool_core::{Error, hive};

#[pyclass(frozen, module = "vhdtool._native")]
pub struct Hive(hive::Hive);

#[pymethods]
impl Hive {
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn open(py: Python<'_>, data: PyBackedBytes, logs: Vec<PyBackedBytes>) -> PyResult<Self> {
        let opened = py.detach(|| {
            let logs: Vec<&[u8]> = logs.iter().map(AsRef::as_ref).collect();
            hive::Hive::open(Box::new(data), &logs)
        });
        opened.map(Self).map_err(to_python)
    }

    #[getter]
    fn root(&self) -> u64 {
        self.0.root().into()
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes()
    }

    fn subkeys<'py>(
        &self,
        py: Python<'py>,
        node: u64,
    ) -> PyResult<Vec<(Bound<'py, PyString>, u64)>> {
        let node = cell(node)?;
        let found = py.detach(|| self.0.subkeys(node)).map_err(to_python)?;
        found.iter().map(|(name, node)| Ok((text(py, name)?, u64::from(*node)))).collect()
    }

    #[allow(clippy::type_complexity)]
    fn values<'py>(
        &self,
        py: Python<'py>,
        node: u64,
    ) -> PyResult<Vec<(Bound<'py, PyString>, u32, Bound<'py, PyBytes>)>> {
        let node = cell(node)?;
        let found = py.detach(|| self.0.values(node)).map_err(to_python)?;
        let values = found.iter();
        values
            .map(|value| Ok((text(py, &value.name)?, value.kind, PyBytes::new(py, &value.data))))
            .collect()
    }

    fn modified(&self, node: u64) -> PyResult<i64> {
        self.0.modified(cell(node)?).map_err(to_python)
    }
}

fn cell(node: u64) -> PyResult<u32> {
    let outside = |_| to_python(Error::Invalid(format!("{node:#x} is no key of a hive")));
    u32::try_from(node).map_err(outside)
}

/// WTF-8 as Python has it: lone surrogates stay.
fn text<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if let Ok(name) = str::from_utf8(name) {
        return Ok(PyString::new(py, name));
    }
    let bytes = PyBytes::new(py, name);
    Ok(bytes.call_method1("decode", ("utf-8", "surrogatepass"))?.cast_into()?)
}
