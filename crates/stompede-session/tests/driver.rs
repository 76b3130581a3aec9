//! The driver and its handles, over memory transports and with a clock that stands still unless all wait.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::time::Duration;

use common::peer::{Peer, body, connect, no_task_is_left};
use common::{SECOND, config, header};
use stompede_codec::Command;
use stompede_session::{AckMode, ErrorKind, SendError, Session, SessionState};
use stompede_transport::{BoxTransport, Endpoint, TransportError, TransportErrorKind};

/// The paused clock.
#[allow(clippy::disallowed_methods, reason = "a test looks at the clock that it moves")]
fn clock() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

const ROOM: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn a_session_from_beginning_to_end() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/topic/a").await.expect("subscribed");
    let subscribe = peer.frame().await;
    assert_eq!((subscribe.command(), header(&subscribe, "ack").as_str()), (Command::Subscribe, "auto"));

    session.send("/topic/a").text("hello").await.expect("sent");
    let send = peer.frame().await;
    assert_eq!((send.body_text(), header(&send, "content-type").as_str()), (Ok("hello"), "text/plain"));
    peer.message(&header(&subscribe, "id"), "hello").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    assert_eq!(message.text(), Ok("hello"));
    assert!(message.ack().is_ok(), "nothing to do in auto mode");

    let (disconnected, ()) = tokio::join!(session.disconnect(), peer.goodbye());
    disconnected.expect("in order");
    assert!(inbox.try_next().await.expect("a clean end").is_none());
    assert!(matches!(session.state(), SessionState::Closed(None)));
    session.disconnect().await.expect("twice is fine");
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn confirm_resolves_with_the_receipt() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").body(body(10)).confirm(), async {
        let send = peer.frame().await;
        peer.receipt(&send).await;
    });
    confirmed.expect("confirmed");
}

#[tokio::test(start_paused = true)]
async fn confirm_gives_up_in_time() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let start = clock();
    let (confirmed, _send) =
        tokio::join!(session.send("/queue/a").deadline(3 * SECOND).confirm(), peer.frame());
    let Err(SendError::Unknown(cause)) = confirmed else { unreachable!("unknown: {confirmed:?}") };
    assert_eq!(cause.kind(), ErrorKind::ReceiptTimedOut);
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_frame_ends_everything_that_waits() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/topic/a").await.expect("subscribed");
    peer.frame().await;
    let (rejected, unknown, next, ended, ()) = tokio::join!(
        session.send("/queue/a").confirm(),
        session.send("/queue/b").confirm(),
        inbox.try_next(),
        session.closed(),
        async {
            let receipt = header(&peer.frame().await, "receipt");
            peer.frame().await;
            peer.say(format!("ERROR\nmessage:no such queue\nreceipt-id:{receipt}\n\n\0")).await;
        }
    );
    assert!(matches!(rejected, Err(SendError::Rejected(_))), "{rejected:?}");
    assert!(matches!(unknown, Err(SendError::Unknown(_))), "{unknown:?}");
    assert_eq!(next.expect_err("ended").kind(), ErrorKind::BrokerError);
    assert!(ended.expect("a cause").to_string().contains("no such queue"));
    let late = session.send("/queue/c").await.expect_err("closed");
    let SendError::NotSent(unsent) = late else { unreachable!("not sent: {late:?}") };
    assert_eq!(header(&unsent.frame, "destination"), "/queue/c", "the frame is given back");
    assert!(session.subscribe("/topic/b").await.is_err());
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_reported_where_it_is_awaited() {
    let (session, _peer) = Peer::session(ROOM).await;
    let empty = session.send("").await.expect_err("no destination");
    assert_eq!(empty.cause().kind(), ErrorKind::InvalidArgument);
    let empty = session.subscribe("").await.expect_err("no destination");
    assert_eq!(empty.kind(), ErrorKind::InvalidArgument);
    let nul = session.send("/queue/a").header("k", "a\0b").await.expect_err("NUL in a header");
    assert_eq!(nul.cause().kind(), ErrorKind::Unencodable);
    session.send("/queue/a").await.expect("the session goes on");
}

