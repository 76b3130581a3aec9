//! Acknowledging: in the form that each version wants, once, and never waiting.

use std::collections::BTreeMap;
use std::time::Instant;

use stompede_codec::{Command, Encoder, Frame, Headers, Version};

use super::flow::ACK_BYTES;
use super::planted::planted;
use super::subscriptions::Entry;
use super::{Machine, Phase, ReceiptId, SubscriptionId, TransactionId};
use crate::protocol::Event;
use crate::protocol::Output;
use crate::protocol::connection::{Connection, Goodbye, State};
use crate::{AckMode, Error, ErrorKind};

/// The right to acknowledge one message: which one it was, and on which connection it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket {
    pub(super) subscription: SubscriptionId,
    pub(super) epoch: u64,
    /// Counts the messages of the subscription on this connection, from one on.
    pub(super) number: u64,
    /// Bytes that the message is counted with in a queue.
    pub(super) cost: u32,
}

/// How a message is settled.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settle<'a> {
    /// ACK if true, else NACK.
    pub accept: bool,
    /// A NACK is to keep the message from being delivered again, where the broker has
    /// [a header for that](crate::BrokerProfile::reject_header).
    pub for_good: bool,
    /// As part of this transaction.
    pub transaction: Option<TransactionId>,
    /// Whether a RECEIPT is asked for.
    pub receipt: bool,
    /// Until when the RECEIPT is awaited; `None`: as long as the connection lives.
    pub deadline: Option<Instant>,
    /// More headers for the frame; those that it has of itself come before them.
    pub headers: Option<&'a Headers>,
}

impl Settle<'_> {
    /// Plainly ACK, or NACK.
    pub fn new(accept: bool) -> Self {
        Self { accept, for_good: false, transaction: None, receipt: false, deadline: None, headers: None }
    }
}

impl Ticket {
    /// Which subscription the message came for.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    pub(super) fn cost(&self) -> usize {
        self.cost as usize
    }
}

impl Machine {
    /// Queues ACK or NACK for `message`. Its place in the queue was reserved when it was handed out. Does nothing for a
    /// broker that [does not know them](crate::BrokerProfile::acknowledges).
    ///
    /// # Errors
    /// [`ErrorKind::StaleAck`] if the connection or the subscription that delivered the message is gone,
    /// [`ErrorKind::AlreadySettled`] if an ACK or NACK of a later message covered it (ack mode client, from STOMP 1.1
    /// on), [`ErrorKind::Protocol`] if the message lacks what an acknowledgement needs, [`ErrorKind::Unencodable`] for NACK
    /// in STOMP 1.0 and for headers that the version cannot carry, [`ErrorKind::TransactionEnded`] if the transaction is not
    /// open, [`ErrorKind::InvalidArgument`] for a NACK in one where the broker knows
    /// [no such thing](crate::BrokerProfile::transacted_nacks). Then nothing was queued.
    pub fn settle(
        &mut self,
        ticket: &Ticket,
        message: &Frame,
        how: Settle<'_>,
    ) -> Result<Option<ReceiptId>, Error> {
        let version = self.settling_version(ticket)?;
        if !self.profile.acknowledges {
            return Ok(None);
        }
        let Some(entry) = self.subscriptions.get(ticket.subscription) else {
            return Err(stale("the subscription that delivered this message is gone"));
        };
        let mode =
            if planted!(self, CoverIndividually) { AckMode::ClientIndividual } else { AckMode::Client };
        let earliest = if planted!(self, CoverInVersion1_0) { Version::V1_0 } else { Version::V1_1 };
        let cumulative = entry.request.ack == mode && version >= earliest;
        let mut frame = settling_frame(version, message, how.accept)?;
        let one_by_one = cumulative && self.profile.cumulative.goes_one_by_one(version);
        if cumulative && self.covers(entry, ticket, one_by_one) {
            let text =
                "a later message of the subscription was settled, which in ack mode client covers this one";
            return Err(Error::new(ErrorKind::AlreadySettled, text));
        }
        if how.transaction.is_some() && !how.accept && !self.profile.transacted_nacks {
            let text = format!(
                "{} knows no NACK in a transaction; reject the message without one",
                self.profile.name
            );
            return Err(Error::invalid(text));
        }
        if let Some(transaction) = how.transaction.filter(|_| !planted!(self, AckOutsideTransaction)) {
            frame.headers_mut().push("transaction", self.transactions.check(transaction, self.epoch)?);
        }
        if let Some(headers) = how.headers {
            if headers.contains("transaction") {
                return Err(Error::invalid(
                    "headers: a transaction acknowledges by its own ack() and nack()",
                ));
            }
            frame.headers_mut().extend(headers);
        }
        if let (Some((name, value)), true) = (self.profile.reject_header, how.for_good && !how.accept) {
            frame.headers_mut().push(name, value);
        }
        if one_by_one {
            return self.settle_one_by_one(version, ticket, frame, how);
        }
        let plain = how.accept && how.transaction.is_none() && !how.receipt && how.headers.is_none();
        if plain && cumulative && entry.request.coalesce_acks {
            self.coalesce(ticket, frame);
            return Ok(None);
        }
        let covers_joined = how.accept || planted!(self, NackSwallowsJoinedAck);
        if cumulative && covers_joined && how.transaction.is_none() {
            // It covers what waits, and more.
            self.subscriptions.take_pending(ticket.subscription);
        }
        self.push_pending_acks()?;
        let receipt = how.receipt.then(|| self.receipts.open(how.deadline.into()));
        if let Some(receipt) = receipt {
            frame.headers_mut().push("receipt", receipt.text().as_str());
        }
        if let Err(error) = self.push_ack(version, &frame, receipt) {
            receipt.into_iter().for_each(|receipt| self.receipts.forget(receipt));
            return Err(error);
        }
        match how.transaction {
            // What it covers is settled only by COMMIT.
            Some(_) if planted!(self, CoverBeforeCommit) => self.cover(ticket),
            Some(transaction) if cumulative => self.transactions.note_cover(transaction, ticket),
            Some(_) => {}
            None => self.cover(ticket),
        }
        Ok(receipt)
    }

