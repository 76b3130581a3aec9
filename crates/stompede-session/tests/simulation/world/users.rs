//! What users do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use stompede_codec::{Command, Frame};
use stompede_session::AckMode;
use stompede_session::protocol::{
    Delivery, Inbox, Input, Outcome, ReceiptId, SubscribeRequest, SubscriptionId,
};

use super::acks::{Call, Received};
use super::transactions::TRANSACTED;
use super::{SECOND, Seen, World};
use crate::broker::{FORBIDDEN, body_number, read_id};

pub(super) struct Send {
    pub(super) receipt: Option<ReceiptId>,
    pub(super) deadline: Option<Instant>,
    pub(super) outcome: Option<Outcome>,
    pub(super) accepted_when_resolved: usize,
    pub(super) destination: String,
    pub(super) made: Instant,
    /// Part of a transaction: no promise of its own.
    pub(super) in_transaction: bool,
}

pub(super) struct Subscribed {
    pub(super) wire_id: String,
    pub(super) destination: String,
    ack: AckMode,
    /// It was made on an earlier connection, and no gap has been told on this one.
    pub(super) gap_due: bool,
    pub(super) inbox: Arc<Inbox>,
    /// Which connection the last message came on.
    pub(super) epoch: u64,
    /// There was a gap in the stream since.
    pub(super) gap: bool,
    /// Its consumer comes when it likes.
    pub(super) slow: bool,
}

impl World {
    /// A user does something.
    pub(super) fn act(&mut self) -> Seen<()> {
        match self.random.up_to(20) {
            0..=5 => (0..1 + self.random.up_to(3)).try_for_each(|_| self.send()),
            6 | 7 => self.subscribe(),
            8 => {
                let keys: Vec<_> = self.subscriptions.keys().copied().collect();
                if !keys.is_empty() && self.random.one_in(2) {
                    let key = keys[self.random.up_to(keys.len() as u64) as usize];
                    self.unsubscribe(key);
                }
                Ok(())
            }
            9 => {
                // A future is dropped.
                let awaited: Vec<_> = (0..self.sends.len()).filter(|at| self.awaits(*at)).collect();
                if !awaited.is_empty() {
                    let at = awaited[self.random.up_to(awaited.len() as u64) as usize];
                    if let Some(receipt) = self.sends[at].receipt.take() {
                        self.machine.forget_receipt(receipt);
                        self.forget_unkept(at);
                    }
                }
                Ok(())
            }
            12 | 13 => self.transact(),
            14 => self.transact_further(),
            15 => self.consume_all(),
            _ => self.acknowledge(),
        }
    }

    pub(super) fn unsubscribe(&mut self, key: SubscriptionId) {
        let Some(gone) = self.subscriptions.remove(&key) else { return };
        let _ = self.machine.unsubscribe(key);
        gone.inbox.discard();
        self.broker.owed.remove(&gone.wire_id);
        let settled = self.received.iter().filter(|one| one.key == key && one.settled.is_some());
        self.settled_at_unsubscribe.extend(settled.map(Received::id));
    }

    pub(super) fn awaits(&self, at: usize) -> bool {
        self.sends[at].receipt.is_some() && self.sends[at].outcome.is_none()
    }

    pub(super) fn send(&mut self) -> Seen<()> {
        let number = self.sends.len();
        let destination = match self.random.up_to(30) {
            0 => FORBIDDEN.to_owned(),
            other => format!("/queue/{}", other % 3),
        };
        let padding = "x".repeat(self.random.up_to(3000) as usize);
        let mut frame = Frame::new(Command::Send)
            .with_header("destination", &destination)
            .with_body(format!("m{number} {padding}"));
        let awaited = !self.random.one_in(4);
        let deadline = self.random.one_in(2).then(|| self.now + SECOND * (1 + self.random.up_to(30) as u32));
        let mut send = Send {
            receipt: None,
            deadline: deadline.filter(|_| awaited),
            outcome: None,
            accepted_when_resolved: 0,
            destination,
            made: self.now,
            in_transaction: false,
        };
        let sent = if awaited {
            self.machine.send_with_receipt(&mut frame, deadline).map(|id| send.receipt = Some(id))
        } else {
            self.send_unconfirmed(number, &frame)
        };
        if let Err(error) = sent {
            send.outcome = Some(Outcome::NotSent(error));
        }
        self.sends.push(send);
        Ok(())
    }

