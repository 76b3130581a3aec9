//! Every connection has a place, and there are so many and no more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use stompede_codec::Version;
use tokio::time::Instant;

use crate::broker::Shared;
use crate::clock;
use crate::event::BrokerEvent;
use crate::faults::InForce;
use crate::heartbeat::Agreed;
use crate::outbox::Outbox;

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry>,
    /// What its connection begins with.
    pub(crate) faults: InForce,
    /// TLS, upgrade and CONNECT together have their time from here on.
    pub(crate) accepted: Instant,
    is_spare: bool,
}

/// What is known of a connection from outside of its task.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// The URL it came to.
    pub(crate) url: Arc<str>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) greeted: OnceLock<Greeted>,
    /// It is to be dropped as it is.
    pub(crate) cut: AtomicBool,
}

/// What CONNECT came to.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) version: Version,
    pub(crate) login: Option<Box<str>>,
    pub(crate) host: Arc<str>,
    pub(crate) beats: Agreed,
}

/// All connections.
#[derive(Debug, Default)]
pub(crate) struct Places {
    last: AtomicU64,
    /// Those that are being told that there are too many.
    spare: AtomicUsize,
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

/// Where a connection came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) url: Arc<str>,
    pub(crate) peer: Option<SocketAddr>,
}

/// What there was for a new connection.
pub(crate) enum Taken {
    Place(Place),
    /// There are too many, but it can be told so.
    Spare(Place),
    None,
}

impl Taken {
    /// Whether its connection sends everything as text.
    pub(crate) fn wants_any_as_text(&self) -> bool {
        matches!(self, Self::Place(place) if place.faults.faults.any_as_text)
    }
}

impl Place {
    pub(crate) fn take(shared: &Arc<Shared>, origin: Origin) -> Taken {
        let before = shared.hub.counters.connections.fetch_add(1, Ordering::Relaxed);
        if before < shared.settings.limits.max_connections {
            return Taken::Place(Self::new(shared, origin, false));
        }
        shared.hub.counters.connections.fetch_sub(1, Ordering::Relaxed);
        if shared.places.spare.fetch_add(1, Ordering::Relaxed) < SPARE {
            return Taken::Spare(Self::new(shared, origin, true));
        }
        shared.places.spare.fetch_sub(1, Ordering::Relaxed);
        Taken::None
    }

    fn new(shared: &Arc<Shared>, origin: Origin, is_spare: bool) -> Self {
        let Origin { url, peer } = origin;
        let id = shared.places.last.fetch_add(1, Ordering::Relaxed) + 1;
        let outbox = Arc::new(Outbox::new(shared.settings.personality.frames));
        let (greeted, cut) = (OnceLock::new(), AtomicBool::new(false));
        let entry = Arc::new(Entry { id, url, peer, outbox, greeted, cut });
        shared.places.lock().insert(id, entry.clone());
        let faults = shared.faults.for_new();
        Self { shared: shared.clone(), entry, faults, accepted: clock::now(), is_spare }
    }

    /// Until when CONNECT must have come; never, if that is later than the clock can tell.
    pub(crate) fn connect_due(&self) -> Option<Instant> {
        self.accepted.checked_add(self.shared.settings.limits.connect_within)
    }

    pub(crate) fn is_spare(&self) -> bool {
        self.is_spare
    }

    /// Notes what CONNECT came to.
    pub(crate) fn greet(&self, greeted: Greeted) {
        let (connection, version) = (self.entry.id, greeted.version);
        let login = greeted.login.as_deref().map(String::from);
        // A connection is greeted once.
        let _ = self.entry.greeted.set(greeted);
        self.shared.hub.tell(|| BrokerEvent::Connected { connection, login, version });
    }
}

impl Entry {
    pub(crate) fn is_ws(&self) -> bool {
        self.url.starts_with("ws")
    }
}

impl Places {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self { shared, entry, is_spare, .. } = self;
        shared.places.lock().remove(&entry.id);
        let places = if *is_spare { &shared.places.spare } else { &shared.hub.counters.connections };
        places.fetch_sub(1, Ordering::Relaxed);
        shared.hub.tell(|| BrokerEvent::Disconnected { connection: entry.id });
    }
}

/// Connections at the same time that are told that there are too many. Each costs a task and a socket until it has read
/// that, which a flood must not make many of.
const SPARE: usize = 64;
