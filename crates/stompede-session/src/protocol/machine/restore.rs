//! Brings subscriptions and waiting messages back on a new connection.
//!
//! Normally all at once. When the broker answered that with ERROR, and does not say which one it meant, the next
//! connection brings them back one at a time, so that the refused one is found and the others live.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use stompede_codec::{Encoder, Frame, Version};
use stompede_transport::{TransportError, TransportErrorKind};

use super::backlog::Next;
use super::planted::planted;
use super::{End, Machine, Outcome, ReceiptId, ReceiptName, SubscriptionId};
use crate::protocol::{Event, Output};
use crate::{Error, ErrorKind, OutboxId};

#[derive(Debug, Default)]
pub(super) struct Restore {
    /// The next connection brings things back one at a time.
    careful: bool,
    /// Connections in a row that were lost, without a word, while everything was being brought back, or before any message on
    /// its way was confirmed.
    losses: u8,
    step: Step,
}

#[derive(Debug, Default)]
enum Step {
    #[default]
    Done,
    /// All SUBSCRIBEs are on their way; the last one has this receipt.
    Together {
        last: Awaited,
    },
    OneByOne {
        left: VecDeque<SubscriptionId>,
        current: Option<Awaited>,
    },
}

#[derive(Clone, Debug)]
struct Awaited {
    /// The `receipt` header.
    receipt: Box<str>,
    what: What,
    until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Subscription(SubscriptionId),
    Message(ReceiptId),
}

impl Restore {
    /// Whether messages may go: not while things are brought back one at a time.
    pub(super) fn lets_sends_through(&self) -> bool {
        matches!(self.step, Step::Done | Step::Together { .. })
    }

    /// Whether what is on its way is to be brought back one at a time.
    pub(super) fn is_careful(&self) -> bool {
        self.careful
    }
}

impl Machine {
    /// The connection is open: brings everything back.
    pub(super) fn restore(&mut self, version: Version) {
        if self.draining {
            // They were ended for their consumers, and nobody said so to this broker.
            for receipt in self.subscriptions.end_receipts() {
                self.receipts.resolve(receipt, Outcome::NotSent(Error::closed()));
            }
            return self.send_backlog();
        }
        if self.restore.careful {
            self.transmit.hold(true);
            let left = self.subscriptions.ids().into();
            self.restore.step = Step::OneByOne { left, current: None };
            return self.restore_next();
        }
        if planted!(self, SendsBeforeSubscriptions) {
            self.send_backlog();
        }
        self.restore_together(version);
        self.send_backlog();
    }

    fn restore_together(&mut self, version: Version) {
        self.restore.step = Step::Done;
        if planted!(self, SkipResubscription) && self.epoch > 1 {
            return;
        }
        let mut frames = Vec::new();
        for key in self.subscriptions.ids() {
            if let Some(frame) = self.subscribe_frame(key, version) {
                frames.push((key, frame));
            }
        }
        let last = frames.len().checked_sub(1);
        for (index, (key, mut frame)) in frames.into_iter().enumerate() {
            let receipt = self.receipt_of(key);
            let mut name = receipt.map(|id| id.to_string());
            if Some(index) == last && self.profile.receipts {
                let name = name.get_or_insert_with(|| format!("restore-{}", self.epoch));
                let what = What::Subscription(key);
                let last = Awaited { receipt: name.as_str().into(), what, until: self.step_until() };
                self.restore.step = Step::Together { last };
            }
            if let Some(name) = &name {
                frame.headers_mut().insert("receipt", name);
            }
            if let Err(error) = self.transmit.push(Encoder::new(version), &frame, receipt) {
                self.end_subscription(key, error);
            }
            if planted!(self, SubscribeTwice) && self.epoch > 1 {
                let _ = self.transmit.push(Encoder::new(version), &frame, None);
            }
        }
    }

    /// The next one of those that are brought back one at a time.
    fn restore_next(&mut self) {
        let Some(version) = self.version_before_goodbye() else { return };
        while let Step::OneByOne { left, current } = &mut self.restore.step {
            *current = None;
            let (what, receipt, frame) = match left.pop_front() {
                Some(key) => {
                    let Some(frame) = self.subscribe_frame(key, version) else { continue };
                    let receipt = self.receipt_of(key);
                    let name = format!("restore-{}-{}", self.epoch, key.number());
                    (What::Subscription(key), receipt.map_or(name, |id| id.to_string()), frame)
                }
                None if self.backlog.next_is_suspect() => {
                    let Some(Next { frame, receipt: Some(id), .. }) = self.next_to_send() else { continue };
                    (What::Message(id), id.to_string(), frame)
                }
                None => break,
            };
            if self.push_alone(version, what, receipt, frame) {
                return;
            }
        }
        self.restore.careful = false;
        self.restore.step = Step::Done;
        self.transmit.hold(false);
        self.send_backlog();
        self.continue_goodbye();
    }

