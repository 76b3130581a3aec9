//! BEGIN, COMMIT, ABORT, and what is put off until then.

use std::collections::HashMap;

use crate::refusal::Refusal;
use crate::router::Operation;
use crate::{BrokerLimits, Limit};

/// The open transactions of one client.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: HashMap<Box<str>, Ended>,
    /// Frames and bytes in all of them.
    frames: usize,
    bytes: usize,
}

/// What a transaction comes to.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) operations: Vec<Operation>,
    /// Those that wait for COMMIT.
    pub(super) receipts: Vec<String>,
}

impl Transactions {
    pub(super) fn begin(&mut self, id: &str, limits: &BrokerLimits) -> Result<(), Refusal> {
        if self.open.contains_key(id) {
            return Err(Refusal::new(
                "transaction is open",
                format!("there is a transaction {id:?} already"),
            ));
        }
        self.check_room(0, limits)?;
        self.frames += 1;
        self.open.insert(id.into(), Ended::default());
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        id: &str,
        operation: Operation,
        receipt: Option<String>,
        limits: &BrokerLimits,
    ) -> Result<(), Refusal> {
        let bytes = operation.len() + receipt.as_ref().map_or(0, String::len);
        self.check_room(bytes, limits)?;
        let Some(transaction) = self.open.get_mut(id) else { return Err(unknown(id)) };
        transaction.operations.push(operation);
        transaction.receipts.extend(receipt);
        self.frames += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes a transaction out.
    pub(super) fn end(&mut self, id: &str) -> Result<Ended, Refusal> {
        let ended = self.open.remove(id).ok_or_else(|| unknown(id))?;
        self.frames -= 1 + ended.operations.len();
        self.bytes -= ended.operations.iter().map(Operation::len).sum::<usize>();
        self.bytes -= ended.receipts.iter().map(String::len).sum::<usize>();
        Ok(ended)
    }

    fn check_room(&self, bytes: usize, limits: &BrokerLimits) -> Result<(), Refusal> {
        let too_large = |limit, what| {
            let text = format!("open transactions may hold {limit} {what}");
            Err(Refusal::limit(Limit::Transactions, "transaction is too large", text))
        };
        if self.frames + 1 > limits.max_transaction_frames {
            return too_large(limits.max_transaction_frames, "frames");
        }
        if self.bytes + bytes > limits.max_transaction_bytes {
            return too_large(limits.max_transaction_bytes, "bytes");
        }
        Ok(())
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::new("no such transaction", format!("there is no open transaction {id:?}"))
}
