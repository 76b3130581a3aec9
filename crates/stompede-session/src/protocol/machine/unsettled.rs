//! Messages of one subscription that wait to be settled, for a broker whose cumulative ACK would settle too much.

use std::collections::VecDeque;

use super::TransactionId;

/// In the order in which they came. The broker's prefetch bounds them, as it does what consumers hold.
#[derive(Debug, Default)]
pub(super) struct Unsettled(VecDeque<One>);

#[derive(Debug)]
struct One {
    /// Counts the messages of the subscription.
    number: u64,
    /// What an acknowledgement says to name it.
    name: Box<str>,
    /// It was acknowledged in this transaction, which has not been committed.
    transaction: Option<TransactionId>,
}

impl Unsettled {
    /// A message has come.
    pub(super) fn push(&mut self, number: u64, name: &str) {
        self.0.push_back(One { number, name: name.into(), transaction: None });
    }

    /// Whether this message may be settled.
    pub(super) fn has(&self, number: u64) -> bool {
        let at = self.0.binary_search_by_key(&number, |one| one.number);
        at.is_ok_and(|at| self.0[at].transaction.is_none())
    }

    /// The names of what is open up to this message, which are settled with that; in a transaction, once that is committed.
    pub(super) fn settle(&mut self, number: u64, transaction: Option<TransactionId>) -> Vec<Box<str>> {
        let mut names = Vec::new();
        let mut others = VecDeque::new();
        while self.0.front().is_some_and(|one| one.number <= number)
            && let Some(one) = self.0.pop_front()
        {
            match (one.transaction, transaction) {
                (Some(_), _) => others.push_back(one),
                (None, Some(_)) => {
                    names.push(one.name.clone());
                    others.push_back(One { transaction, ..one });
                }
                (None, None) => names.push(one.name),
            }
        }
        while let Some(one) = others.pop_back() {
            self.0.push_front(one);
        }
        names
    }

    /// A transaction was committed: what was acknowledged in it is settled.
    pub(super) fn commit(&mut self, transaction: TransactionId) {
        self.0.retain(|one| one.transaction != Some(transaction));
    }

    /// A transaction was aborted: what was acknowledged in it is open again.
    pub(super) fn abort(&mut self, transaction: TransactionId) {
        for one in self.0.iter_mut().filter(|one| one.transaction == Some(transaction)) {
            one.transaction = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
