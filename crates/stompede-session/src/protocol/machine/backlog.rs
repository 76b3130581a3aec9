//! Messages that wait for a connection, or for the RECEIPT that says that they need not be sent again.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use stompede_codec::Frame;

use super::ReceiptId;
use super::receipts::Until;
use super::storage::{Keeping, Ledger};
use crate::{Error, ErrorKind, OutboxId, OutboxLimits};

#[derive(Debug)]
pub(super) struct Backlog {
    limits: OutboxLimits,
    /// Names the messages of this session.
    session: u64,
    next: u64,
    /// In boxes: messages come at the end and go at the beginning, and the map moves its entries about for that.
    entries: BTreeMap<u64, Box<Kept>>,
    by_receipt: HashMap<ReceiptId, u64>,
    bytes: usize,
    /// Those before this number have been handed to the connection.
    sent_before: u64,
    /// Those before this number were on their way when the broker answered with ERROR, or closed again and again: one of them may
    /// be why.
    suspect_before: u64,
    /// What stands in the outbox behind this.
    pub(super) ledger: Ledger,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: OutboxId,
    pub(super) frame: Frame,
    pub(super) receipt: Option<ReceiptId>,
    /// Stays until its RECEIPT, instead of until it is written.
    pub(super) replayed: bool,
    pub(super) keeping: Keeping,
    /// How often the connection ended while this one alone was on its way.
    pub(super) strikes: u8,
    expires: Option<Instant>,
    bytes: usize,
}

/// A message for the connection.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) id: OutboxId,
    pub(super) frame: Frame,
    pub(super) receipt: Option<ReceiptId>,
    pub(super) replayed: bool,
}

impl Backlog {
    pub(super) fn new(limits: OutboxLimits, session: u64, ledger: Ledger) -> Self {
        Self {
            limits,
            session,
            ledger,
            next: 0,
            entries: BTreeMap::new(),
            by_receipt: HashMap::new(),
            bytes: 0,
            sent_before: 0,
            suspect_before: 0,
        }
    }

    /// Whether there is room for this frame.
    pub(super) fn admit(&self, frame: &Frame) -> Result<(), Error> {
        let OutboxLimits { messages, bytes, .. } = self.limits;
        if self.entries.len() + self.ledger.leaving() >= messages
            || self.bytes.saturating_add(cost(frame)) > bytes
        {
            let text = format!("the outbox holds at most {messages} messages and {bytes} bytes, and is full");
            return Err(Error::new(ErrorKind::OutboxFull, text));
        }
        Ok(())
    }

    /// When a message taken in now will have waited for too long.
    pub(super) fn expiry(&self, now: Option<Instant>) -> Option<Instant> {
        now?.checked_add(self.limits.expiry?)
    }

    /// The wait for the RECEIPT of a message taken in now: it ends when the message has waited for too long.
    pub(super) fn until(&self, until: Until, now: Option<Instant>) -> Until {
        match (until, self.limits.expiry) {
            (Until::Within(within), Some(expiry)) => Until::Within(within.min(expiry)),
            (Until::At(deadline), _) => {
                Until::At(self.expiry(now).map_or(deadline, |expiry| deadline.min(expiry)))
            }
            (Until::Forever, _) => self.expiry(now).into(),
            (until, None) => until,
        }
    }

    /// Takes a message in, behind the others.
    pub(super) fn push(
        &mut self,
        frame: Frame,
        receipt: Option<ReceiptId>,
        replayed: bool,
        now: Option<Instant>,
    ) {
        let keeping = self.ledger.keeping(replayed);
        let id = self.next_id();
        self.take_in(id, frame, receipt, replayed, keeping, now);
    }

    /// Whether the next message may go to the connection without waiting for anything here.
    pub(super) fn has_sent_all(&self) -> bool {
        self.sent_before == self.next && matches!(self.ledger.keeping(true), Keeping::Nowhere)
    }

    /// What the next message will be called.
    pub(super) fn next_id(&self) -> OutboxId {
        OutboxId { session: self.session, number: self.next }
    }

