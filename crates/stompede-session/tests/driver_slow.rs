//! A connection that takes a large frame piece by piece, or not at all.

#![cfg(feature = "tokio")]

mod common;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use common::peer::{Peer, body};
use common::{SECOND, config};
use stompede_session::{Config, ErrorKind, HeartBeat, SendError, Session};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{Endpoint, Outbound, Transport, TransportError, TransportErrorKind};
use tokio::time::{Sleep, sleep};

const ROOM: usize = 1024 * 1024;

/// Takes a kibibyte a second.
struct Slow {
    line: MemoryTransport,
    waiting: BytesMut,
    tick: Option<Pin<Box<Sleep>>>,
    written: u64,
    /// Whether it says how much it has written.
    tells: bool,
    /// Frames larger than this are refused.
    largest: usize,
}

impl Slow {
    fn poll_trickle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        while !self.waiting.is_empty() {
            ready!(self.tick.get_or_insert_with(|| Box::pin(sleep(SECOND))).as_mut().poll(cx));
            self.tick = None;
            let piece = self.waiting.split_to(self.waiting.len().min(1024)).freeze();
            self.written += piece.len() as u64;
            self.line.start_send(Outbound::whole(piece))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport for Slow {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.line.poll_recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.poll_trickle(cx)
    }

    fn start_send(&mut self, mut item: Outbound) -> Result<(), TransportError> {
        if item.remaining() > self.largest {
            return Err(TransportError::new(TransportErrorKind::TooLarge, "more than a message may hold"));
        }
        self.waiting.extend_from_slice(&item.copy_to_bytes(item.remaining()));
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.poll_trickle(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.line.poll_close(cx)
    }

    fn written(&self) -> Option<u64> {
        self.tells.then_some(self.written)
    }
}

async fn session(tells: bool) -> (Session, Peer) {
    let mut settings: Config = config();
    settings.write_timeout = 5 * SECOND;
    settings.receipt_timeout = 3600 * SECOND;
    session_with(settings, tells, "").await
}

async fn session_with(settings: Config, tells: bool, headers: &str) -> (Session, Peer) {
    let (line, mut peer) = Peer::pair(ROOM);
    let slow = Slow { line, waiting: BytesMut::new(), tick: None, written: 0, tells, largest: 100_000 };
    let slow = Arc::new(Mutex::new(Some(slow)));
    let connector = move |_: Endpoint| {
        let slow = slow.lock().expect("no panic").take();
        async move { slow.ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "one connection only")) }
    };
    let (session, ()) = tokio::join!(Session::connect(settings, connector), peer.welcome_with(headers));
    (session.expect("connected"), peer)
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_moves_may_take_longer_than_the_write_timeout() {
    let (session, mut peer) = session(true).await;
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").body(body(60_000)).confirm(), async {
        let send = peer.frame().await;
        assert_eq!(send.body().len(), 60_000);
        peer.receipt(&send).await;
    });
    confirmed.expect("slow is not dead");
}

#[tokio::test(start_paused = true)]
async fn of_a_transport_that_does_not_tell_all_of_it_has_to_be_taken_in_time() {
    let (session, _peer) = session(false).await;
    let lost = session.send("/queue/a").body(body(60_000)).confirm().await;
    let Err(SendError::Unknown(cause)) = lost else { unreachable!("unknown: {lost:?}") };
    assert_eq!(cause.kind(), ErrorKind::WriteStuck);
}

/// The process was stopped for a while, and the peer was not.
#[tokio::test(start_paused = true)]
async fn a_late_timer_first_looks_at_what_was_written() {
    let (session, mut peer) = session(true).await;
    session.send("/queue/a").body(body(10_000)).await.expect("sent");
    sleep(2 * SECOND).await;
    tokio::time::advance(3600 * SECOND).await;
    assert_eq!(peer.frame().await.body().len(), 10_000);
    session.flush().await.expect("written");
}

#[tokio::test(start_paused = true)]
async fn a_refused_frame_is_told_of_and_keeps_nobody_waiting() {
    let mut settings = config();
    settings.write_timeout = 5 * SECOND;
    settings.heart_beat = HeartBeat { send: 10 * SECOND, receive: SECOND / 10 };
    let (session, mut peer) = session_with(settings, true, "heart-beat:0,10000\n").await;
    let too_large = || async { session.send("/queue/a").body(body(200_000)).await };
    too_large().await.expect("handed over");
    let flushed = tokio::time::timeout(SECOND, session.flush()).await.expect("there is nothing to write");
    assert_eq!(flushed.expect_err("it was not written").kind(), ErrorKind::Unencodable);
    session.flush().await.expect("it is said once");
    let lost = session.send("/queue/a").body(body(200_000)).confirm().await;
    let Err(SendError::NotSent(unsent)) = lost else { unreachable!("not sent: {lost:?}") };
    assert_eq!((unsent.cause.kind(), unsent.frame.body().len()), (ErrorKind::Unencodable, 200_000));
    session.flush().await.expect("who awaited it was told");
    // It is no write that is stuck, and none that counts as a heart-beat either.
    for _ in 0..20 {
        too_large().await.expect("handed over");
        sleep(SECOND).await;
    }
    assert!(session.connected().is_some(), "{:?}", session.state());
    assert!(peer.drain_beats().await >= 2, "ours are sent");
    session.send("/queue/b").await.expect("sent");
    assert_eq!(peer.frame().await.header("destination").as_deref(), Some("/queue/b"));
}

/// Nothing is on its way, and what waited for room has been withdrawn: there is nothing to wait for.
#[tokio::test(start_paused = true)]
async fn a_frame_that_was_withdrawn_keeps_no_flush_waiting() {
    let (session, _peer) = Peer::session(1).await;
    session.send("/queue/full").await.expect("written");
    session.flush().await.expect("written");
    let waits = async || session.send("/queue/a").deadline(SECOND).confirm().await;
    let (lost, flushed) = tokio::join!(waits(), session.flush());
    assert!(matches!(lost, Err(SendError::NotSent(_))), "{lost:?}");
    flushed.expect("there is nothing left that waits");
    waits().await.expect_err("no room");
    let later = tokio::time::timeout(SECOND, session.flush()).await;
    later.expect("nor is there later").expect("nothing is lost");
}
