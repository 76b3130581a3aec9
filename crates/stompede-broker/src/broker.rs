use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stompede_transport::BoxTransport;
use stompede_transport::memory::{self, MemoryTransport};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::builder::Settings;
use crate::faults::FaultRoom;
use crate::hosts::Hosts;
use crate::hub::Hub;
use crate::listener::{self, Kind, admit};
use crate::place::{Origin, Place, Places};
use crate::router::Router;
use crate::{BrokerBuilder, BrokerError, BrokerStats, Events, Listen};

/// A running broker. Dropping it closes every connection at once; [`stop`](Self::stop) does so in order.
pub struct Broker {
    shared: Arc<Shared>,
    listens: Vec<Listening>,
    stop: watch::Sender<bool>,
    /// Listeners and in-memory connections. Dropped, they end.
    tasks: Mutex<JoinSet<()>>,
}

/// One of the places where it listens.
#[derive(Clone, Debug)]
struct Listening {
    url: Arc<str>,
    local: SocketAddr,
    kind: Kind,
}

/// One that is about to.
pub(crate) struct Bound {
    listener: TcpListener,
    listening: Listening,
}

/// What all connections of a broker share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) hosts: Hosts,
    pub(crate) hub: Arc<Hub>,
    pub(crate) places: Places,
    pub(crate) faults: FaultRoom,
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

    pub(crate) async fn start_with(settings: Settings, listeners: Vec<Listen>) -> Result<Self, BrokerError> {
        let hub = Arc::new(Hub::new());
        let limits = Arc::new(settings.limits.clone());
        let new = || Router::new(limits.clone(), hub.clone(), &settings.personality);
        let hosts = Hosts::new(&settings.hosts, new);
        let shared = Arc::new(Shared {
            settings,
            hosts,
            hub,
            places: Places::default(),
            faults: FaultRoom::default(),
        });
        let mut broker =
            Self { shared, listens: Vec::new(), stop: watch::Sender::new(false), tasks: Mutex::default() };
        for listen in listeners {
            let Listen { address, .. } = &listen;
            let bound = bind(address, |local| Listening {
                url: listen.url(local).into(),
                local,
                kind: listen.kind.clone(),
            });
            let bound = bound.await?;
            broker.listens.push(bound.listening.clone());
            broker.serve(bound);
        }
        Ok(broker)
    }

    /// Begins to accept.
    pub(crate) fn serve(&self, bound: Bound) {
        let Bound { listener, listening: Listening { url, kind, .. } } = bound;
        let task = listener::run(listener, url, kind, self.shared.clone(), self.stop.subscribe());
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Takes the addresses that it had before.
    pub(crate) async fn bind_again(&self) -> Result<Vec<Bound>, BrokerError> {
        let mut all = Vec::new();
        for listening in &self.listens {
            all.push(bind(&listening.local.to_string(), |_| listening.clone()).await?);
        }
        Ok(all)
    }

    pub(crate) fn tasks(&self) -> &Mutex<JoinSet<()>> {
        &self.tasks
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.stop.send_replace(down);
    }

    pub(crate) fn is_down(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where it listens, in the order in which it was told to.
    pub fn urls(&self) -> Vec<&str> {
        self.listens.iter().map(|listening| &*listening.url).collect()
    }

    /// Where it listens for TCP first, for example `tcp://127.0.0.1:40123`.
    pub fn tcp_url(&self) -> Option<&str> {
        self.urls().into_iter().find(|url| url.starts_with("tcp:"))
    }

    /// Where it listens for WebSocket first, for example `ws://127.0.0.1:40124/stomp`.
    pub fn ws_url(&self) -> Option<&str> {
        self.urls().into_iter().find(|url| url.starts_with("ws:"))
    }

    /// Where it listens for STOMP over TLS first, for example `tls://127.0.0.1:40125`.
    #[cfg(feature = "tls")]
    pub fn tls_url(&self) -> Option<&str> {
        self.urls().into_iter().find(|url| url.starts_with("tls:"))
    }

    /// Where it listens for WebSocket over TLS first, for example `wss://127.0.0.1:40126/stomp`.
    #[cfg(feature = "tls")]
    pub fn wss_url(&self) -> Option<&str> {
        self.urls().into_iter().find(|url| url.starts_with("wss:"))
    }

    /// Connects in memory; gives the client's end.
    pub fn connect(&self) -> MemoryTransport {
        let (client, ours) = memory::pair(MEMORY_CAPACITY);
        self.accept(Box::new(ours));
        client
    }

    /// Serves a connection that somebody else accepted.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn accept(&self, transport: BoxTransport) {
        let taken = Place::take(&self.shared, Origin { url: "memory:".into(), peer: None });
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended would otherwise pile up.
        while tasks.try_join_next().is_some() {}
        let accepting = std::future::ready(Ok(transport));
        tasks.spawn(admit(taken, self.shared.clone(), accepting, self.stop.subscribe()));
    }

    /// What it has done so far.
    pub fn stats(&self) -> BrokerStats {
        self.shared.hub.counters.read()
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        self.shared.hub.events()
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
            .field("urls", &self.urls())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

async fn bind(address: &str, listening: impl FnOnce(SocketAddr) -> Listening) -> Result<Bound, BrokerError> {
    let failed = |source| BrokerError::Listen { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let listening = listening(listener.local_addr().map_err(failed)?);
    Ok(Bound { listener, listening })
}

/// Bytes on their way in each direction of an in-memory connection: about what a socket's buffers hold.
const MEMORY_CAPACITY: usize = 64 * 1024;