    /// Takes a message in that the connection has, and that stays until its RECEIPT.
    pub(super) fn push_sent(&mut self, frame: Frame, receipt: Option<ReceiptId>, now: Option<Instant>) {
        self.push(frame, receipt, true, now);
        self.sent_before = self.next;
    }

    /// Takes a message in that stands in the outbox already.
    pub(super) fn push_stored(&mut self, id: OutboxId, frame: Frame, receipt: ReceiptId, now: Instant) {
        self.take_in(id, frame, Some(receipt), true, Keeping::Stored, Some(now));
    }

    fn take_in(
        &mut self,
        id: OutboxId,
        frame: Frame,
        receipt: Option<ReceiptId>,
        replayed: bool,
        keeping: Keeping,
        now: Option<Instant>,
    ) {
        let (number, bytes, expires) = (self.next, cost(&frame), self.expiry(now));
        self.next += 1;
        self.bytes += bytes;
        if let Some(receipt) = receipt {
            self.by_receipt.insert(receipt, number);
        }
        let kept = Kept { id, frame, receipt, replayed, keeping, strikes: 0, expires, bytes };
        self.entries.insert(number, Box::new(kept));
    }

    /// The next message for the connection. One that is not replayed leaves with it; one that has yet to be kept in the
    /// outbox holds up those behind it.
    pub(super) fn next_to_send(&mut self, kept_or_not: bool) -> Option<Next> {
        let (number, kept) = self.entries.range(self.sent_before..).next()?;
        if !(kept_or_not || kept.keeping.may_be_sent()) {
            return None;
        }
        let (number, replayed) = (*number, kept.replayed);
        let next = Next { id: kept.id, frame: kept.frame.clone(), receipt: kept.receipt, replayed };
        self.sent_before = number + 1;
        if !replayed {
            self.remove_number(number);
        }
        Some(next)
    }

    /// Whether the message that comes next may be why the broker answered with ERROR, or closed.
    pub(super) fn next_is_suspect(&self) -> bool {
        let next = self.entries.range(self.sent_before..).next();
        next.is_some_and(|(number, _)| *number < self.suspect_before)
    }

    /// Whether messages wait for a RECEIPT on this connection.
    pub(super) fn in_flight(&self) -> bool {
        self.entries.range(..self.sent_before).next().is_some()
    }

    /// The connection is gone: everything has to be sent again.
    pub(super) fn rewind(&mut self, suspicious: bool) {
        if suspicious {
            self.suspect_before = self.suspect_before.max(self.sent_before);
        }
        self.sent_before = 0;
    }

    /// This message is settled, one way or the other.
    pub(super) fn remove(&mut self, receipt: ReceiptId) -> bool {
        let Some(number) = self.by_receipt.get(&receipt).copied() else { return false };
        self.remove_number(number);
        true
    }

    pub(super) fn get(&mut self, receipt: ReceiptId) -> Option<&mut Kept> {
        self.entries.get_mut(self.by_receipt.get(&receipt)?).map(Box::as_mut)
    }

    pub(super) fn holds(&self, receipt: ReceiptId) -> bool {
        self.by_receipt.contains_key(&receipt) || self.ledger.awaits(receipt)
    }

    /// Those from this number on, in order.
    pub(super) fn from(&mut self, number: u64) -> impl Iterator<Item = (u64, &mut Kept)> {
        self.entries.range_mut(number..).map(|(number, kept)| (*number, kept.as_mut()))
    }

    pub(super) fn by_number(&mut self, number: u64) -> Option<&mut Kept> {
        self.entries.get_mut(&number).map(Box::as_mut)
    }

    /// The number of the message with this receipt, if it has yet to be kept in the outbox.
    pub(super) fn unstored_number(&self, receipt: ReceiptId) -> Option<u64> {
        let number = self.by_receipt.get(&receipt).copied()?;
        self.entries.get(&number).filter(|kept| !kept.keeping.may_be_sent()).map(|_| number)
    }

