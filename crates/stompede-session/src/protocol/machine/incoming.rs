//! What arrives: frames to their subscriptions and waiters, and when to stop reading.

use std::time::Instant;

use bytes::Bytes;
use stompede_codec::Frame;

use super::acks::acked_by;
use super::flow::{HOLD, Stall};
use super::inbox::Pushed;
use super::planted::planted;
use super::queue::{Arrival, Chunk};
use super::subscriptions::Named;
use super::{Machine, Outcome, Phase, ReceiptId, ReceiptName, SubscriptionId, Ticket};
use crate::protocol::connection::{Connection, Goodbye, Signal, State};
use crate::protocol::{Event, Output};
use crate::{AckMode, Error, ErrorKind};

impl Machine {
    pub(super) fn on_received(&mut self, now: Instant, bytes: Bytes) {
        self.on_taken(now);
        if bytes.is_empty() {
            // No sign of life.
            return;
        }
        self.chunk = Chunk { number: self.chunk.number + 1, len: bytes.len() };
        let Phase::Connected(connection) = &mut self.phase else { return };
        let (gap, late) = connection.receive(now, bytes);
        self.gap = gap;
        if late {
            self.outputs.push_back(Output::Event(Event::HeartBeatLate { gap }));
        }
    }

    /// Reading goes on if consumers have taken enough.
    pub(super) fn on_taken(&mut self, now: Instant) {
        self.now = Some(now);
        if !self.flow.is_reading() {
            return;
        }
        self.hold_until = None;
        if let Some(stall) = self.stall.take() {
            if let Phase::Connected(connection) = &mut self.phase {
                connection.pulse.resume(now);
            }
            let after = now.saturating_duration_since(stall.since);
            self.outputs.push_back(Output::Event(Event::Resumed { after }));
        }
    }

    /// Decodes some of what has been received; `false` if there is nothing more.
    pub(super) fn decode(&mut self) -> bool {
        if self.has_decoded_all() {
            return false;
        }
        for _ in 0..STAGE {
            let (Phase::Connected(connection), Some(now)) = (&mut self.phase, self.now) else { return false };
            match connection.next_signal(&self.config, now) {
                Some(Signal::Message(frame, size)) => self.on_message(frame, size),
                // As often as messages where they are confirmed, and not moved once more for that.
                Some(Signal::Receipt(frame)) => {
                    self.hand_over();
                    self.on_receipt(&frame);
                    if !self.outputs.is_empty() {
                        return true;
                    }
                }
                Some(signal) => {
                    self.hand_over();
                    self.on_signal(signal);
                    if !self.outputs.is_empty() {
                        return true;
                    }
                }
                None => {
                    let staged = !self.stage.is_empty();
                    self.hand_over();
                    self.stall_if_full(now);
                    return staged;
                }
            }
        }
        self.hand_over();
        true
    }

    /// Whether what has been received was decoded and handed over.
    pub(super) fn has_decoded_all(&self) -> bool {
        let drained = match &self.phase {
            Phase::Connected(connection) => connection.is_drained(),
            _ => true,
        };
        drained && self.stage.is_empty()
    }

    /// Ends a moment of holding that was not used, and the waits of those who need what is not read.
    pub(super) fn judge_flow(&mut self, now: Instant) {
        if self.hold_until.is_some_and(|until| until <= now) {
            self.hold_until = None;
            self.flow.release();
        }
        self.on_taken(now);
        let Some(stall) = &mut self.stall else { return };
        if stall.judge_at.is_none_or(|at| at > now) {
            return;
        }
        stall.judge_at = now.checked_add(self.config.stall_timeout);
        for (id, written) in self.receipts.awaited_ids() {
            self.give_up_receipt(id, written, stalled());
        }
        if let Phase::Connected(Connection { state: State::Open { goodbye, .. }, .. }) = &self.phase
            && !matches!(goodbye, Goodbye::Unsaid)
        {
            self.fail(stalled());
        }
    }