    fn push_alone(&mut self, version: Version, what: What, receipt: String, mut frame: Frame) -> bool {
        let mut asked = false;
        if self.profile.receipts {
            frame.headers_mut().insert("receipt", &receipt);
            asked = true;
        }
        if let Err(error) = self.transmit.push_first(Encoder::new(version), &frame) {
            match what {
                What::Subscription(key) => self.end_subscription(key, error),
                What::Message(id) => self.settle_message(id, Outcome::NotSent(error)),
            }
            return false;
        }
        // What goes first is not told when it is taken; that it may have been is the careful answer.
        if let Some(id) = ReceiptId::parse(receipt.as_bytes()) {
            self.receipts.mark_written(id);
        }
        let current = Awaited { receipt: receipt.into(), what, until: self.step_until() };
        if let (Step::OneByOne { current: place, .. }, true) = (&mut self.restore.step, asked) {
            *place = Some(current);
        }
        asked
    }

    /// DISCONNECT is about to be said: what has not been brought back need not be, and holds nothing up.
    pub(super) fn stop_restoring(&mut self) {
        self.restore.step = Step::Done;
        self.transmit.hold(false);
    }

    /// Hands the connection what waits for it.
    pub(super) fn send_backlog(&mut self) {
        if !self.restore.lets_sends_through() {
            return;
        }
        let Some(version) = self.version_before_goodbye() else { return };
        while let Some(Next { frame, receipt, replayed, .. }) = self.next_to_send() {
            let queued = self.transmit.push(self.encoder(version, &frame), &frame, receipt);
            match (queued, receipt) {
                (Ok(()), _) if !replayed => self.transmit.keep_last(frame),
                (Ok(()), _) => {}
                (Err(error), Some(receipt)) => self.settle_message(receipt, Outcome::NotSent(error)),
                // Nobody waits for it, and no version that the broker speaks can carry it.
                (Err(error), None) => tracing::warn!(%error, "a message that waited cannot be sent"),
            }
        }
    }

    /// The next message that waits, with its stable id for a broker that looks for one.
    fn next_to_send(&mut self) -> Option<Next> {
        let mut next = self.backlog.next_to_send(planted!(self, SendBeforeKept))?;
        if next.replayed
            && let Some(marked) = self.marked(&next.frame, next.id)
        {
            next.frame = marked;
        }
        Some(next)
    }

    /// The message with its stable id, for a broker that looks for one; `None` if it goes as it is.
    pub(super) fn marked(&self, frame: &Frame, id: OutboxId) -> Option<Frame> {
        let header = self.config.sending.duplicate_header.as_deref().or(self.profile.duplicate_header)?;
        (!frame.headers().contains(header)).then(|| frame.clone().with_header(header, id.to_string()))
    }

    /// A RECEIPT has come: does it move the restoring on?
    pub(super) fn restore_on_receipt(&mut self, name: &ReceiptName) {
        match &self.restore.step {
            Step::Together { last } if name.is(&last.receipt) => {
                self.restore.losses = 0;
                self.restore.step = Step::Done;
            }
            Step::OneByOne { current: Some(current), .. } if name.is(&current.receipt) => {
                if let What::Subscription(key) = current.what
                    && let Some(entry) = self.subscriptions.get_mut(key)
                {
                    entry.strikes = 0;
                }
                self.restore_next();
            }
            Step::Done => self.restore.losses = 0,
            _ => {}
        }
    }

    /// An ERROR has come, perhaps with the name of what it is about: was it something that is being brought back?
    pub(super) fn restore_on_error(&mut self, name: Option<&str>, error: &Error) {
        let suspect = match &self.restore.step {
            Step::OneByOne { current: Some(current), .. } => Some(current.clone()),
            Step::Together { last } if name == Some(&*last.receipt) => Some(last.clone()),
            Step::Together { .. } if name.is_none() && !planted!(self, NeverCareful) => {
                self.restore.careful = true;
                None
            }
            Step::Done if name.is_none() && self.has_suspects() && !planted!(self, NeverCareful) => {
                self.restore.careful = true;
                None
            }
            _ => None,
        };
        let Some(Awaited { receipt, what, .. }) = suspect else { return };
        // Without a name it may be about something else, such as the broker's own end; twice is no chance.
        let strikes = if name == Some(&*receipt) { MAX_STRIKES } else { MAX_STRIKES / 2 };
        self.strike(what, strikes, error);
    }

    fn strike(&mut self, what: What, strikes: u8, error: &Error) {
        let so_far = match what {
            What::Subscription(key) => self.subscriptions.get_mut(key).map(|entry| &mut entry.strikes),
            What::Message(id) => self.backlog.get(id).map(|kept| &mut kept.strikes),
        };
        let Some(so_far) = so_far else { return };
        *so_far = so_far.saturating_add(strikes);
        if *so_far < MAX_STRIKES {
            return;
        }
        match what {
            What::Subscription(key) => self.end_subscription(key, error.clone()),
            // The broker never said that it was this one.
            What::Message(id) => self.settle_message(id, Outcome::Unknown(error.clone())),
        }
    }

