//! Acknowledging: what users do, and what has become of each message by the rules of the specification.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use stompede_codec::{Frame, Version};
use stompede_session::protocol::{Outcome, ReceiptId, Settle, SubscriptionId, Ticket};
use stompede_session::{AckMode, ErrorKind};

use super::{SECOND, Seen, World};
use crate::broker::read_id;

/// A message in the hands of its user, to be settled.
pub(super) struct Received {
    pub(super) frame: Frame,
    pub(super) ticket: Ticket,
    pub(super) key: SubscriptionId,
    pub(super) ack: AckMode,
    /// The connection that it came on.
    pub(super) epoch: u64,
    /// Counts the deliveries of that connection.
    pub(super) number: u64,
    pub(super) call: Call,
    /// Whether by ACK, if it is settled: by a call for it, or by one that covers it.
    pub(super) settled: Option<bool>,
    /// Where a cumulative ACK may not go out: the transaction that will settle it, and whether by ACK.
    pub(super) held: Option<(usize, bool)>,
}

/// What its user has done about a message.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Call {
    Nothing,
    Settled,
    /// As part of this transaction, by its place among them.
    In(usize),
}

/// An ACK or NACK whose RECEIPT is awaited.
pub(super) struct Confirmation {
    receipt: ReceiptId,
    id: String,
}

/// A message was settled, and what that covers with it.
pub(super) struct Settlement {
    at: usize,
    accept: bool,
    /// By the COMMIT of this one.
    transaction: Option<usize>,
}

impl Received {
    pub(super) fn id(&self) -> String {
        self.frame.header("message-id").unwrap_or_default().into_owned()
    }
}

impl World {
    /// A user settles some of the messages that are still in its hands, in any order.
    pub(super) fn acknowledge(&mut self) -> Seen<()> {
        for _ in 0..3 {
            let Some(at) = self.acknowledge_one(None)? else { continue };
            if self.random.one_in(16) {
                self.unsubscribe(self.received[at].key);
            }
        }
        Ok(())
    }

    /// Settles a message, plainly or as part of a transaction. Gives its place if there was one, and it was taken.
    pub(super) fn acknowledge_one(&mut self, transaction: Option<usize>) -> Seen<Option<usize>> {
        let open: Vec<_> = (0..self.received.len()).filter(|at| self.is_in_hand(*at)).collect();
        if open.is_empty() {
            return Ok(None);
        }
        // Mostly one of the last: those of old connections pile up.
        let among = if self.random.one_in(4) { open.len() } else { open.len().min(8) };
        let at = open[open.len() - 1 - self.random.up_to(among as u64) as usize];
        let accept = !self.random.one_in(4);
        let mut how = Settle::new(accept);
        how.transaction = transaction.map(|transaction| self.transactions[transaction].id);
        if transaction.is_none() && self.random.one_in(4) {
            how.receipt = true;
            how.deadline = Some(self.soon());
        }
        let expected = self.refusal(at, accept, transaction);
        let one = &self.received[at];
        let told = self.machine.settle(&one.ticket, &one.frame, how);
        let kind = told.as_ref().err().map(stompede_session::Error::kind);
        let id = one.id();
        if kind != expected {
            return Err(format!("settling {id} gave {kind:?} where {expected:?} is due"));
        }
        let Ok(receipt) = told else {
            // There is no NACK in STOMP 1.0: an ACK may still come. And the message outlives a transaction.
            if !matches!(expected, Some(ErrorKind::Unencodable | ErrorKind::TransactionEnded)) {
                self.received[at].call = Call::Settled;
            }
            return Ok(None);
        };
        self.confirmations.extend(receipt.map(|receipt| Confirmation { receipt, id }));
        self.received[at].call = transaction.map_or(Call::Settled, Call::In);
        if transaction.is_none() {
            self.cover(at, accept, None);
        }
        if let Some(transaction) = transaction {
            self.transactions[transaction].acks.push((at, accept));
            self.hold(at, accept, transaction);
        }
        Ok(Some(at))
    }

    /// A time limit that a connection that takes nothing may outlast.
    pub(super) fn soon(&mut self) -> Instant {
        self.now + SECOND * (1 + self.random.up_to(20) as u32)
    }

    /// Where a cumulative ACK goes out one by one, nothing else settles what it covers before its transaction has ended.
    fn hold(&mut self, at: usize, accept: bool, transaction: usize) {
        if !self.acks_reach_too_far || !self.is_cumulative(at) {
            return;
        }
        let Received { key, epoch, number, .. } = self.received[at];
        let covered = |one: &&mut Received| (one.key, one.epoch) == (key, epoch) && one.number <= number;
        for one in self.received.iter_mut().filter(covered) {
            if one.settled.is_none() && one.held.is_none() {
                one.held = Some((transaction, accept));
            }
        }
    }

    /// A transaction came to nothing: what it held is open again.
    pub(super) fn release(&mut self, transaction: usize) {
        for one in self.received.iter_mut().filter(|one| one.held.is_some_and(|(by, _)| by == transaction)) {
            (one.held, one.settled) = (None, None);
        }
    }

    /// By the rules: this message is settled, and in ack mode client, from STOMP 1.1 on, all before it.
    pub(super) fn cover(&mut self, at: usize, accept: bool, transaction: Option<usize>) {
        if self.acks_reach_too_far && self.is_cumulative(at) && transaction.is_some() {
            for one in &mut self.received {
                let held = one.held.filter(|(by, _)| Some(*by) == transaction);
                one.settled = one.settled.or(held.map(|(_, accept)| accept));
            }
            return;
        }
        self.settlements.push(Settlement { at, accept, transaction });
        let cumulative = self.is_cumulative(at);
        let Received { key, epoch, number, .. } = self.received[at];
        for one in &mut self.received {
            let covered = one.number == number || (cumulative && one.number < number && one.key == key);
            if covered && one.epoch == epoch && one.held.is_none() {
                one.settled = one.settled.or(Some(accept));
            }
        }
    }