#[tokio::test(start_paused = true)]
async fn each_way_a_start_can_fail_has_its_kind_and_leaves_no_task() {
    let refused = |_: Endpoint| async {
        Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::Refused, "nothing listens"))
    };
    let error = Session::connect(config(), refused).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::DialFailed);
    no_task_is_left().await;

    let start = clock();
    let silent = |_: Endpoint| std::future::pending::<Result<BoxTransport, TransportError>>();
    let error = Session::connect(config(), silent).await.expect_err("silent");
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::ConnectTimedOut, 10));
    no_task_is_left().await;

    let start = clock();
    let (ours, mut peer) = Peer::pair(ROOM);
    let (error, _) = tokio::join!(connect(config(), ours), peer.frame());
    let error = error.expect_err("no CONNECTED");
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::HandshakeTimedOut, 10));
    no_task_is_left().await;

    let start = clock();
    let (ours, mut peer) = Peer::pair(ROOM);
    let (error, ()) = tokio::join!(connect(config(), ours), async {
        peer.frame().await;
        // The broker leaves its socket open.
        peer.say("ERROR\nmessage:Bad CONNECT\n\n\0").await;
    });
    assert_eq!(error.expect_err("refused").kind(), ErrorKind::LoginRefused);
    assert_eq!(start.elapsed(), Duration::ZERO, "at once");
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connect_leaves_nothing_behind() {
    let silent = |_: Endpoint| std::future::pending::<Result<BoxTransport, TransportError>>();
    let attempt = tokio::time::timeout(SECOND, Session::connect(config(), silent)).await;
    assert!(attempt.is_err());
    no_task_is_left().await;
    let (ours, mut peer) = Peer::pair(ROOM);
    let attempt = tokio::time::timeout(SECOND, connect(config(), ours)).await;
    assert!(attempt.is_err());
    assert_eq!(peer.frame().await.command(), Command::Connect);
    assert!(peer.try_frame().await.is_none(), "the connection is closed");
    no_task_is_left().await;
}

#[test]
fn connecting_outside_a_runtime_is_an_error() {
    let mut connecting = Box::pin(Session::connect(config(), |_: Endpoint| async {
        Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::Refused, "never asked"))
    }));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = connecting.as_mut().poll(&mut cx) else {
        unreachable!("an error")
    };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_says_goodbye() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let inbox = session.subscribe("/topic/a").await.expect("subscribed");
    peer.frame().await;
    drop(session);
    drop(inbox);
    assert_eq!(peer.frame().await.command(), Command::Unsubscribe);
    peer.goodbye().await;
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_weak_subscription_lets_its_session_go() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/topic/a").await.expect("subscribed").into_weak();
    peer.frame().await;
    drop(session);
    peer.goodbye().await;
    assert!(inbox.try_next().await.expect("a clean end").is_none());
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocked_write_does_not_stop_reads() {
    let (session, mut peer) = Peer::session(1).await;
    let mut inbox = session.subscribe("/topic/a").id("s").await.expect("subscribed");
    // The broker reads nothing from here on.
    session.send("/queue/a").body(body(100_000)).await.expect("queued");
    for n in 0..100 {
        peer.message("s", &n.to_string()).await;
        let message = inbox.try_next().await.expect("open").expect("a message");
        assert_eq!(message.text(), Ok(n.to_string().as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_senders_wait_and_gives_up_in_time() {
    let (session, mut peer) = Peer::session(1).await;
    let mut sent = 0;
    let unsent = loop {
        match session.send("/queue/a").body(body(100_000)).deadline(2 * SECOND).await {
            Ok(()) => sent += 1,
            Err(SendError::NotSent(unsent)) => break unsent,
            Err(other) => unreachable!("not sent: {other:?}"),
        }
        assert!(sent < 100, "the queue is bounded");
    };
    assert_eq!(unsent.cause.kind(), ErrorKind::WriteTimedOut);
    assert_eq!(unsent.frame.body().len(), 100_000);
    // Once the broker reads again, a waiting sender goes on.
    let (last, ()) = tokio::join!(session.send("/queue/a").header("last", "yes").await_sent(), async {
        while peer.frame().await.header("last").is_none() {}
    });
    last.expect("sent");
}

#[tokio::test(start_paused = true)]
async fn who_awaits_a_receipt_may_fill_the_queue_further_unless_others_wait() {
    let (session, mut peer) = Peer::session(1).await;
    // The first one fills the connection, the second the queue, as far as it goes without receipts.
    for _ in 0..2 {
        session.send("/queue/full").body(body(300_000)).await.expect("queued");
    }
    let mut confirms = Vec::new();
    for n in 0.. {
        let mut confirm = Box::pin(session.send(format!("/queue/{n}")).body(body(100_000)).confirm());
        assert!(is_pending(&mut confirm).await);
        confirms.push(confirm);
        if n == 3 {
            break;
        }
    }
    let mut patient = Box::pin(session.send("/queue/patient").into_future());
    assert!(is_pending(&mut patient).await);
    // Behind one who waits, they wait as well: dropped, this one is never sent.
    let mut late = Box::pin(session.send("/queue/late").confirm());
    assert!(is_pending(&mut late).await);
    drop((confirms, late));
    let destinations = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "/queue/patient") {
            seen.push(header(&peer.frame().await, "destination"));
        }
        seen
    };
    let (sent, seen) = tokio::join!(patient, destinations);
    sent.expect("sent");
    assert_eq!(seen[2..], ["/queue/0", "/queue/1", "/queue/2", "/queue/3", "/queue/patient"]);
}

#[tokio::test(start_paused = true)]
async fn what_awaits_receipts_is_bounded_too() {
    let (session, mut peer) = Peer::session(1).await;
    let mut confirms = Vec::new();
    for _ in 0..50 {
        let mut confirm = Box::pin(session.send("/queue/a").body(body(100_000)).confirm());
        assert!(is_pending(&mut confirm).await);
        confirms.push(confirm);
    }
    // What was not handed over is never sent.
    drop(confirms);
    let (last, handed_over) = tokio::join!(session.send("/queue/last").await_sent(), async {
        let mut handed_over = 0;
        while header(&peer.frame().await, "destination") == "/queue/a" {
            handed_over += 1;
        }
        handed_over
    });
    last.expect("sent");
    // A mebibyte of them, and what the driver had taken out meanwhile.
    assert!((11..14).contains(&handed_over), "{handed_over}");
}

/// Polls once.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_send_that_is_polled_again_sends_nothing_again() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut confirm = std::pin::pin!(session.send("/queue/a").confirm());
    let (confirmed, ()) = tokio::join!(&mut confirm, async {
        let frame = peer.frame().await;
        peer.receipt(&frame).await;
    });
    confirmed.expect("confirmed");
    let again = std::future::poll_fn(|cx| std::task::Poll::Ready(confirm.as_mut().poll(cx))).await;
    assert!(again.is_pending());
    session.send("/queue/b").await.expect("sent");
    assert_eq!(header(&peer.frame().await, "destination"), "/queue/b");
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_polled_again_sends_nothing_again() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut sent = std::pin::pin!(session.send("/queue/a").into_future());
    let mut refused = std::pin::pin!(session.send("").into_future());
    sent.as_mut().await.expect("sent");
    refused.as_mut().await.expect_err("there is no destination");
    for again in [sent, refused] {
        let again = tokio::time::timeout(SECOND, again).await;
        assert!(again.is_err(), "stays pending");
    }
    session.send("/queue/b").await.expect("sent");
    assert_eq!(header(&peer.frame().await, "destination"), "/queue/a");
    assert_eq!(header(&peer.frame().await, "destination"), "/queue/b");
}

/// `join!` wants a future, and a builder is only on its way to one.
trait AwaitSent {
    async fn await_sent(self) -> Result<(), SendError>;
}

impl AwaitSent for stompede_session::SendBuilder<'_> {
    async fn await_sent(self) -> Result<(), SendError> {
        self.await
    }
}

