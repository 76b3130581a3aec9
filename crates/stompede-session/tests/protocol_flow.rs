//! Queues, the overflow, stalls and policies, without a driver.

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use common::{Rig, SECOND, body, config, header, send};
use stompede_codec::Command;
use stompede_session::protocol::{
    Delivery, End, Event, Input, Outcome, ReceiptId, Settle, SubscribeRequest, SubscriptionId, WhenFull,
};
use stompede_session::{AckMode, Config, ErrorKind, HeartBeat};

/// A session that may hold 100 kB beyond its queues.
fn small() -> Config {
    let mut config = config();
    config.overflow_bytes = 100_000;
    config
}

fn rig(config: Config) -> Rig {
    Rig::connected_with(config, "1.2", "")
}

fn subscribe(rig: &mut Rig, id: &str, change: impl FnOnce(&mut SubscribeRequest)) -> SubscriptionId {
    let mut request = SubscribeRequest::new("/topic/a");
    request.id = Some(id.into());
    change(&mut request);
    let id = rig.machine.subscribe(request).expect("subscribed");
    rig.frames();
    id
}

fn message(rig: &mut Rig, to: &str, body: &str) {
    rig.receive(&format!("MESSAGE\nsubscription:{to}\nmessage-id:1\nack:{body:.10}\n\n{body}\0"));
}

fn outcome(rig: &mut Rig, id: ReceiptId) -> Poll<Option<Outcome>> {
    rig.machine.poll_receipt(id, &mut Context::from_waker(Waker::noop()))
}

fn stalls(rig: &Rig) -> Vec<SubscriptionId> {
    let stalled = |event: &Event| match event {
        Event::Stalled { subscription, .. } => Some(*subscription),
        _ => None,
    };
    rig.events.iter().filter_map(stalled).collect()
}

/// Fills queue and overflow.
fn stall(rig: &mut Rig, to: &str) -> usize {
    let text = "x".repeat(10_000);
    for count in 1.. {
        message(rig, to, &text);
        // A queue that has just filled holds reading for a moment only.
        rig.advance(Duration::from_millis(1));
        if !rig.machine.wants_bytes() {
            return count;
        }
        assert!(count < 100, "what is held is bounded");
    }
    0
}

#[test]
fn messages_come_out_in_order_through_queue_and_overflow() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| request.window = 10);
    for n in 0..100 {
        message(&mut rig, "s", &n.to_string());
        rig.advance(Duration::from_millis(1));
    }
    let expected: Vec<_> = (0..100).map(|n: u32| n.to_string()).collect();
    assert_eq!(rig.bodies(id), expected);
}

#[test]
fn a_queue_that_fills_holds_reading_for_a_moment_and_only_once() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| request.window = 2);
    message(&mut rig, "s", "1");
    assert!(rig.machine.wants_bytes());
    message(&mut rig, "s", "2");
    assert!(!rig.machine.wants_bytes(), "its consumer gets a moment");
    rig.advance(Duration::from_millis(1));
    assert!(rig.machine.wants_bytes(), "it did not come");
    message(&mut rig, "s", "3");
    assert!(rig.machine.wants_bytes(), "nobody waits for it again");
    assert_eq!(rig.bodies(id).len(), 3);
    for n in ["4", "5"] {
        message(&mut rig, "s", n);
    }
    assert!(!rig.machine.wants_bytes());
    assert_eq!(rig.take(id).len(), 2);
    assert!(rig.machine.wants_bytes(), "at once when it has come");
}

#[test]
fn one_stuck_subscription_takes_nothing_from_a_running_one() {
    let mut rig = rig(config());
    let stuck = subscribe(&mut rig, "stuck", |_| {});
    let running = subscribe(&mut rig, "running", |_| {});
    let receipt = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let wire_id = header(&rig.frame(), "receipt");
    // 5 MB for somebody who does not look.
    let text = "x".repeat(5_000);
    for n in 0..1000 {
        message(&mut rig, "stuck", &text);
        message(&mut rig, "running", &n.to_string());
        assert_eq!(rig.bodies(running), [n.to_string()]);
    }
    rig.receive(&format!("RECEIPT\nreceipt-id:{wire_id}\n\n\0"));
    assert!(matches!(outcome(&mut rig, receipt), Poll::Ready(Some(Outcome::Confirmed))));
    assert!(stalls(&rig).is_empty());
    assert_eq!(rig.bodies(stuck).len(), 1000, "and nothing is lost");
}

