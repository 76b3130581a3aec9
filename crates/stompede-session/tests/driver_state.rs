//! The state as a value to watch, and the history.

#![cfg(feature = "tokio")]

mod common;

use common::config;
use common::peer::{Peer, connect};
use stompede_codec::Version;
use stompede_session::{HeartBeat, SessionState};

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
    peer.say("ERROR\nmessage:no\npasscode:hunter2\n\n\0").await;
    session.closed().await;
    let history = session.history();
    assert_eq!((history.records().len(), history.messages()), (64, 200));
    let texts: Vec<_> = history.records().map(|record| &*record.text).collect();
    let last = &texts[62..];
    assert!(last[0].starts_with("ERROR") && last[1].starts_with("closed: the broker sent ERROR"), "{last:?}");
    let text = history.to_string();
    assert!(!text.contains("hunter2") && text.len() < 64 * 300, "{text}");
}