    pub(super) fn subscribe(&mut self) -> Seen<()> {
        if self.subscriptions.len() >= 6 {
            return Ok(());
        }
        let wire_id = format!("s{}", self.random.next());
        let destination = match self.random.up_to(10) {
            0 => FORBIDDEN.to_owned(),
            1 => TRANSACTED.to_owned(),
            other => format!("/queue/{}", other % 3),
        };
        let slow = self.random.one_in(3);
        let mut request = SubscribeRequest::new(&destination);
        request.id = Some(wire_id.clone());
        if slow {
            request.window = 2;
        }
        request.ack = match self.random.up_to(4) {
            0 => AckMode::Auto,
            1 => AckMode::ClientIndividual,
            _ => AckMode::Client,
        };
        request.coalesce_acks = request.ack == AckMode::Client && self.random.one_in(2);
        let ack = request.ack;
        if let Ok(key) = self.machine.subscribe(request) {
            let inbox = self.machine.inbox(key).ok_or("a subscription without a queue")?;
            let made =
                Subscribed { wire_id, destination, ack, gap_due: false, inbox, epoch: 0, gap: false, slow };
            self.subscriptions.insert(key, made);
        }
        Ok(())
    }

    /// Every slow consumer takes what waits for it.
    pub(super) fn consume_all(&mut self) -> Seen<()> {
        let all: Vec<_> = self.subscriptions.keys().copied().collect();
        all.into_iter().try_for_each(|key| self.consume(key))?;
        self.machine.handle_input(Input::Taken { now: self.now });
        Ok(())
    }

    /// The same, and says so.
    pub(super) fn take(&mut self, key: SubscriptionId) -> Seen<()> {
        self.consume(key)?;
        self.machine.handle_input(Input::Taken { now: self.now });
        Ok(())
    }

    /// A consumer takes what waits for it.
    pub(super) fn consume(&mut self, key: SubscriptionId) -> Seen<()> {
        let Some(subscribed) = self.subscriptions.get_mut(&key) else {
            return Err("a message for a subscription that is gone".into());
        };
        let mut taken = VecDeque::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(_)) = subscribed.inbox.poll_take(&mut cx, &mut taken) {}
        for delivery in taken {
            let Delivery::Message { frame, ticket } = delivery else {
                subscribed.gap = true;
                continue;
            };
            let number = body_number(&frame).filter(|number| *number < self.sends.len());
            let number = number.ok_or("a message that nobody sent")?;
            let id = frame.header("message-id").unwrap_or_default().into_owned();
            let (epoch, place) = read_id(&id).ok_or("a message with an id of somebody else's")?;
            let is_new =
                epoch > subscribed.epoch && self.broker.known.get(&subscribed.wire_id) < Some(&epoch);
            if (is_new && !subscribed.gap) || (subscribed.gap_due && epoch == self.machine.epoch()) {
                return Err("a message before the gap marker".into());
            }
            (subscribed.epoch, subscribed.gap) = (epoch, false);
            if subscribed.destination != self.sends[number].destination {
                return Err(format!("m{number} came to the wrong subscription"));
            }
            let ack = subscribed.ack;
            if ack != AckMode::Auto {
                let (number, call, settled, held) = (place, Call::Nothing, None, None);
                self.received.push(Received { frame, ticket, key, ack, epoch, number, call, settled, held });
            }
        }
        Ok(())
    }
}
