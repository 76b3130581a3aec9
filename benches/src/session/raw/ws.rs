//! tokio-tungstenite as it is.

use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::super::{ECHO, Flooding, Place, WINDOW, echo, record};
use super::{CONNECT, last, send, subscribe};
use crate::harness;
use crate::session::cpu::{Sample, Stopwatch};

async fn connect(place: Place) -> WebSocketStream<TcpStream> {
    let socket = TcpStream::connect(place.address()).await.expect("the server listens");
    socket.set_nodelay(true).expect("an open socket");
    let (mut ws, _) = client_async(place.url(), socket).await.expect("the server upgrades");
    ws.send(Message::text(CONNECT)).await.expect("the server reads");
    expect(&mut ws, b"CONNECTED").await;
    ws
}

/// Takes one message, which must begin so.
pub(crate) async fn expect(ws: &mut WebSocketStream<TcpStream>, command: &[u8]) {
    let answer = ws.next().await.expect("the server answers").expect("it answers in order");
    assert!(answer.clone().into_data().starts_with(command), "{answer:?}");
}

fn message(frame: Vec<u8>) -> Message {
    match String::from_utf8(frame) {
        Ok(text) => Message::text(text),
        Err(error) => Message::binary(error.into_bytes()),
    }
}

/// Receives messages and counts them.
pub(in crate::session) async fn consume(place: Place, flooding: Flooding) -> Sample {
    let mut ws = connect(place).await;
    let stopwatch = Stopwatch::start();
    ws.send(Message::text(subscribe(&flooding.headers()))).await.expect("the server reads");
    let mut octets = 0;
    for _ in 0..flooding.messages {
        octets += ws.next().await.expect("messages come").expect("in order").len();
    }
    let sample = stopwatch.stop(flooding.messages);
    assert!(octets > flooding.messages * flooding.body, "{octets} octets");
    sample
}

/// Feeds messages and flushes once, at the end.
pub(in crate::session) async fn publish(place: Place, messages: usize, body: Bytes) -> Sample {
    let mut ws = connect(place).await;
    let (one, last) = (message(send(super::BENCH, "", &body)), message(last(messages)));
    feed_all(&mut ws, messages, one, last).await
}

/// Feeds as many of one message and then the last one, which is flushed and answered.
pub(crate) async fn feed_all(
    ws: &mut WebSocketStream<TcpStream>,
    messages: usize,
    one: Message,
    last: Message,
) -> Sample {
    let stopwatch = Stopwatch::start();
    for _ in 0..messages {
        ws.feed(one.clone()).await.expect("the server reads");
    }
    ws.send(last).await.expect("the server reads");
    expect(ws, b"RECEIPT").await;
    stopwatch.stop(messages)
}

/// Sends messages that ask for receipts, as many at a time as the window has room for.
pub(in crate::session) async fn confirm(place: Place, messages: usize, body: Bytes) -> Sample {
    let mut ws = connect(place).await;
    let one = message(send(super::BENCH, "receipt:r-1234-5\n", &body));
    let (mut sent, mut confirmed, mut unflushed) = (0, 0, false);
    let stopwatch = Stopwatch::start();
    std::future::poll_fn(|cx| {
        loop {
            let before = (sent, confirmed);
            while let Poll::Ready(receipt) = ws.poll_next_unpin(cx) {
                receipt.expect("receipts come").expect("in order");
                confirmed += 1;
            }
            while sent < messages && sent - confirmed < WINDOW {
                match ws.poll_ready_unpin(cx) {
                    Poll::Ready(ready) => ready.expect("the server reads"),
                    Poll::Pending => break,
                }
                ws.start_send_unpin(one.clone()).expect("the server reads");
                (sent, unflushed) = (sent + 1, true);
            }
            if unflushed && let Poll::Ready(flushed) = ws.poll_flush_unpin(cx) {
                flushed.expect("the server reads");
                unflushed = false;
            }
            if confirmed == messages {
                return Poll::Ready(());
            }
            if before == (sent, confirmed) {
                return Poll::Pending;
            }
        }
    })
    .await;
    stopwatch.stop(messages)
}

/// Sends one message after the other, each once that before has come back.
pub(in crate::session) async fn round_trips(place: Place, messages: usize, body: Bytes) -> Histogram<u64> {
    let mut ws = connect(place).await;
    ws.send(Message::text(subscribe(&[]))).await.expect("the server reads");
    let one = message(send(ECHO, "", &body));
    let mut times = echo::histogram();
    for _ in 0..messages {
        let started = harness::now();
        ws.send(one.clone()).await.expect("the server reads");
        ws.next().await.expect("it comes back").expect("in order");
        record(&mut times, started);
    }
    times
}
