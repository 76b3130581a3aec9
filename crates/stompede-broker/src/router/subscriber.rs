//! Who receives.

use std::collections::HashMap;
use std::sync::Arc;

use stompede_codec::Version;

use super::destination::Destination;
use super::ledger::Ledger;
use crate::outbox::Outbox;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Later ones are larger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
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
    pub(super) subscriptions: HashMap<Name, SubscriberId>,
    /// Those that could not take the next message of their queue, until there is room again.
    pub(super) parked: Vec<SubscriberId>,
    pub(super) ledger: Ledger,
    /// Its queues for replies, which go with it.
    pub(super) reply_queues: Vec<Arc<str>>,
}

/// What a client calls its subscription: by id or, in STOMP 1.0, by its destination.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Name {
    Id(Arc<str>),
    Destination(Arc<str>),
    /// A subscription that the broker made for replies, as RabbitMQ does: `/temp-queue/NAME`.
    Implied(Arc<str>),
    /// One whose id another has taken since. It can only end with its connection.
    Eclipsed(SubscriberId),
}

/// What SUBSCRIBE asks for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) name: Name,
    pub(crate) destination: Destination,
    pub(crate) ack: Ack,
    /// How many messages it may have unsettled.
    pub(crate) prefetch: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) connection: ConnectionId,
    pub(super) name: Name,
    pub(super) destination: Destination,
    pub(super) ack: Ack,
    pub(super) prefetch: usize,
    /// It is in its connection's `parked` and not in turn at its queue.
    pub(super) parked: bool,
}

impl Ack {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Client => "client",
            Self::ClientIndividual => "client-individual",
        }
    }
}

impl Connection {
    pub(super) fn new(version: Version, outbox: Arc<Outbox>) -> Self {
        let ledger = Ledger::new(version);
        let subscriptions = HashMap::new();
        Self { version, outbox, subscriptions, parked: Vec::new(), ledger, reply_queues: Vec::new() }
    }
}

impl Name {
    /// What the `subscription` header of a MESSAGE says.
    pub(super) fn id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Id(id) | Self::Implied(id) => Some(id),
            Self::Destination(_) | Self::Eclipsed(_) => None,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Destination(text) | Self::Implied(text) => text,
            // A subscriber is never called so, only listed.
            Self::Eclipsed(_) => "",
        }
    }
}
