//! Frames on an open connection: sends, receipts, subscriptions, acknowledgements, ends.

mod common;

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use common::{Rig, SECOND, header, send};
use stompede_codec::Command;
use stompede_session::protocol::{Batch, Event, Outcome, ReceiptId, SubscribeRequest};
use stompede_session::{AckMode, ErrorKind};
use stompede_transport::{TransportError, TransportErrorKind};

fn outcome(rig: &mut Rig, id: ReceiptId) -> Poll<Option<Outcome>> {
    rig.machine.poll_receipt(id, &mut Context::from_waker(Waker::noop()))
}

fn request(destination: &str, ack: AckMode) -> SubscribeRequest {
    let mut request = SubscribeRequest::new(destination);
    request.ack = ack;
    request
}

#[test]
fn nothing_can_be_sent_before_connected() {
    let mut rig = Rig::dialing(common::config());
    assert_eq!(rig.machine.send(&send("/queue/a")).expect_err("too early").kind(), ErrorKind::ConnectionLost);
    let mut rig = Rig::opened(common::config());
    assert!(rig.machine.send(&send("/queue/a")).is_err());
    assert!(rig.frames().is_empty());
}

#[test]
fn a_send_goes_out_with_its_body_and_length() {
    for size in [0, 1, 100, 4 * 1024, 4 * 1024 + 1, 100_000] {
        let mut rig = Rig::connected("1.2");
        let body = Bytes::from(vec![0xa5; size]);
        rig.machine.send(&send("/queue/a").with_header("k", "a:b\n").with_body(body.clone())).expect("sent");
        let frame = rig.frame();
        assert_eq!(frame.body(), &body);
        assert_eq!(header(&frame, "k"), "a:b\n");
        assert_eq!(rig.machine.queued_bytes(), 0);
    }
}

#[test]
fn what_the_version_cannot_carry_is_refused_and_leaves_nothing_behind() {
    let mut rig = Rig::connected("1.0");
    let mut bad = send("/queue/a").with_header("k", "two\nlines");
    assert_eq!(rig.machine.send(&bad).expect_err("refused").kind(), ErrorKind::Unencodable);
    let refused = rig.machine.send_with_receipt(&mut bad, None).expect_err("refused");
    assert!(refused.to_string().contains('k'), "the header is named: {refused}");
    assert!(bad.header("receipt").is_none(), "the frame is given back as it was");
    assert!(rig.frames().is_empty());
    // No receipt is awaited, so the goodbye is said at once.
    rig.machine.disconnect(rig.now);
    assert_eq!(rig.frame().command(), Command::Disconnect);
}

#[test]
fn receipts_confirm_in_any_order() {
    let mut rig = Rig::connected("1.2");
    let ids: Vec<_> =
        (0..3).map(|_| rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent")).collect();
    let wire_ids: Vec<_> = rig.frames().iter().map(|frame| header(frame, "receipt")).collect();
    for at in [2, 0, 1] {
        assert!(outcome(&mut rig, ids[at]).is_pending());
        rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", wire_ids[at]));
        assert!(matches!(outcome(&mut rig, ids[at]), Poll::Ready(Some(Outcome::Confirmed))));
        assert!(matches!(outcome(&mut rig, ids[at]), Poll::Ready(None)), "an outcome is taken once");
    }
}

#[test]
fn a_receipt_for_a_forgotten_or_foreign_id_is_only_news() {
    let mut rig = Rig::connected("1.2");
    let old = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    rig.machine.forget_receipt(old);
    let new = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let wire_ids: Vec<_> = rig.frames().iter().map(|frame| header(frame, "receipt")).collect();
    assert_ne!(wire_ids[0], wire_ids[1], "a slot is used again, an id never");
    for id in [wire_ids[0].as_str(), "mine", "r-0-9", "r-01-1", "r-7-0", "r-"] {
        rig.receive(&format!("RECEIPT\nreceipt-id:{id}\n\n\0"));
        assert!(matches!(rig.events.pop(), Some(Event::Receipt(name)) if name.to_string() == id));
        assert!(outcome(&mut rig, new).is_pending(), "{id}");
    }
}

#[test]
fn a_receipt_that_does_not_come_is_unknown_if_the_frame_was_written() {
    let mut rig = Rig::connected("1.2");
    let deadline = rig.now.checked_add(5 * SECOND);
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), deadline).expect("sent");
    rig.drain();
    rig.frame();
    rig.advance(5 * SECOND);
    let Poll::Ready(Some(Outcome::Unknown(cause))) = outcome(&mut rig, id) else { unreachable!("unknown") };
    assert_eq!(cause.kind(), ErrorKind::ReceiptTimedOut);
    assert!(rig.events.is_empty(), "the connection goes on");
}

