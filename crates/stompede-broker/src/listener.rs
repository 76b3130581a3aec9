//! Accepts connections and gives each a task.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stompede_transport::{BoxTransport, TransportError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::Shared;
use crate::connection::{self, stopped};
use crate::stats::count;

/// How the byte stream of a listener becomes a transport.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Tcp,
    Ws,
}

/// Accepts until the broker stops, then waits for its connections to end. Dropping it ends them at once.
pub(crate) async fn run(listener: TcpListener, kind: Kind, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let for_connections = stop.clone();
    let mut stop = stop;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(place) = Place::take(&shared) {
                        connections.spawn(serve(place, stream, kind, for_connections.clone()));
                    }
                }
                // Out of file descriptors, most likely: those who leave make room.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    let _ = connections.join_next().await;
                    tokio::task::yield_now().await;
                }
            },
            _ = connections.join_next(), if !connections.is_empty() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(place: Place, stream: TcpStream, kind: Kind, mut stop: watch::Receiver<bool>) {
    let accepting = tokio::time::timeout(place.0.limits.connect_within, accept(stream, kind));
    let transport = tokio::select! {
        accepted = accepting => accepted,
        () = stopped(&mut stop) => return,
    };
    match transport {
        Ok(Ok(transport)) => connection::serve(place.0.clone(), transport, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection was not accepted"),
        Err(_) => tracing::debug!("a connection was not upgraded in time"),
    }
}

async fn accept(stream: TcpStream, kind: Kind) -> Result<BoxTransport, TransportError> {
    match kind {
        Kind::Tcp => stompede_transport::server::accept_tcp(stream),
        Kind::Ws => {
            let config = stompede_transport::server::AcceptConfig::new();
            stompede_transport::server::accept_ws(stream, &config).await
        }
    }
}

/// One connection's place among those that may be there; given back when dropped.
pub(crate) struct Place(pub(crate) Arc<Shared>);

impl Place {
    /// `None` if there are too many connections already.
    pub(crate) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let place = Self(shared.clone());
        let before = shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        if before >= shared.limits.max_connections {
            count(&shared.counters.refused);
            return None;
        }
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
