//! Every transport of ours keeps the contract.
#![cfg(all(
    feature = "conformance",
    feature = "memory",
    feature = "server",
    feature = "stream",
    feature = "ws"
))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

#[path = "support/memory_port.rs"]
mod memory_port;

use std::time::Duration;

use memory_port::listening;
use socket2::SockRef;
use stompede_transport::conformance::{Peer, Suite, Verdict};
use stompede_transport::memory::Config;
use stompede_transport::server::{AcceptConfig, accept_tcp, accept_ws};
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, TransportError, WsConfig, WsMessageKind, from_io,
    from_stream_sink,
};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio_util::codec::{BytesCodec, Decoder as _};

/// Runs a suite to its end; all that it checks has to hold, and no more than these may be skipped.
async fn holds(suite: Suite<'_>, may_skip: &[&str]) {
    let report = suite.run().await;
    println!("{report}");
    assert!(report.passed(), "{report}");
    let skipped: Vec<&str> = report.skipped().map(|check| check.name).collect();
    assert_eq!(skipped, may_skip, "{report}");
    assert!(report.checks().iter().filter(|check| check.verdict == Verdict::Passed).count() >= 24);
}

const NO_MESSAGES: &[&str] = &["an_item_is_one_message"];

/// A peer that ends with a reset when it is told to.
fn resettable(
    stream: TcpStream,
    accept: impl FnOnce(TcpStream) -> Result<BoxTransport, TransportError>,
) -> Result<Peer, TransportError> {
    let handle = SockRef::from(&stream).try_clone()?;
    Ok(Peer::new(accept(stream)?).on_reset(move || handle.set_linger(Some(Duration::ZERO)).unwrap()))
}

async fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let accept = || async { resettable(listener.accept().await?.0, accept_tcp) };
    let connector = DefaultConnector::new();
    holds(Suite::new(&connector, endpoint, accept).half_close(), NO_MESSAGES).await;
}

#[tokio::test]
async fn tcp_on_one_thread() {
    tcp().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_on_several_threads() {
    // The suite is a future that can be sent.
    tokio::spawn(tcp()).await.unwrap();
}

async fn websocket(client: WsConfig, server: AcceptConfig, messages: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("ws://{}/ws", listener.local_addr().unwrap())).unwrap();
    let server = server.separate_messages(messages);
    let accept = || async {
        let stream = listener.accept().await?.0;
        let handle = SockRef::from(&stream).try_clone()?;
        let transport = accept_ws(stream, &server).await?;
        Ok(Peer::new(transport).on_reset(move || handle.set_linger(Some(Duration::ZERO)).unwrap()))
    };
    let connector = DefaultConnector::new().ws(client);
    let suite = Suite::new(&connector, endpoint, accept);
    // After a goodbye, a WebSocket receives nothing more.
    match messages {
        true => holds(suite.messages(), &["a_closed_side_still_receives"]).await,
        false => holds(suite, &["an_item_is_one_message", "a_closed_side_still_receives"]).await,
    }
}

#[tokio::test]
async fn websocket_by_default() {
    websocket(WsConfig::new(), AcceptConfig::new(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_on_several_threads() {
    websocket(WsConfig::new(), AcceptConfig::new(), true).await;
}

#[tokio::test]
async fn websocket_in_text_and_in_binary() {
    for kind in [WsMessageKind::Text, WsMessageKind::Binary] {
        let server = AcceptConfig::new().message_kind(kind);
        websocket(WsConfig::new().message_kind(kind), server, true).await;
    }
}

#[tokio::test]
async fn websocket_in_fragments_with_pings() {
    let client = WsConfig::new().split_fragments(1000).unwrap().ping_interval(Duration::from_millis(20));
    let server = AcceptConfig::new().ping_interval(Duration::from_millis(30));
    websocket(client, server, true).await;
}

#[tokio::test]
async fn websocket_in_several_messages_with_a_small_read_buffer() {
    let client = WsConfig::new().split_messages(1000).unwrap().read_buffer(0);
    websocket(client, AcceptConfig::new().read_buffer(1 << 20), false).await;
}

/// The accepting side of ours is a transport as well; here it is the one that is looked at.
#[tokio::test]
async fn the_servers_side_of_a_websocket() {
    let (dialled, port) = mpsc::channel::<DuplexStream>(16);
    let port = Mutex::new(port);
    let connector = move |_: Endpoint| {
        let dialled = dialled.clone();
        async move {
            let (near, far) = duplex(32 * 1024);
            dialled.send(far).await.unwrap();
            stompede_transport::server::accept_ws_over(near, &AcceptConfig::new()).await
        }
    };
    let accept = || async {
        let stream = port.lock().await.recv().await.unwrap();
        let endpoint = Endpoint::parse("ws://test/").unwrap();
        Ok(Peer::new(stompede_transport::ws::upgrade(stream, &endpoint, &WsConfig::new()).await?)
            .on_reset(|| {}))
    };
    let suite = Suite::new(&connector, Endpoint::parse("ws://test/").unwrap(), accept);
    holds(suite, &["an_item_is_one_message", "a_closed_side_still_receives"]).await;
}

#[tokio::test]
async fn any_byte_stream() {
    let (dialled, port) = mpsc::channel::<DuplexStream>(16);
    let port = Mutex::new(port);
    let connector = move |_: Endpoint| {
        let dialled = dialled.clone();
        async move {
            let (near, far) = duplex(10_000);
            dialled.send(far).await.unwrap();
            Ok(from_io(near))
        }
    };
    let accept = || async { Ok(Peer::new(from_io(port.lock().await.recv().await.unwrap()))) };
    let suite = Suite::new(&connector, Endpoint::parse("pipe:/test").unwrap(), accept).half_close();
    // The end of such a pipe is always an orderly one.
    let skipped = [
        "an_item_is_one_message",
        "an_abrupt_end_is_an_error",
        "a_failed_write_stays_failed",
        "what_has_arrived_is_read_after_a_failed_write",
    ];
    let report = suite.run().await;
    assert!(report.passed(), "{report}");
    assert!(report.skipped().all(|check| skipped.contains(&check.name)), "{report}");
}

#[tokio::test]
async fn any_stream_and_sink() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("framed://{}", listener.local_addr().unwrap())).unwrap();
    let connector = |endpoint: Endpoint| async move {
        let stream = TcpStream::connect(endpoint.authority()).await?;
        Ok(from_stream_sink(BytesCodec::new().framed(stream)))
    };
    let accept = || async { resettable(listener.accept().await?.0, accept_tcp) };
    holds(Suite::new(&connector, endpoint, accept).half_close(), NO_MESSAGES).await;
}

#[tokio::test]
async fn the_pair_in_memory() {
    for config in [
        Config::new(),
        Config::new().capacity(0),
        Config::new().capacity(10),
        Config::new().chunks([1, 5000]),
        Config::new().chunks([3, 1, 700, 20_000]).capacity(5000),
        Config::new().chunks([usize::MAX]).capacity(1 << 20),
    ] {
        println!("{config:?}");
        let (connector, port) = listening(config, |near| near);
        let suite = Suite::new(&connector, memory_port::endpoint(), || port.accept()).half_close();
        holds(suite, NO_MESSAGES).await;
    }
}

#[tokio::test]
async fn a_boxed_connector_and_transport() {
    let (connector, port) = listening(Config::new(), |near| Box::new(near) as BoxTransport);
    let connector: Box<dyn Connector> = Box::new(connector);
    let suite = Suite::new(&*connector, memory_port::endpoint(), || port.accept()).half_close();
    holds(suite, NO_MESSAGES).await;
}
