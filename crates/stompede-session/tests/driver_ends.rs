//! Ends: drain, disconnect, abort, and each of them again.

#![cfg(feature = "tokio")]

mod common;

use std::future::poll_fn;
use std::pin::Pin;

use common::peer::{Peer, no_task_is_left};
use common::{SECOND, config, header};
use futures_core::Stream;
use stompede_codec::Command;
use stompede_session::{AckMode, ErrorKind, ReconnectPolicy, Session, Subscription};

const ROOM: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn drain_lets_handlers_finish_and_sends_their_acks_before_disconnect() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut jobs = session
        .subscribe("/queue/a")
        .id("s")
        .ack(AckMode::ClientIndividual)
        .await
        .expect("subscribed")
        .into_weak();
    peer.frame().await;
    peer.message("s", "a1").await;
    let worker = async {
        let job = jobs.try_next().await.expect("open").expect("a message");
        tokio::time::sleep(5 * SECOND).await;
        session.send("/queue/answers").await.expect("answers still go out");
        job.ack().expect("settled");
        assert!(jobs.try_next().await.expect("a clean end").is_none());
    };
    let broker = async {
        tokio::time::sleep(SECOND).await;
        // This one comes too late to be begun.
        peer.message("s", "a2").await;
        let mut seen = Vec::new();
        loop {
            let frame = peer.frame().await;
            seen.push(frame.command());
            if frame.command() == Command::Disconnect {
                peer.receipt(&frame).await;
                peer.close().await;
                return seen;
            }
        }
    };
    let drain = async {
        tokio::time::sleep(SECOND / 2).await;
        session.drain(60 * SECOND).await
    };
    let ((), seen, drained) = tokio::join!(worker, broker, drain);
    drained.expect("drained");
    assert_eq!(seen, [Command::Send, Command::Ack, Command::Disconnect], "no UNSUBSCRIBE before the ACK");
    session.drain(SECOND).await.expect("twice is fine");
    no_task_is_left().await;
}

/// What all messages say until the subscription has ended in order.
async fn texts(subscription: &mut Subscription) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(message) = subscription.try_next().await.expect("a clean end") {
        texts.push(message.text().expect("text").to_owned());
    }
    texts
}

