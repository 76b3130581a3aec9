//! TCP, and byte streams in general, keep the transport's contract.
#![cfg(feature = "tcp")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, Outbound, TcpConnector, Transport,
    TransportErrorKind, from_io,
};
use support::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

async fn connected() -> (BoxTransport, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (transport, accepted) = tokio::join!(DefaultConnector::new().connect(endpoint), listener.accept());
    (transport.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn frames_go_out_in_order_and_come_in_as_sent() {
    let (mut transport, mut peer) = connected().await;
    let body = Bytes::from(vec![b'y'; 300_000]);
    let mut expected = Vec::new();
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        peer.write_all(b"MESSAGE\n\n\0").await.unwrap();
        read
    });
    for _ in 0..5 {
        for item in [
            whole("SEND\n\nsmall\0"),
            Outbound::split(Bytes::from_static(b"SEND\n\n"), body.clone()),
            Outbound::heart_beat(),
        ] {
            expected.extend_from_slice(&item.clone().into_bytes());
            feed(&mut transport, item).await.unwrap();
        }
    }
    close(&mut transport).await.unwrap();
    assert!(reader.await.unwrap() == expected);
    assert_eq!(recv_to_end(&mut transport).await, (Bytes::from_static(b"MESSAGE\n\n\0"), Ok(())));
}

#[tokio::test]
async fn a_port_without_a_listener_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint::parse(&format!("tcp://user:s3cret@{address}")).unwrap();
    let error = TcpConnector::new().connect(endpoint).await.err().unwrap();
    assert_eq!(error.kind(), &TransportErrorKind::Refused);
    assert!(error.to_string().starts_with(&address.to_string()), "{error}");
    assert!(error.to_string().contains("is the broker running"), "{error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let endpoint = Endpoint::parse("tcp://does-not-exist.invalid").unwrap();
    let error = DefaultConnector::new().connect(endpoint).await.err().unwrap();
    assert_eq!(error.kind(), &TransportErrorKind::NameNotFound);
    assert!(error.to_string().contains("does-not-exist.invalid"), "{error}");
}

#[tokio::test]
async fn schemes_that_nobody_speaks_are_refused() {
    for url in ["unix:/run/broker.sock", "http://localhost", "vsock://3:9000"] {
        let endpoint = Endpoint::parse(url).unwrap();
        for connector in [&DefaultConnector::new() as &dyn Connector, &TcpConnector::new()] {
            let error = connector.connect(endpoint.clone()).await.err().unwrap();
            assert_eq!(error.kind(), &TransportErrorKind::UnsupportedScheme, "{url}");
        }
    }
}

/// What comes first is a TLS handshake record, or nothing at all is sent.
#[tokio::test]
async fn nothing_encrypted_goes_out_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for scheme in ["tls", "wss"] {
        let endpoint = Endpoint::parse(&format!("{scheme}://{address}/")).unwrap();
        let refused = TcpConnector::new().connect(endpoint.clone()).await.err().unwrap();
        assert_eq!(refused.kind(), &TransportErrorKind::UnsupportedScheme);
        let built = cfg!(feature = "tls") && (scheme == "tls" || cfg!(feature = "ws"));
        if !built {
            let refused = DefaultConnector::new().connect(endpoint).await.err().unwrap();
            assert_eq!(refused.kind(), &TransportErrorKind::UnsupportedScheme);
            continue;
        }
        let first = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await
        };
        tokio::select! {
            first = first => assert_eq!(first.unwrap(), 0x16, "{scheme}"),
            // A machine without any authorities to trust does not get so far.
            outcome = DefaultConnector::new().connect(endpoint) => {
                assert_eq!(outcome.err().unwrap().kind(), &TransportErrorKind::InvalidSetting);
            }
        }
    }
}

