//! Slow and stuck consumers, floods and two-way blocks, with the driver.

#![cfg(feature = "tokio")]

mod common;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use common::peer::{Peer, Watch, body, no_task_is_left};
use common::{SECOND, config, header};
use stompede_codec::Command;
use stompede_session::protocol::Event;
use stompede_session::{AckMode, Config, ErrorKind, HeartBeat, SendError, Session, WhenFull};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{Endpoint, Outbound, Transport, TransportError, TransportErrorKind};

/// The paused clock.
#[allow(clippy::disallowed_methods, reason = "a test looks at the clock that it moves")]
fn clock() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

const ROOM: usize = 64 * 1024;

fn beating() -> Config {
    let mut config = config();
    config.heart_beat = HeartBeat::every(SECOND);
    config
}

/// On a current-thread runtime the future that is blocked on has its turn only after up to 61 tasks: one task that wakes
/// itself again and again must not be all of them.
#[tokio::test(start_paused = true)]
async fn a_flood_for_many_subscriptions_leaves_others_their_turn() {
    const MANY: usize = 1000;
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inboxes = Vec::new();
    for n in 0..MANY {
        inboxes.push(session.subscribe("/queue/a").id(n.to_string()).await.expect("subscribed"));
    }
    session.flush().await.expect("written");
    let flood = tokio::spawn(async move {
        for n in 0..MANY {
            peer.message(&n.to_string(), "hello").await;
        }
        peer
    });
    let (mut before, mut most) = (0, 0);
    while before < MANY as u64 {
        tokio::task::yield_now().await;
        let now = session.history().messages();
        most = most.max(now - before);
        before = now;
    }
    flood.await.expect("no panic");
    // A chunk of the memory transport has at most a few of these messages.
    assert!(most <= 200, "{most} messages came in one turn");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_awaits_a_confirm_while_its_own_queue_is_full_gets_it() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session.subscribe("/queue/a").id("s").window(4).await.expect("subscribed");
    let mut running = session.subscribe("/queue/b").id("r").await.expect("subscribed");
    peer.frame().await;
    peer.frame().await;
    let handler = async {
        let mut handled = 0;
        while handled < 100 {
            inbox.try_next().await.expect("open").expect("a message");
            session.send("/queue/answers").confirm().await.expect("confirmed");
            handled += 1;
        }
    };
    let others = async {
        for _ in 0..100 {
            running.try_next().await.expect("open").expect("a message");
        }
    };
    let broker = async {
        for n in 0..100 {
            peer.message("s", &n.to_string()).await;
        }
        // The handler's queue is full now, and each of its receipts comes behind messages for somebody else.
        for n in 0..100 {
            peer.message("r", &n.to_string()).await;
            let send = peer.frame().await;
            peer.receipt(&send).await;
        }
    };
    tokio::join!(handler, others, broker);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_subscription_beside_a_running_one_stalls_nobody() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut stuck = session.subscribe("/topic/stuck").id("stuck").await.expect("subscribed");
    let mut running = session.subscribe("/topic/running").id("running").await.expect("subscribed");
    peer.frame().await;
    peer.frame().await;
    let text = "x".repeat(10_000);
    for n in 0..500 {
        peer.message("stuck", &text).await;
        peer.message("running", &n.to_string()).await;
        let message = running.try_next().await.expect("open").expect("a message");
        assert_eq!(message.text(), Ok(n.to_string().as_str()));
    }
    let (confirmed, ()) = tokio::join!(session.send("/queue/a").confirm(), async {
        let send = peer.frame().await;
        peer.receipt(&send).await;
    });
    confirmed.expect("confirmed");
    for _ in 0..500 {
        assert_eq!(stuck.try_next().await.expect("open").expect("a message").body().len(), 10_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_does_not_stop_heart_beats() {
    let (session, mut peer) = Peer::session_with(beating(), ROOM, "heart-beat:1000,1000\n").await;
    let mut inbox = session.subscribe("/topic/a").id("s").window(1).await.expect("subscribed");
    peer.frame().await;
    let consumer = async {
        for _ in 0..20 {
            inbox.try_next().await.expect("open").expect("a message");
            tokio::time::sleep(10 * SECOND).await;
        }
    };
    let broker = async {
        for n in 0..200 {
            peer.message("s", &n.to_string()).await;
            tokio::time::sleep(SECOND).await;
        }
    };
    // Both beat all the while; if one stopped, the session or the count would tell.
    tokio::join!(consumer, broker);
    assert!(session.connected().is_some());
    assert!(peer.drain_beats().await >= 200, "one a second at least");
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_is_noticed_and_the_socket_dropped_at_once() {
    let (session, mut peer) = Peer::session_with(beating(), ROOM, "heart-beat:1000,1000\n").await;
    let start = clock();
    let cause = session.closed().await.expect("a cause");
    assert_eq!(cause.kind(), ErrorKind::HeartBeatMissed);
    assert_eq!(start.elapsed().as_millis() / 10, 200, "1.5 periods and half a second");
    while peer.try_frame().await.is_some() {}
    no_task_is_left().await;
}

/// Bytes and the timer have both come when the driver has its turn.
#[tokio::test(start_paused = true)]
async fn a_silence_is_judged_by_what_has_arrived() {
    let (session, mut peer) = Peer::session_with(beating(), ROOM, "heart-beat:1000,1000\n").await;
    for _ in 0..3 {
        peer.say("\n").await;
        // So little too late that it is no excuse.
        tokio::time::advance(2 * SECOND + SECOND / 10).await;
    }
    assert!(session.connected().is_some(), "{:?}", session.state());
}

/// More of it than is read in one turn.
#[tokio::test(start_paused = true)]
async fn after_a_sleep_everything_is_judged_by_what_has_arrived() {
    let (session, mut peer) = Peer::session_with(config(), ROOM, "heart-beat:10000,10000\n").await;
    let mut confirmed = Box::pin(session.send("/queue/a").confirm());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(confirmed.as_mut().poll(&mut cx).is_pending());
    let send = peer.frame().await;
    for _ in 0..100 {
        peer.message("nobody", "news").await;
    }
    peer.receipt(&send).await;
    // Nothing of that has been read when the lid closes.
    tokio::time::advance(3600 * SECOND).await;
    confirmed.await.expect("its RECEIPT had arrived");
    assert!(session.connected().is_some(), "{:?}", session.state());
}

/// Has always something more to read, once it has begun.
struct Endless(MemoryTransport, Arc<AtomicBool>);

impl Transport for Endless {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match self.1.load(Ordering::Relaxed) {
            true => Poll::Ready(Some(Ok(Bytes::from_static(b"\n")))),
            false => self.0.poll_recv(cx),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.0.start_send(item)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_close(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_after_a_sleep_does_not_put_judging_off_for_ever() {
    let (line, mut peer) = Peer::pair(ROOM);
    let floods = Arc::new(AtomicBool::new(false));
    let endless = Mutex::new(Some(Endless(line, floods.clone())));
    let connector = move |_: Endpoint| {
        let endless = endless.lock().expect("no panic").take();
        async move {
            endless.ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "one connection only"))
        }
    };
    let (session, ()) = tokio::join!(Session::connect(config(), connector), peer.welcome());
    let session = session.expect("connected");
    let mut confirmed = Box::pin(session.send("/queue/a").confirm());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(confirmed.as_mut().poll(&mut cx).is_pending());
    peer.frame().await;
    floods.store(true, Ordering::Relaxed);
    tokio::time::advance(3600 * SECOND).await;
    let mut turns = 0;
    while confirmed.as_mut().poll(&mut cx).is_pending() {
        turns += 1;
        assert!(turns < 5000, "it is never judged");
        tokio::task::yield_now().await;
    }
    assert!(turns > 10, "what had arrived was read first");
    session.abort();
}

#[tokio::test(start_paused = true)]
async fn the_two_way_block_ends_in_a_typed_error() {
    // The broker does not read until we read, and we do not read because a consumer does not.
    let mut settings = config();
    settings.overflow_bytes = 100_000;
    let (session, mut peer) = Peer::session_with(settings, 1, "").await;
    let _stuck = session.subscribe("/topic/a").id("s").window(1).await.expect("subscribed");
    peer.frame().await;
    let text = "x".repeat(10_000);
    let flood = async { while peer.try_message("s", &text).await.is_ok() {} };
    let confirm = async {
        let start = clock();
        let error = loop {
            if let Err(error) = session.send("/queue/a").body(body(1000)).confirm().await {
                break error;
            }
        };
        assert_eq!(error.cause().kind(), ErrorKind::Stalled, "{error:?}");
        assert!(start.elapsed() <= 6 * SECOND);
        // Nothing moves either way: the peer counts as dead as soon as there is more to write.
        session.send("/queue/a").await.expect("queued");
        assert_eq!(session.closed().await.expect("a cause").kind(), ErrorKind::WriteStuck);
    };
    tokio::join!(flood, confirm);
    no_task_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_while_reads_are_stopped_is_held_up_and_then_goes_on() {
    let watch = Arc::new(Watch::default());
    let mut settings = config();
    settings.overflow_bytes = 100_000;
    let (session, mut peer) = Peer::watched(settings, ROOM, "", watch.clone()).await;
    let mut inbox = session.subscribe("/topic/a").id("s").window(1).await.expect("subscribed");
    peer.frame().await;
    let text = "x".repeat(10_000);
    let count = Mutex::new(0);
    let flood = async {
        loop {
            peer.message("s", &text).await;
            *count.lock().expect("no panic") += 1;
        }
    };
    assert!(tokio::time::timeout(SECOND, flood).await.is_err());
    let said = *count.lock().expect("no panic");
    assert!(said < 30, "{said} messages are held");
    // `said` whole messages, and one that may be under way.
    for _ in 0..said {
        inbox.try_next().await.expect("open").expect("a message");
    }
    let told = watch.events();
    assert!(told.iter().any(|event| matches!(event, Event::Stalled { .. })));
    assert!(told.iter().any(|event| matches!(event, Event::Resumed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_told_with_the_message_behind_it() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox = session
        .subscribe("/topic/a")
        .id("s")
        .window(2)
        .when_full(WhenFull::DropOldest)
        .await
        .expect("subscribed");
    for n in 0..5 {
        peer.message("s", &n.to_string()).await;
    }
    tokio::time::sleep(SECOND).await;
    let third = inbox.try_next().await.expect("open").expect("a message");
    assert_eq!((third.text(), third.gap().expect("a gap").messages), (Ok("3"), Some(3)));
    assert!(inbox.try_next().await.expect("open").expect("a message").gap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_overflows_ends_with_its_reason_and_the_session_goes_on() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox =
        session.subscribe("/topic/a").id("s").window(2).when_full(WhenFull::End).await.expect("subscribed");
    for n in 0..5 {
        peer.message("s", &n.to_string()).await;
    }
    tokio::time::sleep(SECOND).await;
    for n in ["0", "1"] {
        assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok(n));
    }
    assert_eq!(inbox.try_next().await.expect_err("ended").kind(), ErrorKind::Overflowed);
    session.send("/queue/a").await.expect("the session goes on");
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_dropped_unsettled_are_told() {
    let watch = Arc::new(Watch::default());
    let (session, mut peer) = Peer::watched(config(), ROOM, "", watch.clone()).await;
    let mut inbox =
        session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await.expect("subscribed");
    for n in ["a1", "a2", "a3", "a4", "a5"] {
        peer.message("s", n).await;
    }
    let first = inbox.try_next().await.expect("open").expect("a message");
    first.clone().ack().expect("settled");
    drop(first);
    let second = inbox.try_next().await.expect("open").expect("a message");
    let clone = second.clone();
    drop(second);
    tokio::time::sleep(SECOND).await;
    let unsettled = |watch: &Watch| -> Vec<usize> {
        watch
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Unsettled { messages, .. } => Some(*messages),
                _ => None,
            })
            .collect()
    };
    assert!(unsettled(&watch).is_empty(), "a clone is still there");
    drop(clone);
    tokio::time::sleep(SECOND).await;
    assert_eq!(unsettled(&watch), [1]);
    // The other three are dropped with the subscription: two of them had been taken out together.
    drop(inbox);
    tokio::time::sleep(SECOND).await;
    assert_eq!(unsettled(&watch), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_ack_can_be_confirmed_and_refused() {
    let (session, mut peer) = Peer::session(ROOM).await;
    let mut inbox =
        session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual).await.expect("subscribed");
    peer.frame().await;
    peer.message("s", "a1").await;
    peer.message("s", "a2").await;
    let first = inbox.try_next().await.expect("open").expect("a message");
    let second = inbox.try_next().await.expect("open").expect("a message");
    let (confirmed, ()) = tokio::join!(first.ack_confirmed(), async {
        let ack = peer.frame().await;
        assert_eq!((ack.command(), header(&ack, "id").as_str()), (Command::Ack, "a1"));
        peer.receipt(&ack).await;
    });
    confirmed.expect("confirmed");
    assert_eq!(first.ack_confirmed().await.expect_err("twice").kind(), ErrorKind::AlreadySettled);
    let (refused, ()) = tokio::join!(second.ack_confirmed(), async {
        let receipt = header(&peer.frame().await, "receipt");
        peer.say(format!("ERROR\nmessage:unknown message\nreceipt-id:{receipt}\n\n\0")).await;
    });
    assert_eq!(refused.expect_err("refused").kind(), ErrorKind::BrokerError);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_write_ends_the_session_although_the_broker_talks_on() {
    let mut settings = beating();
    settings.write_timeout = 5 * SECOND;
    let (session, mut peer) = Peer::session_with(settings, 1, "heart-beat:1000,1000\n").await;
    let talk = async {
        while peer.try_say("\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let blocked = async {
        // The first is taken by the connection, the second waits.
        session.send("/queue/a").body(body(100_000)).await.expect("queued");
        let unsent = session.send("/queue/a").body(body(100_000)).confirm().await.expect_err("stuck");
        assert!(matches!(unsent, SendError::NotSent(_)), "{unsent:?}");
        assert_eq!(unsent.cause().kind(), ErrorKind::WriteStuck);
    };
    tokio::join!(talk, blocked);
    no_task_is_left().await;
}
