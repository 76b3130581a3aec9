//! Brokers that break the rules: each ends in a typed error or is put up with, in bounded memory.

#![cfg(feature = "tokio")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::peer::{Peer, Watch, connect, no_task_is_left};
use common::{SECOND, config, header};
use stompede_codec::Limits;
use stompede_session::protocol::Event;
use stompede_session::{Config, ErrorKind, HeartBeat, SendError};

const ROOM: usize = 64 * 1024;

/// How a session ends to which a broker says this.
async fn ends_with(wire: &str) -> ErrorKind {
    let (session, mut peer) = Peer::session(ROOM).await;
    peer.say(wire).await;
    // It leaves its socket open.
    let kind =
        tokio::time::timeout(SECOND, session.closed()).await.expect("at once").expect("a cause").kind();
    no_task_is_left().await;
    kind
}

#[tokio::test(start_paused = true)]
async fn frames_that_have_no_place_end_the_session() {
    for wire in [
        "CONNECTED\nversion:1.2\n\n\0",
        "SEND\ndestination:/a\n\n\0",
        "RECEIPT\n\n\0",
        "NONSENSE\n\n\0",
        "MESSAGE\nno colon\n\n\0",
        "MESSAGE\na:\\t\n\n\0",
        "MESSAGE\ncontent-length:-1\n\n\0",
    ] {
        assert_eq!(ends_with(wire).await, ErrorKind::Protocol, "{wire:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_of_any_kind_ends_the_session_although_the_broker_does_not_close() {
    for wire in [
        "ERROR\n\n\0",
        "ERROR\nmessage:no\n\nwhy\0",
        "ERROR\nmessage:no\nreceipt-id:r-0-0\n\n\0",
        "ERROR\nmessage:no\nreceipt-id:\n\n\0RECEIPT\nreceipt-id:x\n\n\0",
    ] {
        assert_eq!(ends_with(wire).await, ErrorKind::BrokerError, "{wire:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_and_receipts_for_nobody_are_only_events() {
    let watch = Arc::new(Watch::default());
    let (session, mut peer) = Peer::watched(config(), ROOM, "", watch.clone()).await;
    for wire in [
        "MESSAGE\nmessage-id:1\n\nno subscription\0",
        "MESSAGE\nsubscription:nobody\nmessage-id:1\n\nunknown\0",
        "RECEIPT\nreceipt-id:never-asked-for\n\n\0",
        "RECEIPT\nreceipt-id:r-4294967295-4294967295\n\n\0",
    ] {
        peer.say(wire).await;
    }
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").confirm(), async {
        let send = peer.frame().await;
        peer.receipt(&send).await;
    });
    confirmed.expect("the session goes on");
    let events = watch.events();
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Unrouted(_))), 2);
    assert_eq!(count(|event| matches!(event, Event::Receipt(_))), 3);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_after_an_error_confirms_nothing() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let (sent, ()) = tokio::join!(session.send("/queue/a").confirm(), async {
        let receipt = header(&peer.frame().await, "receipt");
        peer.say(format!("ERROR\nmessage:no\n\n\0RECEIPT\nreceipt-id:{receipt}\n\n\0")).await;
    });
    assert!(matches!(sent, Err(SendError::Unknown(_))), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn heart_beat_nonsense_fails_the_connect() {
    for nonsense in ["x", "1", "1,2,3", "-1,-1", "1e3,0"] {
        let (ours, mut peer) = Peer::pair(ROOM);
        let headers = format!("heart-beat:{nonsense}\n");
        let (connected, ()) = tokio::join!(connect(config(), ours), peer.welcome_with(&headers));
        assert_eq!(connected.expect_err("nonsense").kind(), ErrorKind::Protocol, "{nonsense}");
    }
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_frame_ends_at_the_limits() {
    for (wire, piece) in [
        ("MESSAGE\nlong:", "x"),
        ("MESSAGE\n", "a:b\n"),
        ("MESSAGE\nsubscription:s\n\n", "x"),
        ("MESSAGE\ncontent-length:99999999999\n\n", ""),
    ] {
        let mut settings = config();
        settings.limits = Limits::default().with_max_body(1_000_000);
        let (session, mut peer) = Peer::session_with(settings, ROOM, "").await;
        let mut said = 0;
        let flood = async {
            let _ = peer.try_say(wire).await;
            let piece = piece.repeat(10_000);
            while !piece.is_empty() && peer.try_say(piece.clone()).await.is_ok() {
                said += piece.len();
            }
        };
        let ((), ended) = tokio::join!(flood, session.closed());
        assert_eq!(ended.expect("a cause").kind(), ErrorKind::Protocol, "{wire:?}");
        assert!(said < 2_000_000, "{said} bytes of {wire:?}");
    }
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_second_is_alive_and_has_its_time_to_log_in() {
    // To log in there is a limit, however alive the peer is.
    let (ours, mut peer) = Peer::pair(ROOM);
    let drip = async {
        peer.frame().await;
        for octet in "CONNECTED\nversion:1.2\n\n\0".chars() {
            if peer.try_say(octet).await.is_err() {
                return;
            }
            tokio::time::sleep(SECOND).await;
        }
    };
    let (connected, ()) = tokio::join!(connect(config(), ours), drip);
    assert_eq!(connected.expect_err("too slow").kind(), ErrorKind::HandshakeTimedOut);
    // Afterwards a byte is a sign of life.
    let mut settings: Config = config();
    settings.heart_beat = HeartBeat::every(SECOND);
    let (session, mut peer) = Peer::session_with(settings, ROOM, "heart-beat:1000,0\n").await;
    let mut inbox = session.subscribe("/topic/a").id("s").await.expect("subscribed");
    for octet in "MESSAGE\nsubscription:s\nmessage-id:1\n\nslow\0".chars() {
        peer.say(octet).await;
        tokio::time::sleep(SECOND + Duration::from_millis(500)).await;
    }
    assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok("slow"));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_up_or_falls_silent_after_disconnect_is_let_go() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let (ended, ()) = tokio::join!(session.disconnect(), async {
        peer.frame().await;
        peer.close().await;
    });
    ended.expect("an orderly close counts as the receipt");
    let (session, mut peer) = Peer::session(ROOM).await;
    let (ended, _) = tokio::join!(session.disconnect(), peer.frame());
    assert_eq!(ended.expect_err("silent").kind(), ErrorKind::DisconnectTimedOut);
    no_task_is_left().await;
}