    /// A COMMIT was taken back: everything is as if it had not been.
    pub(super) fn uncover(&mut self, transaction: usize) {
        if self.acks_reach_too_far {
            // Nothing else has settled what it was to settle.
            self.release(transaction);
            for (at, _) in &self.transactions[transaction].acks {
                self.received[*at].settled = None;
            }
        } else {
            self.received.iter_mut().for_each(|one| one.settled = None);
            for Settlement { at, accept, transaction: by } in std::mem::take(&mut self.settlements) {
                if by != Some(transaction) {
                    self.cover(at, accept, by);
                }
            }
        }
        let still = self.received.iter().filter(|one| one.settled.is_some()).map(Received::id);
        let still: BTreeSet<_> = still.collect();
        self.settled_at_unsubscribe.retain(|id| still.contains(id));
    }

    /// Whether its user may settle it: nothing has been done about it, or in a transaction that came to nothing.
    fn is_in_hand(&self, at: usize) -> bool {
        match self.received[at].call {
            Call::Nothing => true,
            Call::Settled => false,
            Call::In(transaction) => self.transactions[transaction].is_aborted(self.machine.epoch()),
        }
    }

    /// Why settling it has to be refused, if it has to.
    fn refusal(&self, at: usize, accept: bool, transaction: Option<usize>) -> Option<ErrorKind> {
        let one = &self.received[at];
        let gone = one.epoch != self.machine.epoch()
            || self.machine.connected().is_none()
            || !self.subscriptions.contains_key(&one.key);
        if gone {
            Some(ErrorKind::StaleAck)
        } else if one.settled.is_some() || one.held.is_some() {
            Some(ErrorKind::AlreadySettled)
        } else if !accept && self.broker.version() == Version::V1_0 {
            Some(ErrorKind::Unencodable)
        } else {
            let ended = |transaction: usize| !self.transactions[transaction].is_open(self.machine.epoch());
            transaction.filter(|transaction| ended(*transaction)).map(|_| ErrorKind::TransactionEnded)
        }
    }

    fn is_cumulative(&self, at: usize) -> bool {
        self.received[at].ack == AckMode::Client && self.broker.version() > Version::V1_0
    }

    /// The broker has settled nothing but what it was told to, and confirmed nothing but what it has settled.
    pub(super) fn look_at_acks(&mut self) -> Seen<()> {
        for (id, accepted) in self.broker.settled.drain(..) {
            let here = read_id(&id).and_then(|(epoch, number)| {
                self.received.iter().find(|one| (one.epoch, one.number) == (epoch, number))
            });
            let settled = here.and_then(|one| one.settled);
            if settled != Some(accepted) {
                return Err(format!(
                    "the broker was told accepted={accepted} for {id}, and it was {settled:?}"
                ));
            }
        }
        let mut left = self.broker.left.drain(..);
        if let Some(id) = left.find(|id| self.settled_at_unsubscribe.contains(id)) {
            return Err(format!("{id} was settled, and UNSUBSCRIBE came without"));
        }
        drop(left);
        let mut cx = Context::from_waker(Waker::noop());
        let (machine, broker) = (&mut self.machine, &self.broker);
        let mut seen = Ok(());
        self.confirmations.retain(|Confirmation { receipt, id }| {
            let Poll::Ready(outcome) = machine.poll_receipt(*receipt, &mut cx) else { return true };
            let truth = match &outcome {
                Some(Outcome::Confirmed) => broker.ever_settled.contains(id),
                Some(Outcome::NotSent(_)) => !broker.ever_settled.contains(id),
                Some(Outcome::Unknown(_)) => true,
                Some(Outcome::Rejected(_)) | None => false,
            };
            if !truth {
                seen = Err(format!("the ACK for {id}: {outcome:?}"));
            }
            false
        });
        seen
    }

    /// When all has arrived: what waits to be settled at the broker is what users have not settled.
    pub(super) fn acks_at_peace(&self) -> Seen<()> {
        let epoch = self.machine.epoch();
        let here: Vec<_> = self.received.iter().filter(|one| one.epoch == epoch).collect();
        let settled: BTreeSet<_> =
            here.iter().filter(|one| one.settled.is_some()).map(|one| one.id()).collect();
        if let Some((id, _)) = self.broker.unsettled().find(|(id, _)| settled.contains(id)) {
            return Err(format!("{id} was settled, and the broker has not heard of it"));
        }
        for (key, subscribed) in &self.subscriptions {
            let mine = here.iter().filter(|one| one.key == *key && one.settled.is_none());
            let in_hand: BTreeSet<_> = mine.map(|one| one.id()).collect();
            let at_broker = self.broker.unsettled().filter(|(_, wire_id)| *wire_id == subscribed.wire_id);
            let at_broker: BTreeSet<_> = at_broker.map(|(id, _)| id).collect();
            if in_hand != at_broker {
                return Err(format!("unsettled at the broker: {at_broker:?}, in hand: {in_hand:?}"));
            }
        }
        Ok(())
    }

    /// Messages of connections that are long gone are of no interest any more.
    pub(super) fn forget_old_messages(&mut self) {
        // What is part of a transaction stands at a place that is known.
        let epoch = self.machine.epoch();
        for one in self.received.iter_mut().filter(|one| one.epoch + 1 < epoch) {
            one.call = Call::Settled;
        }
    }
}
