//! Acknowledgements: their form, once each, what covers what, and room that is reserved.

mod common;

use std::task::{Context, Poll, Waker};

use common::{Rig, SECOND, header, send};
use stompede_codec::{Command, Frame};
use stompede_session::protocol::{
    Delivery, Event, Input, Outcome, Settle, SubscribeRequest, SubscriptionId, Ticket,
};
use stompede_session::{AckMode, Error, ErrorKind, ReconnectPolicy};

/// A subscription with this wire id.
fn subscribe(rig: &mut Rig, id: &str, ack: AckMode) -> SubscriptionId {
    subscribe_with(rig, id, ack, |_| {})
}

fn subscribe_with(
    rig: &mut Rig,
    id: &str,
    ack: AckMode,
    change: impl FnOnce(&mut SubscribeRequest),
) -> SubscriptionId {
    let mut request = SubscribeRequest::new("/queue/a");
    (request.id, request.ack) = (Some(id.into()), ack);
    change(&mut request);
    let id = rig.machine.subscribe(request).expect("subscribed");
    rig.frames();
    id
}

/// Messages a1, a2, … of a subscription.
fn deliver(rig: &mut Rig, wire_id: &str, id: SubscriptionId, count: usize) -> Vec<(Frame, Ticket)> {
    (1..=count)
        .map(|n| {
            rig.receive(&format!(
                "MESSAGE\nsubscription:{wire_id}\nmessage-id:m{n}\nack:a{n}\ndestination:/queue/a\n\nhi\0"
            ));
            rig.message(id)
        })
        .collect()
}

fn ack(rig: &mut Rig, (frame, ticket): &(Frame, Ticket)) -> Result<(), Error> {
    rig.machine.settle(ticket, frame, Settle::new(true)).map(|_| ())
}

fn nack(rig: &mut Rig, (frame, ticket): &(Frame, Ticket)) -> Result<(), Error> {
    rig.machine.settle(ticket, frame, Settle::new(false)).map(|_| ())
}

/// How RabbitMQ names itself in CONNECTED.
const RABBITMQ: &str = "server:RabbitMQ/3.13.1\n";

fn written(rig: &mut Rig) -> Vec<String> {
    let id = |frame: &Frame| ["id", "message-id", "transaction"].map(|name| header(frame, name)).join("");
    rig.frames().iter().map(|frame| format!("{} {}", frame.command(), id(frame))).collect()
}

#[test]
fn each_version_has_its_own_acknowledgement() {
    for (version, expected) in [
        ("1.0", vec![("message-id", "m1")]),
        ("1.1", vec![("message-id", "m1"), ("subscription", "s")]),
        ("1.2", vec![("id", "a1")]),
    ] {
        let mut rig = Rig::connected(version);
        let id = subscribe(&mut rig, "s", AckMode::Client);
        let messages = deliver(&mut rig, "s", id, 2);
        ack(&mut rig, &messages[0]).expect("settled");
        let frame = rig.frame();
        let headers: Vec<_> = frame.headers().iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        let expected: Vec<_> = expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!((frame.command(), headers), (Command::Ack, expected), "{version}");
        match nack(&mut rig, &messages[1]) {
            Ok(()) => assert_eq!((rig.frame().command(), version == "1.0"), (Command::Nack, false)),
            Err(error) => assert_eq!((error.kind(), version), (ErrorKind::Unencodable, "1.0")),
        }
    }
}

#[test]
fn a_cumulative_ack_covers_what_came_before_and_nothing_else() {
    for version in ["1.1", "1.2"] {
        let mut rig = Rig::connected(version);
        let (s, t) = (subscribe(&mut rig, "s", AckMode::Client), subscribe(&mut rig, "t", AckMode::Client));
        let (of_s, of_t) = (deliver(&mut rig, "s", s, 4), deliver(&mut rig, "t", t, 1));
        ack(&mut rig, &of_s[2]).expect("covers the first three");
        for covered in &of_s[..2] {
            // RabbitMQ answers an ACK of something settled with ERROR.
            assert_eq!(ack(&mut rig, covered).expect_err("covered").kind(), ErrorKind::AlreadySettled);
            assert_eq!(nack(&mut rig, covered).expect_err("covered").kind(), ErrorKind::AlreadySettled);
        }
        nack(&mut rig, &of_s[3]).expect("a later one");
        ack(&mut rig, &of_t[0]).expect("another subscription");
        assert_eq!(rig.frames().len(), 3);
    }
}

