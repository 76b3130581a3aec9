use std::array;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::refusal::Refusal;

/// What a broker has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Connections that are open now, those that have not sent CONNECT yet included.
    pub connections: usize,
    /// Subscriptions that are open now.
    pub subscriptions: usize,
    /// Bytes that messages take now: in queues, not settled yet, in open transactions.
    pub stored_bytes: usize,
    /// SEND frames that were accepted.
    pub received: u64,
    /// MESSAGE frames that were handed to subscribers, redeliveries included.
    pub delivered: u64,
    /// Replies to clients that had gone.
    pub dropped: u64,
    /// ERROR frames that were sent.
    pub errors: u64,
    hits: [u64; Limit::ALL.len()],
}

/// What a client can run into. Each has its counter and, where its client is ended for it, its ERROR.
///
/// How far a client may go, [`BrokerLimits`](crate::BrokerLimits) say; who may log in, and how often heart-beats are due,
/// the builder's own settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Limit {
    /// Connections at the same time.
    Connections,
    /// Time until CONNECT.
    ConnectTime,
    /// Login, passcode or virtual host.
    Login,
    /// Octets or headers of a frame.
    FrameSize,
    /// Subscriptions of a connection.
    Subscriptions,
    /// Queues, topics and words of patterns in use.
    Destinations,
    /// Messages or bytes in a queue.
    QueueDepth,
    /// What all messages take together.
    Storage,
    /// Messages that were not acknowledged. A topic ends its subscriber; a queue makes it wait, counted once each time.
    Unsettled,
    /// Frames or bytes in open transactions.
    Transactions,
    /// What a client does not read.
    SlowConsumer,
    /// Silence of a client that had promised heart-beats.
    HeartBeat,
}

impl Limit {
    const ALL: [Self; 12] = [
        Self::Connections,
        Self::ConnectTime,
        Self::Login,
        Self::FrameSize,
        Self::Subscriptions,
        Self::Destinations,
        Self::QueueDepth,
        Self::Storage,
        Self::Unsettled,
        Self::Transactions,
        Self::SlowConsumer,
        Self::HeartBeat,
    ];
}

impl BrokerStats {
    /// How often a client ran into this limit.
    pub fn hits(&self, limit: Limit) -> u64 {
        // The enum has as many values as the array.
        self.hits.get(limit as usize).copied().unwrap_or(0)
    }
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) subscriptions: AtomicUsize,
    pub(crate) stored_bytes: AtomicUsize,
    pub(crate) received: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    errors: AtomicU64,
    hits: [AtomicU64; Limit::ALL.len()],
}

impl Counters {
    pub(crate) fn read(&self) -> BrokerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerStats {
            connections: self.connections.load(Ordering::Relaxed),
            subscriptions: self.subscriptions.load(Ordering::Relaxed),
            stored_bytes: self.stored_bytes.load(Ordering::Relaxed),
            received: read(&self.received),
            delivered: read(&self.delivered),
            dropped: read(&self.dropped),
            errors: read(&self.errors),
            hits: array::from_fn(|at| read(&self.hits[at])),
        }
    }

    /// An ERROR goes out.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        count(&self.errors);
        if let Some(limit) = refusal.limit {
            self.hit(limit);
        }
    }

    pub(crate) fn hit(&self, limit: Limit) {
        self.hits.get(limit as usize).into_iter().for_each(count);
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
