//! The session's task goes before the session has ended: its runtime is shut down, or something that it called panics.

#![cfg(feature = "tokio")]

mod common;

use std::future::IntoFuture;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use common::peer::{Peer, body};
use common::{SECOND, config};
use stompede_session::protocol::Event;
use stompede_session::{AckMode, ErrorKind, Observer, ReconnectPolicy, SendError, Session, SessionState};
use stompede_transport::{Endpoint, TransportError, TransportErrorKind};

/// Longer than any time limit of a session: a hang fails instead of hanging. One of the tests has a real clock.
const HANG: Duration = Duration::from_secs(120);

/// Hears everything, and panics where it is told to.
#[derive(Default)]
struct Fragile(Mutex<Vec<&'static str>>, Condvar);

impl Observer for Fragile {
    fn on_event(&self, event: &Event) {
        let name = match event {
            Event::Unrouted(_) => "unrouted",
            Event::Closed(Some(_)) => "closed for a reason",
            _ => return,
        };
        self.0.lock().expect("no panic under the lock").push(name);
        self.1.notify_all();
        assert_ne!(name, "unrouted", "on purpose");
    }
}

async fn session(observer: Arc<dyn Observer>, capacity: usize) -> (Session, Peer) {
    let (ours, mut peer) = Peer::pair(capacity);
    let ours = Mutex::new(Some(ours));
    let connector = move |_: Endpoint| {
        let ours = ours.lock().expect("no panic").take();
        async move { ours.ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "one connection only")) }
    };
    let connecting = Session::connect_observed(config(), Arc::new(connector), Some(observer));
    let (session, ()) = tokio::join!(connecting, peer.welcome());
    (session.expect("connected"), peer)
}

/// Everything that may wait does, and ends.
async fn all_waits_end(session: &Session, gone: impl Future<Output = ()>) {
    let mut inbox = session.subscribe("/queue/a").id("s").ack(AckMode::Client).await.expect("subscribed");
    // The connection is full, and so is the queue, also for those who await a receipt.
    session.send("/queue/full").body(body(1_200_000)).await.expect("queued");
    let ends = async {
        tokio::join!(
            async { session.closed().await.expect("a cause") },
            async { session.flush().await.expect_err("not written") },
            async { inbox.try_next().await.expect_err("no clean end") },
            async {
                let SendError::NotSent(unsent) = session.send("/queue/a").await.expect_err("no room") else {
                    unreachable!("not sent")
                };
                unsent.cause
            },
            async {
                let confirm = session.send("/queue/a").confirm().await;
                confirm.expect_err("no receipt").cause().clone()
            },
            async { session.subscribe("/queue/b").confirm().into_future().await.expect_err("no receipt") },
            gone,
        )
    };
    let (closed, flush, next, send, confirm, subscribe, ()) =
        tokio::time::timeout(HANG, ends).await.expect("at once");
    for error in [closed, flush, next, send, confirm, subscribe] {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains("task"), "{error}");
    }
    assert!(matches!(session.state(), SessionState::Closed(Some(_))));
    // What is asked of it later is answered as well.
    let later = async {
        session.send("/queue/a").await.expect_err("over");
        session.disconnect().await.expect("over already");
        session.drain(SECOND).await.expect("over already");
    };
    tokio::time::timeout(HANG, later).await.expect("at once");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_what_the_session_calls_ends_all_waits() {
    let observer = Arc::new(Fragile::default());
    let (session, mut peer) = session(observer.clone(), 1).await;
    all_waits_end(&session, async {
        tokio::task::yield_now().await;
        peer.say("MESSAGE\nmessage-id:1\n\nfor nobody\0").await;
    })
    .await;
    assert_eq!(*observer.0.lock().expect("no panic"), ["unrouted", "closed for a reason"]);
    // The connection is closed with it.
    while peer.try_frame().await.is_some() {}
}

#[test]
fn the_end_of_its_runtime_ends_all_waits() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let theirs = runtime().expect("a runtime");
    let observer = Arc::new(Fragile::default());
    let (session, _peer) = theirs.block_on(session(observer.clone(), 1));
    let ours = runtime().expect("a runtime");
    ours.block_on(all_waits_end(&session, async move { theirs.shutdown_background() }));
    // It is told on a thread of that runtime, which goes its own way.
    let heard = observer.0.lock().expect("no panic");
    let (heard, _) = observer.1.wait_timeout_while(heard, HANG, |heard| heard.is_empty()).expect("no panic");
    assert_eq!(*heard, ["closed for a reason"]);
}

/// It is called where a connection has just been opened, in the middle of a decision.
#[tokio::test(start_paused = true)]
async fn a_panic_in_what_renews_headers_ends_all_waits() {
    let mut ends = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (ours, peer) = Peer::pair(1024);
        ends.insert(0, ours);
        peers.push(peer);
    }
    let ends = Mutex::new(ends);
    let connector = move |_: Endpoint| {
        let next = ends.lock().expect("no panic").pop();
        async move { next.ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "two connections only")) }
    };
    let mut settings = config();
    settings.reconnect = ReconnectPolicy::default();
    let mut peers = peers.into_iter();
    let (mut first, mut second) = (peers.next().expect("two"), peers.next().expect("two"));
    let (session, ()) = tokio::join!(Session::connect(settings, connector), first.welcome());
    let session = session.expect("connected");
    let subscribed =
        session.subscribe("/queue/a").renew_headers(|_| std::panic::resume_unwind(Box::new("on purpose")));
    let mut inbox = subscribed.await.expect("subscribed");
    drop(first);
    let ends = async { tokio::join!(inbox.try_next(), session.closed(), second.welcome()) };
    let (next, closed, ()) = tokio::time::timeout(SECOND, ends).await.expect("at once");
    assert_eq!(next.expect_err("no clean end").kind(), ErrorKind::Closed);
    assert_eq!(closed.expect("a cause").kind(), ErrorKind::Closed);
}