#[test]
fn a_receipt_that_times_out_before_its_frame_was_written_takes_the_frame_back() {
    let mut rig = Rig::connected("1.2");
    let deadline = rig.now.checked_add(5 * SECOND);
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), deadline).expect("sent");
    rig.machine.send(&send("/queue/b")).expect("sent");
    rig.drain();
    rig.advance_unwritten(5 * SECOND);
    assert!(matches!(outcome(&mut rig, id), Poll::Ready(Some(Outcome::NotSent(_)))));
    assert_eq!(header(&rig.frame(), "destination"), "/queue/b", "only the other one is written");
    assert_eq!(rig.machine.queued_bytes(), 0);
}

#[test]
fn a_lost_connection_tells_written_from_unwritten() {
    let mut rig = Rig::connected("1.2");
    let written = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    rig.frame();
    let unwritten = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
    rig.cut(Some(TransportError::new(TransportErrorKind::Lost, "reset")));
    assert!(matches!(outcome(&mut rig, written), Poll::Ready(Some(Outcome::Unknown(_)))));
    assert!(matches!(outcome(&mut rig, unwritten), Poll::Ready(Some(Outcome::NotSent(_)))));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::ConnectionLost);
    assert!(rig.machine.poll_transmit(rig.now).is_none());
    assert!(rig.machine.send(&send("/queue/c")).is_err());
}