#[test]
fn in_1_0_and_in_client_individual_each_message_is_settled_on_its_own() {
    for (version, mode) in
        [("1.0", AckMode::Client), ("1.1", AckMode::ClientIndividual), ("1.2", AckMode::ClientIndividual)]
    {
        let mut rig = Rig::connected(version);
        let id = subscribe(&mut rig, "s", mode);
        let messages = deliver(&mut rig, "s", id, 3);
        for at in [2, 0, 1] {
            ack(&mut rig, &messages[at]).expect("settled");
        }
        assert_eq!(rig.frames().len(), 3, "{version}");
    }
}

/// RabbitMQ takes a cumulative ACK for all earlier messages of the connection, and an ACK for one of them then ends it.
#[test]
fn where_an_ack_would_cover_other_subscriptions_each_message_gets_its_own() {
    for version in ["1.1", "1.2"] {
        let mut rig = Rig::connected_with(common::config(), version, RABBITMQ);
        let mut request = SubscribeRequest::new("/queue/a");
        (request.id, request.ack) = (Some("s".into()), AckMode::Client);
        (request.coalesce_acks, request.window) = (true, 10);
        let s = rig.machine.subscribe(request).expect("subscribed");
        let told = rig.frame();
        assert_eq!(header(&told, "ack"), "client-individual");
        assert_eq!(header(&told, "prefetch-count"), "10");
        let t = subscribe(&mut rig, "t", AckMode::Client);
        let (of_s, of_t) = (deliver(&mut rig, "s", s, 5), deliver(&mut rig, "t", t, 2));
        let name = if version == "1.2" { "a" } else { "m" };
        let told = |what: &str, n: u32| format!("{what} {name}{n}");

        ack(&mut rig, &of_t[1]).expect("settled");
        assert_eq!(written(&mut rig), [told("ACK", 1), told("ACK", 2)], "its own subscription");
        ack(&mut rig, &of_s[0]).expect("still open");
        let mut how = Settle::new(true);
        how.receipt = true;
        let (frame, ticket) = &of_s[2];
        rig.machine.settle(ticket, frame, how).expect("settled");
        let frames = rig.frames();
        let receipts: Vec<_> = frames.iter().map(|frame| frame.headers().contains("receipt")).collect();
        assert_eq!(receipts, [false, false, true], "the last one confirms all of them");
        for covered in &of_s[..3] {
            assert_eq!(ack(&mut rig, covered).expect_err("covered").kind(), ErrorKind::AlreadySettled);
        }
        let mut how = Settle::new(false);
        how.for_good = true;
        let (frame, ticket) = &of_s[4];
        rig.machine.settle(ticket, frame, how).expect("settled");
        let frames = rig.frames();
        assert_eq!(frames.len(), 2);
        for frame in &frames {
            assert_eq!((frame.command(), &*header(frame, "requeue")), (Command::Nack, "false"));
            let subscription = if version == "1.1" { "s" } else { "" };
            assert_eq!(header(frame, "subscription"), subscription);
        }
    }
}

#[test]
fn in_1_0_a_broker_that_covers_all_the_same_is_asked_not_to() {
    for (server, ack_mode) in [
        (RABBITMQ, "client-individual"),
        ("server:ActiveMQ/5.17.2\n", "client-individual"),
        ("server:ActiveMQ-Artemis/2.31.2\n", "client"),
        ("", "client"),
    ] {
        let mut rig = Rig::connected_with(common::config(), "1.0", server);
        let mut request = SubscribeRequest::new("/queue/a");
        (request.id, request.ack) = (Some("s".into()), AckMode::Client);
        let id = rig.machine.subscribe(request).expect("subscribed");
        assert_eq!(header(&rig.frame(), "ack"), ack_mode, "{server}");
        let messages = deliver(&mut rig, "s", id, 2);
        ack(&mut rig, &messages[1]).expect("settled");
        ack(&mut rig, &messages[0]).expect("settled");
        assert_eq!(written(&mut rig), ["ACK m2", "ACK m1"]);
    }
    let mut rig = Rig::connected_with(common::config(), "1.1", "server:ActiveMQ/5.17.2\n");
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 2);
    ack(&mut rig, &messages[1]).expect("settled");
    assert_eq!(written(&mut rig), ["ACK m2"], "from 1.1 on it is as specified");
}

