//! Accepts connections and gives each a task.

use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Limits;
use stompede_transport::server::{AcceptConfig, accept_tcp, accept_ws};
use stompede_transport::ws::DEFAULT_MAX_MESSAGE;
use stompede_transport::{BoxTransport, TransportError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Limit;
use crate::broker::Shared;
use crate::connection::{self, stopped};
use crate::place::{Origin, Place, Taken};
use crate::refusal::Refusal;

/// How the byte stream of a listener becomes a transport.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Tcp,
    Ws(AcceptConfig),
}

/// Accepts until the broker stops, then waits for its connections to end. Dropping it ends them at once.
pub(crate) async fn run(
    listener: TcpListener,
    url: Arc<str>,
    kind: Kind,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let kind = match kind {
        Kind::Ws(config) => {
            let config = shared.settings.personality.accept(config);
            Kind::Ws(config.max_message(max_message(&shared.settings.limits.frames)))
        }
        Kind::Tcp => Kind::Tcp,
    };
    let for_connections = stop.clone();
    let mut stop = stop;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let taken = Place::take(&shared, Origin { url: url.clone(), peer: Some(peer) });
                    let accepting = accept(stream, kind.clone(), taken.wants_any_as_text());
                    connections.spawn(admit(taken, shared.clone(), accepting, for_connections.clone()));
                }
                // Out of file descriptors, most likely: those who leave make room.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = connections.join_next(), if !connections.is_empty() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves a connection, or tells it that there are too many.
pub(crate) async fn admit(
    taken: Taken,
    shared: Arc<Shared>,
    accepting: impl Future<Output = Result<BoxTransport, TransportError>>,
    mut stop: watch::Receiver<bool>,
) {
    let accepting = tokio::time::timeout(shared.settings.limits.connect_within, accepting);
    let accepting = async {
        match accepting.await {
            Ok(Ok(transport)) => Some(transport),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection was not accepted");
                None
            }
            Err(_) => {
                shared.hub.counters.hit(Limit::ConnectTime);
                tracing::debug!("a connection was not upgraded in time");
                None
            }
        }
    };
    if !matches!(taken, Taken::Place(_)) {
        shared.hub.counters.hit(Limit::Connections);
    }
    let (Taken::Place(place) | Taken::Spare(place)) = taken else { return };
    if place.faults.faults.refuse {
        return;
    }
    let transport = tokio::select! {
        transport = accepting => transport,
        () = stopped(&mut stop) => None,
    };
    let Some(transport) = transport else { return };
    if !place.is_spare() {
        return connection::serve(place, transport, stop).await;
    }
    let text = format!("{} connections are open already", shared.settings.limits.max_connections);
    connection::turn_away(place, transport, &Refusal::new("too many connections", text)).await;
}

async fn accept(stream: TcpStream, kind: Kind, any_as_text: bool) -> Result<BoxTransport, TransportError> {
    match kind {
        Kind::Tcp => accept_tcp(stream),
        Kind::Ws(config) if any_as_text => accept_ws(stream, &config.any_as_text(true)).await,
        Kind::Ws(config) => accept_ws(stream, &config).await,
    }
}

/// The longest WebSocket message: never less than the default, so that a frame beyond a small limit is read far enough
/// to be refused with an ERROR; and with room for the headers that a MESSAGE has besides those of its SEND.
fn max_message(frames: &Limits) -> usize {
    let largest = frames.max_head.saturating_add(frames.max_body).saturating_add(64 * 1024);
    largest.max(DEFAULT_MAX_MESSAGE)
}

/// After a failed accept, the next one would most likely fail at once as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
