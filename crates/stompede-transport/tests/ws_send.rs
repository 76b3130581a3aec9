//! How a WebSocket client writes: one flush for many frames, pieces, pings, and a peer that does not read.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use stompede_transport::{Outbound, Transport, TransportErrorKind as Kind, WsConfig};
use support::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{Instant, advance};
use ws_support::*;

#[tokio::test]
async fn many_frames_go_out_with_one_write_and_one_flush() {
    let (mut client, mut far) = watched(WsConfig::new()).await;
    let before = (client.get_ref().writes, client.get_ref().flushes);
    for _ in 0..400 {
        feed(&mut client, whole("SEND\ndestination:/queue/a\n\nhello\0")).await.unwrap();
    }
    assert_eq!((client.get_ref().writes, client.get_ref().flushes), before);
    flush(&mut client).await.unwrap();
    assert_eq!((client.get_ref().writes, client.get_ref().flushes), (before.0 + 1, before.1 + 1));
    for _ in 0..400 {
        assert_eq!(read_frame(&mut far).await.unwrap().1, b"SEND\ndestination:/queue/a\n\nhello\0");
    }
}

/// A frame of a client with its first byte, unmasked.
async fn read_any_frame(io: &mut DuplexStream) -> (u8, Vec<u8>) {
    let first = io.read_u8().await.unwrap();
    let len = match io.read_u8().await.unwrap() & 0x7f {
        126 => usize::from(io.read_u16().await.unwrap()),
        short => short.into(),
    };
    let mut mask = [0; 4];
    io.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; len];
    io.read_exact(&mut payload).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (first, payload)
}

#[tokio::test]
async fn large_frames_are_split_as_asked_and_small_ones_are_not() {
    let large = || Outbound::split(Bytes::from_static(b"SEND\n\n"), Bytes::from("漢".repeat(50)));
    // "SEND\n\n" and 31 characters are 99 bytes; the 32nd would need 102.
    let pieces = ["SEND\n\n".to_owned() + &"漢".repeat(31), "漢".repeat(19) + "\0"];

    let (mut client, mut peer) = client_with(WsConfig::new().split_messages(100).unwrap(), 0, b"").await;
    feed(&mut client, large()).await.unwrap();
    send(&mut client, whole("\n")).await.unwrap();
    for piece in &pieces {
        assert_eq!(read_any_frame(&mut peer).await, (0x80 | TEXT, piece.clone().into_bytes()));
    }
    assert_eq!(read_any_frame(&mut peer).await, (0x80 | TEXT, b"\n".to_vec()));

    let (mut client, mut peer) = client_with(WsConfig::new().split_fragments(100).unwrap(), 0, b"").await;
    feed(&mut client, large()).await.unwrap();
    send(&mut client, whole("\n")).await.unwrap();
    assert_eq!(read_any_frame(&mut peer).await, (TEXT, pieces[0].clone().into_bytes()));
    assert_eq!(read_any_frame(&mut peer).await, (0x80, pieces[1].clone().into_bytes()));
    assert_eq!(read_any_frame(&mut peer).await, (0x80 | TEXT, b"\n".to_vec()));
}

#[expect(clippy::disallowed_methods, reason = "it is the paused clock of a test")]
fn now() -> Instant {
    Instant::now()
}

