//! What stands in the outbox behind the session, and what has to be said to it.
//!
//! One thing is asked of it at a time, and only what it has taken is handed to a connection. So the order of its messages is
//! the order on the wire, and a message is never appended after it was removed.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::{Duration, Instant};

use stompede_codec::Frame;

use super::backlog::Kept;
use super::planted::planted;
use super::receipts::Until;
use super::{Machine, Outcome, ReceiptId};
use crate::{Error, ErrorKind, OutboxId, Stored};

/// Something to ask of an [`Outbox`](crate::Outbox); see [`Machine::poll_outbox`].
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver's whole vocabulary: one that ignores a word is broken")]
pub enum OutboxJob {
    /// [`append`](crate::Outbox::append) these.
    Append(Vec<Stored>),
    /// [`remove`](crate::Outbox::remove) these.
    Remove(Vec<OutboxId>),
}

/// Where a message is kept beside the memory.
#[derive(Debug)]
pub(super) enum Keeping {
    /// Nowhere, and nowhere it has to be.
    Nowhere,
    /// Nowhere yet. Somebody may wait for it to be.
    Unstored {
        waiter: Option<ReceiptId>,
    },
    /// Being appended.
    Appending {
        waiter: Option<ReceiptId>,
    },
    Stored,
}

impl Keeping {
    pub(super) fn may_be_sent(&self) -> bool {
        matches!(self, Self::Nowhere | Self::Stored)
    }