    /// Queues one for each message that a cumulative ACK or NACK is to cover.
    fn settle_one_by_one(
        &mut self,
        version: Version,
        ticket: &Ticket,
        mut frame: Frame,
        how: Settle<'_>,
    ) -> Result<Option<ReceiptId>, Error> {
        // They differ in what the broker itself has named.
        self.transmit.check(Encoder::new(version), &frame)?;
        let Some(entry) = self.subscriptions.get_mut(ticket.subscription) else { return Ok(None) };
        let mut names = entry.unsettled.settle(ticket.number, how.transaction);
        names.pop();
        if planted!(self, CoverNothingOneByOne) {
            names.clear();
        }
        for name in names {
            let mut earlier = frame.clone();
            earlier.headers_mut().insert(names_by(version), name);
            self.push_ack(version, &earlier, None)?;
        }
        let receipt = how.receipt.then(|| self.receipts.open(how.deadline.into()));
        if let Some(receipt) = receipt {
            frame.headers_mut().push("receipt", receipt.text().as_str());
        }
        self.push_ack(version, &frame, receipt)?;
        Ok(receipt)
    }

    /// A message was dropped without having been settled. Nothing is told of one that the ACK of a later one has covered.
    pub fn note_unsettled(&mut self, ticket: &Ticket) {
        self.tell_unsettled(std::slice::from_ref(ticket));
    }

    /// Messages were dropped, and if no ACK covers them they are not settled.
    pub(super) fn tell_unsettled(&mut self, dropped: &[Ticket]) {
        let mut counts = BTreeMap::new();
        for ticket in dropped.iter().filter(|ticket| ticket.epoch == self.epoch && !self.is_covered(ticket)) {
            *counts.entry(ticket.subscription).or_default() += 1;
        }
        for (subscription, messages) in counts {
            self.note_discarded(subscription, messages);
        }
    }

    fn is_covered(&self, ticket: &Ticket) -> bool {
        let Some(entry) = self.subscriptions.get(ticket.subscription) else { return false };
        let Some(version) = self.version() else { return false };
        let cumulative = entry.request.ack == AckMode::Client && version >= Version::V1_1;
        cumulative && self.covers(entry, ticket, self.profile.cumulative.goes_one_by_one(version))
    }

    /// Whether an ACK of a later message has settled this one, or will with its transaction, where ACKs are cumulative.
    fn covers(&self, entry: &Entry, ticket: &Ticket, one_by_one: bool) -> bool {
        if one_by_one {
            return !entry.unsettled.has(ticket.number);
        }
        ticket.number <= entry.covered || self.transactions.will_cover(ticket)
    }

    /// So many messages of a subscription were thrown away, or taken out and dropped, without having been settled.
    pub fn note_discarded(&mut self, subscription: SubscriptionId, messages: usize) {
        if messages > 0 && self.connected().is_some() {
            self.outputs.push_back(Output::Event(Event::Unsettled { subscription, messages }));
        }
    }

