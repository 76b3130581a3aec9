//! Which subscriptions there are, and which one a MESSAGE belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use stompede_codec::{Command, Frame, Headers, Version};

use super::flow::Flow;
use super::inbox::{Bounds, Inbox, WhenFull};
use crate::{AckMode, Error};

/// Names one subscription of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId {
    /// Counts subscriptions. Only who makes four billion of them may see one again, and not in its old slot.
    number: u32,
    slot: u32,
}

/// What to subscribe to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// Where messages come from.
    pub destination: String,
    /// The `id` header; made up unless set. Unique among the subscriptions of a session.
    pub id: Option<String>,
    /// How messages are acknowledged.
    pub ack: AckMode,
    /// More headers, in this order: a selector, a durable name.
    pub headers: Headers,
    /// Whether the broker is told. If not, neither SUBSCRIBE nor UNSUBSCRIBE is sent, and the id is the destination
    /// unless set.
    pub announce: bool,
    /// How many messages wait for the consumer before the queue is full. 256 unless set.
    ///
    /// In the ack modes the broker is asked to send no more unsettled ones than this, where it has a header for it that
    /// we know of (`prefetch-count` of RabbitMQ, `activemq.prefetchSize` of ActiveMQ Classic) and the caller has set
    /// none; then the queue cannot fill. Whoever acknowledges every thousandth message needs a window of a thousand.
    pub window: usize,
    /// How many bytes wait for the consumer before the queue is full; one larger message fits all the same. 256 KiB
    /// unless set.
    pub queue_bytes: usize,
    /// What happens to a message for which there is no room.
    pub when_full: WhenFull,
    /// Whether ACKs of ack mode client may be joined: one that waits to be written gives way to a later one, which covers
    /// it. From STOMP 1.1 on. Off unless set.
    pub coalesce_acks: bool,
}

impl SubscribeRequest {
    /// A subscription to `destination` in ack mode auto.
    pub fn new(destination: impl Into<String>) -> Self {
        Self {
            destination: destination.into(),
            id: None,
            ack: AckMode::Auto,
            headers: Headers::new(),
            announce: true,
            window: WINDOW,
            queue_bytes: QUEUE_BYTES,
            when_full: WhenFull::Overflow,
            coalesce_acks: false,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let drops = matches!(self.when_full, WhenFull::DropOldest | WhenFull::DropNewest);
        let complaint = match self {
            Self { destination, .. } if destination.is_empty() => {
                "a subscription needs a destination, and this one is empty"
            }
            Self { id: Some(id), .. } if id.is_empty() => "the id of a subscription is empty",
            Self { window: 0, .. } => "window: a queue for no message at all would always be full",
            Self { queue_bytes: 0, .. } => "queue_bytes: a queue of no bytes at all would always be full",
            Self { ack, .. } if drops && *ack != AckMode::Auto => {
                "when_full: a message that has to be acknowledged cannot be dropped; use ack mode auto"
            }
            Self { ack, coalesce_acks: true, .. } if *ack != AckMode::Client => {
                "coalesce_acks: only in ack mode client does one ACK cover others"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid(complaint))
    }

    fn frame(&self, wire_id: &str, server: Option<&str>) -> Frame {
        let mut frame = Frame::new(Command::Subscribe)
            .with_header("id", wire_id)
            .with_header("destination", &self.destination)
            .with_header("ack", self.ack.as_str());
        let given = PREFETCH_HEADERS.iter().any(|name| self.headers.contains(name));
        if let Some(name) = prefetch_header(server).filter(|_| self.ack != AckMode::Auto && !given) {
            frame.headers_mut().push(name, self.window.to_string());
        }
        frame.headers_mut().extend(&self.headers);
        frame
    }
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    last: u32,
    by_wire_id: HashMap<Box<str>, SubscriptionId>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Where the last message went: the next one mostly goes there too.
    recent: usize,
    /// Subscriptions that keep an ACK back.
    pending: Vec<SubscriptionId>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: SubscriptionId,
    wire_id: Box<str>,
    destination: Box<str>,
    pub(super) ack: AckMode,
    pub(super) announce: bool,
    pub(super) inbox: Arc<Inbox>,
    pub(super) coalesce_acks: bool,
    window: usize,
    /// Messages that have come on this connection.
    pub(super) messages: u64,
    /// All messages up to this number have been settled by a cumulative ACK or NACK.
    pub(super) covered: u64,
    pending: Option<Frame>,
    joined: usize,
}

impl Subscriptions {
    /// Reserves an id and builds the SUBSCRIBE frame for it, if there is to be one.
    pub(super) fn add(
        &mut self,
        request: &SubscribeRequest,
        server: Option<&str>,
        flow: &Arc<Flow>,
    ) -> Result<(SubscriptionId, Option<Frame>), Error> {
        request.check()?;
        let given = request.id.as_ref().or((!request.announce).then_some(&request.destination));
        let wire_id: Box<str> = match given {
            Some(id) if self.by_wire_id.contains_key(id.as_str()) => {
                return Err(Error::invalid(format!("the subscription id {id:?} is in use; choose another")));
            }
            Some(id) => id.as_str().into(),
            None => self.unused_wire_id(),
        };
        let frame = request.announce.then(|| request.frame(&wire_id, server));
        self.last = self.last.wrapping_add(1);
        // Four billion subscriptions at once do not fit into memory, so the slot always fits.
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let id = SubscriptionId { number: self.last, slot };
        let bounds = Bounds { messages: request.window, bytes: request.queue_bytes };
        let settles = request.ack != AckMode::Auto;
        let entry = Entry {
            id,
            wire_id: wire_id.clone(),
            destination: request.destination.as_str().into(),
            ack: request.ack,
            announce: request.announce,
            inbox: Arc::new(Inbox::new(id, bounds, request.when_full, settles, flow.clone())),
            coalesce_acks: request.coalesce_acks,
            window: request.window,
            messages: 0,
            covered: 0,
            pending: None,
            joined: 0,
        };
        self.by_wire_id.insert(wire_id, id);
        match self.entries.get_mut(slot as usize) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        Ok((id, frame))
    }

    /// Forgets a subscription.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Entry> {
        self.get(id)?;
        let entry = self.entries.get_mut(id.slot as usize)?.take()?;
        self.by_wire_id.remove(&entry.wire_id);
        self.pending.retain(|other| *other != id);
        self.free.push(id.slot);
        Some(entry)
    }

    /// Forgets all of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.by_wire_id.clear();
        self.pending.clear();
        self.free.clear();
        std::mem::take(&mut self.entries).into_iter().flatten()
    }

