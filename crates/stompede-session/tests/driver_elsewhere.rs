//! Handles that are used where the session's runtime is not: in a plain thread, and in a runtime without timers.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use common::peer::{Peer, connect};
use common::{SECOND, config};
use stompede_session::{AckMode, Config, ErrorKind, SendError, Session, TransactionPolicy, TransactionRuns};
use tokio::runtime::{Builder, Runtime};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits in this thread, which knows of no runtime.
fn block_on<T>(what: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut what = pin!(what);
    loop {
        match what.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn settings() -> Config {
    let mut settings = config();
    settings.receipt_timeout = SECOND / 20;
    settings.disconnect_timeout = SECOND / 20;
    settings
}

/// The runtime of the session has a thread of its own.
fn session(settings: Config, capacity: usize) -> (Runtime, Session, Peer) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    let (session, peer) = runtime.block_on(Peer::session_with(settings, capacity, ""));
    (runtime, session, peer)
}

/// Every wait with a time limit of its own keeps it.
async fn all_waits_end_in_time(session: Session) {
    let mut inbox = session.subscribe("/queue/a").ack(AckMode::Client).await.expect("subscribed");
    session.send("/queue/full").body(vec![b'x'; 2_000_000]).await.expect("queued");
    let flushed = session.flush().await.expect_err("nobody reads");
    assert_eq!(flushed.kind(), ErrorKind::WriteTimedOut);
    let SendError::NotSent(unsent) = session.send("/queue/a").await.expect_err("no room") else {
        unreachable!("not sent")
    };
    assert_eq!(unsent.cause.kind(), ErrorKind::WriteTimedOut);
    let drained = session.drain(SECOND / 20).await.expect_err("nobody answers");
    assert_eq!(drained.kind(), ErrorKind::DisconnectTimedOut);
    assert!(inbox.try_next().await.expect("drained").is_none());
    // The task has gone as well.
    session.drain(SECOND / 20).await.expect("a session that has ended is fine");
    let mut policy = TransactionPolicy::default();
    policy.max_runs = 2;
    let begun = TransactionRuns::new(session, policy).begin::<()>().await;
    begun.expect_err("the session has ended");
}

#[test]
fn a_thread_without_a_runtime_may_wait_for_anything() {
    let (_runtime, session, _peer) = session(settings(), 1);
    block_on(all_waits_end_in_time(session));
}

#[test]
fn a_runtime_without_timers_may_wait_for_anything() {
    let (_runtime, session, _peer) = session(settings(), 1);
    let timeless = Builder::new_current_thread().build().expect("a runtime");
    timeless.block_on(all_waits_end_in_time(session));
}

#[test]
fn what_a_thread_waits_for_may_come() {
    let (runtime, session, mut peer) = session(config(), 64 * 1024);
    let broker = runtime.spawn(async move {
        peer.frame().await;
        peer.goodbye().await;
    });
    block_on(async {
        session.send("/queue/a").await.expect("sent");
        session.flush().await.expect("written");
        session.drain(60 * SECOND).await.expect("in order");
    });
    block_on(broker).expect("no panic");
}

#[test]
fn a_drain_whose_consumer_never_ends_has_its_time_where_the_runtime_has_gone_too() {
    let (runtime, session, _peer) = session(config(), 64 * 1024);
    let inbox = block_on(async { session.subscribe("/queue/a").await }).expect("subscribed");
    drop(runtime);
    let drained = block_on(session.drain(60 * SECOND)).expect_err("nobody asked for its end");
    assert_eq!(drained.kind(), ErrorKind::DrainTimedOut);
    drop(inbox);
    block_on(session.drain(60 * SECOND)).expect("nobody is left");
}

#[test]
fn to_connect_takes_a_runtime() {
    let (ours, _peer) = Peer::pair(1);
    let refused = block_on(connect(config(), ours)).expect_err("there is none");
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}