#[tokio::test(start_paused = true)]
async fn drain_hands_over_what_was_under_way_in_ack_mode_auto() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut news = session.subscribe("/topic/a").id("s").await.expect("subscribed").into_weak();
    peer.frame().await;
    let consumer = texts(&mut news);
    let broker = async {
        let unsubscribe = peer.frame().await;
        assert_eq!(unsubscribe.command(), Command::Unsubscribe);
        // Sent before the broker had read it.
        peer.message("s", "late").await;
        peer.receipt(&unsubscribe).await;
        peer.goodbye().await;
    };
    let (texts, (), drained) = tokio::join!(consumer, broker, session.drain(60 * SECOND));
    drained.expect("drained");
    assert_eq!(texts, ["late"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_says_so_and_disconnects_all_the_same() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut jobs = session.subscribe("/queue/a").id("s").ack(AckMode::Client).await.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    let held = jobs.try_next().await.expect("open").expect("a message");
    let (drained, ()) = tokio::join!(session.drain(3 * SECOND), peer.goodbye());
    assert_eq!(drained.expect_err("not finished").kind(), ErrorKind::DrainTimedOut);
    assert_eq!(held.ack().expect_err("too late").kind(), ErrorKind::StaleAck);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_subscribed_while_a_session_is_drained() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let _jobs = session.subscribe("/queue/a").ack(AckMode::Client).await.expect("subscribed");
    peer.frame().await;
    let late = async {
        tokio::time::sleep(SECOND).await;
        session.subscribe("/queue/b").await.map(|_| ())
    };
    let (_, late, ()) = tokio::join!(session.drain(3 * SECOND), late, peer.goodbye());
    assert_eq!(late.expect_err("draining").kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_an_end_leaves_unwritten_has_not_been_flushed() {
    let (session, _peer) = Peer::session(1).await;
    for _ in 0..2 {
        session.send("/queue/a").body(vec![b'x'; 1000]).await.expect("queued");
    }
    let abort = async {
        tokio::time::sleep(SECOND).await;
        session.abort();
    };
    let (flushed, ()) = tokio::join!(session.flush(), abort);
    assert_eq!(flushed.expect_err("the broker reads nothing").kind(), ErrorKind::Closed);
    assert_eq!(session.flush().await.expect_err("nor later").kind(), ErrorKind::Closed);
    // In order, all is written before the end.
    let (session, mut peer) = Peer::session(ROOM).await;
    session.send("/queue/a").await.expect("sent");
    let (ended, ()) = tokio::join!(session.disconnect(), async {
        peer.frame().await;
        peer.goodbye().await;
    });
    ended.expect("in order");
    session.flush().await.expect("it was written");
}

#[tokio::test(start_paused = true)]
async fn a_second_drain_waits_for_the_same_and_loses_nothing() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut news = session.subscribe("/topic/a").id("s").await.expect("subscribed").into_weak();
    peer.frame().await;
    let consumer = texts(&mut news);
    let broker = async {
        let unsubscribe = peer.frame().await;
        tokio::time::sleep(2 * SECOND).await;
        // Sent before the broker had read it.
        peer.message("s", "late").await;
        peer.receipt(&unsubscribe).await;
        peer.goodbye().await;
    };
    let second = async {
        tokio::time::sleep(SECOND).await;
        session.drain(60 * SECOND).await
    };
    let (texts, (), first, second) = tokio::join!(consumer, broker, session.drain(60 * SECOND), second);
    first.expect("drained");
    second.expect("drained");
    assert_eq!(texts, ["late"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_drain_ends_its_subscriptions_and_holds_nothing_up() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inboxes = Vec::new();
    for destination in ["/topic/a", "/topic/b"] {
        inboxes.push(session.subscribe(destination).await.expect("subscribed").into_weak());
        peer.frame().await;
    }
    assert!(tokio::time::timeout(SECOND, session.drain(60 * SECOND)).await.is_err(), "no RECEIPT comes");
    for inbox in &mut inboxes {
        assert_eq!(peer.frame().await.command(), Command::Unsubscribe);
        let end = tokio::time::timeout(SECOND, inbox.try_next()).await.expect("at once");
        assert!(end.expect("a clean end").is_none());
    }
    // Nobody waits for these receipts any more.
    let end = async { tokio::join!(session.disconnect(), peer.goodbye()) };
    let (ended, ()) = tokio::time::timeout(SECOND, end).await.expect("at once");
    ended.expect("in order");
}

/// Every end after every end, and during it: each resolves, and none hangs or panics.
#[tokio::test(start_paused = true)]
async fn each_end_is_legal_at_any_time_and_twice() {
    async fn end(session: &Session, how: usize) {
        // Whether it was in order is for others to say: here it only has to come to an end.
        let _ = match how {
            0 => session.disconnect().await,
            1 => session.drain(SECOND).await,
            2 => session.flush().await,
            _ => {
                session.abort();
                Ok(())
            }
        };
    }
    for first in 0..4 {
        for second in 0..4 {
            for dead in [false, true] {
                let (session, mut peer) = Peer::session(ROOM).await;
                let _inbox = session.subscribe("/queue/a").ack(AckMode::Client).await.expect("subscribed");
                let broker = async {
                    if dead {
                        return drop(peer);
                    }
                    while let Some(frame) = peer.try_frame().await {
                        if !header(&frame, "receipt").is_empty() {
                            peer.receipt(&frame).await;
                        }
                    }
                };
                let user = async {
                    tokio::join!(end(&session, first), end(&session, second));
                    end(&session, second).await;
                    session.abort();
                    session.closed().await;
                };
                let both = async { tokio::join!(broker, user) };
                let ended = tokio::time::timeout(60 * SECOND, both).await;
                assert!(ended.is_ok(), "{first} and {second}, dead: {dead}");
            }
        }
    }
}

/// The end is asked for on one thread while another is still busy with the end of the connection. Each round is another
/// chance for them to meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_is_asked_for_while_a_connection_ends_is_told() {
    for round in 0..300 {
        let mut reconnecting = config();
        reconnecting.reconnect = ReconnectPolicy::default();
        let (session, mut peer) = Peer::session_with(reconnecting, ROOM, "").await;
        let broker = async {
            peer.frame().await;
            peer.say("ERROR\nmessage:no\n\n\0").await;
        };
        let (refused, ()) = tokio::join!(session.send("/queue/a").confirm(), broker);
        refused.expect_err("the broker said no");
        let ended = tokio::time::timeout(10 * SECOND, session.disconnect()).await;
        assert!(ended.is_ok(), "round {round}: nobody was told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_last_item_of_a_stream() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/queue/a").id("s").await.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    drop(peer);
    session.closed().await.expect("a cause");
    let mut next = async || poll_fn(|cx| Pin::new(&mut inbox).poll_next(cx)).await.map(|item| item.is_ok());
    assert_eq!(
        (next().await, next().await, next().await, next().await),
        (Some(true), Some(false), None, None)
    );
    inbox.try_next().await.expect_err("who asks why is still told");
}
