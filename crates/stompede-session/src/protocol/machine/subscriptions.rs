//! Which subscriptions there are, and which one a MESSAGE belongs to.

use std::collections::HashMap;

use stompede_codec::{Command, Frame, Headers, Version};

use crate::{AckMode, Error};

/// Names one subscription of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId(u64);

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
    /// More headers, in this order: a selector, a durable name, a prefetch count.
    pub headers: Headers,
    /// Whether the broker is told. If not, neither SUBSCRIBE nor UNSUBSCRIBE is sent, and the id is the destination
    /// unless set.
    pub announce: bool,
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
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    next: u64,
    by_wire_id: HashMap<Box<str>, SubscriptionId>,
    entries: HashMap<SubscriptionId, Entry>,
}

#[derive(Debug)]
struct Entry {
    wire_id: Box<str>,
    destination: Box<str>,
    ack: AckMode,
    announce: bool,
}

impl Subscriptions {
    /// Reserves an id and builds the SUBSCRIBE frame for it, if there is to be one.
    pub(super) fn add(
        &mut self,
        request: SubscribeRequest,
    ) -> Result<(SubscriptionId, Option<Frame>), Error> {
        let SubscribeRequest { destination, id, ack, headers, announce } = request;
        let id = id.or_else(|| (!announce).then(|| destination.clone()));
        if destination.is_empty() {
            return Err(Error::invalid("a subscription needs a destination, and this one is empty"));
        }
        let wire_id = match id {
            Some(id) if id.is_empty() => return Err(Error::invalid("the id of a subscription is empty")),
            Some(id) if self.by_wire_id.contains_key(id.as_str()) => {
                return Err(Error::invalid(format!("the subscription id {id:?} is in use; choose another")));
            }
            Some(id) => id.into_boxed_str(),
            None => self.unused_wire_id(),
        };
        let frame = announce.then(|| {
            let mut frame = Frame::new(Command::Subscribe)
                .with_header("id", &wire_id)
                .with_header("destination", &destination)
                .with_header("ack", ack.as_str());
            frame.headers_mut().extend(&headers);
            frame
        });
        let key = SubscriptionId(self.next);
        self.next += 1;
        self.by_wire_id.insert(wire_id.clone(), key);
        let destination = destination.into_boxed_str();
        self.entries.insert(key, Entry { wire_id, destination, ack, announce });
        Ok((key, frame))
    }

    /// Forgets a subscription and builds the UNSUBSCRIBE frame for it; `None` if there is nothing to tell.
    pub(super) fn remove(&mut self, key: SubscriptionId) -> Option<Frame> {
        let entry = self.entries.remove(&key)?;
        self.by_wire_id.remove(&entry.wire_id);
        entry.announce.then(|| Frame::new(Command::Unsubscribe).with_header("id", &entry.wire_id))
    }

    /// The subscription that a MESSAGE belongs to.
    pub(super) fn route(&self, version: Version, message: &Frame) -> Option<SubscriptionId> {
        if let Some(wire_id) = message.header("subscription") {
            return self.by_wire_id.get(&*wire_id).copied();
        }
        if version > Version::V1_0 {
            return None;
        }
        // Some 1.0 servers leave the id out even where one was given; the destination has to do.
        let destination = message.header("destination")?;
        self.entries.iter().filter(|(_, entry)| *entry.destination == *destination).map(|(key, _)| *key).min()
    }

    pub(super) fn ack_mode(&self, key: SubscriptionId) -> Option<AckMode> {
        self.entries.get(&key).map(|entry| entry.ack)
    }

    fn unused_wire_id(&self) -> Box<str> {
        let mut number = self.next;
        loop {
            let id = format!("sub-{number}");
            if !self.by_wire_id.contains_key(id.as_str()) {
                return id.into_boxed_str();
            }
            number += 1;
        }
    }
}
