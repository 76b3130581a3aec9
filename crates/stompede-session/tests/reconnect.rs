//! A session that loses its connection, over memory transports and with a clock that stands still unless all wait.

#![cfg(feature = "tokio")]

mod common;

use common::peer::{Peer, no_task_is_left};
use common::{SECOND, header};
use stompede_codec::Command;
use stompede_session::{AckMode, Config, ErrorKind, SendError, Session, SessionState};
use stompede_transport::{Endpoint, TransportError, TransportErrorKind};
use tokio::sync::mpsc;

/// A session whose dials are answered with the ends that come out of the channel; none there: refused.
async fn session(
    config: Config,
) -> (Session, Peer, mpsc::Sender<stompede_transport::memory::MemoryTransport>) {
    let (give, take) = mpsc::channel(8);
    let take = std::sync::Arc::new(std::sync::Mutex::new(take));
    let (ours, mut peer) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    let connector = move |_: Endpoint| {
        let next = take.lock().expect("no panic").try_recv();
        async move { next.map_err(|_| TransportError::new(TransportErrorKind::Refused, "nothing listens")) }
    };
    let (session, ()) = tokio::join!(Session::connect(config, connector), peer.welcome());
    (session.expect("connected"), peer, give)
}

fn config() -> Config {
    Config::for_url("tcp://broker.example").expect("a URL")
}

async fn is_reconnecting(session: &Session) {
    let mut state = session.state_changes();
    let reached = state.wait_for(|state| matches!(state, SessionState::Reconnecting { .. })).await;
    reached.expect("the session lives");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_comes_back_and_its_old_messages_cannot_be_acknowledged() {
    let (session, mut peer, give) = session(config()).await;
    let subscribed = session.subscribe("/queue/a").ack(AckMode::ClientIndividual);
    let mut inbox = subscribed.await.expect("subscribed");
    let first = peer.frame().await;
    peer.message(&header(&first, "id"), "one").await;
    let old = inbox.try_next().await.expect("open").expect("a message");

    let (ours, mut next) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    drop(peer);
    next.welcome().await;
    let again = next.frame().await;
    assert_eq!((again.command(), header(&again, "id")), (Command::Subscribe, header(&first, "id")));
    next.message(&header(&again, "id"), "two").await;
    let new = inbox.try_next().await.expect("open").expect("a message");
    assert_eq!(old.ack().expect_err("stale").kind(), ErrorKind::StaleAck);
    new.ack().expect("on this connection");
    let ack = next.frame().await;
    assert_eq!((ack.command(), header(&ack, "id").as_str()), (Command::Ack, "two"), "and nothing else");
}

#[tokio::test(start_paused = true)]
async fn everything_may_be_asked_for_during_an_outage() {
    let (session, peer, give) = session(config()).await;
    let left = session.subscribe("/queue/left").await.expect("subscribed");
    drop(peer);
    is_reconnecting(&session).await;

    let refused = session.send("/queue/a").confirm().await.expect_err("offline");
    assert!(matches!(refused, SendError::NotSent(_)), "{refused:?}");
    assert_eq!(session.flush().await.expect_err("offline").kind(), ErrorKind::ConnectionLost);
    left.unsubscribe().expect("nobody has to be told");
    let mut made = session.subscribe("/queue/made").await.expect("for later");
    // A future that is dropped before the connection comes back leaves nothing behind.
    let dropped = tokio::time::timeout(SECOND, session.subscribe("/queue/dropped").confirm()).await;
    assert!(dropped.is_err(), "{dropped:?}");

    let (ours, mut next) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    next.welcome().await;
    let subscribe = next.frame().await;
    assert_eq!(header(&subscribe, "destination"), "/queue/made");
    next.message(&header(&subscribe, "id"), "hello").await;
    assert_eq!(made.try_next().await.expect("open").expect("a message").text(), Ok("hello"));
    drop(made);
    let (ended, ()) = tokio::join!(session.disconnect(), async {
        // The only frames besides: no SUBSCRIBE for what was dropped.
        assert_eq!(next.frame().await.command(), Command::Unsubscribe);
        next.goodbye().await;
    });
    ended.expect("in order");
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn disconnect_during_an_outage_ends_the_session_at_once() {
    let (session, peer, _give) = session(config()).await;
    drop(peer);
    is_reconnecting(&session).await;
    session.disconnect().await.expect("nobody to say goodbye to");
    assert!(matches!(session.state(), SessionState::Closed(None)));
    no_task_is_left().await;
}
