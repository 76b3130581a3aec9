//! The transaction guard.

#![cfg(feature = "tokio")]

mod common;

use std::sync::Arc;

use common::peer::{Peer, Watch};
use common::{SECOND, config, header};
use stompede_codec::Command;
use stompede_session::protocol::Event;
use stompede_session::{AckMode, ErrorKind, Message, SendError, Session, Subscription};

const ROOM: usize = 64 * 1024;

/// A session with a subscription, and a message of it that has to be acknowledged.
async fn with_a_message() -> (Session, Peer, Subscription, Message) {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox =
        session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    (session, peer, inbox, message)
}

#[tokio::test(start_paused = true)]
async fn messages_and_acks_of_a_transaction_are_committed_together() {
    let (session, mut peer, _inbox, message) = with_a_message().await;
    let transaction = session.begin().await.expect("begun");
    let name = transaction.name().to_owned();
    transaction.send("/queue/b").text("x").await.expect("sent");
    transaction.ack(&message).expect("settled");
    assert_eq!(message.ack().expect_err("in the transaction").kind(), ErrorKind::AlreadySettled);
    let (committed, ()) = tokio::join!(transaction.commit(), async {
        for command in [Command::Begin, Command::Send, Command::Ack] {
            let frame = peer.frame().await;
            assert_eq!((frame.command(), header(&frame, "transaction")), (command, name.clone()));
        }
        let commit = peer.frame().await;
        assert_eq!((commit.command(), header(&commit, "transaction")), (Command::Commit, name.clone()));
        peer.receipt(&commit).await;
    });
    committed.expect("confirmed");
    assert_eq!(message.ack().expect_err("committed").kind(), ErrorKind::AlreadySettled);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_guard_aborts_and_its_acks_are_open_again() {
    let (session, mut peer, _inbox, message) = with_a_message().await;
    let transaction = session.begin().await.expect("begun");
    transaction.ack(&message).expect("settled");
    drop(transaction);
    message.ack().expect("open again");
    let mut commands = Vec::new();
    for _ in 0..4 {
        commands.push(peer.frame().await.command());
    }
    assert_eq!(commands, [Command::Begin, Command::Ack, Command::Abort, Command::Ack]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dropped_before_its_transaction_is_aborted_is_told() {
    for commits in [true, false] {
        let watch = Arc::new(Watch::default());
        let (session, mut peer) = Peer::watched(config(), ROOM, "", watch.clone()).await;
        let subscribe = session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual);
        let mut inbox = subscribe.await.expect("subscribed");
        peer.frame().await;
        for n in ["a1", "a2"] {
            peer.message("s", n).await;
        }
        let transaction = session.begin().await.expect("begun");
        for _ in 0..2 {
            let message = inbox.try_next().await.expect("open").expect("a message");
            transaction.ack(&message).expect("settled");
        }
        let unsettled = || {
            let events = watch.events().into_iter();
            let counts = events.filter_map(|event| match event {
                Event::Unsettled { messages, .. } => Some(messages),
                _ => None,
            });
            counts.collect::<Vec<_>>()
        };
        tokio::time::sleep(SECOND).await;
        assert!(unsettled().is_empty(), "it may still be committed");
        if commits {
            let confirm = async {
                for _ in 0..3 {
                    peer.frame().await;
                }
                let commit = peer.frame().await;
                peer.receipt(&commit).await;
            };
            let (committed, ()) = tokio::join!(transaction.commit(), confirm);
            committed.expect("confirmed");
        } else {
            drop(transaction);
        }
        tokio::time::sleep(SECOND).await;
        assert_eq!(unsettled(), if commits { vec![] } else { vec![2] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_commit_and_a_lost_one_say_which_they_are() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let transaction = session.begin().await.expect("begun");
    let (refused, ()) = tokio::join!(transaction.commit(), async {
        peer.frame().await;
        let receipt = header(&peer.frame().await, "receipt");
        peer.say(format!("ERROR\nmessage:no\nreceipt-id:{receipt}\n\n\0")).await;
    });
    assert!(matches!(refused, Err(SendError::Rejected(_))), "{refused:?}");

    let (session, mut peer) = Peer::session(ROOM).await;
    let transaction = session.begin().await.expect("begun");
    let late = session.begin().await.expect("begun");
    let (lost, ()) = tokio::join!(transaction.commit(), async {
        for _ in 0..3 {
            peer.frame().await;
        }
        drop(peer);
    });
    assert!(matches!(lost, Err(SendError::Unknown(_))), "{lost:?}");
    let unsent = late.send("/queue/a").await.expect_err("gone");
    assert!(matches!(unsent, SendError::NotSent(_)), "{unsent:?}");
    let uncommitted = late.commit().await.expect_err("gone with its connection");
    assert!(matches!(uncommitted, SendError::NotSent(_)), "{uncommitted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_session_is_refused() {
    let (one, mut peer) = Peer::session(ROOM).await;
    let (other, _other_peer) = Peer::session(ROOM).await;
    let mut inbox = one.subscribe("/queue/a").id("s").ack(AckMode::Client).await.expect("subscribed");
    peer.message("s", "a1").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    let transaction = other.begin().await.expect("begun");
    assert_eq!(transaction.ack(&message).expect_err("foreign").kind(), ErrorKind::InvalidArgument);
    message.ack().expect("still open");
}
