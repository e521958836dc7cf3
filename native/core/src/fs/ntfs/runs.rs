//! Lists of runs: which clusters an attribute lies in.

use crate::error::{Error, Result};

/// The most runs of one attribute: what a file of 1.5 million fragments has is not read.
const MOST_RUNS: usize = 1 << 20;

/// Neighbouring clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first cluster, counted in the attribute.
    pub first: u64,
    /// How many.
    pub length: u64,
    /// The first cluster on the volume; `None` where nothing is stored.
    pub place: Option<u64>,
}

impl Run {
    /// The cluster after the last one.
    pub fn end(&self) -> u64 {
        self.first + self.length
    }
}

/// The runs of an attribute, in order and without gaps from cluster 0.
#[derive(Debug, Clone, Default)]
pub struct Runs(Vec<Run>);

impl Runs {
    /// The cluster after the last one.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, Run::end)
    }

    /// The run that holds a cluster.
    pub fn at(&self, cluster: u64) -> Option<Run> {
        let index = self.0.partition_point(|run| run.end() <= cluster);
        self.0.get(index).copied()
    }

    /// Appends an encoded list that starts with cluster `first` of the attribute.
    ///
    /// Every run must lie inside the `clusters` of the volume.
    pub fn extend(&mut self, encoded: &[u8], first: u64, clusters: u64) -> Result<()> {
        if first != self.end() {
            return Err(corrupt(format_args!("cluster {}", self.end()), first));
        }
        let mut place = 0i64;
        let mut bytes = encoded;
        while let Some((&header, rest)) = bytes.split_first().filter(|(header, _)| **header != 0) {
            let (short, long) = (usize::from(header & 15), usize::from(header >> 4));
            let fields = rest.split_at_checked(short).and_then(|(length, rest)| {
                rest.split_at_checked(long).map(|(delta, rest)| (length, delta, rest))
            });
            let Some((length, delta, rest)) = fields.filter(|_| short <= 8 && long <= 8) else {
                return Err(corrupt("an encoded run", format_args!("{header:#04x}")));
            };
            bytes = rest;
            let length = signed(length);
            let first = self.end();
            let Some(length) = u64::try_from(length)
                .ok()
                .filter(|&length| length > 0 && first.checked_add(length).is_some_and(in_range))
            else {
                return Err(corrupt("a run of clusters", length));
            };
            let place = if delta.is_empty() {
                None
            } else {
                place = place.checked_add(signed(delta)).unwrap_or(-1);
                let inside = u64::try_from(place)
                    .ok()
                    .filter(|start| start.checked_add(length).is_some_and(|end| end <= clusters));
                if inside.is_none() {
                    let expected = format!("clusters below {clusters}");
                    return Err(corrupt(expected, format_args!("{length} from {place}")));
                }
                inside
            };
            if self.0.len() == MOST_RUNS {
                let message = format!("an NTFS file in more than {MOST_RUNS} pieces is not read");
                return Err(Error::Unsupported(message));
            }
            self.0.push(Run { first, length, place });
        }
        Ok(())
    }
}

/// Bytes of a file are counted in 63 bits, also with clusters of 2 MiB.
fn in_range(end: u64) -> bool {
    end <= 1 << 42
}

fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut value = [if negative { 0xFF } else { 0 }; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(value)
}

fn corrupt(expected: impl std::fmt::Display, actual: impl std::fmt::Display) -> Error {
    Error::corrupt("NTFS list of runs", 0, expected, actual)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn runs_count_from_the_one_before() {
        let mut runs = Runs::default();
        runs.extend(&[0x21, 0x18, 0x34, 0x56, 0x11, 0x10, 0xF0, 0x01, 0x05, 0], 0, 1 << 20)
            .unwrap();
        assert_eq!(runs.at(0), Some(Run { first: 0, length: 0x18, place: Some(0x5634) }));
        assert_eq!(runs.at(0x18), Some(Run { first: 0x18, length: 0x10, place: Some(0x5624) }));
        assert_eq!(runs.at(0x28), Some(Run { first: 0x28, length: 5, place: None }));
        assert_eq!(runs.at(0x2D), None);
        runs.extend(&[0x11, 1, 9, 0], 0x2D, 1 << 20).unwrap();
        assert_eq!(runs.at(0x2D).unwrap().place, Some(9));
    }

    #[test]
    fn runs_that_cannot_be_are_refused() {
        let huge = [0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1];
        for encoded in [
            &[0x11, 2, 99][..],
            &[0x11, 1, 0xFF],
            &[0x11, 0, 1],
            &[0x11, 0x80, 1],
            &[0x11, 1],
            &[0x91, 1, 1],
            &[0x01],
            &huge,
            &[0x06, 1, 0, 0, 0, 0, 4],
        ] {
            assert!(Runs::default().extend(encoded, 0, 100).is_err(), "{encoded:02x?}");
        }
        assert!(Runs::default().extend(&[0x11, 1, 1], 5, 100).is_err(), "a gap");
    }
}