#[test]
fn frames_that_were_taken_together_and_not_written_are_as_if_they_had_not_been_taken() {
    let mut rig = Rig::connected("1.2");
    let ids: Vec<_> = (0..5)
        .map(|n| rig.machine.send_with_receipt(&mut send(&format!("/queue/{n}")), None).expect("sent"))
        .collect();
    let (queued, mut batch) = (rig.machine.queued_bytes(), Batch::default());
    rig.machine.take_batch(rig.now, &mut batch);
    assert!(batch.next_frame().is_some() && batch.next_frame().is_some());
    assert!(rig.machine.queued_bytes() < queued / 5, "small ones come together");
    rig.machine.give_back(&mut batch);
    assert!(batch.is_empty());
    let destinations: Vec<_> =
        rig.frames().iter().map(|frame| frame.header("destination").unwrap().into_owned()).collect();
    assert_eq!(destinations, ["/queue/2", "/queue/3", "/queue/4"], "and go in order");

    let later: Vec<_> =
        (0..3).map(|_| rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent")).collect();
    rig.machine.take_batch(rig.now, &mut batch);
    assert!(batch.next_frame().is_some());
    rig.machine.give_back(&mut batch);
    rig.cut(Some(TransportError::new(TransportErrorKind::Lost, "reset")));
    for id in ids.into_iter().chain(later.first().copied()) {
        assert!(matches!(outcome(&mut rig, id), Poll::Ready(Some(Outcome::Unknown(_)))));
    }
    for id in &later[1..] {
        assert!(matches!(outcome(&mut rig, *id), Poll::Ready(Some(Outcome::NotSent(_)))));
    }
}

#[test]
fn a_refused_frame_is_known_among_those_that_were_taken_together() {
    let mut rig = Rig::connected("1.2");
    let [first, second, third] = ["a", "b", "c"]
        .map(|name| rig.machine.send_with_receipt(&mut send(&format!("/queue/{name}")), None).expect("sent"));
    let mut batch = Batch::default();
    rig.machine.take_batch(rig.now, &mut batch);
    assert!(batch.next_frame().is_some() && batch.next_frame().is_some());
    rig.machine.give_back(&mut batch);
    rig.machine.transmit_refused(TransportError::new(TransportErrorKind::TooLarge, "more than may be"));
    assert!(matches!(outcome(&mut rig, second), Poll::Ready(Some(Outcome::NotSent(_)))));
    assert!(outcome(&mut rig, first).is_pending() && outcome(&mut rig, third).is_pending());
    assert_eq!(rig.frame().header("destination").as_deref(), Some("/queue/c"));
}

#[test]
fn what_was_taken_for_a_connection_that_is_gone_is_not_given_to_the_next() {
    let mut rig = Rig::connected("1.2");
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let mut batch = Batch::default();
    rig.machine.take_batch(rig.now, &mut batch);
    rig.machine.abort();
    rig.machine.give_back(&mut batch);
    assert!(batch.is_empty());
    assert!(matches!(outcome(&mut rig, id), Poll::Ready(Some(Outcome::Unknown(_)))));
    assert!(rig.machine.poll_transmit(rig.now).is_none());
}

#[test]
fn a_frame_that_the_transport_refuses_is_not_sent_and_the_session_goes_on() {
    let mut rig = Rig::connected("1.2");
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    rig.frame();
    rig.machine
        .transmit_refused(TransportError::new(TransportErrorKind::TooLarge, "more than a message may hold"));
    let Poll::Ready(Some(Outcome::NotSent(cause))) = outcome(&mut rig, id) else { unreachable!("not sent") };
    assert_eq!(cause.kind(), ErrorKind::Unencodable);
    rig.machine.send(&send("/queue/b")).expect("it goes on");
    rig.machine.disconnect(rig.now);
    assert_eq!(rig.frames().len(), 2, "no receipt is awaited any more");
}

#[test]
fn an_error_with_a_receipt_id_rejects_that_frame_and_leaves_the_others_unknown() {
    let mut rig = Rig::connected("1.2");
    let bad = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let other = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
    let receipt = header(&rig.frames()[0], "receipt");
    // RabbitMQ sends a RECEIPT after the ERROR: it must not count.
    rig.receive(&format!(
        "ERROR\nmessage:access_refused\nreceipt-id:{receipt}\n\n\0RECEIPT\nreceipt-id:{receipt}\n\n\0"
    ));
    let Poll::Ready(Some(Outcome::Rejected(error))) = outcome(&mut rig, bad) else {
        unreachable!("rejected")
    };
    assert!(error.to_string().contains("access_refused"));
    assert!(matches!(outcome(&mut rig, other), Poll::Ready(Some(Outcome::Unknown(_)))));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::BrokerError);
    assert!(rig.abandoned, "whatever the broker does with its socket");
}

#[test]
fn messages_go_to_their_subscription() {
    let mut rig = Rig::connected("1.2");
    let a = rig.machine.subscribe(SubscribeRequest::new("/topic/a")).expect("subscribed");
    let b = rig.machine.subscribe(SubscribeRequest::new("/topic/b")).expect("subscribed");
    let wire_ids: Vec<_> = rig.frames().iter().map(|frame| header(frame, "id")).collect();
    for (id, key) in wire_ids.iter().zip([a, b]) {
        rig.receive(&format!("MESSAGE\nsubscription:{id}\nmessage-id:1\ndestination:/topic/x\n\nhi\0"));
        assert!(
            matches!(rig.events.pop(), Some(Event::Delivered { subscription, messages: 1 }) if subscription == key)
        );
        assert_eq!(rig.bodies(key), ["hi"]);
    }
    rig.receive("MESSAGE\nsubscription:nobody\nmessage-id:1\ndestination:/topic/a\n\nhi\0");
    assert!(matches!(rig.events.pop(), Some(Event::Unrouted(_))));
    rig.machine.unsubscribe(a).expect("unsubscribed");
    let unsubscribe = rig.frame();
    assert_eq!(
        (unsubscribe.command(), header(&unsubscribe, "id")),
        (Command::Unsubscribe, wire_ids[0].clone())
    );
    rig.receive(&format!(
        "MESSAGE\nsubscription:{}\nmessage-id:1\ndestination:/topic/a\n\nlate\0",
        wire_ids[0]
    ));
    assert!(matches!(rig.events.pop(), Some(Event::Unrouted(_))), "late after UNSUBSCRIBE is normal");
}

