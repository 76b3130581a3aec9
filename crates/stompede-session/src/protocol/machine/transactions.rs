//! Transactions of a connection. They die with it: what was sent in one is then as if it had not been.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use stompede_codec::{Frame, Headers};

use super::planted::planted;
use super::{Machine, Outcome, ReceiptId, SubscriptionId, Ticket};
use crate::{Cumulative, Error, ErrorKind};

/// Names one transaction of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransactionId(u64);

/// The open transactions.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    last: u64,
    open: HashMap<TransactionId, Open>,
    /// Somebody has given one a name that could have been made up: from then on those that are have to be looked at.
    mimicked: bool,
    /// Those up to this one that were open have ended with their connection, which ended for this reason.
    lost: Option<(TransactionId, Error)>,
    /// Those whose COMMIT has not been written, by its receipt: it may still be taken back.
    committing: HashMap<ReceiptId, (TransactionId, Open)>,
}

#[derive(Debug)]
struct Open {
    /// What stands in its `transaction` headers.
    name: String,
    epoch: u64,
    /// Up to which message of which subscription COMMIT settles: a few subscriptions at most.
    covers: Vec<Ticket>,
    /// Messages that were settled in it and have been dropped since.
    dropped: Vec<Ticket>,
    fate: Fate,
    frames: Unwritten,
    /// The connection has refused a frame of it: without that it must not take effect.
    spoilt: Option<Error>,
}

/// The numbers of the frames of a transaction that have not been written, in order.
#[derive(Debug, Default)]
struct Unwritten(VecDeque<u64>);

impl Unwritten {
    /// Forgets those before this number: they have been written.
    fn begin_at(&mut self, number: u64) {
        while self.0.front().is_some_and(|first| *first < number) {
            self.0.pop_front();
        }
    }

    /// Whether this is one of them. Nothing refuses those before it any more.
    fn holds(&mut self, number: u64) -> bool {
        self.begin_at(number);
        self.0.front() == Some(&number)
    }
}

/// Whether a transaction has been aborted, for whoever acknowledged something in it.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<AtomicBool>);

impl Fate {
    /// Whether it was aborted: what was acknowledged in it may be acknowledged again.
    pub fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn abort(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Transactions {
    /// Whether none is open, nor is there one whose COMMIT has not been written.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.committing.is_empty()
    }

    /// Whether one of this name could still be ended by us.
    fn has(&self, name: &str) -> bool {
        self.open.values().chain(self.committing.values().map(|(_, open)| open)).any(|open| open.name == name)
    }

    fn add(&mut self, epoch: u64, name: Option<&str>) -> TransactionId {
        self.last += 1;
        self.mimicked |= name.is_some_and(|name| name.starts_with(PREFIX));
        while self.mimicked && name.is_none() && self.has(&TransactionId(self.last).to_string()) {
            self.last += 1;
        }
        let id = TransactionId(self.last);
        let name = name.map_or_else(|| id.to_string(), str::to_owned);
        let (fate, frames) = (Fate::default(), Unwritten::default());
        let (covers, dropped) = (Vec::new(), Vec::new());
        self.open.insert(id, Open { name, epoch, covers, dropped, fate, frames, spoilt: None });
        id
    }

    /// The name of an open transaction, or an error that says that it has ended.
    pub(super) fn check(&self, id: TransactionId, epoch: u64) -> Result<&str, Error> {
        match self.open.get(&id) {
            Some(Open { spoilt: Some(error), .. }) => Err(error.clone()),
            Some(open) if open.epoch == epoch => Ok(&open.name),
            _ => Err(self.ended(id)),
        }
    }

    fn ended(&self, id: TransactionId) -> Error {
        match &self.lost {
            Some((last, cause)) if id <= *last => Error::with_other(
                ErrorKind::TransactionEnded,
                "the transaction has ended with its connection",
                Box::new(cause.clone()),
            ),
            _ => Error::new(ErrorKind::TransactionEnded, "the transaction has been committed or aborted"),
        }
    }

    /// COMMIT will settle everything of its subscription up to this message.
    pub(super) fn note_cover(&mut self, id: TransactionId, ticket: &Ticket) {
        let Some(open) = self.open.get_mut(&id) else { return };
        match open.covers.iter_mut().find(|cover| cover.subscription == ticket.subscription) {
            Some(cover) => cover.number = cover.number.max(ticket.number),
            None => open.covers.push(*ticket),
        }
    }

    /// Whether a COMMIT that waits to be written will settle this message.
    pub(super) fn will_cover(&self, ticket: &Ticket) -> bool {
        let mut covers = self.committing.values().flat_map(|(_, open)| &open.covers);
        covers.any(|cover| cover.subscription == ticket.subscription && cover.number >= ticket.number)
    }

    /// The connection is gone, and with it every transaction: the broker aborts them.
    pub(super) fn clear(&mut self, cause: &Error) {
        if !self.open.is_empty() {
            self.lost = Some((TransactionId(self.last), cause.clone()));
        }
        self.open.drain().for_each(|(_, open)| open.fate.abort());
        self.committing.drain().for_each(|(_, (_, open))| open.fate.abort());
    }

    pub(super) fn forget_subscription(&mut self, subscription: SubscriptionId) {
        for open in self.open.values_mut().chain(self.committing.values_mut().map(|(_, open)| open)) {
            open.covers.retain(|cover| cover.subscription != subscription);
        }
    }
}

fn begin_frame(name: &str) -> Result<Frame, Error> {
    Frame::begin(name).map_err(|error| Error::invalid_because("transaction", error))
}

impl Machine {
    /// Queues a BEGIN.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn begin(&mut self) -> Result<TransactionId, Error> {
        self.begin_with(&Headers::new())
    }