#[test]
fn reading_stops_when_the_overflow_is_full_and_goes_on_when_there_is_room() {
    let mut rig = rig(small());
    let (a, b) = (subscribe(&mut rig, "a", |r| r.window = 1), subscribe(&mut rig, "b", |r| r.window = 1));
    message(&mut rig, "b", "b");
    let count = stall(&mut rig, "a");
    assert_eq!(stalls(&rig), [a], "named: whoever holds most");
    // What has been read is never lost.
    message(&mut rig, "b", "late");
    rig.advance(SECOND);
    let inbox = rig.machine.inbox(a).expect("subscribed");
    let mut taken = 0;
    while !rig.machine.wants_bytes() {
        taken += rig.take_from(&inbox).len();
        assert!(taken < count, "it goes on before all is taken");
    }
    rig.input(Input::Taken { now: rig.now });
    assert!(matches!(rig.events.last(), Some(Event::Resumed { after }) if *after >= SECOND));
    assert_eq!(taken + rig.bodies(a).len(), count);
    assert_eq!(rig.bodies(b), ["b", "late"]);
}

#[test]
fn a_stall_suspends_the_receive_heart_beat_and_nothing_else() {
    let mut config = small();
    config.heart_beat = HeartBeat::every(SECOND);
    // We chose not to look, so nobody is idle either.
    config.idle_timeout = Some(30 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "heart-beat:1000,1000\n");
    let id = subscribe(&mut rig, "s", |request| {
        (request.ack, request.window) = (AckMode::ClientIndividual, 1);
    });
    stall(&mut rig, "s");
    let beats = rig.beats;
    rig.advance(60 * SECOND);
    assert!(rig.beats >= beats + 60, "we still beat");
    rig.machine.send(&send("/queue/a")).expect("commands still go out");
    assert_eq!(rig.frame().command(), Command::Send);
    let (frame, ticket) = rig.message(id);
    rig.machine.settle(&ticket, &frame, Settle::new(true)).expect("settled");
    assert_eq!(rig.frame().command(), Command::Ack, "acknowledgements too");
    // Once reading goes on, silence counts again, from now on.
    rig.bodies(id);
    assert!(rig.machine.wants_bytes());
    rig.advance(2 * SECOND - Duration::from_millis(1));
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Closed(_))));
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::HeartBeatMissed);
}

#[test]
fn waits_that_need_something_unread_end_with_a_typed_error() {
    let mut rig = rig(small());
    subscribe(&mut rig, "s", |request| request.window = 1);
    let written = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let soon = rig.now.checked_add(SECOND);
    let soon = rig.machine.send_with_receipt(&mut send("/queue/b"), soon).expect("sent");
    rig.frames();
    stall(&mut rig, "s");
    let unwritten = rig.machine.send_with_receipt(&mut send("/queue/c"), None).expect("sent");
    rig.advance_unwritten(SECOND);
    let kind = |poll| match poll {
        Poll::Ready(Some(Outcome::Unknown(cause))) => Some((true, cause.kind())),
        Poll::Ready(Some(Outcome::NotSent(cause))) => Some((false, cause.kind())),
        _ => None,
    };
    // A deadline that comes up meanwhile tells the truth as well.
    assert_eq!(kind(outcome(&mut rig, soon)), Some((true, ErrorKind::Stalled)));
    assert!(outcome(&mut rig, written).is_pending());
    rig.advance_unwritten(5 * SECOND);
    assert_eq!(kind(outcome(&mut rig, written)), Some((true, ErrorKind::Stalled)));
    assert_eq!(kind(outcome(&mut rig, unwritten)), Some((false, ErrorKind::Stalled)));
    assert_eq!(rig.machine.queued_bytes(), 0, "it was taken back");
    // Commit is such a wait, and so is disconnect.
    let transaction = rig.machine.begin().expect("begun");
    let commit = rig.machine.commit(transaction, None).expect("committed");
    rig.frames();
    rig.advance(5 * SECOND);
    assert_eq!(kind(outcome(&mut rig, commit)), Some((true, ErrorKind::Stalled)));
    rig.machine.disconnect(rig.now);
    rig.drain();
    rig.advance(5 * SECOND);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Stalled);
}

