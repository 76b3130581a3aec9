//! The state as a value to watch, and the history.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use common::config;
use common::peer::{Peer, connect};
use stompede_codec::Version;
use stompede_session::protocol::Event;
use stompede_session::{HeartBeat, Observer, ReconnectPolicy, SendError, Session, SessionState};
use stompede_transport::{Endpoint, TransportError, TransportErrorKind};

const ROOM: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn the_state_names_host_version_server_session_heart_beats_and_cause() {
    let headers = "server:RabbitMQ/3.13.1\nsession:s-1\nheart-beat:20000,5000\n";
    let (session, mut peer) = Peer::session_with(config(), ROOM, headers).await;
    let mut changes = session.state_changes();
    let SessionState::Connected(broker) = changes.borrow_and_update().clone() else {
        unreachable!("connected: {:?}", session.state())
    };
    assert_eq!((broker.host(), broker.version()), ("broker.example", Version::V1_2));
    assert_eq!(
        (broker.server().as_deref(), broker.session().as_deref()),
        (Some("RabbitMQ/3.13.1"), Some("s-1"))
    );
    let seconds = |n| std::time::Duration::from_secs(n);
    assert_eq!(broker.heart_beat(), HeartBeat { send: seconds(10), receive: seconds(20) });

    let end = async {
        changes.changed().await.expect("alive");
        let SessionState::Disconnecting(broker) = changes.borrow_and_update().clone() else {
            unreachable!("disconnecting")
        };
        assert_eq!(broker.session().as_deref(), Some("s-1"));
        changes.changed().await.expect("alive");
        assert!(matches!(*changes.borrow(), SessionState::Closed(None)));
    };
    let (ended, (), ()) = tokio::join!(session.disconnect(), end, peer.goodbye());
    ended.expect("in order");
    let history = session.history();
    let texts: Vec<_> = history.records().map(|record| &*record.text).collect();
    assert_eq!(texts[0], "connecting to tcp://broker.example");
    let words: Vec<_> = texts.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(words, ["connecting", "connected", "disconnecting", "closed"], "{history}");
}

#[tokio::test(start_paused = true)]
async fn the_history_keeps_what_happened_and_no_secrets() {
    let (ours, mut peer) = Peer::pair(ROOM);
    let mut settings = config();
    settings.passcode = Some("hunter2".into());
    let (session, ()) = tokio::join!(connect(settings, ours), peer.welcome());
    let session = session.expect("connected");
    let _inbox = session.subscribe("/topic/a").id("s").await.expect("subscribed");
    for n in 0..200 {
        peer.message("s", &n.to_string()).await;
        peer.message("nobody", &"x".repeat(10_000)).await;
    }
    peer.say("ERROR\nmessage:no\npasscode:hunter2\n\nThe message:\nSEND\n\nxxxxxxxxx\0").await;
    session.closed().await;
    let history = session.history();
    assert_eq!((history.records().len(), history.messages()), (64, 200));
    let texts: Vec<_> = history.records().map(|record| &*record.text).collect();
    let last = &texts[62..];
    assert!(last[0].starts_with("ERROR") && last[1].starts_with("closed: the broker sent ERROR"), "{last:?}");
    let text = history.to_string();
    assert!(!text.contains("hunter2") && !text.contains("xxxxxxxxx") && text.len() < 64 * 300, "{text}");
}

/// Notes where the session stands at the moment of a wake.
struct Look(Session, Mutex<Vec<String>>);

impl Look {
    fn note(&self) {
        let state = match self.0.state() {
            SessionState::Connected(_) => "connected",
            SessionState::Reconnecting { .. } => "reconnecting",
            SessionState::Closed(_) => "closed",
            _ => "something else",
        };
        self.1.lock().expect("no panic").push(state.to_owned());
    }
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.note();
    }
}