/// RabbitMQ has a message on its way when UNSUBSCRIBE comes, and says so by an ERROR after which it goes on.
#[test]
fn an_error_about_a_late_message_ends_nothing_where_the_broker_goes_on() {
    let late =
        "ERROR\nmessage:Subscription not found\n\nThere is no current subscription with tag 'T_sub-0'.\0";
    let refused_ack =
        "ERROR\nmessage:Subscription not found\n\nMessage with id \"T_x@@1\" has no subscription\0";
    for (server, error, goes_on) in [
        ("server:RabbitMQ/3.13.1\n", late, true),
        ("server:RabbitMQ/3.13.1\n", refused_ack, false),
        ("server:ActiveMQ/5.18.3\n", late, false),
        ("", late, false),
    ] {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let id = rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
        let receipt = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
        rig.machine.unsubscribe(id).expect("unsubscribed");
        rig.frames();
        rig.events.clear();
        rig.receive(error);
        assert_eq!(outcome(&mut rig, receipt).is_pending(), goes_on, "{server:?} {error}");
        assert_eq!(rig.abandoned, !goes_on);
        if goes_on {
            assert!(matches!(&*rig.events, [Event::Unrouted(frame)] if frame.command() == Command::Error));
            rig.machine.disconnect(rig.now);
            rig.receive(error);
            assert!(!rig.abandoned, "an end in order stays one");
        }
    }
}

#[test]
fn a_1_0_message_without_subscription_goes_by_destination() {
    let mut rig = Rig::connected("1.0");
    let a = rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
    rig.receive("MESSAGE\nmessage-id:1\ndestination:/queue/a\n\nhi\0");
    assert!(matches!(rig.events.pop(), Some(Event::Delivered { subscription, .. }) if subscription == a));
    let mut rig = Rig::connected("1.2");
    rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("subscribed");
    rig.receive("MESSAGE\nmessage-id:1\ndestination:/queue/a\n\nhi\0");
    assert!(matches!(rig.events.pop(), Some(Event::Unrouted(_))), "later versions always name it");
}

/// Brokers leave out headers that MESSAGE has to have. What can be handed over is handed over.
#[test]
fn a_message_goes_to_its_subscription_whatever_else_it_lacks() {
    for version in ["1.1", "1.2"] {
        for (head, arrives) in [
            ("\nsubscription:s\nmessage-id:1", true),
            ("\nsubscription:s\ndestination:/queue/a", true),
            ("\nsubscription:s\ndestination:\nmessage-id:\nack:", true),
            ("\nsubscription:s", true),
            ("\nsubscription:\ndestination:/queue/a\nmessage-id:1", false),
            ("", false),
        ] {
            let mut rig = Rig::connected(version);
            let mut wanted = request("/queue/a", AckMode::ClientIndividual);
            wanted.id = Some("s".into());
            let id = rig.machine.subscribe(wanted).expect("subscribed");
            rig.frames();
            rig.receive(&format!("MESSAGE{head}\n\nhi\0"));
            assert_eq!(rig.bodies(id) == ["hi"], arrives, "{version} {head:?}");
            assert!(!rig.abandoned, "{version} {head:?}");
        }
    }
}