    /// The connection is lost: RabbitMQ over WebSocket refuses a subscription or a message by closing, without an ERROR.
    pub(super) fn mark_suspects(&mut self, cause: &Error) {
        if cause.kind() != ErrorKind::ConnectionLost {
            self.restore.step = Step::Done;
            return;
        }
        let refused = may_be_refusal(cause);
        match std::mem::take(&mut self.restore.step) {
            Step::Together { .. } => self.note_loss(),
            Step::Done if self.has_suspects() => self.note_loss(),
            Step::OneByOne { current: Some(Awaited { what: what @ What::Subscription(_), .. }), .. } => {
                self.strike(what, 1, cause);
            }
            Step::OneByOne { current: Some(Awaited { what, .. }), .. } if refused => {
                self.strike(what, 1, cause);
            }
            _ => {}
        }
    }

    /// Whether something is on its way that will be said again on the next connection.
    fn has_suspects(&self) -> bool {
        self.backlog.in_flight() || self.subscriptions.awaits_some()
    }

    fn note_loss(&mut self) {
        self.restore.losses = self.restore.losses.saturating_add(1);
        self.restore.careful |= self.restore.losses >= SUSPICIOUS_LOSSES;
    }

    /// Whoever does not answer in time is taken to agree: some brokers send no receipts.
    pub(super) fn judge_restore(&mut self, now: Instant) {
        if self.restore_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.restore.step {
            Step::Together { .. } => self.restore.step = Step::Done,
            Step::OneByOne { .. } => self.restore_next(),
            Step::Done => {}
        }
    }

    pub(super) fn restore_deadline(&self) -> Option<Instant> {
        match &self.restore.step {
            Step::Done => None,
            Step::Together { last } => last.until,
            Step::OneByOne { current, .. } => current.as_ref()?.until,
        }
    }

    /// The SUBSCRIBE for this connection. Tells the gap, and ends what this broker cannot have.
    fn subscribe_frame(&mut self, key: SubscriptionId, version: Version) -> Option<Frame> {
        let entry = self.subscriptions.get(key)?;
        if entry.was_on_wire() && !planted!(self, NoGapMarker) {
            self.wakers.extend(entry.inbox.mark_gap());
            self.outputs.push_back(Output::Event(Event::Gap(key)));
        }
        match self.subscriptions.frame(key, version, &self.profile) {
            Ok(frame) => frame,
            Err(error) => {
                self.end_subscription(key, error);
                None
            }
        }
    }

    /// The broker will not have it, or not any more.
    pub(super) fn end_subscription(&mut self, key: SubscriptionId, cause: Error) {
        let Some(entry) = self.subscriptions.remove(key) else { return };
        self.transactions.forget_subscription(key);
        self.wakers.extend(entry.inbox.end(End::Alone(cause.clone())));
        for receipt in entry.receipt.into_iter().chain(entry.leaving) {
            self.receipts.resolve(receipt, Outcome::Rejected(cause.clone()));
        }
        self.outputs.push_back(Output::Event(Event::SubscriptionEnded { subscription: key, cause }));
    }

    /// The receipt that goes with the next SUBSCRIBE of this one.
    fn receipt_of(&self, key: SubscriptionId) -> Option<ReceiptId> {
        self.subscriptions.get(key)?.receipt
    }

    fn settle_message(&mut self, id: ReceiptId, outcome: Outcome) {
        self.backlog.remove(id);
        self.receipts.resolve(id, outcome);
    }

    fn step_until(&self) -> Option<Instant> {
        self.now?.checked_add(STEP)
    }
}

/// Whether a loss may be the broker's answer to a message: it has closed the connection itself, and not because it goes away. A
/// network that breaks says nothing, however often, and nobody is to lose a message by it.
fn may_be_refusal(loss: &Error) -> bool {
    match loss.transport().map(TransportError::kind) {
        None | Some(TransportErrorKind::Closed { code: NORMAL | PROTOCOL_ERROR..=INTERNAL_ERROR }) => true,
        Some(_) => false,
    }
}

/// RabbitMQ closes a WebSocket so, whatever it is about.
const NORMAL: u16 = 1000;

/// The first and the last close code of a WebSocket that may be about what was sent (RFC 6455, 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;
const INTERNAL_ERROR: u16 = 1011;

/// How long one SUBSCRIBE may go unanswered. Brokers that answer do so in milliseconds.
const STEP: Duration = Duration::from_secs(5);

/// Losses in a row after which what was being brought back, or was on its way, is suspected. One may be a broker that
/// stumbles while it starts.
const SUSPICIOUS_LOSSES: u8 = 2;

/// Losses of the connection right after one and the same frame until it counts as refused; an ERROR that names nobody
/// counts twice. A broker that stumbles while it starts may cost one or two.
const MAX_STRIKES: u8 = 4;
