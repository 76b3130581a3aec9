//! Who receives.

use std::collections::VecDeque;
use std::sync::Arc;

use stompede_codec::Version;

use super::settle::Unsettled;
use crate::outbox::Outbox;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ConnectionId(pub(super) u64);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct SubscriberId(pub(super) u64);

/// The ack mode of a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ack {
    Auto,
    Client,
    ClientIndividual,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) version: Version,
    pub(super) outbox: Arc<Outbox>,
    /// What was delivered and has to be settled, in the order of delivery.
    pub(super) unsettled: VecDeque<Unsettled>,
    last_ack: u64,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: ConnectionId,
    /// The `id` header; STOMP 1.0 may leave it out.
    pub(super) wire_id: Option<Box<str>>,
    pub(super) destination: Arc<str>,
    pub(super) ack: Ack,
    /// How many messages it may have unsettled.
    pub(super) prefetch: usize,
    /// How many it has.
    pub(super) held: usize,
}

impl Connection {
    pub(super) fn new(version: Version, outbox: Arc<Outbox>) -> Self {
        Self { version, outbox, unsettled: VecDeque::new(), last_ack: 0 }
    }

    pub(super) fn next_ack(&mut self) -> u64 {
        self.last_ack += 1;
        self.last_ack
    }
}

impl Subscriber {
    /// Whether this is the subscription of that id, or without an id of that destination.
    pub(super) fn is(&self, wire_id: Option<&str>, destination: &str) -> bool {
        match wire_id {
            Some(_) => self.wire_id.as_deref() == wire_id,
            None => self.wire_id.is_none() && *self.destination == *destination,
        }
    }
}
