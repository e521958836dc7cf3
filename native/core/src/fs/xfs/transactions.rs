//! Transactions of the XFS log, put together from the operations in its records.

use super::log::Record;
use crate::error::{Error, Result};
use crate::fields::{be32, le16, le32};
use std::collections::HashMap;

const OPERATION: usize = 12;
const HEADER: usize = 16;
const HEADER_MAGIC: u32 = 0x5452_414E; // TRAN
const START: u8 = 0x01;
const COMMIT: u8 = 0x02;
const CONTINUE: u8 = 0x04;
const WAS_CONTINUED: u8 = 0x08;
const END: u8 = 0x10;
const UNMOUNT: u8 = 0x20;
/// What transactions that are not finished may hold together.
const MOST_BYTES: usize = 128 << 20;
const MOST_OPEN: usize = 1 << 16;
/// What a region takes besides its bytes.
const REGION: usize = 32;

/// One item: the regions that describe a change, the first of which says what it is.
#[derive(Debug, Default)]
pub struct Item {
    /// The regions.
    pub regions: Vec<Vec<u8>>,
}

impl Item {
    /// Its kind.
    pub fn kind(&self) -> u16 {
        self.regions.first().map_or(0, |region| le16(region, 0))
    }

    fn wanted(&self) -> usize {
        self.regions.first().map_or(1, |region| usize::from(le16(region, 2)))
    }
}

/// What was committed together.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The record in which it started.
    pub sequence: u64,
    /// Its items, in order.
    pub items: Vec<Item>,
    header: usize,
    bytes: usize,
}

/// Transactions that are not yet committed.
#[derive(Default)]
pub struct Transactions {
    open: HashMap<u32, Transaction>,
    bytes: usize,
}

impl Transactions {
    /// Takes the operations of a record and hands on what is committed.
    pub fn add(
        &mut self,
        record: &Record,
        mut committed: impl FnMut(Transaction) -> Result<()>,
    ) -> Result<()> {
        let mut at = 0;
        for _ in 0..record.operations {
            let Some(head) = record.data.get(at..at + OPERATION) else {
                return Err(corrupt(record, "operations inside the record"));
            };
            let (id, flags) = (be32(head, 0), head[9]);
            let length = usize::try_from(be32(head, 4)).unwrap_or(usize::MAX);
            at += OPERATION;
            let Some(data) = at.checked_add(length).and_then(|end| record.data.get(at..end)) else {
                return Err(corrupt(record, "an operation inside the record"));
            };
            at += length;
            if flags & START != 0 {
                let sequence = record.sequence;
                self.open.entry(id).or_insert(Transaction { sequence, ..Default::default() });
                continue;
            }
            // Its start may lie before the tail: then it is on the disk already.
            let Some(transaction) = self.open.get_mut(&id) else { continue };
            let flags = if flags & WAS_CONTINUED != 0 { flags & !CONTINUE } else { flags };
            match flags & !END {
                0 | CONTINUE => transaction.region(data, record)?,
                WAS_CONTINUED => transaction.continued(data, record)?,
                COMMIT => {
                    if let Some(done) = self.open.remove(&id) {
                        self.bytes = self.bytes.saturating_sub(done.bytes);
                        committed(done)?;
                    }
                    continue;
                }
                UNMOUNT => {
                    let dropped = self.open.remove(&id).map_or(0, |dropped| dropped.bytes);
                    self.bytes = self.bytes.saturating_sub(dropped);
                    continue;
                }
                _ => return Err(corrupt(record, "flags of an operation that are known")),
            }
            transaction.bytes += data.len() + REGION;
            self.bytes += data.len() + REGION;
            if self.bytes > MOST_BYTES || self.open.len() > MOST_OPEN {
                return Err(Error::Unsupported("transactions of over 128 MiB".to_owned()));
            }
        }
        Ok(())
    }
}

impl Transaction {
    fn region(&mut self, data: &[u8], record: &Record) -> Result<()> {
        if self.header < HEADER {
            if le32(data, 0) != HEADER_MAGIC || data.len() > HEADER {
                return Err(corrupt(record, "the header of a transaction"));
            }
            self.header = data.len();
            return Ok(());
        }
        let full = self.items.last().is_none_or(|item| item.regions.len() >= item.wanted());
        if full {
            self.items.push(Item::default());
        }
        if let Some(item) = self.items.last_mut() {
            item.regions.push(data.to_vec());
        }
        Ok(())
    }

    fn continued(&mut self, data: &[u8], record: &Record) -> Result<()> {
        if self.header < HEADER {
            self.header = HEADER;
            return Ok(());
        }
        match self.items.last_mut().and_then(|item| item.regions.last_mut()) {
            Some(region) => region.extend_from_slice(data),
            None => return Err(corrupt(record, "a region before its continuation")),
        }
        Ok(())
    }
}

fn corrupt(record: &Record, expected: &str) -> Error {
    Error::corrupt("XFS log record", record.block * 512, expected, "something else")
}