#[tokio::test(start_paused = true)]
async fn flush_waits_until_all_is_written() {
    let (session, mut peer) = Peer::session(1).await;
    for _ in 0..3 {
        session.send("/queue/a").body(body(10)).await.expect("queued");
    }
    let mut flush = Box::pin(session.flush());
    assert!(tokio::time::timeout(SECOND, &mut flush).await.is_err(), "the broker does not read");
    let (flushed, ()) = tokio::join!(flush, async {
        for _ in 0..3 {
            peer.frame().await;
        }
    });
    flushed.expect("written");
    session.flush().await.expect("nothing to do");
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_holds_up_nobody_else_until_the_overflow_is_full() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut slow = session.subscribe("/topic/slow").id("slow").await.expect("subscribed");
    let mut brisk = session.subscribe("/topic/brisk").id("brisk").await.expect("subscribed");
    let text = "x".repeat(100_000);
    // 10 MB for somebody who does not look: more than a queue, less than the overflow.
    for _ in 0..100 {
        peer.message("slow", &text).await;
    }
    peer.message("brisk", "quick").await;
    assert_eq!(brisk.try_next().await.expect("open").expect("a message").text(), Ok("quick"));
    // Another 10 MB: now reading stops, and goes on when the messages are taken. None is lost.
    let (taken, ()) = tokio::join!(
        async {
            let mut taken = 0;
            while let Some(message) = slow.try_next().await.expect("open") {
                if message.body() == "end" {
                    break;
                }
                taken += 1;
            }
            taken
        },
        async {
            for _ in 0..100 {
                peer.message("slow", &text).await;
            }
            peer.message("slow", "end").await;
        }
    );
    assert_eq!(taken, 200);
}