#[tokio::test]
async fn a_closure_is_a_connector() {
    let connector = |endpoint: Endpoint| async move {
        let (near, mut far) = duplex(100);
        far.write_all(endpoint.path().as_bytes()).await.unwrap();
        Ok(from_io(near))
    };
    let endpoint = Endpoint::parse("unix:/run/broker.sock").unwrap();
    let mut transport = Connector::connect(&connector, endpoint).await.unwrap();
    assert_eq!(recv_to_end(&mut transport).await.0, "/run/broker.sock");
}

#[tokio::test]
async fn a_peer_that_stops_reading_pushes_back_and_can_still_be_read() {
    let (near, mut far) = duplex(1024);
    let mut transport = from_io(near);
    let taken = feed_until_pending(&mut transport, 10_000);
    assert!((13..=15).contains(&taken), "{taken} frames of 10,000 bytes were taken");
    far.write_all(b"MESSAGE").await.unwrap();
    assert_eq!(recv_bytes(&mut transport, 7).await, "MESSAGE");

    let mut rest = vec![0; taken * 10_000];
    let (flushed, read) = tokio::join!(flush(&mut transport), far.read_exact(&mut rest));
    flushed.unwrap();
    read.unwrap();
    assert!(rest.iter().all(|&byte| byte == b'x'));
}

#[test]
fn tiny_frames_do_not_slip_past_the_high_water_mark() {
    let (near, _far) = duplex(16);
    let taken = feed_until_pending(&mut from_io(near), 1);
    assert!(taken <= 128 * 1024 + 16, "{taken}");
}

#[tokio::test]
async fn what_has_arrived_can_be_read_after_a_write_failed() {
    let (near, mut far) = duplex(1024);
    let mut transport = from_io(near);
    far.write_all(b"ERROR\n\n\0").await.unwrap();
    drop(far);
    let error = send(&mut transport, whole("SEND\n\n\0")).await.unwrap_err();
    assert_eq!(kind(&error), TransportErrorKind::Lost);
    assert_eq!(kind(&ready(&mut transport).await.unwrap_err()), TransportErrorKind::Lost);
    assert_eq!(kind(&transport.start_send(whole("x")).unwrap_err()), TransportErrorKind::Lost);
    assert_eq!(kind(&close(&mut transport).await.unwrap_err()), TransportErrorKind::Lost);
    assert_eq!(recv_to_end(&mut transport).await, (Bytes::from_static(b"ERROR\n\n\0"), Ok(())));
}

#[tokio::test]
async fn a_reset_is_a_loss() {
    let (mut transport, peer) = connected().await;
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    assert_eq!(recv_to_end(&mut transport).await.1, Err(TransportErrorKind::Lost));
}

#[tokio::test]
async fn nothing_is_taken_after_closing() {
    let (near, _far) = duplex(1024);
    let mut transport = from_io(near);
    close(&mut transport).await.unwrap();
    close(&mut transport).await.unwrap();
    assert!(ready(&mut transport).await.is_err());
    assert!(transport.start_send(whole("x")).is_err());
}