    fn on_message(&mut self, frame: Frame, size: usize) {
        let named = Named::by(&frame);
        // Not once it is known whose this one is: what handing over does would wait for what that takes from memory. Like
        // this, both that and the queue come while the next message is decoded.
        if self.stage.number() != named.number {
            self.hand_over();
        }
        let (epoch, number) = (self.epoch, named.number);
        let Some(version) = self.version() else { return };
        let Some(entry) = self.subscriptions.route(version, &frame, &named) else {
            self.hand_over();
            return self.outputs.push_back(Output::Event(Event::Unrouted(frame)));
        };
        entry.messages += 1;
        if self.profile.cumulative.goes_one_by_one(version)
            && entry.request.ack == AckMode::Client
            && let Some(name) = frame.header(acked_by(version))
        {
            entry.unsettled.push(entry.messages, &name);
        }
        let cost = u32::try_from(size + OVERHEAD).unwrap_or(u32::MAX);
        let ticket = Ticket { subscription: entry.id, epoch, number: entry.messages, cost };
        let fits = entry.inbox.fits_alone(&ticket, self.chunk);
        if self.stage.subscription().is_some_and(|staged| staged != ticket.subscription) {
            self.hand_over();
        }
        self.stage.push(Arrival { frame, ticket }, number, fits, &self.flow.given_back);
    }

    /// Nothing holds reading up any more: what did belonged to a connection that is gone.
    pub(super) fn read_on(&mut self) {
        (self.stall, self.hold_until) = (None, None);
        self.flow.read_on();
        self.flow.set_acks_full(false);
        let (wakers, subscriptions) = (&mut self.wakers, &self.subscriptions);
        subscriptions.iter().for_each(|entry| wakers.extend(entry.inbox.acks_flow()));
    }

    /// Hands the staged messages to their subscription.
    fn hand_over(&mut self) {
        let Some(subscription) = self.stage.subscription() else { return };
        let messages = self.stage.len();
        let Some(entry) = self.subscriptions.get(subscription) else { return self.stage.clear() };
        let pushed = entry.inbox.push(&mut self.stage, self.chunk);
        let Pushed { waker, filled, dropped, refused, overflowed } = pushed;
        let unsettled = if refused > 0 && entry.request.ack != AckMode::Auto { refused } else { 0 };
        self.wakers.extend(waker);
        if filled {
            self.hold_until = self.now.and_then(|now| now.checked_add(HOLD));
        }
        if messages > refused {
            let messages = messages - refused;
            if self.tells_traffic {
                self.outputs.push_back(Output::Event(Event::Delivered { subscription, messages }));
            } else {
                self.history.count_messages(messages);
            }
        }
        self.note_discarded(subscription, unsettled);
        if dropped > 0 {
            self.outputs.push_back(Output::Event(Event::Dropped { subscription, messages: dropped }));
        }
        if let Some(cause) = overflowed {
            self.drop_overflowed(subscription, cause);
        }
    }

    /// The broker is told that a subscription has ended because its queue was full.
    fn drop_overflowed(&mut self, subscription: SubscriptionId, cause: Error) {
        // In vain only where an orderly end is under way, which ends it as well.
        let _ = self.unsubscribe(subscription);
        self.outputs.push_back(Output::Event(Event::SubscriptionEnded { subscription, cause }));
    }