    fn waiter(&self) -> Option<ReceiptId> {
        match self {
            Self::Unstored { waiter } | Self::Appending { waiter } => *waiter,
            Self::Nowhere | Self::Stored => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Whether there is an outbox at all.
    in_use: bool,
    /// Those from this number on have not been asked to be appended.
    unstored_from: u64,
    job: Option<Asked>,
    /// Who waits for a message to be appended, and the number of that message.
    waiters: HashMap<ReceiptId, u64>,
    /// What has to be removed.
    leaving: Vec<OutboxId>,
    /// No removal before this: the last one failed.
    not_before: Option<Instant>,
    /// The last thing that was asked was to append: it is the turn of what has to be removed.
    appended_last: bool,
}

/// What has been asked and not been answered.
#[derive(Debug)]
enum Asked {
    Append(Vec<(u64, OutboxId)>),
    Remove(Vec<OutboxId>),
}

impl Ledger {
    pub(super) fn new(in_use: bool) -> Self {
        Self { in_use, ..Self::default() }
    }

    /// How a message that comes in is kept.
    pub(super) fn keeping(&self, replayed: bool) -> Keeping {
        if self.in_use && replayed { Keeping::Unstored { waiter: None } } else { Keeping::Nowhere }
    }

    /// A message has left the memory.
    pub(super) fn leave(&mut self, kept: &Kept) {
        // One that is being appended is looked at when that has ended.
        if matches!(kept.keeping, Keeping::Stored) {
            self.leaving.push(kept.id);
        }
        if let Some(waiter) = kept.keeping.waiter() {
            self.waiters.remove(&waiter);
        }
    }

    /// The memory is empty. What is being appended has to be removed when that has ended.
    pub(super) fn clear(&mut self) {
        self.waiters.clear();
    }

    /// Whether this is the wait for a message to be appended.
    pub(super) fn awaits(&self, waiter: ReceiptId) -> bool {
        self.waiters.contains_key(&waiter)
    }

    /// How many messages have left the memory and not the outbox.
    pub(super) fn leaving(&self) -> usize {
        let asked = match &self.job {
            Some(Asked::Remove(ids)) => ids.len(),
            Some(Asked::Append(_)) | None => 0,
        };
        self.leaving.len() + asked
    }

    /// Whether nothing is asked, and nothing has to be.
    fn is_settled(&self) -> bool {
        self.job.is_none() && self.leaving.is_empty()
    }
}

impl Machine {
    /// Takes in what an [`Outbox`](crate::Outbox) has kept for an earlier session, to be sent before everything else. Say
    /// it before [`start`](Self::start).
    pub fn replay(&mut self, now: Instant, messages: Vec<Stored>) {
        for Stored { id, mut frame } in messages {
            // Nobody waits for it. The RECEIPT takes it out of the outbox.
            let receipt = self.receipts.open(Until::Forever);
            self.receipts.forget(receipt);
            frame.headers_mut().insert("receipt", receipt.text().as_str());
            self.backlog.push_stored(id, frame, receipt, now);
        }
        self.backlog.ledger.unstored_from = self.backlog.next_number();
    }

    /// The next thing to ask of the outbox, if there is one and the last one has been answered with
    /// [`outbox_done`](Self::outbox_done). Look after each input and command.
    ///
    /// `None` always without [`Config::outbox`](crate::Config::outbox).
    pub fn poll_outbox(&mut self) -> Option<OutboxJob> {
        let ledger = &self.backlog.ledger;
        if !ledger.in_use || ledger.job.is_some() {
            return None;
        }
        if ledger.appended_last {
            return self.next_removal().or_else(|| self.next_append());
        }
        self.next_append().or_else(|| self.next_removal())
    }

    fn next_append(&mut self) -> Option<OutboxJob> {
        let from = self.backlog.ledger.unstored_from;
        let (mut asked, mut batch) = (Vec::new(), Vec::new());
        for (number, kept) in self.backlog.from(from).take(BATCH) {
            let waiter = kept.keeping.waiter();
            kept.keeping = Keeping::Appending { waiter };
            asked.push((number, kept.id));
            let mut frame = kept.frame.clone();
            // That of another session would be another one.
            frame.headers_mut().remove("receipt");
            batch.push(Stored { id: kept.id, frame });
        }
        let last = *asked.last()?;
        let ledger = &mut self.backlog.ledger;
        ledger.unstored_from = last.0 + 1;
        ledger.job = Some(Asked::Append(asked));
        ledger.appended_last = true;
        Some(OutboxJob::Append(batch))
    }

    fn next_removal(&mut self) -> Option<OutboxJob> {
        let ledger = &mut self.backlog.ledger;
        if planted!(self, ForgetToRemove) {
            ledger.leaving.clear();
        }
        let too_early =
            ledger.not_before.is_some_and(|not_before| self.now.is_none_or(|now| now < not_before));
        if ledger.leaving.is_empty() || too_early {
            return None;
        }
        let ids: Vec<_> = ledger.leaving.drain(..ledger.leaving.len().min(BATCH)).collect();
        ledger.job = Some(Asked::Remove(ids.clone()));
        ledger.appended_last = false;
        Some(OutboxJob::Remove(ids))
    }

    /// The outbox has done what was asked last, or has not.
    pub fn outbox_done(&mut self, now: Instant, done: Result<(), Box<dyn StdError + Send + Sync>>) {
        self.now = Some(now);
        match (self.backlog.ledger.job.take(), done) {
            (Some(Asked::Append(asked)), Ok(())) => self.on_appended(asked),
            (Some(Asked::Append(asked)), Err(error)) => {
                let text = "the outbox did not take the message";
                self.on_not_appended(asked, &Error::with_other(ErrorKind::OutboxFailed, text, error));
            }
            (Some(Asked::Remove(_)), Ok(())) => self.backlog.ledger.not_before = None,
            (Some(Asked::Remove(ids)), Err(error)) => {
                tracing::warn!(%error, "the outbox did not forget messages; it is asked again");
                let ledger = &mut self.backlog.ledger;
                ledger.leaving.extend(ids);
                ledger.not_before = now.checked_add(PAUSE);
            }
            (None, _) => {}
        }
        self.continue_goodbye();
    }

    fn on_appended(&mut self, asked: Vec<(u64, OutboxId)>) {
        for (number, id) in asked {
            let Some(kept) = self.backlog.by_number(number) else {
                // Given up meanwhile.
                if !planted!(self, KeepWhatWasCancelled) {
                    self.backlog.ledger.leaving.push(id);
                }
                continue;
            };
            let waiter = kept.keeping.waiter();
            kept.keeping = Keeping::Stored;
            if let Some(waiter) = waiter {
                self.backlog.ledger.waiters.remove(&waiter);
                self.receipts.resolve(waiter, Outcome::Confirmed);
            }
        }
        if self.open_version().is_ok() {
            self.send_backlog();
        }
    }

    fn on_not_appended(&mut self, asked: Vec<(u64, OutboxId)>, error: &Error) {
        for (number, id) in asked {
            // It may have got there all the same.
            self.backlog.ledger.leaving.push(id);
            let Some(kept) = self.backlog.remove_number(number) else { continue };
            for receipt in kept.receipt.into_iter().chain(kept.keeping.waiter()) {
                self.receipts.resolve(receipt, Outcome::NotSent(error.clone()));
            }
        }
    }

    /// As [`send`](Self::send). Where the message has to be appended to an outbox first, it gives what to
    /// [poll](Self::poll_receipt) for that until `deadline`; [forgotten](Self::forget_receipt) before, the message is not
    /// sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_stored(
        &mut self,
        frame: &Frame,
        deadline: Option<Instant>,
    ) -> Result<Option<ReceiptId>, Error> {
        let number = self.backlog.next_number();
        self.send(frame)?;
        let until = self.backlog.until(deadline.into(), self.now);
        let Some(Keeping::Unstored { waiter: waiter @ None }) =
            self.backlog.by_number(number).map(|kept| &mut kept.keeping)
        else {
            return Ok(None);
        };
        let id = self.receipts.open(until);
        *waiter = Some(id);
        self.backlog.ledger.waiters.insert(id, number);
        Ok(Some(id))
    }

    /// Nobody waits any more for a message to be appended, or for the RECEIPT of one that is not appended yet: it is not
    /// sent either. Should it turn out that it cannot be appended, nobody would hear of it.
    pub(super) fn cancel_unstored(&mut self, awaited: ReceiptId) {
        if !self.backlog.ledger.in_use {
            return;
        }
        let waiter = self.backlog.ledger.waiters.get(&awaited).copied();
        let unstored = || self.backlog.unstored_number(awaited);
        if let Some(number) = waiter.or_else(unstored) {
            self.backlog.remove_number(number);
        }
    }

    /// Whether messages are kept in an outbox beside the memory.
    pub fn has_outbox(&self) -> bool {
        self.backlog.ledger.in_use
    }

    /// Whether the outbox has been told everything.
    pub fn is_outbox_settled(&self) -> bool {
        self.backlog.ledger.is_settled()
    }

    /// When to ask again. Once that time has come, the driver asks, and there is nothing more to wait for.
    pub(super) fn outbox_deadline(&self) -> Option<Instant> {
        let ledger = &self.backlog.ledger;
        let waits = ledger.job.is_none() && !ledger.leaving.is_empty();
        ledger.not_before.filter(|at| waits && self.now.is_some_and(|now| now < *at))
    }
}

/// Messages that are asked for together: enough to make up for what one visit to a disk or a database costs.
const BATCH: usize = 256;

/// How long to wait before what failed is asked for again.
const PAUSE: Duration = Duration::from_secs(1);