    /// The subscription that a MESSAGE belongs to.
    pub(super) fn route(&mut self, version: Version, message: &Frame) -> Option<&mut Entry> {
        let slot = if let Some(wire_id) = message.header("subscription") {
            match self.entries.get(self.recent) {
                Some(Some(entry)) if *entry.wire_id == *wire_id => self.recent,
                _ => self.by_wire_id.get(&*wire_id)?.slot as usize,
            }
        } else if version == Version::V1_0 {
            // Some 1.0 servers leave the id out even where one was given; the destination has to do.
            let destination = message.header("destination")?;
            let matches = self.iter().filter(|entry| *entry.destination == *destination);
            matches.map(|entry| entry.id).min()?.slot as usize
        } else {
            return None;
        };
        self.recent = slot;
        self.entries.get_mut(slot)?.as_mut()
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Entry> {
        self.entries.get(id.slot as usize)?.as_ref().filter(|entry| entry.id == id)
    }

    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot as usize)?.as_mut().filter(|entry| entry.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// Keeps an ACK back in place of the one that is kept; `true` once so many were joined that it should go.
    pub(super) fn put_pending(&mut self, id: SubscriptionId, frame: Frame) -> bool {
        let Some(entry) = self.get_mut(id) else { return false };
        let first = entry.pending.replace(frame).is_none();
        entry.joined += 1;
        let due = entry.joined * 2 >= entry.window;
        if first {
            self.pending.push(id);
        }
        due
    }

    /// The ACK that a subscription keeps back.
    pub(super) fn take_pending(&mut self, id: SubscriptionId) -> Option<Frame> {
        let entry = self.get_mut(id)?;
        entry.joined = 0;
        entry.pending.take()
    }

    /// The next ACK that any subscription keeps back.
    pub(super) fn next_pending(&mut self) -> Option<Frame> {
        while let Some(id) = self.pending.pop() {
            if let Some(frame) = self.take_pending(id) {
                return Some(frame);
            }
        }
        None
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn unused_wire_id(&self) -> Box<str> {
        let mut number = u64::from(self.last);
        loop {
            let id = format!("sub-{number}");
            if !self.by_wire_id.contains_key(id.as_str()) {
                return id.into_boxed_str();
            }
            number += 1;
        }
    }
}

impl Entry {
    /// The UNSUBSCRIBE frame; `None` if there is nobody to tell.
    pub(super) fn unsubscribe_frame(&self) -> Option<Frame> {
        self.announce.then(|| Frame::new(Command::Unsubscribe).with_header("id", &self.wire_id))
    }
}

/// The header with which this broker is told how many unsettled messages it may send.
fn prefetch_header(server: Option<&str>) -> Option<&'static str> {
    let [rabbitmq, activemq] = PREFETCH_HEADERS;
    match server?.split('/').next()? {
        "RabbitMQ" | "stompede-broker" => Some(rabbitmq),
        "ActiveMQ" => Some(activemq),
        _ => None,
    }
}

const PREFETCH_HEADERS: [&str; 2] = ["prefetch-count", "activemq.prefetchSize"];

/// Messages in the queue of one subscription. More bring no speed, they only make memory grow.
const WINDOW: usize = 256;

/// Bytes in the queue of one subscription.
const QUEUE_BYTES: usize = 256 * 1024;