    /// The receipts of what stays in the outbox when the session ends.
    pub(super) fn stored_receipts(&self) -> Vec<ReceiptId> {
        let stored = self.entries.values().filter(|kept| matches!(kept.keeping, Keeping::Stored));
        stored.filter_map(|kept| kept.receipt).collect()
    }

    /// Takes out what has waited for too long.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Box<Kept>> {
        let (number, kept) = self.entries.first_key_value()?;
        let number = *number;
        if kept.expires.is_none_or(|expires| expires > now) {
            return None;
        }
        self.remove_number(number)
    }

    /// All have the same time to live, so the first one expires first.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.entries.first_key_value()?.1.expires
    }

    /// The number of the next message.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything. What stands in the outbox stays there.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.by_receipt.clear();
        self.ledger.clear();
        self.bytes = 0;
    }

    pub(super) fn remove_number(&mut self, number: u64) -> Option<Box<Kept>> {
        let kept = self.entries.remove(&number)?;
        self.bytes -= kept.bytes;
        self.ledger.leave(&kept);
        if let Some(receipt) = kept.receipt {
            self.by_receipt.remove(&receipt);
        }
        Some(kept)
    }
}

/// What a message counts with: its text, and the bookkeeping around it.
fn cost(frame: &Frame) -> usize {
    let headers: usize = frame.headers().iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    frame.body().len() + headers + OVERHEAD
}

/// Map entries, the frame's own structure: so that empty messages are not free.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stompede_codec::Command;

    use super::*;

    fn send(body: &str) -> Frame {
        Frame::new(Command::Send).with_header("destination", "/queue/a").with_body(body.to_owned())
    }

    fn bodies(backlog: &mut Backlog) -> Vec<String> {
        std::iter::from_fn(|| backlog.next_to_send(false))
            .map(|next| next.frame.body_text_lossy().into_owned())
            .collect()
    }

    #[test]
    fn it_is_bounded_by_count_and_by_bytes() {
        let limits = OutboxLimits { messages: 2, bytes: 10_000, expiry: None };
        let mut backlog = Backlog::new(limits, 0, Ledger::default());
        for body in ["a", "b"] {
            backlog.admit(&send(body)).expect("room");
            backlog.push(send(body), None, false, None);
        }
        assert_eq!(backlog.admit(&send("c")).expect_err("two at most").kind(), ErrorKind::OutboxFull);
        bodies(&mut backlog);
        assert_eq!((backlog.len(), backlog.bytes()), (0, 0));
        assert!(backlog.admit(&send(&"x".repeat(9_000))).is_ok());
        assert!(backlog.admit(&send(&"x".repeat(10_000))).is_err());
    }

    #[test]
    fn what_is_replayed_stays_in_order_and_the_rest_leaves() {
        let mut backlog = Backlog::new(OutboxLimits::default(), 0, Ledger::default());
        backlog.push(send("once"), None, false, None);
        backlog.push(send("again"), None, true, None);
        assert_eq!(bodies(&mut backlog), ["once", "again"]);
        backlog.push(send("later"), None, true, None);
        assert_eq!(bodies(&mut backlog), ["later"], "nothing goes twice to one connection");
        backlog.rewind(false);
        assert!(!backlog.next_is_suspect());
        assert_eq!(bodies(&mut backlog), ["again", "later"]);
        backlog.rewind(true);
        assert!(backlog.next_is_suspect());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn what_has_waited_too_long_comes_out() {
        let second = Duration::from_secs(1);
        let limits = OutboxLimits { expiry: Some(10 * second), ..OutboxLimits::default() };
        let (mut backlog, start) = (Backlog::new(limits, 0, Ledger::default()), Instant::now());
        backlog.push(send("a"), None, true, Some(start));
        backlog.push(send("b"), None, true, Some(start + second));
        assert_eq!(backlog.next_deadline(), Some(start + 10 * second));
        assert!(backlog.pop_expired(start + 9 * second).is_none());
        assert!(backlog.pop_expired(start + 10 * second).is_some());
        assert!(backlog.pop_expired(start + 10 * second).is_none());
        assert_eq!((backlog.len(), backlog.next_deadline()), (1, Some(start + 11 * second)));
    }
}