#[test]
fn what_was_acknowledged_one_by_one_in_a_transaction_is_acknowledged_once() {
    for end in ["commit", "abort", "not written in time"] {
        let mut rig = Rig::connected_with(common::config(), "1.2", RABBITMQ);
        let id = subscribe(&mut rig, "s", AckMode::Client);
        let messages = deliver(&mut rig, "s", id, 4);
        let transaction = rig.machine.begin().expect("begun");
        let mut how = Settle::new(true);
        how.transaction = Some(transaction);
        rig.machine.settle(&messages[1].1, &messages[1].0, how).expect("settled");
        let name = transaction.to_string();
        let begun = [format!("BEGIN {name}"), format!("ACK a1{name}"), format!("ACK a2{name}")];
        assert_eq!(written(&mut rig), begun);
        // RabbitMQ ends the connection at a COMMIT that acknowledges what has been acknowledged.
        assert_eq!(ack(&mut rig, &messages[0]).expect_err("covered").kind(), ErrorKind::AlreadySettled);
        ack(&mut rig, &messages[2]).expect("settled");
        assert_eq!(written(&mut rig), ["ACK a3"]);
        match end {
            "commit" => {
                rig.machine.commit(transaction, None).expect("committed");
                rig.frames();
            }
            "abort" => rig.machine.abort_transaction(transaction),
            _ => {
                rig.machine.commit(transaction, Some(rig.now + SECOND)).expect("on its way");
                rig.drain();
                rig.advance_unwritten(2 * SECOND);
            }
        }
        rig.frames();
        ack(&mut rig, &messages[3]).expect("settled");
        let open = if end == "commit" { vec!["ACK a4"] } else { vec!["ACK a1", "ACK a2", "ACK a4"] };
        assert_eq!(written(&mut rig), open, "{end}");
    }
}

#[test]
fn what_was_to_be_acknowledged_one_by_one_is_forgotten_with_its_connection() {
    let mut config = common::config();
    config.reconnect = ReconnectPolicy::default();
    let mut rig = Rig::connected_with(config, "1.2", RABBITMQ);
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let old = deliver(&mut rig, "s", id, 3);
    rig.cut(None);
    rig.advance(SECOND);
    rig.input(Input::Opened { now: rig.now });
    rig.receive(&format!("CONNECTED\nversion:1.2\n{RABBITMQ}\n\0"));
    rig.frames();
    assert_eq!(ack(&mut rig, &old[2]).expect_err("gone").kind(), ErrorKind::StaleAck);
    assert!(matches!(&*rig.take(id), [Delivery::Gap(_)]));
    let new = deliver(&mut rig, "s", id, 2);
    ack(&mut rig, &new[1]).expect("settled");
    assert_eq!(written(&mut rig), ["ACK a1", "ACK a2"]);
}

#[test]
fn joined_acks_go_out_as_one_when_there_is_nothing_else_to_write() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe_with(&mut rig, "s", AckMode::Client, |request| request.coalesce_acks = true);
    let messages = deliver(&mut rig, "s", id, 100);
    for message in &messages {
        ack(&mut rig, message).expect("settled");
    }
    assert!(rig.machine.wants_to_write());
    assert_eq!(written(&mut rig), ["ACK a100"]);
    assert!(!rig.machine.wants_to_write());
    assert_eq!(ack(&mut rig, &messages[0]).expect_err("covered").kind(), ErrorKind::AlreadySettled);
}

#[test]
fn a_joined_ack_is_not_kept_until_the_brokers_prefetch_runs_dry() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe_with(&mut rig, "s", AckMode::Client, |request| {
        (request.coalesce_acks, request.window) = (true, 10);
    });
    let messages = deliver(&mut rig, "s", id, 12);
    // The connection is busy with something else.
    rig.machine.send(&send("/queue/b")).expect("sent");
    for message in &messages {
        ack(&mut rig, message).expect("settled");
    }
    assert_eq!(written(&mut rig), ["SEND ", "ACK a5", "ACK a10", "ACK a12"]);
}

