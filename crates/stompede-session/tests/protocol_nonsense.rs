//! Any input and any command, in any order, with a clock that jumps both ways: nothing panics, no timer stays that has
//! fired, there is one end, and nobody waits beyond it. And whatever has come before, who asks for an orderly end gets it
//! from a broker that answers.
//!
//! The sequences of `simulation` are those of a driver that keeps to the rules; these are not.

mod common;
#[path = "simulation/random.rs"]
mod random;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Buf;
use common::{Rig, SECOND, config, send};
use random::Random;
use stompede_codec::Frame;
use stompede_session::protocol::{
    Batch, Delivery, Inbox, Input, ReceiptId, Settle, SubscribeRequest, SubscriptionId, Ticket,
    TransactionId, WhenFull,
};
use stompede_session::{AckMode, Config, Guarantee, HeartBeat, ReconnectPolicy};
use stompede_transport::{Outbound, TransportError, TransportErrorKind};

const MS: Duration = Duration::from_millis(1);

#[test]
fn nothing_that_is_said_in_any_order_breaks_it() {
    let mut in_order = 0;
    for seed in 0..1500 {
        let mut world = World::new(seed);
        for _ in 0..world.random.up_to(60) {
            world.connect();
            world.move_clock();
            world.act();
            world.fire();
        }
        in_order += usize::from(world.leave());
        world.end();
    }
    assert!(in_order > 50, "{in_order} of them had a connection to leave");
}