#[test]
fn subscriptions_that_make_no_sense_are_refused() {
    let mut rig = Rig::connected("1.0");
    let individual = request("/queue/a", AckMode::ClientIndividual);
    assert!(rig.machine.subscribe(individual.clone()).is_err(), "not in 1.0");
    let mut rig = Rig::connected("1.2");
    assert!(rig.machine.subscribe(SubscribeRequest::new("")).is_err());
    let mut named = individual;
    named.id = Some("mine".into());
    rig.machine.subscribe(named.clone()).expect("subscribed");
    let twice = rig.machine.subscribe(named.clone()).expect_err("in use");
    assert!(twice.to_string().contains("mine"), "{twice}");
    named.id = Some(String::new());
    assert!(rig.machine.subscribe(named).is_err());
    assert_eq!(rig.frames().len(), 1);
}

#[test]
fn a_header_of_subscribe_that_is_made_of_a_setting_is_refused_and_not_sent_twice() {
    for name in ["ack", "destination", "id"] {
        let mut rig = Rig::connected("1.2");
        let mut request = request("/queue/a", AckMode::Auto);
        request.headers.push(name, "client");
        let refused = rig.machine.subscribe(request).expect_err("it is said already");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        assert!(refused.to_string().contains(name), "{refused}");
        assert!(rig.frames().is_empty());
    }
}

#[test]
fn an_unannounced_subscription_says_nothing_and_still_gets_its_messages() {
    let mut rig = Rig::connected("1.2");
    let mut replies = SubscribeRequest::new("/temp-queue/a");
    replies.announce = false;
    let (id, receipt) = rig.machine.subscribe_with_receipt(replies, None).expect("registered");
    assert!(receipt.is_none(), "nothing is sent that could be confirmed");
    rig.receive("MESSAGE\nsubscription:/temp-queue/a\nmessage-id:1\ndestination:/reply-queue/x\n\nhi\0");
    assert!(matches!(rig.events.pop(), Some(Event::Delivered { subscription, .. }) if subscription == id));
    rig.machine.unsubscribe(id).expect("forgotten");
    assert!(rig.frames().is_empty());
}

#[test]
fn generated_ids_step_around_the_callers() {
    let mut rig = Rig::connected("1.2");
    let mut named = SubscribeRequest::new("/topic/a");
    named.id = Some("sub-1".into());
    rig.machine.subscribe(named).expect("subscribed");
    rig.machine.subscribe(SubscribeRequest::new("/topic/b")).expect("subscribed");
    let frames = rig.frames();
    assert_ne!(header(&frames[0], "id"), header(&frames[1], "id"));
}

#[test]
fn disconnect_waits_for_receipts_then_for_its_own() {
    let mut rig = Rig::connected("1.2");
    rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let receipt = header(&rig.frame(), "receipt");
    rig.machine.disconnect(rig.now);
    rig.machine.disconnect(rig.now);
    assert!(rig.frames().is_empty(), "a receipt is still awaited");
    assert_eq!(rig.machine.send(&send("/queue/b")).expect_err("too late").kind(), ErrorKind::Closed);
    rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"));
    let disconnect = rig.frame();
    assert_eq!(disconnect.command(), Command::Disconnect);
    rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&disconnect, "receipt")));
    assert!(rig.close_asked);
    rig.cut(None);
    assert!(rig.end().is_none(), "clean");
}

#[test]
fn an_orderly_close_counts_as_the_receipt_of_disconnect() {
    let closed = |code| TransportError::new(TransportErrorKind::Closed { code }, "STOMP died");
    for (how, clean) in [
        (None, true),
        (Some(closed(1000)), true),
        (Some(closed(1001)), true),
        (Some(closed(1002)), false),
        (Some(closed(1011)), false),
    ] {
        let mut rig = Rig::connected("1.2");
        rig.machine.disconnect(rig.now);
        rig.frame();
        rig.cut(how.clone());
        assert_eq!(rig.end().is_none(), clean, "{how:?}");
        // Where nobody has said goodbye it is a loss, in the peer's words.
        let mut rig = Rig::connected("1.2");
        rig.cut(how.clone());
        let cause = rig.end().expect("a cause");
        assert_eq!(cause.kind(), ErrorKind::ConnectionLost);
        assert_eq!(cause.to_string().contains("STOMP died"), how.is_some(), "{cause}");
    }
}