    /// Stops reading if nothing more can be held.
    fn stall_if_full(&mut self, now: Instant) {
        if self.stall.is_some() || self.connected().is_none() || !self.flow.stall_if_full() {
            return;
        }
        let fullest = self.subscriptions.iter().max_by_key(|entry| entry.inbox.overflow_bytes());
        let Some(subscription) = fullest.map(|entry| entry.id) else { return };
        if let Phase::Connected(connection) = &mut self.phase {
            connection.pulse.suspend();
        }
        self.hold_until = None;
        self.stall = Some(Stall { since: now, judge_at: now.checked_add(self.config.stall_timeout) });
        self.outputs.push_back(Output::Event(Event::Stalled { subscription, bytes: self.flow.overflow() }));
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Connected(peer) => self.on_connected(peer),
            Signal::HeartBeat => self.outputs.push_back(Output::Event(Event::HeartBeat { gap: self.gap })),
            Signal::Message(frame, size) => self.on_message(frame, size),
            Signal::Receipt(frame) => self.on_receipt(&frame),
            Signal::Error(frame) if self.is_harmless(&frame) => {
                self.outputs.push_back(Output::Event(Event::Unrouted(frame.detach())));
            }
            Signal::Error(frame) if self.profile.is_cancellation(&frame) => self.on_cancelled(frame.detach()),
            Signal::Error(frame) => self.on_error(frame.detach()),
            Signal::Failed(error) => {
                if let Some(frame) = error.frame() {
                    self.outputs.push_back(Output::Event(Event::Error(frame.clone())));
                }
                self.fail(error);
            }
        }
    }

    /// Whether an ERROR says only that something came too late for its subscription.
    fn is_harmless(&self, error: &Frame) -> bool {
        self.profile.is_late_message(error)
            || self.cancelled && self.profile.is_refusal_after_cancellation(error)
    }

    /// The broker has ended a subscription of its own accord.
    fn on_cancelled(&mut self, frame: Frame) {
        let id = frame.header("subscription").and_then(|id| self.subscriptions.find(&id));
        let Some(entry) = id.and_then(|id| self.subscriptions.get(id)) else {
            // Its UNSUBSCRIBE is on its way, and will be refused.
            self.cancelled = true;
            return self.outputs.push_back(Output::Event(Event::Unrouted(frame)));
        };
        if self.profile.is_implicit(&entry.request.destination) {
            return self.on_error(frame);
        }
        self.cancelled = true;
        let text = "the broker has ended the subscription";
        self.end_subscription(entry.id, Error::from_frame(ErrorKind::BrokerError, text, frame));
    }

    fn on_receipt(&mut self, frame: &Frame) {
        let Some(name) = ReceiptName::of(frame) else {
            return self
                .fail(Error::new(ErrorKind::Protocol, "the broker sent a RECEIPT without receipt-id"));
        };
        if let ReceiptName::Ours(id) = name {
            if !planted!(self, ResendAfterConfirm) {
                self.backlog.remove(id);
            }
            self.subscriptions.end_receipt(id);
            self.receipts.resolve(id, Outcome::Confirmed);
        }
        if self.tells_traffic {
            self.outputs.push_back(Output::Event(Event::Receipt(name.clone())));
        } else {
            self.history.count_receipt();
        }
        self.restore_on_receipt(&name);
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { goodbye: Goodbye::Said { receipt, .. }, .. },
                ..
            }) if name.is(receipt) => {
                let until = self.now.and_then(|now| now.checked_add(CLOSE_GRACE));
                self.phase = Phase::Closing { until };
                self.outputs.push_back(Output::Close);
            }
            _ => self.continue_goodbye(),
        }
    }

    /// An ERROR ends the connection, whatever the broker does with its socket, and no receipt counts after it.
    fn on_error(&mut self, frame: Frame) {
        self.outputs.push_back(Output::Event(Event::Error(frame.clone())));
        let name = frame.header("receipt-id").map(String::from);
        let error = Error::from_frame(ErrorKind::BrokerError, "the broker sent ERROR", frame);
        if let Some(id) = name.as_deref().map(str::as_bytes).and_then(ReceiptId::parse) {
            self.backlog.remove(id);
            if let Some(subscription) = self.subscriptions.end_receipt(id) {
                self.end_subscription(subscription, error.clone());
            }
            self.receipts.resolve(id, Outcome::Rejected(error.clone()));
        }
        self.restore_on_error(name.as_deref(), &error);
        self.fail(error);
    }
}

/// Reading has stopped because a consumer does not take its messages, so what is awaited cannot be seen.
pub(super) fn stalled() -> Error {
    Error::new(
        ErrorKind::Stalled,
        "reading has stopped because a consumer does not take its messages; what is awaited may have come",
    )
}

/// Messages that are handed over together, at most. More bring no speed; what others wait for comes sooner with less.
const STAGE: usize = 64;

/// What a message takes in a queue besides its bytes on the wire.
const OVERHEAD: usize = size_of::<super::Delivery>();

/// How long an orderly end waits for the peer's own close.
///
/// By then the broker has confirmed DISCONNECT; the rest is courtesy, and courtesy needs no more than a round trip.
const CLOSE_GRACE: std::time::Duration = std::time::Duration::from_secs(1);