    /// As [`begin`](Self::begin), with more headers for BEGIN. A `transaction` among them is its name; without, one is made
    /// up.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); [`ErrorKind::InvalidArgument`] for an empty name, and for one of a transaction that is open
    /// or whose COMMIT has not been written.
    pub fn begin_with(&mut self, headers: &Headers) -> Result<TransactionId, Error> {
        let version = self.open_version()?;
        let name = headers.get("transaction");
        if name.as_deref().is_some_and(|name| self.transactions.has(name)) {
            return Err(Error::invalid("transaction: one of this name has not ended yet"));
        }
        let id = self.transactions.add(self.epoch, name.as_deref());
        let begun = self.transaction_name(id).and_then(begin_frame).and_then(|mut frame| {
            frame.headers_mut().extend(headers.iter().filter(|(name, _)| name != "transaction"));
            self.push_frame(version, &frame, None)
        });
        if begun.is_err() {
            self.transactions.open.remove(&id);
        }
        begun.map(|()| id)
    }

    /// What stands in the `transaction` headers of an open transaction.
    ///
    /// # Errors
    /// As [`check_transaction`](Self::check_transaction).
    pub fn transaction_name(&self, id: TransactionId) -> Result<&str, Error> {
        self.transactions.check(id, self.epoch)
    }

    /// Whether a transaction is open: not yet committed or aborted, and its connection still there.
    ///
    /// # Errors
    /// [`ErrorKind::TransactionEnded`] if it is not; [`ErrorKind::Unencodable`] if the connection has refused a frame of it;
    /// the end of the session, if it has ended.
    pub fn check_transaction(&self, id: TransactionId) -> Result<(), Error> {
        let open = self.open_version();
        if !self.is_offline() {
            open?;
        }
        self.transactions.check(id, self.epoch).map(|_| ())
    }

    /// What was queued last is part of this transaction: should the connection [refuse](Self::transmit_refused) it, the
    /// transaction cannot be committed any more.
    pub fn join_transaction(&mut self, id: TransactionId) {
        if let Some(open) = self.transactions.open.get_mut(&id) {
            // Only what is in the queue is remembered, and the queue is bounded.
            open.frames.begin_at(self.transmit.last_taken());
            open.frames.0.push_back(self.transmit.queued());
        }
    }

    /// The connection has refused the frame that was taken last: what it was part of must not take effect without it.
    pub(super) fn spoil_transaction(&mut self, error: &Error) {
        let refused = self.transmit.last_taken();
        for open in self.transactions.open.values_mut().filter(|open| open.spoilt.is_none()) {
            open.spoilt = open.frames.holds(refused).then(|| error.clone());
        }
        let mut committing = self.transactions.committing.iter_mut();
        let Some(receipt) =
            committing.find_map(|(receipt, (_, open))| open.frames.holds(refused).then_some(*receipt))
        else {
            return;
        };
        // It stands behind the refused frame, so it cannot have been written.
        self.transmit.withdraw(receipt);
        self.receipts.resolve(receipt, Outcome::NotSent(error.clone()));
        self.abort_unwritten(receipt);
    }