#[test]
fn a_reset_instead_of_the_receipt_does_not() {
    let mut rig = Rig::connected("1.2");
    rig.machine.disconnect(rig.now);
    rig.frame();
    rig.cut(Some(TransportError::new(TransportErrorKind::Lost, "reset")));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::ConnectionLost);
}

#[test]
fn a_disconnect_that_nobody_answers_ends_in_time() {
    let mut rig = Rig::connected("1.2");
    rig.machine.disconnect(rig.now);
    rig.drain();
    rig.advance(10 * SECOND);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::DisconnectTimedOut);
}

#[test]
fn a_peer_that_confirms_and_never_closes_is_let_go() {
    let mut rig = Rig::connected("1.2");
    rig.machine.disconnect(rig.now);
    let receipt = header(&rig.frame(), "receipt");
    rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0MESSAGE\nmessage-id:1\n\nlate\0"));
    rig.advance(SECOND);
    assert!(rig.end().is_none());
    assert!(rig.abandoned);
    assert_eq!(rig.deadline, None);
}

#[test]
fn disconnect_before_connected_gives_the_attempt_up() {
    for mut rig in [Rig::dialing(common::config()), Rig::opened(common::config())] {
        rig.machine.disconnect(rig.now);
        rig.drain();
        assert!(rig.end().is_none());
        assert!(rig.abandoned);
    }
}

#[test]
fn broken_bytes_end_the_session() {
    for wire in
        ["NONSENSE\n\n\0", "MESSAGE\nno colon\n\n\0", "MESSAGE\na:\\t\n\n\0", "SEND\ndestination:/a\n\n\0"]
    {
        let mut rig = Rig::connected("1.2");
        rig.receive(wire);
        assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Protocol, "{wire:?}");
    }
}

#[test]
fn a_receipt_without_an_id_ends_the_session() {
    let mut rig = Rig::connected("1.2");
    rig.receive("RECEIPT\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Protocol);
}

#[test]
fn a_receipt_after_an_error_does_not_count_whatever_the_error_names() {
    for names in ["", "receipt-id:r-7-7\n", "receipt-id:somebody-else\n"] {
        let mut rig = Rig::connected("1.2");
        let written = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
        let receipt = header(&rig.frame(), "receipt");
        let waiting = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
        rig.receive(&format!("ERROR\nmessage:no\n{names}\n\0RECEIPT\nreceipt-id:{receipt}\n\n\0"));
        let Poll::Ready(Some(Outcome::Unknown(cause))) = outcome(&mut rig, written) else {
            unreachable!("unknown")
        };
        assert_eq!(cause.kind(), ErrorKind::BrokerError);
        assert!(matches!(outcome(&mut rig, waiting), Poll::Ready(Some(Outcome::NotSent(_)))));
        // Nor does one that comes later: the connection has been given up.
        rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"));
        assert!(matches!(outcome(&mut rig, written), Poll::Ready(None)));
        rig.end();
    }
}

#[test]
fn any_number_of_receipts_has_each_its_own_deadline() {
    let mut rig = Rig::connected("1.2");
    let count = 10_000u64;
    // Not in the order of their deadlines.
    let mut ids: Vec<_> = (0..count)
        .map(|n| {
            let seconds = n * 7919 % count + 1;
            let deadline = rig.now.checked_add(SECOND * seconds as u32);
            (seconds, rig.machine.send_with_receipt(&mut send("/queue/a"), deadline).expect("sent"))
        })
        .collect();
    rig.frames();
    ids.sort_unstable_by_key(|(seconds, _)| *seconds);
    rig.advance(SECOND * 5000);
    for (seconds, id) in ids {
        match outcome(&mut rig, id) {
            Poll::Ready(Some(Outcome::Unknown(_))) => assert!(seconds <= 5000, "{seconds}"),
            Poll::Pending => assert!(seconds > 5000, "{seconds}"),
            other => unreachable!("{other:?}"),
        }
    }
}
