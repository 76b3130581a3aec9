//! Transports of ours, driven as a session drives them.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, Outbound, TlsConfig, Transport, WsConfig,
};

use super::{BUFFER, CONNECT, Flood, frame, last};
use crate::session::Place;
use crate::session::cpu::{Sample, Stopwatch};

/// A connection on which CONNECTED has been received.
pub(super) async fn connect(place: Place, read_buffer: usize) -> BoxTransport {
    connect_by(&connector(read_buffer), place).await
}

/// A connector that trusts the server, whatever certificate it has.
pub(super) fn connector(read_buffer: usize) -> DefaultConnector {
    let tls = TlsConfig::new().dangerous().accept_any_certificate();
    DefaultConnector::new().tls(tls).ws(WsConfig::new().read_buffer(read_buffer))
}

/// The same by a connector.
pub(super) async fn connect_by(connector: &DefaultConnector, place: Place) -> BoxTransport {
    let endpoint = Endpoint::parse(&place.url()).expect("the URL of a server");
    let mut transport = connector.connect(endpoint).await.expect("the server listens");
    say(&mut transport, CONNECT).await;
    expect(&mut transport, b"CONNECTED").await;
    transport
}

async fn say(transport: &mut BoxTransport, frame: impl Into<Bytes>) {
    feed(transport, frame.into()).await;
    flush(transport).await;
}

async fn feed(transport: &mut BoxTransport, frame: Bytes) {
    poll_fn(|cx| transport.poll_ready(cx)).await.expect("the server reads");
    transport.start_send(Outbound::whole(frame)).expect("there is room");
}

async fn flush(transport: &mut BoxTransport) {
    poll_fn(|cx| transport.poll_flush(cx)).await.expect("the server reads");
}

async fn chunk(transport: &mut BoxTransport) -> Bytes {
    let received = poll_fn(|cx| transport.poll_recv(cx)).await;
    received.expect("the server writes").expect("in order")
}

async fn expect(transport: &mut BoxTransport, command: &[u8]) {
    let answer = chunk(transport).await;
    assert!(answer.starts_with(command) && answer.ends_with(b"\0"), "{answer:?}");
}

/// Asks for messages and takes all of them.
pub(super) async fn take(transport: &mut BoxTransport, flood: Flood) {
    say(transport, flood.subscribe()).await;
    let mut octets = 0;
    while octets < flood.octets {
        octets += chunk(transport).await.len();
    }
    assert_eq!(octets, flood.octets);
}

/// Reads until all has come.
pub(super) async fn receive(place: Place, flood: Flood, read_buffer: usize) -> Sample {
    let mut transport = connect(place, read_buffer).await;
    let stopwatch = Stopwatch::start();
    take(&mut transport, flood).await;
    stopwatch.stop(flood.messages)
}

/// Sends from a queue that `queue` frames are put into whenever it is empty, and flushes whenever it is.
pub(super) async fn send(place: Place, messages: usize, queue: usize) -> Sample {
    let mut transport = connect(place, BUFFER).await;
    let (one, last) = (frame(), last(messages));
    let stopwatch = Stopwatch::start();
    let mut left = messages;
    while left > 0 {
        let batch = left.min(queue);
        for _ in 0..batch {
            feed(&mut transport, one.clone()).await;
        }
        flush(&mut transport).await;
        left -= batch;
    }
    say(&mut transport, last).await;
    expect(&mut transport, b"RECEIPT").await;
    stopwatch.stop(messages)
}

/// Asks once; nothing comes.
pub(super) async fn expect_silence(transport: &mut BoxTransport) {
    poll_fn(|cx| {
        assert!(transport.poll_recv(cx).is_pending(), "nobody has asked for more");
        Poll::Ready(())
    })
    .await;
}