/// Notes which pieces it was given, and takes a few bytes of each write.
struct Pieces {
    seen: Vec<Vec<(*const u8, usize)>>,
    takes: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("writes must be vectored")
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.seen.push(slices.iter().map(|slice| (slice.as_ptr(), slice.len())).collect());
        let offered = slices.iter().map(|slice| slice.len()).sum();
        Poll::Ready(Ok(self.takes.min(offered)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn large_bodies_are_written_from_where_they_are_and_small_frames_together() {
    let body = Bytes::from(vec![b'y'; 100_000]);
    let mut transport = from_io(Pieces { seen: Vec::new(), takes: usize::MAX });
    for _ in 0..10 {
        transport.start_send(whole("SEND\n\nsmall\0")).unwrap();
    }
    transport.start_send(Outbound::split(Bytes::from_static(b"SEND\n\n"), body.clone())).unwrap();
    transport.start_send(Outbound::heart_beat()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(transport.poll_flush(&mut cx), Poll::Ready(Ok(()))));
    let [slices] = transport.get_ref().seen.as_slice() else { panic!("one write is enough") };
    let lens: Vec<usize> = slices.iter().map(|(_, len)| *len).collect();
    assert_eq!(lens, [120, 6, 100_000, 1, 1]);
    assert_eq!(slices[2].0, body.as_ptr());
}

#[test]
fn a_socket_that_takes_a_little_at_a_time_gets_every_byte_once() {
    let mut transport = from_io(Pieces { seen: Vec::new(), takes: 7 });
    transport.start_send(Outbound::split(Bytes::from_static(b"head"), Bytes::from(vec![0; 2000]))).unwrap();
    transport.start_send(whole("SEND\n\n\0")).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(transport.poll_flush(&mut cx), Poll::Ready(Ok(()))));
    let offered: Vec<usize> =
        transport.get_ref().seen.iter().map(|slices| slices.iter().map(|(_, len)| len).sum()).collect();
    let expected: Vec<usize> = (0..).map(|turn| 2012 - 7 * turn).take(2012_usize.div_ceil(7)).collect();
    assert_eq!(offered, expected);
}

#[expect(clippy::disallowed_methods, reason = "it is the paused clock of a test")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_ends_the_sending_in_time_and_can_still_be_read() {
    let (near, mut far) = duplex(1000);
    let mut transport = from_io(near).write_timeout(Duration::from_secs(20));
    feed_until_pending(&mut transport, 10_000);
    let started = now();
    let error = ready(&mut transport).await.unwrap_err();
    assert_eq!(kind(&error), TransportErrorKind::TimedOut);
    assert!(error.to_string().contains("has read nothing for 20s"), "{error}");
    assert_eq!(started.elapsed().as_secs(), 20);
    assert_eq!(kind(&flush(&mut transport).await.unwrap_err()), TransportErrorKind::TimedOut);
    assert_eq!(kind(&close(&mut transport).await.unwrap_err()), TransportErrorKind::TimedOut);
    far.write_all(b"ERROR\n\n\0").await.unwrap();
    assert_eq!(recv_bytes(&mut transport, 8).await, "ERROR\n\n\0");
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_not_cut_off_and_without_a_limit_none_is() {
    let (near, mut far) = duplex(1000);
    let mut transport = from_io(near).write_timeout(Duration::from_secs(20));
    let large = Bytes::from(vec![b'x'; 100_000]);
    let (sent, ()) = tokio::join!(send(&mut transport, Outbound::whole(large.clone())), async {
        let mut some = [0; 1000];
        for _ in 0..100 {
            sleep(Duration::from_secs(19)).await;
            far.read_exact(&mut some).await.unwrap();
        }
    });
    sent.unwrap();
    // A pause between two frames does not count.
    sleep(Duration::from_secs(1000)).await;
    send(&mut transport, whole("x")).await.unwrap();

    let (near, _far) = duplex(1000);
    let mut transport = from_io(near);
    feed_until_pending(&mut transport, 10_000);
    assert!(timeout(Duration::from_secs(1_000_000), ready(&mut transport)).await.is_err());
}

/// Takes everything and never gets it out, as TLS above a socket that is full.
struct Unflushable;

impl AsyncRead for Unflushable {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Unflushable {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_never_ends_counts_as_well() {
    let mut transport = from_io(Unflushable).write_timeout(Duration::from_secs(20));
    let started = now();
    let error = send(&mut transport, whole("x")).await.unwrap_err();
    assert_eq!((kind(&error), started.elapsed().as_secs()), (TransportErrorKind::TimedOut, 20));

    let mut transport = from_io(Unflushable).write_timeout(Duration::from_secs(20));
    let started = now();
    let error = close(&mut transport).await.unwrap_err();
    assert_eq!((kind(&error), started.elapsed().as_secs()), (TransportErrorKind::TimedOut, 20));
}

#[tokio::test(start_paused = true)]
async fn a_dialled_connection_has_a_limit_by_itself() {
    let (mut transport, _peer) = connected().await;
    feed_until_pending(&mut transport, 100_000);
    let started = now();
    assert_eq!(kind(&ready(&mut transport).await.unwrap_err()), TransportErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), 60);
}
