use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a broker has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Connections that are open now, those that have not sent CONNECT yet included.
    pub connections: usize,
    /// Connections that were turned away because there were too many.
    pub refused: u64,
    /// SEND frames that were accepted.
    pub received: u64,
    /// MESSAGE frames that were handed to subscribers, redeliveries included.
    pub delivered: u64,
    /// Replies to clients that had gone.
    pub dropped: u64,
    /// ERROR frames that were sent.
    pub errors: u64,
}

/// The same, being counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) refused: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) errors: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> BrokerStats {
        BrokerStats {
            connections: self.connections.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
