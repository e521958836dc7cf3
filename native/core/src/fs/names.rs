//! The names of directories that were listed, so that walking a tree does not list them again.

use crate::error::Result;
use crate::fs::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Directories that are remembered.
const MOST_DIRECTORIES: usize = 64;
/// Names of all of them together.
const MOST_NAMES: usize = 1 << 18;

type Names = Arc<HashMap<Vec<u8>, u64>>;

/// A memory of directories, the latest used last.
#[derive(Default)]
pub struct NameCache {
    known: Mutex<VecDeque<(u64, Names)>>,
}

impl NameCache {
    /// The names of a directory and their nodes; of a name that is there twice the first one.
    pub fn names(
        &self,
        directory: u64,
        list: impl FnOnce() -> Result<Vec<Entry>>,
    ) -> Result<Names> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|(node, _)| *node == directory) {
            let found = known.remove(place).map(|(_, names)| names).unwrap_or_default();
            known.push_back((directory, Arc::clone(&found)));
            return Ok(found);
        }
        drop(known);
        let mut names = HashMap::new();
        for entry in list()? {
            names.entry(entry.name).or_insert(entry.node);
        }
        let names = Arc::new(names);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back((directory, Arc::clone(&names)));
        let mut total: usize = known.iter().map(|(_, names)| names.len()).sum();
        while known.len() > MOST_DIRECTORIES || total > MOST_NAMES {
            total -= known.pop_front().map_or(total, |(_, names)| names.len());
        }
        Ok(names)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(name: &[u8], node: u64) -> Entry {
        Entry { name: name.to_vec(), node }
    }

    #[test]
    fn a_directory_is_listed_once_and_the_first_of_two_names_counts() {
        let cache = NameCache::default();
        let names = cache.names(2, || Ok(vec![entry(b"a", 5), entry(b"a", 6)])).unwrap();
        assert_eq!(names.get(b"a".as_slice()), Some(&5));
        let again = cache.names(2, || panic!("it was listed before")).unwrap();
        assert!(Arc::ptr_eq(&names, &again));
    }

    #[test]
    fn the_memory_is_bounded() {
        let cache = NameCache::default();
        for directory in 0..200 {
            cache.names(directory, || Ok(vec![entry(b"x", 1)])).unwrap();
        }
        assert_eq!(cache.known.lock().unwrap().len(), MOST_DIRECTORIES);
    }
}
