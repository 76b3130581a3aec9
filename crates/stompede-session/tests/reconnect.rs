//! A session that loses its connection, over memory transports and with a clock that stands still unless all wait.

#![cfg(feature = "tokio")]

mod common;

use common::peer::{Peer, no_task_is_left};
use common::{SECOND, header};
use stompede_codec::{Command, Frame};
use stompede_session::protocol::Attempt;
use stompede_session::{
    AckMode, BeforeConnect, Config, ErrorKind, Postponed, SendError, Session, SessionState,
};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{Connector, Endpoint, TransportError, TransportErrorKind};
use tokio::sync::mpsc;

/// A session whose dials are answered with the ends that come out of the channel.
async fn session(config: Config) -> (Session, Peer, mpsc::Sender<MemoryTransport>) {
    let (give, take) = mpsc::channel(8);
    let (ours, mut peer) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    let (session, ()) = tokio::join!(Session::connect(config, handing_out(take)), peer.welcome());
    (session.expect("connected"), peer, give)
}

/// Answers CONNECT, and gives it.
async fn greeted(peer: &mut Peer) -> Frame {
    let connect = peer.frame().await;
    peer.say("CONNECTED\nversion:1.2\n\n\0").await;
    connect
}

/// Each dial gets the next end; none there: refused.
fn handing_out(take: mpsc::Receiver<MemoryTransport>) -> impl Connector {
    let take = std::sync::Mutex::new(take);
    move |_: Endpoint| {
        let next = take.lock().expect("no panic").try_recv();
        async move { next.map_err(|_| TransportError::new(TransportErrorKind::Refused, "nothing listens")) }
    }
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
    assert!(!old.is_stale());

    let (ours, mut next) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    drop(peer);
    next.welcome().await;
    let again = next.frame().await;
    assert_eq!((again.command(), header(&again, "id")), (Command::Subscribe, header(&first, "id")));
    next.message(&header(&again, "id"), "two").await;
    let new = inbox.try_next().await.expect("open").expect("a message");
    assert!(old.is_stale() && !new.is_stale());
    assert_eq!(old.ack().expect_err("stale").kind(), ErrorKind::StaleAck);
    new.ack().expect("on this connection");
    let ack = next.frame().await;
    assert_eq!((ack.command(), header(&ack, "id").as_str()), (Command::Ack, "two"), "and nothing else");
    inbox.unsubscribe().expect("it is there");
    assert!(new.is_stale(), "its subscription is gone as well");
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
async fn another_connection_is_made_for_whoever_asks() {
    let mut config = config();
    config.reconnect.initial = 3600 * SECOND;
    config.reconnect.max = 3600 * SECOND;
    let (session, mut peer, give) = session(config).await;
    let mut inbox = session.subscribe("/queue/a").await.expect("subscribed");
    let first = peer.frame().await;
    session.reconnect();
    is_reconnecting(&session).await;
    assert!(peer.try_frame().await.is_none(), "and nothing is said on the old one");

    // Whoever knows that the network is back need not wait for an hour.
    let (ours, mut next) = Peer::pair(64 * 1024);
    give.try_send(ours).expect("room");
    session.reconnect();
    tokio::time::timeout(SECOND, next.welcome()).await.expect("at once");
    let again = next.frame().await;
    assert_eq!((again.command(), header(&again, "id")), (Command::Subscribe, header(&first, "id")));
    next.message(&header(&again, "id"), "hello").await;
    assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok("hello"));
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

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_up_before_connected_is_followed_by_the_next_at_once() {
    let mut config = config();
    config.failover = vec!["tcp://next.example".parse().expect("a URL")];
    let (give, take) = mpsc::channel(2);
    let (first, mut hangs_up) = Peer::pair(1024);
    let (second, mut answers) = Peer::pair(1024);
    give.try_send(first).expect("room");
    give.try_send(second).expect("room");
    let connecting = async {
        tokio::join!(Session::connect(config, handing_out(take)), async {
            hangs_up.frame().await;
            drop(hangs_up);
            answers.welcome().await;
        })
    };
    let (session, ()) = tokio::time::timeout(SECOND, connecting).await.expect("at once");
    assert_eq!(session.expect("connected").connected().expect("open").host(), "next.example");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_asks_for_a_token_and_where_to_go() {
    let mut config = config();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    config.before_connect = Some(BeforeConnect::new(move |mut attempt: Attempt| {
        let kind = attempt.last_error.as_ref().map(stompede_session::Error::kind);
        noted.lock().expect("no panic").push((attempt.number, kind));
        async move {
            tokio::time::sleep(SECOND).await;
            attempt.passcode = Some(format!("token {}", attempt.number));
            attempt.endpoint = format!("tcp://host{}.example", attempt.number).parse()?;
            Ok(attempt)
        }
    }));
    let (give, take) = mpsc::channel(2);
    let (first, mut peer) = Peer::pair(1024);
    give.try_send(first).expect("room");
    let (session, connect) = tokio::join!(Session::connect(config, handing_out(take)), greeted(&mut peer));
    let session = session.expect("connected");
    assert_eq!(header(&connect, "passcode"), "token 0");
    assert_eq!(session.connected().expect("open").host(), "host0.example");
    let (second, mut next) = Peer::pair(1024);
    give.try_send(second).expect("room");
    drop(peer);
    assert_eq!(header(&greeted(&mut next).await, "passcode"), "token 1");
    tokio::task::yield_now().await;
    assert_eq!(session.connected().expect("open").host(), "host1.example");
    assert_eq!(*asked.lock().expect("no panic"), [(0, None), (1, Some(ErrorKind::ConnectionLost))]);
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_may_fail_hang_or_stop_all_attempts() {
    let mut config = config();
    config.before_connect = Some(BeforeConnect::new(|attempt: Attempt| async move {
        match attempt.number {
            0 => Ok(attempt),
            1 => Err(std::io::Error::other("the token server is down"))?,
            2 => std::future::pending().await,
            _ => Err(Postponed::stop("the account is closed")),
        }
    }));
    let (give, take) = mpsc::channel(2);
    let (first, mut peer) = Peer::pair(1024);
    give.try_send(first).expect("room");
    let (session, ()) = tokio::join!(Session::connect(config, handing_out(take)), peer.welcome());
    let session = session.expect("connected");
    let mut state = session.state_changes();
    drop(peer);
    let mut causes = Vec::new();
    let end = loop {
        state.changed().await.expect("the session lives");
        match state.borrow().clone() {
            SessionState::Reconnecting { cause, .. } => causes.push(cause.kind()),
            SessionState::Closed(cause) => break cause.expect("a cause"),
            _ => {}
        }
    };
    assert_eq!(causes, [ErrorKind::ConnectionLost, ErrorKind::NotPrepared, ErrorKind::ConnectTimedOut]);
    assert_eq!(end.kind(), ErrorKind::NotPrepared);
    assert!(end.to_string().ends_with("the account is closed"), "{end}");
    no_task_is_left().await;
}