#[test]
fn a_stall_that_ends_in_time_hurts_nobody() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| request.window = 1);
    let receipt = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let wire_id = header(&rig.frame(), "receipt");
    for _ in 0..3 {
        stall(&mut rig, "s");
        rig.advance(4 * SECOND);
        rig.bodies(id);
    }
    rig.receive(&format!("RECEIPT\nreceipt-id:{wire_id}\n\n\0"));
    assert!(matches!(outcome(&mut rig, receipt), Poll::Ready(Some(Outcome::Confirmed))));
}

#[test]
fn dropping_what_is_oldest_leaves_a_gap_where_it_was() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| {
        (request.window, request.when_full) = (3, WhenFull::DropOldest);
    });
    for n in 0..10 {
        message(&mut rig, "s", &n.to_string());
        assert!(rig.machine.wants_bytes(), "nobody is held up");
    }
    assert_eq!(rig.bodies(id), ["gap of Some(7)", "7", "8", "9"]);
    message(&mut rig, "s", "10");
    assert_eq!(rig.bodies(id), ["10"]);
    let dropped: u64 = rig
        .events
        .iter()
        .map(|event| if let Event::Dropped { messages, .. } = event { *messages } else { 0 })
        .sum();
    assert_eq!(dropped, 7);
}

#[test]
fn dropping_what_is_newest_leaves_a_gap_where_it_would_have_been() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| {
        (request.window, request.when_full) = (3, WhenFull::DropNewest);
    });
    for n in 0..10 {
        message(&mut rig, "s", &n.to_string());
    }
    assert_eq!(rig.bodies(id), ["0", "1", "2", "gap of Some(7)"]);
    message(&mut rig, "s", "10");
    assert_eq!(rig.bodies(id), ["10"]);
}

#[test]
fn bytes_bound_a_queue_that_drops_and_one_large_message_fits() {
    let text = "x".repeat(1000);
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| {
        (request.queue_bytes, request.when_full) = (5_000, WhenFull::DropOldest);
    });
    for _ in 0..100 {
        message(&mut rig, "s", &text);
    }
    let kept = rig.bodies(id).len() - 1;
    assert!((3..=4).contains(&kept), "{kept}");
    let large = "x".repeat(50_000);
    message(&mut rig, "s", &large);
    assert_eq!(rig.bodies(id), [large]);
}

#[test]
fn a_subscription_may_end_when_its_queue_is_full_while_the_session_goes_on() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| {
        (request.window, request.when_full) = (3, WhenFull::End);
    });
    let inbox = rig.machine.inbox(id).expect("subscribed");
    for n in 0..5 {
        message(&mut rig, "s", &n.to_string());
    }
    assert_eq!(rig.frame().command(), Command::Unsubscribe);
    let ended = rig.events.iter().find_map(|event| match event {
        Event::SubscriptionEnded { subscription, cause } => Some((*subscription, cause.kind())),
        _ => None,
    });
    assert_eq!(ended, Some((id, ErrorKind::Overflowed)));
    let kept: Vec<_> = rig.take_from(&inbox).iter().map(body).collect();
    assert_eq!(kept, ["0", "1", "2"], "what had been queued can be taken");
    assert!(matches!(rig.ending(&inbox), Some(End::Alone(cause)) if cause.kind() == ErrorKind::Overflowed));
    assert!(matches!(rig.events.last(), Some(Event::Unrouted(_))), "late ones are no error");
}

#[test]
fn a_queue_that_is_full_during_an_orderly_end_does_not_break_it() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| (request.window, request.when_full) = (1, WhenFull::End));
    let awaited = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    rig.frames();
    rig.machine.disconnect(rig.now);
    for body in ["a", "b", "c"] {
        message(&mut rig, "s", body);
    }
    let ended =
        |event: &Event| matches!(event, Event::SubscriptionEnded { subscription, .. } if *subscription == id);
    assert!(rig.events.iter().any(ended), "{:?}", rig.events);
    rig.receive(&format!("RECEIPT\nreceipt-id:{awaited}\n\n\0"));
    assert!(matches!(outcome(&mut rig, awaited), Poll::Ready(Some(Outcome::Confirmed))));
    assert_eq!(rig.frame().command(), Command::Disconnect);
    rig.cut(None);
    assert!(rig.end().is_none());
}