#[tokio::test(start_paused = true)]
async fn reading_stops_when_the_overflow_is_full() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let slow = session.subscribe("/topic/slow").id("slow").await.expect("subscribed");
    let text = "x".repeat(1_000_000);
    let flood = async {
        let mut said = 0;
        loop {
            peer.message("slow", &text).await;
            said += 1;
            assert!(said < 40, "what is held is bounded");
        }
    };
    assert!(tokio::time::timeout(SECOND, flood).await.is_err(), "the broker is held up");
    // Dropping the subscription makes room.
    drop(slow);
    tokio::time::timeout(SECOND, async {
        for _ in 0..40 {
            peer.message("slow", &text).await;
        }
    })
    .await
    .expect("reading goes on");
}

#[tokio::test(start_paused = true)]
async fn messages_are_settled_once_whoever_holds_a_clone() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox =
        session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await.expect("subscribed");
    assert_eq!(header(&peer.frame().await, "ack"), "client-individual");
    peer.message("s", "a1").await;
    peer.message("s", "a2").await;
    let first = inbox.try_next().await.expect("open").expect("a message");
    let second = inbox.try_next().await.expect("open").expect("a message");
    first.clone().ack().expect("settled");
    assert_eq!(first.nack().expect_err("settled before").kind(), ErrorKind::AlreadySettled);
    second.nack().expect("settled");
    let (ack, nack) = (peer.frame().await, peer.frame().await);
    assert_eq!((ack.command(), header(&ack, "id").as_str()), (Command::Ack, "a1"));
    assert_eq!((nack.command(), header(&nack, "id").as_str()), (Command::Nack, "a2"));
}

#[tokio::test(start_paused = true)]
async fn an_ack_after_the_end_is_stale() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/queue/a").id("s").ack(AckMode::Client).await.expect("subscribed");
    peer.message("s", "a1").await;
    let message = inbox.try_next().await.expect("open").expect("a message");
    drop(peer);
    assert_eq!(session.closed().await.expect("a cause").kind(), ErrorKind::ConnectionLost);
    assert_eq!(message.ack().expect_err("gone").kind(), ErrorKind::StaleAck);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_can_ask_for_a_receipt() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let (inbox, subscribe) = tokio::join!(session.subscribe("/queue/a").confirm().into_future(), async {
        let subscribe = peer.frame().await;
        peer.receipt(&subscribe).await;
        subscribe
    });
    inbox.expect("subscribed").unsubscribe().expect("unsubscribed");
    let unsubscribe = peer.frame().await;
    assert_eq!(header(&unsubscribe, "id"), header(&subscribe, "id"));
    let (refused, ()) = tokio::join!(session.subscribe("/queue/b").confirm().into_future(), async {
        let receipt = header(&peer.frame().await, "receipt");
        peer.say(format!("ERROR\nmessage:not found\nreceipt-id:{receipt}\n\n\0")).await;
    });
    assert!(refused.expect_err("refused").to_string().contains("not found"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_starves_neither_commands_nor_the_end() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/topic/a").id("s").await.expect("subscribed");
    let consumer = tokio::spawn(async move { while let Ok(Some(_)) = inbox.try_next().await {} });
    let flood = async {
        let message = "MESSAGE\nsubscription:s\nmessage-id:1\n\nagain\0";
        while peer.try_say(message).await.is_ok() {}
    };
    let command = async {
        for _ in 0..100 {
            session.send("/queue/a").await.expect("queued");
            session.flush().await.expect("written");
        }
        session.abort();
        assert!(session.closed().await.is_none());
    };
    tokio::join!(flood, command);
    consumer.await.expect("the consumer saw the end");
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn dropped_waits_leave_nothing_behind() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let confirm = tokio::time::timeout(SECOND, session.send("/queue/a").confirm());
    assert!(confirm.await.is_err());
    let late = peer.frame().await;
    // Its receipt comes when nobody waits any more; the next one must not take it for its own.
    peer.receipt(&late).await;
    let (confirmed, ()) = tokio::join!(session.send("/queue/b").confirm(), async {
        let send = peer.frame().await;
        assert_ne!(header(&send, "receipt"), header(&late, "receipt"));
        peer.receipt(&send).await;
    });
    confirmed.expect("confirmed");
    // No receipt is awaited any more, so DISCONNECT goes out at once; a dropped disconnect still disconnects.
    assert!(tokio::time::timeout(SECOND, session.disconnect()).await.is_err());
    peer.goodbye().await;
    assert!(session.closed().await.is_none());
}
