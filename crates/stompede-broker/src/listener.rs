//! Accepts connections and gives each a task.

use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Limits;
use stompede_transport::server::{AcceptConfig, accept_tcp, accept_ws};
#[cfg(feature = "tls")]
use stompede_transport::server::{TlsAcceptConfig, accept_tls, accept_wss};
use stompede_transport::ws::DEFAULT_MAX_MESSAGE;
use stompede_transport::{BoxTransport, TransportError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

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
    #[cfg(feature = "tls")]
    Tls(TlsAcceptConfig),
    #[cfg(feature = "tls")]
    Wss(AcceptConfig, TlsAcceptConfig),
}

impl Kind {
    /// Changes how it speaks WebSocket, if it does.
    pub(crate) fn map_ws(self, change: impl FnOnce(AcceptConfig) -> AcceptConfig) -> Self {
        match self {
            Self::Ws(config) => Self::Ws(change(config)),
            Self::Tcp => self,
            #[cfg(feature = "tls")]
            Self::Wss(config, tls) => Self::Wss(change(config), tls),
            #[cfg(feature = "tls")]
            Self::Tls(_) => self,
        }
    }
}

/// Accepts until the broker stops, then waits for its connections to end. Dropping it ends them at once.
pub(crate) async fn run(
    listener: TcpListener,
    url: Arc<str>,
    kind: Kind,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let longest = max_message(&shared.settings.limits.frames);
    let kind = kind.map_ws(|config| shared.settings.personality.accept(config).max_message(longest));
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
    if !matches!(taken, Taken::Place(_)) {
        shared.hub.counters.hit(Limit::Connections);
    }
    let (Taken::Place(place) | Taken::Spare(place)) = taken else { return };
    if place.faults.faults.refuse {
        return;
    }
    let transport = tokio::select! {
        transport = in_time(&place, accepting) => transport,
        () = stopped(&mut stop) => None,
    };
    let Some(transport) = transport else { return };
    if !place.is_spare() {
        return connection::serve(place, transport, stop).await;
    }
    let text = format!("{} connections are open already", shared.settings.limits.max_connections);
    connection::turn_away(place, transport, &Refusal::new("too many connections", text)).await;
}

/// Waits for TLS and the upgrade, whose time is also that of the CONNECT behind it.
async fn in_time(
    place: &Place,
    accepting: impl Future<Output = Result<BoxTransport, TransportError>>,
) -> Option<BoxTransport> {
    let outcome = match place.connect_due() {
        Some(due) => timeout_at(due, accepting).await,
        None => Ok(accepting.await),
    };
    match outcome {
        Ok(Ok(transport)) => Some(transport),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection was not accepted");
            None
        }
        Err(_) => {
            place.shared.hub.counters.hit(Limit::ConnectTime);
            tracing::debug!("a connection was not accepted in time");
            None
        }
    }
}

/// Makes a transport of a connection; `any_as_text` is for WebSocket.
pub(crate) async fn accept(
    stream: TcpStream,
    kind: Kind,
    any_as_text: bool,
) -> Result<BoxTransport, TransportError> {
    let kind = if any_as_text { kind.map_ws(|config| config.any_as_text(true)) } else { kind };
    match kind {
        Kind::Tcp => accept_tcp(stream),
        Kind::Ws(config) => accept_ws(stream, &config).await,
        #[cfg(feature = "tls")]
        Kind::Tls(tls) => accept_tls(stream, &tls).await,
        #[cfg(feature = "tls")]
        Kind::Wss(config, tls) => accept_wss(stream, &tls, &config).await,
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

#[cfg(test)]
mod tests {
    use stompede_transport::server::accept_ws_over;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::{Broker, BrokerLimits, clock};

    const SECOND: Duration = Duration::from_secs(1);

    /// One that lets in so many, and gives each 10 s until CONNECT.
    async fn broker(max_connections: usize) -> Broker {
        let limits = BrokerLimits { max_connections, connect_within: 10 * SECOND, ..BrokerLimits::default() };
        let builder = Broker::builder().without_tcp().without_ws().limits(limits);
        builder.start().await.expect("started")
    }

    /// A connection over WebSocket in virtual time: the client's end, and its task.
    fn dial(broker: &Broker) -> (DuplexStream, JoinHandle<()>) {
        let (client, ours) = duplex(64 * 1024);
        let shared = broker.shared().clone();
        let taken = Place::take(&shared, Origin { url: "ws://memory".into(), peer: None });
        let (stop, stopped) = watch::channel(false);
        let task = async move {
            let config = AcceptConfig::new();
            let accepting = async { Ok(Box::new(accept_ws_over(ours, &config).await?) as BoxTransport) };
            admit(taken, shared, accepting, stopped).await;
            drop(stop);
        };
        (client, tokio::spawn(task))
    }

    async fn upgrade(client: &mut DuplexStream) {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).await.expect("the broker reads");
    }

    /// All that comes until the end, and how long after `since` that is.
    async fn end_of(client: &mut DuplexStream, since: Instant) -> (String, Duration) {
        let mut wire = Vec::new();
        client.read_to_end(&mut wire).await.expect("an orderly end");
        (String::from_utf8_lossy(&wire).into_owned(), clock::now() - since)
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_upgrade_leaves_connect_only_the_rest_of_the_time() {
        let broker = broker(1).await;
        let accepted = clock::now();
        let (mut client, task) = dial(&broker);
        sleep(7 * SECOND).await;
        upgrade(&mut client).await;
        let mut wire = String::new();
        while !wire.contains("no CONNECT within 10s") {
            wire.push(char::from(client.read_u8().await.expect("more")));
        }
        assert_eq!((clock::now() - accepted).as_secs(), 10, "since it was accepted: {wire}");
        task.await.expect("it ends");
        assert_eq!(broker.stats().hits(Limit::ConnectTime), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upgrade_that_never_comes_ends_in_time_also_for_who_is_one_too_many() {
        let broker = broker(0).await;
        let accepted = clock::now();
        let (mut dawdler, task) = dial(&broker);
        assert_eq!(end_of(&mut dawdler, accepted).await, (String::new(), 10 * SECOND));
        task.await.expect("it ends");
        assert_eq!(broker.stats().hits(Limit::ConnectTime), 1);
        // One that hurries is told why.
        let accepted = clock::now();
        let (mut client, task) = dial(&broker);
        upgrade(&mut client).await;
        let (wire, after) = end_of(&mut client, accepted).await;
        assert!(wire.contains("message:too many connections\n") && after <= SECOND, "{after:?} {wire}");
        task.await.expect("it ends");
        assert!(broker.shared().places.lock().is_empty());
    }
}