#[test]
fn settings_of_a_subscription_that_make_no_sense_are_refused() {
    type Change = fn(&mut SubscribeRequest);
    let wrong: [(&str, Change); 5] = [
        ("window", |request| request.window = 0),
        ("queue_bytes", |request| request.queue_bytes = 0),
        ("when_full", |request| (request.ack, request.when_full) = (AckMode::Client, WhenFull::DropOldest)),
        ("when_full", |request| (request.ack, request.when_full) = (AckMode::Client, WhenFull::DropNewest)),
        ("coalesce_acks", |request| (request.ack, request.coalesce_acks) = (AckMode::ClientIndividual, true)),
    ];
    for (name, change) in wrong {
        let mut rig = rig(small());
        let mut request = SubscribeRequest::new("/topic/a");
        change(&mut request);
        let error = rig.machine.subscribe(request).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
        assert!(rig.frames().is_empty());
    }
}

/// A read buffer that says when it is gone.
struct Tracked(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

#[test]
fn a_queue_without_bounds_may_be_asked_for() {
    let mut rig = Rig::connected("1.2");
    for when_full in [WhenFull::Overflow, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::End] {
        let id = subscribe(&mut rig, &format!("{when_full:?}"), |request| {
            (request.window, request.queue_bytes) = (usize::MAX, usize::MAX);
            request.when_full = when_full;
        });
        for body in ["1", "2"] {
            message(&mut rig, &format!("{when_full:?}"), body);
        }
        assert_eq!(rig.bodies(id), ["1", "2"]);
    }
}

#[test]
fn what_is_queued_pins_no_more_of_read_buffers_than_a_queue_may_hold() {
    // Small messages for somebody who does not look, each in a block of 64 KiB with much for somebody who does.
    let alive = Arc::new(AtomicUsize::new(0));
    let mut rig = rig(config());
    let slow = subscribe(&mut rig, "slow", |_| {});
    let brisk = subscribe(&mut rig, "brisk", |_| {});
    let wire = |to: &str, body: &str| format!("MESSAGE\nsubscription:{to}\nmessage-id:1\n\n{body}\0");
    for n in 0..2000 {
        let block = wire("slow", &n.to_string()) + &wire("brisk", &"x".repeat(64 * 1024 - 100));
        alive.fetch_add(block.len(), Ordering::Relaxed);
        let bytes = Bytes::from_owner(Tracked(block.into_bytes(), alive.clone()));
        rig.input(Input::Received { now: rig.now, bytes });
        assert_eq!(rig.take(brisk).len(), 1);
        assert!(
            alive.load(Ordering::Relaxed) <= 256 * 1024,
            "{} bytes after {n}",
            alive.load(Ordering::Relaxed)
        );
    }
    let expected: Vec<_> = (0..2000).map(|n: u32| n.to_string()).collect();
    assert_eq!(rig.bodies(slow), expected);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_message_that_is_alone_in_a_small_queue_pins_no_read_buffer() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut rig = rig(config());
    // Half a block.
    let slow = subscribe(&mut rig, "slow", |request| request.queue_bytes = 32 * 1024);
    let brisk = subscribe(&mut rig, "brisk", |_| {});
    let wire = |to: &str, body: &str| format!("MESSAGE\nsubscription:{to}\nmessage-id:1\n\n{body}\0");
    let block = wire("slow", "small") + &wire("brisk", &"x".repeat(1000));
    alive.fetch_add(block.len(), Ordering::Relaxed);
    let bytes = Bytes::from_owner(Tracked(block.into_bytes(), alive.clone()));
    rig.input(Input::Received { now: rig.now, bytes });
    assert_eq!(rig.take(brisk).len(), 1);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(rig.bodies(slow), ["small"]);
}

#[test]
fn one_message_that_fills_its_queue_holds_reading_for_a_moment() {
    let mut rig = rig(small());
    let id = subscribe(&mut rig, "s", |request| request.queue_bytes = 1000);
    message(&mut rig, "s", "small");
    assert!(rig.machine.wants_bytes());
    assert_eq!(rig.bodies(id), ["small"]);
    message(&mut rig, "s", &"x".repeat(1000));
    assert!(!rig.machine.wants_bytes());
    assert_eq!(rig.bodies(id), ["x".repeat(1000)]);
    assert!(rig.machine.wants_bytes());
}

#[test]
fn what_is_alone_in_its_queue_keeps_its_place_in_what_follows() {
    let mut rig = rig(small());
    let ids = ["a", "b"].map(|id| subscribe(&mut rig, id, |_| {}));
    // In turn, one or two before they are taken; then some that come together.
    for (n, taken) in [&["0"][..], &[], &["1", "2"], &[]].into_iter().enumerate() {
        for to in ["a", "b"] {
            message(&mut rig, to, &n.to_string());
        }
        if !taken.is_empty() {
            assert_eq!(rig.bodies(ids[0]), taken);
        }
    }
    let together = |to: &str| {
        let wire = |n: u32| format!("MESSAGE\nsubscription:{to}\nmessage-id:1\n\n{n}\0");
        (4..7).map(wire).collect::<String>()
    };
    let chunk = together("a") + &together("b") + &together("a");
    rig.receive(&chunk);
    assert_eq!(rig.bodies(ids[0]), ["3", "4", "5", "6", "4", "5", "6"]);
    assert_eq!(rig.bodies(ids[1]), ["0", "1", "2", "3", "4", "5", "6"]);

    // The end comes behind it, and so does a new message to nobody.
    message(&mut rig, "a", "last");
    let inbox = rig.machine.inbox(ids[0]).expect("a subscription");
    rig.machine.unsubscribe(ids[0]).expect("there is a connection");
    message(&mut rig, "a", "late");
    assert!(inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut VecDeque::new()).is_ready());
    assert!(matches!(rig.ending(&inbox), Some(End::Clean)));

    // Thrown away, it is counted.
    message(&mut rig, "b", "last");
    let inbox = rig.machine.inbox(ids[1]).expect("a subscription");
    assert_eq!(inbox.discard(), (1, false));
    assert!(matches!(rig.ending(&inbox), Some(End::Clean)));
}