#[test]
fn a_joined_ack_goes_before_whatever_depends_on_it() {
    for what in ["nack", "unsubscribe", "commit", "disconnect", "flush", "confirmed"] {
        let mut rig = Rig::connected("1.2");
        let id = subscribe_with(&mut rig, "s", AckMode::Client, |request| request.coalesce_acks = true);
        let messages = deliver(&mut rig, "s", id, 3);
        let transaction = rig.machine.begin().expect("begun");
        rig.frames();
        rig.machine.send(&send("/queue/b")).expect("something else to write");
        ack(&mut rig, &messages[0]).expect("settled");
        let expected = match what {
            "nack" => {
                nack(&mut rig, &messages[1]).expect("settled");
                "NACK a2"
            }
            "unsubscribe" => {
                rig.machine.unsubscribe(id).expect("unsubscribed");
                "UNSUBSCRIBE s"
            }
            "commit" => {
                rig.machine.commit(transaction, None).expect("committed");
                "COMMIT tx-1"
            }
            "disconnect" => {
                rig.machine.disconnect(rig.now);
                "DISCONNECT "
            }
            "flush" => {
                rig.machine.queued();
                rig.machine.send(&send("/queue/c")).expect("sent");
                "SEND "
            }
            _ => {
                // An ACK with a receipt that covers what waits replaces it.
                let mut how = Settle::new(true);
                how.receipt = true;
                let (frame, ticket) = &messages[2];
                rig.machine.settle(ticket, frame, how).expect("settled");
                assert_eq!(written(&mut rig), ["SEND ", "ACK a3"]);
                continue;
            }
        };
        rig.drain();
        assert_eq!(written(&mut rig), ["SEND ", "ACK a1", expected], "{what}");
    }
}

#[test]
fn an_ack_can_ask_for_a_receipt() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe(&mut rig, "s", AckMode::ClientIndividual);
    let messages = deliver(&mut rig, "s", id, 1);
    let mut how = Settle::new(true);
    (how.receipt, how.deadline) = (true, rig.now.checked_add(SECOND));
    let receipt =
        rig.machine.settle(&messages[0].1, &messages[0].0, how).expect("settled").expect("a receipt");
    let wire_id = header(&rig.frame(), "receipt");
    rig.receive(&format!("RECEIPT\nreceipt-id:{wire_id}\n\n\0"));
    let outcome = rig.machine.poll_receipt(receipt, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Some(Outcome::Confirmed))), "{outcome:?}");
}

#[test]
fn an_acknowledgement_belongs_to_its_connection_and_its_subscription() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 2);
    rig.receive("MESSAGE\nsubscription:s\nmessage-id:m3\ndestination:/queue/a\n\nhi\0");
    let bare = rig.message(id);
    assert_eq!(ack(&mut rig, &bare).expect_err("no ack header").kind(), ErrorKind::Protocol);
    rig.machine.unsubscribe(id).expect("unsubscribed");
    assert_eq!(rig.frames().len(), 1);
    // RabbitMQ answers with ERROR.
    assert_eq!(ack(&mut rig, &messages[0]).expect_err("gone").kind(), ErrorKind::StaleAck);
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 1);
    rig.cut(None);
    assert_eq!(ack(&mut rig, &messages[0]).expect_err("gone").kind(), ErrorKind::StaleAck);
}

#[test]
fn acknowledgements_go_out_until_disconnect_is_said() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 2);
    rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    let receipt = header(&rig.frame(), "receipt");
    rig.machine.disconnect(rig.now);
    ack(&mut rig, &messages[0]).expect("the handler was still at work");
    assert_eq!(rig.frame().command(), Command::Ack);
    rig.receive(&format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"));
    assert_eq!(rig.frame().command(), Command::Disconnect);
    assert_eq!(ack(&mut rig, &messages[1]).expect_err("too late").kind(), ErrorKind::Closed);
}

#[test]
fn what_is_dropped_unsettled_is_told() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 1);
    rig.machine.note_unsettled(&messages[0].1);
    rig.drain();
    assert!(
        matches!(rig.events.last(), Some(Event::Unsettled { subscription, messages: 1 }) if *subscription == id)
    );
    let told = rig.events.len();
    rig.machine.note_discarded(id, 0);
    rig.cut(None);
    rig.machine.note_unsettled(&messages[0].1);
    rig.drain();
    assert_eq!(rig.events.len(), told + 1, "only the end: the connection is gone, and all is unsettled");
}

