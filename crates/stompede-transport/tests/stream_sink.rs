//! Any stream and sink of bytes keeps the transport's contract.
#![cfg(feature = "stream")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use stompede_transport::{Outbound, Transport, TransportErrorKind as Kind, from_stream_sink};
use support::*;

/// Yields what it was given, and keeps what it gets.
#[derive(Default)]
struct Script {
    incoming: VecDeque<io::Result<&'static [u8]>>,
    sent: Vec<Bytes>,
    flushes: usize,
    fails: bool,
    over: bool,
}

impl Stream for Script {
    type Item = io::Result<&'static [u8]>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        assert!(!self.over, "asked again after its end");
        let item = self.incoming.pop_front();
        self.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl Sink<Bytes> for Script {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(!self.fails || self.sent.len() < 2, "asked again after its failure");
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: Bytes) -> io::Result<()> {
        self.sent.push(item);
        if self.fails && self.sent.len() == 2 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_flush(self, cx)
    }
}

fn script(incoming: impl IntoIterator<Item = io::Result<&'static [u8]>>) -> Script {
    Script { incoming: incoming.into_iter().collect(), ..Script::default() }
}

#[tokio::test]
async fn empty_items_are_passed_over_and_the_end_stays_the_end() {
    let items: [&[u8]; 5] = [b"", b"MESSAGE", b"", b"", b"\n\n\0"];
    let mut transport = from_stream_sink(script(items.map(Ok)));
    assert_eq!(recv_to_end(&mut transport).await, (Bytes::from_static(b"MESSAGE\n\n\0"), Ok(())));
    let reset = [Ok(&b"x"[..]), Err(io::ErrorKind::ConnectionReset.into())];
    let mut transport = from_stream_sink(script(reset));
    assert_eq!(recv_to_end(&mut transport).await, (Bytes::from_static(b"x"), Err(Kind::Lost)));
}

#[tokio::test]
async fn nothing_but_empty_items_lets_others_have_their_turn() {
    let mut transport = from_stream_sink(script((0..1000).map(|_| Ok(&b""[..]))));
    assert!(transport.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(recv_to_end(&mut transport).await, (Bytes::new(), Ok(())));
}

#[tokio::test]
async fn an_item_is_an_item_and_one_flush_is_one() {
    let mut transport = from_stream_sink(script([]));
    let body = Bytes::from_static(b"body");
    feed(&mut transport, Outbound::split(Bytes::from_static(b"SEND\n\n"), body)).await.unwrap();
    feed(&mut transport, Outbound::heart_beat()).await.unwrap();
    flush(&mut transport).await.unwrap();
    assert_eq!(transport.get_ref().sent, ["SEND\n\nbody\0", "\n"]);
    assert_eq!(transport.get_ref().flushes, 1);
    close(&mut transport).await.unwrap();
    close(&mut transport).await.unwrap();
    flush(&mut transport).await.unwrap();
    assert_eq!(transport.get_ref().flushes, 2);
    assert_eq!(kind(&ready(&mut transport).await.unwrap_err()), Kind::Lost);
    assert!(transport.start_send(whole("x")).is_err());
}

#[tokio::test]
async fn a_sink_that_failed_is_not_asked_again_and_can_still_be_read() {
    let mut transport = from_stream_sink(Script { fails: true, ..script([Ok(&b"ERROR\n\n\0"[..])]) });
    feed(&mut transport, whole("one")).await.unwrap();
    assert_eq!(kind(&feed(&mut transport, whole("two")).await.unwrap_err()), Kind::Lost);
    assert_eq!(kind(&ready(&mut transport).await.unwrap_err()), Kind::Lost);
    assert_eq!(kind(&flush(&mut transport).await.unwrap_err()), Kind::Lost);
    assert_eq!(kind(&close(&mut transport).await.unwrap_err()), Kind::Lost);
    assert_eq!(recv_bytes(&mut transport, 8).await, "ERROR\n\n\0");
}