#[test]
fn a_thousand_slow_subscriptions_pin_no_more_than_each_may_hold_together() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mut rig = rig(config());
    let ids: Vec<_> = (0..1000).map(|n| subscribe(&mut rig, &format!("s{n}"), |_| {})).collect();
    for round in 0..20 {
        let mut block = String::new();
        for n in 0..1000 {
            block += &format!("MESSAGE\nsubscription:s{n}\nmessage-id:1\n\n{round}\0");
        }
        alive.fetch_add(block.len(), Ordering::Relaxed);
        let bytes = Bytes::from_owner(Tracked(block.into_bytes(), alive.clone()));
        rig.input(Input::Received { now: rig.now, bytes });
    }
    // All of them pin the same few blocks.
    assert!(alive.load(Ordering::Relaxed) <= 20 * 64 * 1024);
    for id in ids {
        assert_eq!(rig.bodies(id).len(), 20);
    }
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn acks_that_cannot_be_written_stop_what_would_need_more_of_them_and_nothing_else() {
    let mut config = config();
    config.overflow_bytes = 1_000_000;
    let mut rig = rig(config);
    let queue = subscribe(&mut rig, "q", |request| request.ack = AckMode::ClientIndividual);
    let topic = subscribe(&mut rig, "t", |_| {});
    let inbox = rig.machine.inbox(queue).expect("subscribed");
    // The broker reads nothing and sends on; the consumer acknowledges all it gets.
    let (mut acked, mut said) = (0, 0);
    while rig.machine.wants_bytes() {
        said += 1;
        rig.receive(&format!("MESSAGE\nsubscription:q\nmessage-id:1\nack:{}\n\nhi\0", "a".repeat(1000)));
        for delivery in rig.take_from(&inbox) {
            let Delivery::Message { frame, ticket } = delivery else { continue };
            rig.machine.settle(&ticket, &frame, Settle::new(true)).expect("never waits");
            acked += 1;
        }
        rig.input(Input::Taken { now: rig.now });
        assert!(said < 100_000, "what is held is bounded");
    }
    assert!(rig.machine.queued_bytes() < 1_100_000, "{}", rig.machine.queued_bytes());
    assert!(said > acked, "some were not handed out");
    message(&mut rig, "t", "hi");
    assert_eq!(rig.take(topic).len(), 1, "what needs no ACK flows on");
    // The broker reads again: everything goes on, and nothing is lost.
    assert_eq!(rig.frames().len(), acked);
    let mut rest = 0;
    loop {
        let taken = rig.take(queue);
        if taken.is_empty() {
            break;
        }
        rest += taken.len();
    }
    assert_eq!(acked + rest, said);
    assert!(rig.machine.wants_bytes());
}