    /// A message that was settled as part of this transaction was dropped: if that is aborted, the message is
    /// [unsettled](Self::note_unsettled), and nobody is left to settle it.
    pub fn note_dropped_in(&mut self, id: TransactionId, ticket: &Ticket) {
        let mut committing = self.transactions.committing.values_mut();
        let committing = committing.find_map(|(other, open)| (*other == id).then_some(open));
        if let Some(open) = self.transactions.open.get_mut(&id).or(committing) {
            open.dropped.push(*ticket);
        }
    }

    /// What becomes of an open transaction; `None` if it is not open.
    pub fn fate(&self, id: TransactionId) -> Option<Fate> {
        self.transactions.open.get(&id).map(|open| open.fate.clone())
    }

    /// Queues a COMMIT and asks for a RECEIPT, awaited until `deadline`. The transaction has ended for us with that.
    ///
    /// A COMMIT that cannot be written until then is taken back, and ABORT goes out in its place.
    ///
    /// # Errors
    /// [`ErrorKind::TransactionEnded`] if it is not open; else as [`send`](Self::send).
    pub fn commit(&mut self, id: TransactionId, deadline: Option<Instant>) -> Result<ReceiptId, Error> {
        let text = match self.transactions.check(id, self.epoch) {
            Err(_) if planted!(self, CommitOldTransaction) => id.to_string(),
            checked => checked?.to_owned(),
        };
        if !planted!(self, CommitOvertakesJoinedAck) {
            self.push_pending_acks()?;
        }
        let mut frame = Frame::commit(&text).map_err(|error| Error::invalid_because("transaction", error))?;
        let receipt = self.send_with_receipt(&mut frame, deadline)?;
        if let Some(open) = self.transactions.open.remove(&id)
            && !planted!(self, CommitForgetsCover)
        {
            self.transactions.committing.insert(receipt, (id, open));
        }
        Ok(receipt)
    }

    /// Queues an ABORT. Does nothing for a transaction that has ended already. Legal until DISCONNECT has been said.
    pub fn abort_transaction(&mut self, id: TransactionId) {
        let Some(open) = self.transactions.open.remove(&id) else { return };
        if !planted!(self, AbortKeepsOneByOne) {
            self.end_one_by_one(id, false);
        }
        open.fate.abort();
        if planted!(self, CoverAfterAbort) {
            open.covers.iter().for_each(|ticket| self.cover(ticket));
        }
        if open.epoch == self.epoch {
            self.push_abort(&open.name);
        }
        self.tell_unsettled(&open.dropped);
    }

    /// The COMMIT with this receipt was taken out of the queue again: nothing of it takes effect.
    pub(super) fn abort_unwritten(&mut self, receipt: ReceiptId) {
        if let Some((id, open)) = self.transactions.committing.remove(&receipt) {
            self.end_one_by_one(id, false);
            open.fate.abort();
            self.push_abort(&open.name);
            self.tell_unsettled(&open.dropped);
        }
    }

    /// This frame will not be taken back: if it is a COMMIT, what it covers is settled.
    pub(super) fn on_commit_certain(&mut self, receipt: ReceiptId) {
        // Most receipts are those of messages, and hashing takes longer than all else that is done for them.
        if !self.transactions.committing.is_empty()
            && let Some((id, open)) = self.transactions.committing.remove(&receipt)
        {
            self.end_one_by_one(id, true);
            open.covers.iter().for_each(|ticket| self.cover(ticket));
        }
    }

    /// What was acknowledged one by one in a transaction is settled, or open again.
    fn end_one_by_one(&mut self, id: TransactionId, committed: bool) {
        if self.profile.cumulative != Cumulative::Connection {
            return;
        }
        for entry in self.subscriptions.iter_mut() {
            if committed {
                entry.unsettled.commit(id);
            } else {
                entry.unsettled.abort(id);
            }
        }
    }

    fn push_abort(&mut self, name: &str) {
        if let (Some(version), Ok(frame)) = (self.version_before_goodbye(), Frame::abort(name)) {
            // As large as its BEGIN, which did wait for room: the queue stays bounded.
            let _ = self.push_frame(version, &frame, None);
        }
    }
}

/// What stands in the `transaction` headers of a transaction that was begun without a name.
impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

/// What made-up names begin with.
const PREFIX: &str = "tx-";