/// Who is told that nothing was sent asks why, and must not hear that all is well.
#[tokio::test(start_paused = true)]
async fn whoever_is_woken_by_the_end_of_a_connection_sees_it_in_the_state() {
    for reconnects in [true, false] {
        let mut settings = config();
        if reconnects {
            settings.reconnect = ReconnectPolicy::default();
        }
        let (session, peer) = Peer::session_with(settings, 1, "").await;
        session.send("/queue/a").body(vec![b'x'; 1000]).await.expect("queued");
        // All of them have something to say at the end.
        let mut inboxes = Vec::new();
        for _ in 0..100 {
            inboxes.push(session.subscribe("/queue/a").await.expect("subscribed"));
        }
        let look = Arc::new(Look(session.clone(), Mutex::default()));
        let waker = Waker::from(look.clone());
        let mut confirm = Box::pin(session.send("/queue/a").confirm());
        assert!(confirm.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(peer);
        // The driver's turn.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let SendError::NotSent(_) = confirm.await.expect_err("the connection is lost") else {
            unreachable!("not sent")
        };
        let expected = if reconnects { "reconnecting" } else { "closed" };
        assert_eq!(*look.1.lock().expect("no panic"), [expected]);
    }
}

/// The same for whoever observes.
#[derive(Default)]
struct Watcher {
    session: OnceLock<Session>,
    seen: Mutex<Vec<(&'static str, bool)>>,
}

impl Observer for Watcher {
    fn on_event(&self, event: &Event) {
        let Some(session) = self.session.get() else { return };
        let state = session.state();
        let agree = match event {
            Event::Connected(_) => ("connected", session.connected().is_some()),
            Event::Disconnected(_) => ("disconnected", session.connected().is_none()),
            Event::Reconnecting { .. } => {
                ("reconnecting", matches!(state, SessionState::Reconnecting { .. }))
            }
            _ => return,
        };
        self.seen.lock().expect("no panic").push(agree);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_of_an_event_sees_it_in_the_state() {
    let (give, take) = std::sync::mpsc::sync_channel(2);
    let take = Mutex::new(take);
    let connector = move |_: Endpoint| {
        let next = take.lock().expect("no panic").try_recv();
        async move { next.map_err(|_| TransportError::new(TransportErrorKind::Refused, "nothing listens")) }
    };
    let watcher = Arc::new(Watcher::default());
    let mut settings = config();
    settings.reconnect = ReconnectPolicy::default();
    let (ours, mut peer) = Peer::pair(ROOM);
    give.send(ours).expect("heard");
    let connecting = Session::connect_observed(settings, Arc::new(connector), Some(watcher.clone()));
    let (session, ()) = tokio::join!(connecting, peer.welcome());
    let session = session.expect("connected");
    watcher.session.set(session.clone()).expect("once");
    let (ours, mut next) = Peer::pair(ROOM);
    give.send(ours).expect("heard");
    drop(peer);
    next.welcome().await;
    let mut state = session.state_changes();
    state.wait_for(|state| matches!(state, SessionState::Connected(_))).await.expect("alive");
    let seen = watcher.seen.lock().expect("no panic").clone();
    assert_eq!(seen, [("disconnected", true), ("reconnecting", true), ("connected", true)]);
    // The observer has a handle too.
    session.abort();
}

#[tokio::test(start_paused = true)]
async fn what_a_handle_asks_for_shows_in_the_state_at_once() {
    let (session, _peer) = Peer::session(ROOM).await;
    let mut leaving = Box::pin(session.disconnect());
    assert!(leaving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(matches!(session.state(), SessionState::Disconnecting(_)), "{:?}", session.state());
    assert!(session.connected().is_none() && session.send("/queue/a").await.is_err());
    session.abort();
    assert!(matches!(session.state(), SessionState::Closed(None)), "{:?}", session.state());
    leaving.await.expect("ended as asked");

    let (session, _peer) = Peer::session(ROOM).await;
    session.abort();
    assert!(matches!(session.state(), SessionState::Closed(None)), "{:?}", session.state());
}