/// A session, and what a careless caller remembers of it.
struct World {
    seed: u64,
    random: Random,
    rig: Rig,
    /// How many dials there had been when a connection was last open.
    opened: usize,
    subscriptions: Vec<SubscriptionId>,
    inboxes: Vec<Arc<Inbox>>,
    messages: Vec<(Frame, Ticket)>,
    receipts: Vec<ReceiptId>,
    transactions: Vec<TransactionId>,
    /// The receipts that were asked for in what was written.
    asked: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let rig = Rig::dialing(settings(&mut random));
        Self {
            seed,
            random,
            rig,
            opened: 0,
            subscriptions: Vec::new(),
            inboxes: Vec::new(),
            messages: Vec::new(),
            receipts: Vec::new(),
            transactions: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Mostly there is a connection.
    fn connect(&mut self) {
        if self.rig.machine.connected().is_some() || self.random.one_in(3) {
            return;
        }
        if self.rig.dialed == self.opened {
            // The delay before the next dial passes.
            let Some(due) = self.rig.deadline else { return };
            self.rig.now = due.max(self.rig.now);
            self.rig.input(Input::Timer { now: self.rig.now });
        }
        self.opened = self.rig.dialed;
        self.rig.input(Input::Opened { now: self.rig.now });
        if !self.random.one_in(5) {
            while self.write_one() {}
            self.rig.input(Input::Flushed { now: self.rig.now });
        }
        let version = self.one_of(["1.0", "1.1", "1.2"]);
        let beats = self.one_of(["0,0", "1,1", "10000,10000", "18446744073709551615,18446744073709551615"]);
        self.rig.receive(&format!("CONNECTED\nversion:{version}\nheart-beat:{beats}\n\n\0"));
    }

    fn move_clock(&mut self) {
        let rig = &mut self.rig;
        match self.random.up_to(16) {
            0..4 => rig.now += MS * self.random.up_to(1000) as u32,
            4 | 5 => rig.now += SECOND * self.random.up_to(60) as u32,
            6 if self.random.one_in(5) => rig.now += SECOND * self.random.up_to(100_000) as u32,
            7 if self.random.one_in(5) => rig.now -= MS * self.random.up_to(5000) as u32,
            _ => {}
        }
    }

    fn act(&mut self) {
        let now = self.rig.now;
        match self.random.up_to(24) {
            0 => self.rig.input(Input::Opened { now }),
            1 if self.random.one_in(5) => self.rig.input(Input::DialFailed { now, error: trouble() }),
            2 if self.random.one_in(5) => {
                let error = self.random.one_in(2).then(trouble);
                self.rig.input(Input::Closed { now, error });
            }
            3..8 => self.receive(),
            8 => self.rig.input(Input::Flushed { now }),
            9 => self.rig.input(Input::Blocked { now }),
            10 => self.rig.input(Input::Written { now }),
            11 => self.rig.input(Input::Timer { now }),
            12 | 13 => self.subscribe(),
            14 => {
                if let Some(id) = self.any(&self.subscriptions.clone()) {
                    let _ = self.rig.machine.unsubscribe(id);
                }
            }
            15 => {
                let frame = send("/queue/a").with_body(vec![b'x'; self.random.up_to(5000) as usize]);
                let _ = self.rig.machine.send(&frame);
            }
            16 => {
                let (within, mut frame) = (time(&mut self.random), send("/queue/a"));
                let sent = self.rig.machine.send_with_receipt_within(&mut frame, within);
                self.receipts.extend(sent.ok());
            }
            17 => self.transact(),
            18 => {
                if let Some(id) = self.any(&self.receipts.clone()) {
                    self.rig.machine.forget_receipt(id);
                }
            }
            19 => self.take(),
            20 => self.settle(),
            21 => self.write(),
            22 => self.write_together(),
            _ if self.random.one_in(10) => match self.random.up_to(4) {
                0 => self.rig.machine.abort(),
                1 => {
                    let until = self.deadline();
                    let left = self.rig.machine.begin_drain(until);
                    self.receipts.extend(left.into_iter().map(|(_, receipt)| receipt));
                }
                _ => self.rig.machine.disconnect(now),
            },
            _ => {}
        }
        self.rig.drain();
    }

    /// Fires the timer when it is due, as a driver would that has nothing else to do.
    fn fire(&mut self) {
        for _ in 0..3 {
            let Some(due) = self.rig.deadline.filter(|due| *due <= self.rig.now + SECOND) else { return };
            self.rig.now = due.max(self.rig.now);
            self.rig.input(Input::Timer { now: self.rig.now });
            assert_ne!(self.rig.deadline, Some(due), "{}: a timer that has fired must not stay", self.seed);
        }
    }

    fn receive(&mut self) {
        let mut wire = String::new();
        for _ in 0..=self.random.up_to(3) {
            let n = self.random.up_to(3);
            wire += &match self.random.up_to(12) {
                0..5 => {
                    let body = "x".repeat(self.random.up_to(3000) as usize);
                    format!(
                        "MESSAGE\nsubscription:sub-{n}\nmessage-id:{n}\nack:{n}\ndestination:/a\n\n{body}\0"
                    )
                }
                5 | 6 => format!("RECEIPT\nreceipt-id:r-{n}-{}\n\n\0", self.random.up_to(3)),
                7 => format!("RECEIPT\nreceipt-id:restore-{n}\n\n\0"),
                8 if self.random.one_in(5) => format!("ERROR\nreceipt-id:r-{n}-0\n\n\0"),
                9 if self.random.one_in(2) => "ERROR\nmessage:no\n\n\0".to_owned(),
                10 if self.random.one_in(10) => "no STOMP\n\0".to_owned(),
                _ => "\n".to_owned(),
            };
        }
        let cut = self.random.up_to(wire.len() as u64) as usize;
        let (first, rest) = wire.split_at(cut);
        self.rig.receive(first);
        self.rig.receive(rest);
    }

    fn subscribe(&mut self) {
        let mut request = SubscribeRequest::new(self.one_of(["/a", "/b", ""]));
        request.ack = self.one_of([AckMode::Auto, AckMode::Client, AckMode::ClientIndividual]);
        request.window = 1 + self.random.up_to(4) as usize;
        request.queue_bytes = 1 + self.random.up_to(5000) as usize;
        request.when_full =
            self.one_of([WhenFull::Overflow, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::End]);
        request.coalesce_acks = self.random.one_in(3);
        request.announce = !self.random.one_in(10);
        let until = self.deadline();
        if let Ok((id, receipt)) = self.rig.machine.subscribe_with_receipt(request, until) {
            self.subscriptions.push(id);
            self.inboxes.extend(self.rig.machine.inbox(id));
            self.receipts.extend(receipt);
        }
    }

    fn transact(&mut self) {
        let Some(id) = self.any(&self.transactions.clone()) else {
            return self.transactions.extend(self.rig.machine.begin().ok());
        };
        match self.random.up_to(3) {
            0 => {
                let until = self.deadline();
                self.receipts.extend(self.rig.machine.commit(id, until).ok());
            }
            1 => self.rig.machine.abort_transaction(id),
            _ => {
                let _ = self.rig.machine.send(&send("/queue/a").with_header("transaction", id.to_string()));
                self.rig.machine.join_transaction(id);
            }
        }
    }

    fn take(&mut self) {
        for inbox in &self.inboxes {
            for delivery in self.rig.take_from(inbox) {
                if let Delivery::Message { frame, ticket } = delivery {
                    self.messages.push((frame, ticket));
                }
            }
        }
        self.rig.input(Input::Taken { now: self.rig.now });
    }

    fn settle(&mut self) {
        let Some((frame, ticket)) = self.any(&self.messages.clone()) else { return };
        let mut how = Settle::new(!self.random.one_in(4));
        how.receipt = self.random.one_in(3);
        how.deadline = self.deadline();
        how.transaction = self.transactions.last().copied().filter(|_| self.random.one_in(3));
        self.receipts.extend(self.rig.machine.settle(&ticket, &frame, how).unwrap_or_default());
        self.rig.machine.note_unsettled(&ticket);
    }

    fn write(&mut self) {
        for _ in 0..self.random.up_to(5) {
            if !self.write_one() {
                return;
            }
            if self.random.one_in(20) {
                self.rig.machine.transmit_refused(trouble());
            }
        }
    }

    fn write_together(&mut self) {
        let mut batch = Batch::default();
        self.rig.machine.take_batch(self.rig.now, &mut batch);
        for _ in 0..=self.random.up_to(6) {
            if let Some(item) = batch.next_frame() {
                self.note(item);
            }
        }
        self.rig.machine.give_back(&mut batch);
    }

    fn write_one(&mut self) -> bool {
        let item = self.rig.machine.poll_transmit(self.rig.now);
        item.map(|item| self.note(item)).is_some()
    }

    fn note(&mut self, mut item: Outbound) {
        let wire = item.copy_to_bytes(item.remaining());
        let text = String::from_utf8_lossy(&wire);
        let (head, _) = text.split_once("\n\n").unwrap_or_default();
        self.asked.extend(head.lines().find_map(|line| line.strip_prefix("receipt:")).map(str::to_owned));
    }

    /// Ends the session in order, with a broker that answers all that it was asked for. `false` if there is nothing to leave.
    fn leave(&mut self) -> bool {
        if self.rig.machine.connected().is_none() {
            return false;
        }
        let latest = self.rig.now + 60 * SECOND;
        self.rig.machine.disconnect(self.rig.now);
        while self.rig.machine.closed().is_none() {
            self.take();
            while self.write_one() {}
            self.rig.input(Input::Flushed { now: self.rig.now });
            let asked = std::mem::take(&mut self.asked);
            for receipt in &asked {
                self.rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"));
            }
            if self.rig.close_asked {
                self.rig.cut(None);
            } else if asked.is_empty() {
                let due = self.rig.deadline.filter(|due| *due < latest);
                self.rig.now = due.unwrap_or_else(|| unreachable!("{}: nothing moves it on", self.seed));
                self.rig.input(Input::Timer { now: self.rig.now });
            }
        }
        let end = self.rig.end();
        assert!(end.is_none(), "{}: {end:?}", self.seed);
        true
    }

    /// Nobody waits beyond the end.
    fn end(mut self) {
        self.rig.machine.abort();
        self.rig.drain();
        self.rig.end();
        let mut cx = Context::from_waker(Waker::noop());
        for receipt in self.receipts {
            assert!(self.rig.machine.poll_receipt(receipt, &mut cx).is_ready(), "{}: {receipt}", self.seed);
        }
        for inbox in self.inboxes {
            while let Poll::Ready(Ok(_)) = inbox.poll_take(&mut cx, &mut VecDeque::new()) {}
            assert!(self.rig.ending(&inbox).is_some(), "{}: {inbox:?}", self.seed);
        }
        assert!(!self.rig.machine.wants_to_write() && self.rig.machine.queued_bytes() == 0, "{}", self.seed);
        assert_eq!(self.rig.deadline, None, "{}", self.seed);
    }

    fn deadline(&mut self) -> Option<Instant> {
        self.rig.now.checked_add(time(&mut self.random))
    }

    fn any<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let at = self.random.next() as usize % of.len().max(1);
        of.get(at).cloned()
    }

