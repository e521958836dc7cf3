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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(operations: &[(u8, &[u8])]) -> Record {
        let mut data = Vec::new();
        for (flags, bytes) in operations {
            data.extend_from_slice(&1u32.to_be_bytes());
            data.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
            data.extend_from_slice(&[0x69, *flags, 0, 0]);
            data.extend_from_slice(bytes);
        }
        let operations = u32::try_from(operations.len()).unwrap();
        Record { block: 0, length: 1, sequence: 5, tail: 0, operations, data }
    }

    const HEAD: &[u8] = b"NART\0\0\0\0\0\0\0\0\0\0\0\0";
    const ITEM: &[u8] = &[0x3C, 0x12, 2, 0, 0, 0, 0, 0];

    #[test]
    fn regions_are_put_together_over_records() {
        let mut transactions = Transactions::default();
        let mut found = Vec::new();
        let mut add = |record: &Record| {
            transactions.add(record, |done| {
                found.push(done);
                Ok(())
            })
        };
        add(&record(&[(START, b""), (0, HEAD), (0, ITEM), (CONTINUE, b"begin")])).unwrap();
        add(&record(&[(WAS_CONTINUED | END, b" end"), (COMMIT, b"")])).unwrap();
        let [done] = &found[..] else { panic!("one transaction is committed") };
        assert_eq!((done.sequence, done.items.len()), (5, 1));
        assert_eq!(done.items[0].kind(), 0x123C);
        assert_eq!(done.items[0].regions[1], b"begin end");
        assert_eq!(transactions.bytes, 0);
    }

    #[test]
    fn what_began_before_the_tail_is_passed_over_and_damage_is_an_error() {
        let mut transactions = Transactions::default();
        let add = |transactions: &mut Transactions, operations: &[(u8, &[u8])]| {
            transactions.add(&record(operations), |_| Ok(()))
        };
        assert!(add(&mut transactions, &[(0, ITEM), (COMMIT, b"")]).is_ok());
        assert!(add(&mut transactions, &[(START, b""), (0, b"no header")]).is_err());
        assert!(add(&mut transactions, &[(0, HEAD), (0x40, b"")]).is_err());
        let mut short = record(&[(START, b"")]);
        short.operations = 2;
        assert!(transactions.add(&short, |_| Ok(())).is_err());
    }
}
