//! What the tests of several transports share.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use stompede_transport::{Outbound, Transport, TransportError, TransportErrorKind};

pub(crate) type Received = Option<Result<Bytes, TransportError>>;

pub(crate) async fn recv(transport: &mut impl Transport) -> Received {
    poll_fn(|cx| transport.poll_recv(cx)).await
}

/// The next `len` bytes, however they come.
pub(crate) async fn recv_bytes(transport: &mut impl Transport, len: usize) -> Bytes {
    let mut received = BytesMut::new();
    while received.len() < len {
        match recv(transport).await {
            Some(Ok(chunk)) => {
                assert!(!chunk.is_empty());
                received.extend_from_slice(&chunk);
            }
            end => panic!("after {} of {len} bytes: {end:?}", received.len()),
        }
    }
    assert_eq!(received.len(), len);
    received.freeze()
}

/// All that comes until the end, and the end.
pub(crate) async fn recv_to_end(transport: &mut impl Transport) -> (Bytes, Result<(), TransportErrorKind>) {
    let mut received = BytesMut::new();
    let end = loop {
        match recv(transport).await {
            Some(Ok(chunk)) => received.extend_from_slice(&chunk),
            Some(Err(error)) => break Err(error.kind().clone()),
            None => break Ok(()),
        }
    };
    // The end stays the end.
    match recv(transport).await {
        None => assert_eq!(end, Ok(())),
        Some(again) => assert_eq!(Err(again.unwrap_err().kind().clone()), end),
    }
    (received.freeze(), end)
}

pub(crate) async fn ready(transport: &mut impl Transport) -> Result<(), TransportError> {
    poll_fn(|cx| transport.poll_ready(cx)).await
}

pub(crate) async fn flush(transport: &mut impl Transport) -> Result<(), TransportError> {
    poll_fn(|cx| transport.poll_flush(cx)).await
}

pub(crate) async fn close(transport: &mut impl Transport) -> Result<(), TransportError> {
    poll_fn(|cx| transport.poll_close(cx)).await
}

/// Feeds one item, without flushing.
pub(crate) async fn feed(transport: &mut impl Transport, item: Outbound) -> Result<(), TransportError> {
    ready(transport).await?;
    transport.start_send(item)
}

pub(crate) async fn send(transport: &mut impl Transport, item: Outbound) -> Result<(), TransportError> {
    feed(transport, item).await?;
    flush(transport).await
}

/// Feeds items of `len` bytes until the transport takes no more; how many it took.
pub(crate) fn feed_until_pending(transport: &mut impl Transport, len: usize) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let frame = Bytes::from(vec![b'x'; len]);
    for taken in 0..1_000_000 {
        match transport.poll_ready(&mut cx) {
            Poll::Ready(Ok(())) => transport.start_send(Outbound::whole(frame.clone())).unwrap(),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => return taken,
        }
    }
    panic!("it never stops taking frames");
}

pub(crate) fn whole(text: &'static str) -> Outbound {
    Outbound::whole(Bytes::from_static(text.as_bytes()))
}

pub(crate) fn kind(error: &TransportError) -> TransportErrorKind {
    error.kind().clone()
}