    fn one_of<T: Clone, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.random.up_to(N as u64) as usize].clone()
    }
}

fn settings(random: &mut Random) -> Config {
    let mut settings = config();
    settings.receipt_timeout = time(random);
    settings.write_timeout = 60 * SECOND;
    settings.stall_timeout = time(random);
    settings.disconnect_timeout = 60 * SECOND;
    settings.handshake_timeout = time(random);
    settings.idle_timeout = random.one_in(3).then_some(60 * SECOND);
    settings.receive_slack = if random.one_in(2) { Duration::ZERO } else { Duration::MAX };
    settings.overflow_bytes = [0, 1, 1000, usize::MAX][random.up_to(4) as usize];
    let periods = [Duration::ZERO, MS, 10 * SECOND, Duration::MAX];
    let [send, receive] = [(); 2].map(|()| periods[random.up_to(4) as usize]);
    settings.heart_beat = HeartBeat { send, receive };
    if !random.one_in(3) {
        settings.reconnect = ReconnectPolicy::default();
    }
    if random.one_in(3) {
        settings.sending.guarantee = Guarantee::AtLeastOnce;
    }
    settings
}

fn time(random: &mut Random) -> Duration {
    match random.up_to(3) {
        0 => MS * (1 + random.up_to(50) as u32),
        1 => SECOND * (1 + random.up_to(20) as u32),
        _ => Duration::MAX,
    }
}

fn trouble() -> TransportError {
    TransportError::new(TransportErrorKind::Lost, "on purpose")
}
