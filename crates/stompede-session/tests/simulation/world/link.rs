//! The wire between machine and broker, and what goes wrong on it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf, Bytes};
use stompede_session::protocol::{Batch, Input};
use stompede_transport::{TransportError, TransportErrorKind};

use super::{MS, SECOND, Seen, World};
use crate::broker::Broker;

pub(super) struct Link {
    pub(super) to_broker: VecDeque<(Instant, Bytes)>,
    pub(super) to_client: VecDeque<(Instant, Bytes)>,
    /// Bytes towards the client stand still until then.
    pub(super) stalled_until: Option<Instant>,
    /// Nothing more is taken towards the broker until then.
    pub(super) blocked_until: Option<Instant>,
    /// The broker closes once what it said has arrived.
    pub(super) closes: bool,
    pub(super) next_beat: Instant,
    pub(super) heard: Instant,
}

impl World {
    pub(super) fn open_link(&mut self) {
        let now = self.now;
        let blocked = self.faults && self.random.one_in(12);
        let blocked_until = blocked.then(|| now + SECOND * self.random.up_to(45) as u32);
        self.link = Some(Link {
            to_broker: VecDeque::new(),
            to_client: VecDeque::new(),
            stalled_until: None,
            blocked_until,
            closes: false,
            next_beat: now + 5 * SECOND,
            heard: now,
        });
    }

    /// The link takes bytes again if it is time to.
    pub(super) fn unblock(&mut self) {
        if let Some(link) = &mut self.link
            && link.blocked_until.is_some_and(|until| until <= self.now)
        {
            (link.blocked_until, link.heard) = (None, self.now);
        }
    }

    /// The broker beats, and listens whether the client does.
    pub(super) fn beat(&mut self) -> Seen<()> {
        let now = self.now;
        let open = self.broker.conn.as_ref().is_some_and(|conn| conn.open && !conn.over);
        let Some(link) = self.link.as_mut().filter(|link| link.next_beat <= now) else { return Ok(()) };
        link.next_beat = now + 5 * SECOND;
        if !open || !self.broker.beats() {
            return Ok(());
        }
        link.to_client.push_back((now, Bytes::from_static(b"\n")));
        if now - link.heard > 10 * SECOND && link.blocked_until.is_none() {
            return Err("a heart-beat of the client's is missing".into());
        }
        Ok(())
    }

    pub(super) fn carry_to_broker(&mut self) -> Seen<()> {
        let now = self.now;
        while let Some(link) = &mut self.link
            && link.to_broker.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, bytes)) = link.to_broker.pop_front()
        {
            link.heard = now;
            let (random, faults) = (&mut self.random, self.faults);
            let lost = &mut self.lost_receipts;
            let said = self.broker.read(bytes, || {
                let loses = faults && random.one_in(40);
                *lost |= loses;
                loses
            })?;
            self.say(said);
        }
        Ok(())
    }

    /// The broker's words go on their way, in pieces.
    pub(super) fn say(&mut self, said: String) {
        let over = self.broker.conn.as_ref().is_none_or(|conn| conn.over);
        let Some(link) = &mut self.link else { return };
        let mut bytes = Bytes::from(said);
        while !bytes.is_empty() {
            let piece = bytes.len().min(1 + self.random.up_to(400) as usize);
            let earliest = link.to_client.back().map_or(self.now, |(at, _)| *at);
            let at = earliest.max(self.now + MS * self.random.up_to(20) as u32);
            link.to_client.push_back((at, bytes.split_to(piece)));
        }
        link.closes |= over;
    }

    pub(super) fn carry_to_client(&mut self) -> Seen<()> {
        let now = self.now;
        while self.machine.wants_bytes()
            && let Some(link) = &mut self.link
            && link.stalled_until.is_none_or(|until| until <= now)
            && link.to_client.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, bytes)) = link.to_client.pop_front()
        {
            self.input(Input::Received { now, bytes })?;
        }
        if self.link.as_ref().is_some_and(|link| link.closes && link.to_client.is_empty()) {
            self.cut(None)?;
        }
        Ok(())
    }

    /// Writes what waits; `false` if there was nothing.
    pub(super) fn write(&mut self) -> bool {
        let mut wrote = false;
        if self.link.as_ref().is_none_or(|link| link.blocked_until.is_some()) {
            return false;
        }
        // Now and then the connection takes only a part, so that something is left when it breaks.
        let mut room = if self.faults && self.random.one_in(4) { self.random.up_to(3) } else { 1000 };
        let mut batch = Batch::default();
        while room > 0 {
            if batch.is_empty() {
                self.machine.take_batch(self.now, &mut batch);
            }
            let Some(mut item) = batch.next_frame() else { break };
            room -= 1;
            wrote = true;
            let mut bytes = item.copy_to_bytes(item.remaining());
            let Some(link) = &mut self.link else { return false };
            let earliest = link.to_broker.back().map_or(self.now, |(at, _)| *at);
            let at = earliest.max(self.now + MS * self.random.up_to(20) as u32);
            let cut = bytes.len().min(1 + self.random.up_to(2000) as usize);
            link.to_broker.push_back((at, bytes.split_to(cut)));
            if !bytes.is_empty() {
                link.to_broker.push_back((at, bytes));
            }
        }
        self.machine.give_back(&mut batch);
        if wrote {
            self.machine.handle_input(Input::Flushed { now: self.now });
        }
        wrote
    }

    /// The connection ends. What the broker has not read by now it never will.
    pub(super) fn cut(&mut self, error: Option<TransportError>) -> Seen<()> {
        if self.link.take().is_some() {
            self.broker.drop_connection();
            self.input(Input::Closed { now: self.now, error })?;
        }
        Ok(())
    }

    pub(super) fn fault(&mut self) -> Seen<()> {
        let reset = || Some(TransportError::new(TransportErrorKind::Lost, "cut"));
        match self.random.up_to(7) {
            0 => {
                // In the middle of a frame: a part of what was under way still arrives.
                if let Some(link) = &mut self.link
                    && let Some((_, bytes)) = link.to_broker.front_mut()
                {
                    bytes.truncate(bytes.len() / 2);
                    bytes_arrive(&mut self.broker, bytes.clone())?;
                }
                self.cut(reset())
            }
            1 => {
                let until = self.now + SECOND * self.random.up_to(30) as u32;
                if let Some(link) = &mut self.link {
                    link.stalled_until = Some(until);
                }
                Ok(())
            }
            2 => {
                let until = self.now + SECOND * self.random.up_to(45) as u32;
                if let Some(link) = &mut self.link {
                    link.blocked_until = Some(until);
                }
                Ok(())
            }
            3 | 4 => {
                self.broker_up = false;
                self.broker_up_at = Some(self.now + MS * self.random.up_to(15_000) as u32);
                if self.random.one_in(4) {
                    self.broker.drop_connection();
                    self.broker.queues.clear();
                }
                self.cut(reset())
            }
            5 => {
                if let Some(conn) = self.broker.conn.as_mut().filter(|conn| conn.open && !conn.over) {
                    conn.over = true;
                    self.say("ERROR\nmessage:internal error\n\n\0".into());
                }
                Ok(())
            }
            _ => self.cut(None),
        }
    }
}

fn bytes_arrive(broker: &mut Broker, bytes: Bytes) -> Seen<()> {
    broker.read(bytes, || true).map(drop)
}