    /// Marks everything up to this message as settled.
    pub(super) fn cover(&mut self, ticket: &Ticket) {
        if let Some(entry) = self.subscriptions.get_mut(ticket.subscription)
            && ticket.epoch == self.epoch
            && !planted!(self, ForgetCover)
        {
            entry.covered = entry.covered.max(ticket.number);
        }
    }

    /// Queues the acknowledgements that were kept back to be joined with later ones.
    pub(super) fn push_pending_acks(&mut self) -> Result<(), Error> {
        while let Some(frame) = self.subscriptions.next_pending() {
            let Some(version) = self.version() else { return Ok(()) };
            self.push_ack(version, &frame, None)?;
        }
        Ok(())
    }

    /// An acknowledgement has left the queue.
    pub(super) fn on_ack_taken(&mut self) {
        if self.flow.acks_full() && self.transmit.ack_bytes() <= ACK_BYTES / 2 {
            self.flow.set_acks_full(false);
            let (wakers, subscriptions) = (&mut self.wakers, &self.subscriptions);
            subscriptions.iter().for_each(|entry| wakers.extend(entry.inbox.acks_flow()));
        }
    }

    /// Keeps an ACK back, in place of an earlier one of the same subscription.
    fn coalesce(&mut self, ticket: &Ticket, frame: Frame) {
        self.cover(ticket);
        let due = self.subscriptions.put_pending(ticket.subscription, frame);
        // The broker's prefetch must not run dry meanwhile.
        if due && let Err(error) = self.push_pending_acks() {
            self.fail(error);
        }
    }

    fn push_ack(&mut self, version: Version, frame: &Frame, receipt: Option<ReceiptId>) -> Result<(), Error> {
        self.transmit.push_ack(Encoder::new(version), frame, receipt)?;
        if self.transmit.ack_bytes() >= ACK_BYTES {
            self.flow.set_acks_full(true);
        }
        Ok(())
    }

    /// The version for an acknowledgement: legal for as long as DISCONNECT has not been said.
    /// Whether what delivered the message is gone, so that [`settle`](Self::settle) gives [`ErrorKind::StaleAck`].
    pub fn is_stale(&self, ticket: &Ticket) -> bool {
        self.subscriptions.get(ticket.subscription).is_none()
            || self.settling_version(ticket).is_err_and(|error| error.kind() == ErrorKind::StaleAck)
    }

    fn settling_version(&self, ticket: &Ticket) -> Result<Version, Error> {
        match &self.phase {
            _ if ticket.epoch != self.epoch && !planted!(self, SettleStaleAck) => {
                Err(stale("the connection that delivered this message is gone"))
            }
            Phase::Connected(Connection {
                state: State::Open { peer, goodbye: Goodbye::Waiting { .. } },
                ..
            }) => Ok(peer.version()),
            Phase::Connected(_) => self.open_version(),
            _ => Err(stale("the connection that delivered this message is gone")),
        }
    }
}

/// ACK or NACK (STOMP 1.2, section ACK): `id` repeats the `ack` header; 1.1 names message and subscription; 1.0 the
/// message.
fn settling_frame(version: Version, message: &Frame, accept: bool) -> Result<Frame, Error> {
    let mut frame = Frame::new(if accept { Command::Ack } else { Command::Nack });
    if !accept && version == Version::V1_0 {
        return Err(Error::new(ErrorKind::Unencodable, "STOMP 1.0 has no NACK; leave the message unsettled"));
    }
    let mut repeat = |name: &str, under: &str| match message.header(name) {
        Some(value) => {
            frame.headers_mut().push(under, value);
            Ok(())
        }
        None => {
            let text = format!("the broker sent no {name} header, so there is nothing to acknowledge");
            Err(Error::new(ErrorKind::Protocol, text))
        }
    };
    repeat(acked_by(version), names_by(version))?;
    if version == Version::V1_1 {
        repeat("subscription", "subscription")?;
    }
    Ok(frame)
}

/// The header of a MESSAGE that an acknowledgement repeats.
pub(super) fn acked_by(version: Version) -> &'static str {
    if version == Version::V1_2 { "ack" } else { "message-id" }
}

/// The header of an acknowledgement that names its message.
fn names_by(version: Version) -> &'static str {
    if version == Version::V1_2 { "id" } else { "message-id" }
}

fn stale(what: &str) -> Error {
    Error::new(ErrorKind::StaleAck, format!("{what}; the broker will deliver it again"))
}
