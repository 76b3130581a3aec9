use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stompede_transport::BoxTransport;
use stompede_transport::memory::{self, MemoryTransport};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::listener::{Kind, Place};
use crate::requests::Logins;
use crate::router::Router;
use crate::stats::Counters;
use crate::{BrokerBuilder, BrokerError, BrokerLimits, BrokerStats, connection, listener};

/// A running broker. Dropping it closes every connection at once; [`stop`](Self::stop) does so in order.
pub struct Broker {
    shared: Arc<Shared>,
    tcp_url: Option<String>,
    ws_url: Option<String>,
    stop: watch::Sender<bool>,
    /// Listeners and in-memory connections. Dropped, they end.
    tasks: Mutex<JoinSet<()>>,
}

/// What all connections of a broker share.
pub(crate) struct Shared {
    pub(crate) router: Arc<Mutex<Router>>,
    pub(crate) limits: Arc<BrokerLimits>,
    pub(crate) logins: Logins,
    pub(crate) counters: Arc<Counters>,
    sessions: AtomicU64,
}

impl Shared {
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }
}

impl Broker {
    /// Starts a broker with the default settings: WebSocket and TCP on free ports of 127.0.0.1, anybody let in.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] if there is no free port.
    pub async fn start() -> Result<Self, BrokerError> {
        Self::builder().start().await
    }

    /// Starts the settings of a broker.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    pub(crate) async fn listen(settings: BrokerBuilder) -> Result<Self, BrokerError> {
        let BrokerBuilder { tcp, ws, logins, limits } = settings;
        let (limits, counters) = (Arc::new(limits), Arc::<Counters>::default());
        let router = Arc::new(Mutex::new(Router::new(limits.clone(), counters.clone())));
        let shared = Arc::new(Shared { router, limits, logins, counters, sessions: AtomicU64::new(1) });
        let mut broker = Self {
            shared,
            tcp_url: None,
            ws_url: None,
            stop: watch::Sender::new(false),
            tasks: Mutex::default(),
        };
        if let Some(address) = tcp {
            broker.tcp_url = Some(format!("tcp://{}", broker.listen_on(address, Kind::Tcp).await?));
        }
        if let Some(address) = ws {
            broker.ws_url = Some(format!("ws://{}/stomp", broker.listen_on(address, Kind::Ws).await?));
        }
        Ok(broker)
    }

    async fn listen_on(&mut self, address: String, kind: Kind) -> Result<std::net::SocketAddr, BrokerError> {
        let failed = |source| BrokerError::Listen { address: address.clone(), source };
        let listener = TcpListener::bind(&address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let task = listener::run(listener, kind, self.shared.clone(), self.stop.subscribe());
        self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).spawn(task);
        Ok(local)
    }

    /// Where it listens for TCP, for example `tcp://127.0.0.1:40123`.
    pub fn tcp_url(&self) -> Option<&str> {
        self.tcp_url.as_deref()
    }

    /// Where it listens for WebSocket, for example `ws://127.0.0.1:40124/stomp`.
    pub fn ws_url(&self) -> Option<&str> {
        self.ws_url.as_deref()
    }

    /// Connects in memory; gives the client's end.
    pub fn connect(&self) -> MemoryTransport {
        let (client, ours) = memory::pair(MEMORY_CAPACITY);
        self.accept(Box::new(ours));
        client
    }

    /// Serves a connection that somebody else accepted. If there are too many connections it is closed without a word.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn accept(&self, transport: BoxTransport) {
        let Some(place) = Place::take(&self.shared) else { return };
        let stop = self.stop.subscribe();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended would otherwise pile up.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move { connection::serve(place.0.clone(), transport, stop).await });
    }

    /// What it has done so far.
    pub fn stats(&self) -> BrokerStats {
        self.shared.counters.read()
    }

    /// Stops: nobody is let in any more, every connection is closed in order, every task ends.
    ///
    /// A client that does not close its side is cut off after a second.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the remaining connections are closed at once.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("tcp_url", &self.tcp_url)
            .field("ws_url", &self.ws_url)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Bytes on their way in each direction of an in-memory connection: about what a socket's buffers hold.
const MEMORY_CAPACITY: usize = 64 * 1024;
