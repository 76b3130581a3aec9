//! What everybody in a broker tells: counters, events, and that something has changed.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use tokio::sync::{Notify, broadcast};

use crate::event::{BrokerEvent, Events};
use crate::refusal::Refusal;
use crate::stats::Counters;

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) counters: Counters,
    events: broadcast::Sender<BrokerEvent>,
    changed: Notify,
    /// Those that wait for a change; mostly nobody, and then a message costs nothing more.
    watchers: AtomicUsize,
}

/// Somebody who waits for changes.
pub(crate) struct Watcher<'a>(&'a Hub);

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENTS),
            changed: Notify::new(),
            watchers: AtomicUsize::new(0),
        }
    }

    /// Something has happened. The event is made only if somebody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> BrokerEvent) {
        if self.events.receiver_count() > 0 {
            // Whoever listened may have gone in the meantime.
            let _ = self.events.send(event());
        }
        // Who watches counts itself and then looks; here it has happened, and then they are counted. With the fences in
        // between, at least one of both sees the other.
        fence(Ordering::SeqCst);
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    /// An ERROR goes out to this connection.
    pub(crate) fn refused(&self, connection: u64, refusal: &Refusal) {
        self.counters.refused(refusal);
        self.tell(|| BrokerEvent::Refused { connection, message: refusal.message.to_owned() });
    }

    pub(crate) fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    pub(crate) fn watch(&self) -> Watcher<'_> {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Watcher(self)
    }
}

impl Watcher<'_> {
    /// Waits until this is so; looks again after each change.
    pub(crate) async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Events that wait for a listener: what a test makes happen between two looks.
const EVENTS: usize = 1024;