#[test]
fn what_a_later_ack_has_covered_is_not_unsettled() {
    for (version, mode, covered) in [
        ("1.2", AckMode::Client, true),
        ("1.0", AckMode::Client, false),
        ("1.2", AckMode::ClientIndividual, false),
    ] {
        let mut rig = Rig::connected(version);
        let id = subscribe(&mut rig, "s", mode);
        let messages = deliver(&mut rig, "s", id, 3);
        ack(&mut rig, &messages[1]).expect("settled");
        rig.drain();
        let told = rig.events.len();
        for dropped in [0, 2] {
            rig.machine.note_unsettled(&messages[dropped].1);
            rig.drain();
        }
        let unsettled = rig.events.len() - told;
        assert_eq!(unsettled, if covered { 1 } else { 2 }, "{version}, {mode:?}");
    }
}

#[test]
fn the_broker_is_asked_for_no_more_than_the_window_where_it_has_a_header_for_that() {
    let cases = [
        ("server:RabbitMQ/3.13.1\n", AckMode::Client, None, Some(("prefetch-count", "64"))),
        ("server:ActiveMQ/5.18.3\n", AckMode::ClientIndividual, None, Some(("activemq.prefetchSize", "64"))),
        ("server:stompede-broker/0.1.0\n", AckMode::Client, None, Some(("prefetch-count", "64"))),
        ("server:RabbitMQ/3.13.1\n", AckMode::Auto, None, None),
        ("server:ActiveMQ-Artemis/2.30.0\n", AckMode::Client, None, None),
        ("", AckMode::Client, None, None),
        ("server:RabbitMQ/3.13.1\n", AckMode::Client, Some("1"), Some(("prefetch-count", "1"))),
    ];
    for (server, ack, given, expected) in cases {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let mut request = SubscribeRequest::new("/queue/a");
        (request.ack, request.window) = (ack, 64);
        if let Some(given) = given {
            request.headers.push("prefetch-count", given);
        }
        rig.machine.subscribe(request).expect("subscribed");
        let frame = rig.frame();
        let found: Vec<_> = frame
            .headers()
            .iter()
            .filter(|(name, _)| name.contains("prefetch"))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(found, expected, "{server:?} {ack:?}");
    }
}

#[test]
fn what_is_rejected_for_good_says_so_where_the_broker_has_a_header_for_that() {
    for (server, expected) in
        [("server:RabbitMQ/3.13.1\n", Some("false")), ("server:ActiveMQ/5.18.3\n", None), ("", None)]
    {
        let mut rig = Rig::connected_with(common::config(), "1.2", server);
        let id = subscribe(&mut rig, "s", AckMode::ClientIndividual);
        let messages = deliver(&mut rig, "s", id, 3);
        rig.frames();
        for (accept, for_good, (frame, ticket)) in
            [(false, true, &messages[0]), (false, false, &messages[1]), (true, true, &messages[2])]
        {
            let mut how = Settle::new(accept);
            how.for_good = for_good;
            rig.machine.settle(ticket, frame, how).expect("queued");
            let settled = rig.frame();
            let wanted = expected.filter(|_| for_good && !accept);
            assert_eq!(settled.header("requeue").as_deref(), wanted, "{server:?} {settled}");
        }
    }
}

#[test]
fn an_acknowledgement_is_never_taken_back() {
    let mut rig = Rig::connected("1.2");
    let id = subscribe(&mut rig, "s", AckMode::Client);
    let messages = deliver(&mut rig, "s", id, 2);
    let (frame, ticket) = &messages[0];
    let mut how = Settle::new(false);
    (how.receipt, how.deadline) = (true, Some(rig.now + SECOND));
    let receipt = rig.machine.settle(ticket, frame, how).expect("queued").expect("asked for");
    rig.drain();
    rig.advance_unwritten(2 * SECOND);
    let outcome = rig.machine.poll_receipt(receipt, &mut Context::from_waker(Waker::noop()));
    assert!(matches!(outcome, Poll::Ready(Some(Outcome::Unknown(_)))), "{outcome:?}");
    // Without the NACK before it this ACK would be for both.
    ack(&mut rig, &messages[1]).expect("queued");
    assert_eq!(written(&mut rig), ["NACK a1", "ACK a2"]);
}