/// Polls the reading side once.
async fn look(client: &mut impl Transport) {
    std::future::poll_fn(|cx| {
        assert!(client.poll_recv(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// How many pings have come.
fn pings(peer: &mut DuplexStream) -> usize {
    let mut count = 0;
    let waker = std::task::Waker::noop();
    let mut buf = [0; 6];
    let mut buf = ReadBuf::new(&mut buf);
    while Pin::new(&mut *peer).poll_read(&mut Context::from_waker(waker), &mut buf).is_ready() {
        assert_eq!(buf.filled()[..2], [0x80 | PING, 0x80]);
        assert_eq!(buf.remaining(), 0);
        buf.clear();
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_pings_at_each_interval_and_never_in_bursts() {
    let config = WsConfig::new().ping_interval(Duration::from_secs(30));
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    look(&mut client).await;
    assert_eq!(pings(&mut peer), 0);
    for _ in 0..3 {
        advance(Duration::from_secs(29)).await;
        look(&mut client).await;
        assert_eq!(pings(&mut peer), 0);
        advance(Duration::from_secs(2)).await;
        look(&mut client).await;
        assert_eq!(pings(&mut peer), 1);
    }
    advance(Duration::from_secs(3600)).await;
    look(&mut client).await;
    assert_eq!(pings(&mut peer), 1);

    // Who waits for messages is woken to ping, without anything else happening.
    let started = now();
    let (received, ()) = tokio::join!(recv_bytes(&mut client, 1), async {
        for _ in 0..5 {
            assert_eq!(read_any_frame(&mut peer).await, (0x80 | PING, vec![]));
        }
        peer.write_all(&frame(true, TEXT, b"\n")).await.unwrap();
    });
    assert_eq!(received, "\n");
    assert_eq!(started.elapsed().as_secs(), 5 * 30);
}

#[tokio::test(start_paused = true)]
async fn no_pings_are_sent_unless_asked_for_nor_behind_what_waits_nor_after_a_goodbye() {
    let (mut client, mut peer) = client().await;
    advance(Duration::from_secs(100_000)).await;
    look(&mut client).await;
    assert_eq!(pings(&mut peer), 0);

    let config = WsConfig::new().ping_interval(Duration::from_secs(30)).write_timeout(None);
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    let taken = feed_until_pending(&mut client, 10_000);
    for _ in 0..10 {
        advance(Duration::from_secs(31)).await;
        look(&mut client).await;
    }
    let (closed, ()) = tokio::join!(close(&mut client), async {
        for _ in 0..taken {
            assert_eq!(read_any_frame(&mut peer).await.0, 0x80 | TEXT);
        }
        assert_eq!(read_any_frame(&mut peer).await.0, 0x80 | CLOSE);
    });
    closed.unwrap();
    advance(Duration::from_secs(31)).await;
    look(&mut client).await;
    assert_eq!(pings(&mut peer), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_ends_the_sending_in_time_and_can_still_be_read() {
    let config = WsConfig::new().write_timeout(Duration::from_secs(20));
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    feed_until_pending(&mut client, 10_000);
    let started = now();
    let error = ready(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::TimedOut);
    assert!(error.to_string().contains("has read nothing for 20s") && error.to_string().contains("alarm"));
    assert_eq!(started.elapsed().as_secs(), 20);
    // It is terminal for the sending, and says the same again.
    assert_eq!(kind(&flush(&mut client).await.unwrap_err()), Kind::TimedOut);
    assert_eq!(kind(&client.start_send(whole("x")).unwrap_err()), Kind::TimedOut);
    assert_eq!(kind(&close(&mut client).await.unwrap_err()), Kind::TimedOut);
    peer.write_all(&[frame(true, PING, b"?"), frame(true, TEXT, b"ERROR\n\n\0")].concat()).await.unwrap();
    assert_eq!(recv_bytes(&mut client, 8).await, "ERROR\n\n\0");
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_not_cut_off_and_without_a_limit_none_is() {
    let config = WsConfig::new().write_timeout(Duration::from_secs(20));
    let (mut client, mut peer) = client_with(config, 0, b"").await;
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let (sent, ()) = tokio::join!(send(&mut client, Outbound::whole(large.clone())), async {
        let mut left = large.len() + 14;
        while left > 0 {
            tokio::time::sleep(Duration::from_secs(19)).await;
            let mut some = vec![0; left.min(50_000)];
            peer.read_exact(&mut some).await.unwrap();
            left -= some.len();
        }
    });
    sent.unwrap();

    let config = WsConfig::new().write_timeout(None);
    let (mut client, peer) = client_with(config, 0, b"").await;
    feed_until_pending(&mut client, 10_000);
    let waited = tokio::time::timeout(Duration::from_secs(1_000_000), ready(&mut client)).await;
    assert!(waited.is_err());
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_never_ends_counts_as_not_being_read() {
    let (mut client, _far) = watched(WsConfig::new()).await;
    client.get_ref().stuck.store(true, Ordering::Relaxed);
    let started = now();
    assert_eq!(kind(&send(&mut client, whole("x")).await.unwrap_err()), Kind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 60);
    assert_eq!(kind(&ready(&mut client).await.unwrap_err()), Kind::TimedOut);
}
