//! What the protocol does when a connection is lost, and what broker profiles change, with a clock that the test moves.

mod common;

use std::time::Duration;

use common::{Rig, SECOND, header, send};
use stompede_codec::{Command, Frame};
use stompede_session::protocol::{Event, Input, Outcome, Settle, SubscribeRequest};
use stompede_session::{
    AckMode, BrokerProfile, Config, ErrorKind, Guarantee, HeartBeat, ReconnectPolicy, WhileOffline,
};
use stompede_transport::{CertificateFault, TransportError, TransportErrorKind};

fn config() -> Config {
    let mut config = common::config();
    config.reconnect = ReconnectPolicy::default();
    config
}

fn refused() -> TransportError {
    TransportError::new(TransportErrorKind::Refused, "nothing listens")
}

fn outcome(rig: &mut Rig, id: stompede_session::protocol::ReceiptId) -> Option<Outcome> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match rig.machine.poll_receipt(id, &mut cx) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => None,
    }
}

/// The connection is open again and CONNECTED has come; gives what the session writes then.
fn come_back(rig: &mut Rig, connected: &str) -> Vec<Frame> {
    // The next dial: a dial under way is over after 10 s, and no delay is longer than 30 s.
    let before = rig.dialed;
    for _ in 0..41 {
        if rig.dialed == before {
            rig.advance(SECOND);
        }
    }
    rig.input(Input::Opened { now: rig.now });
    assert_eq!(rig.frame().command(), Command::Connect);
    rig.receive(&format!("CONNECTED\nversion:1.2\n{connected}\n\0"));
    rig.frames()
}

#[test]
fn the_first_connect_goes_once_over_all_hosts_and_fails() {
    let mut config = config();
    config.failover =
        vec!["tcp://b.example".parse().expect("a URL"), "tcp://c.example".parse().expect("a URL")];
    let mut rig = Rig::dialing(config);
    for dialed in 1..=3 {
        assert_eq!(rig.dialed, dialed);
        rig.input(Input::DialFailed { now: rig.now, error: refused() });
    }
    assert_eq!((rig.dialed, rig.end().expect("a cause").kind()), (3, ErrorKind::DialFailed));
}

#[test]
fn hosts_that_nobody_races_are_dialled_one_after_the_other() {
    let mut config = config();
    config.host_order = stompede_session::HostOrder::Raced;
    config.failover = vec!["tcp://b.example".parse().expect("a URL")];
    let mut rig = Rig::dialing(config);
    rig.input(Input::DialFailed { now: rig.now, error: refused() });
    assert_eq!((rig.dialed, rig.machine.attempt().endpoint.host()), (2, "b.example"));
    rig.input(Input::DialFailed { now: rig.now, error: refused() });
    assert_eq!((rig.dialed, rig.end().expect("a cause").kind()), (2, ErrorKind::DialFailed));
}

#[test]
fn attempts_have_a_limit_if_one_is_set() {
    let mut config = config();
    config.reconnect.attempts = Some(3);
    let mut rig = Rig::connected_with(config, "1.2", "");
    rig.cut(None);
    for _ in 0..3 {
        rig.advance(30 * SECOND);
        rig.input(Input::DialFailed { now: rig.now, error: refused() });
    }
    assert_eq!((rig.dialed, rig.end().expect("a cause").kind()), (4, ErrorKind::DialFailed));
}

/// Nobody can know whether a broker delivers it again: in ack mode auto none does, and on a topic hardly any.
#[test]
fn what_waits_for_its_consumer_when_the_connection_is_lost_is_still_handed_over() {
    for ack in [AckMode::Auto, AckMode::Client, AckMode::ClientIndividual] {
        let mut rig = Rig::connected_with(config(), "1.2", "");
        let mut request = SubscribeRequest::new("/queue/a");
        (request.id, request.ack) = (Some("s".into()), ack);
        let id = rig.machine.subscribe(request).expect("subscribed");
        let deliver = |rig: &mut Rig| {
            for n in 1..=2 {
                rig.receive(&format!("MESSAGE\nsubscription:s\nmessage-id:{n}\nack:{n}\n\n{n}\0"));
            }
        };
        deliver(&mut rig);
        rig.cut(None);
        come_back(&mut rig, "");
        deliver(&mut rig);
        assert_eq!(rig.bodies(id), ["1", "2", "gap of None", "1", "2"], "{ack:?}");
    }
}

#[test]
fn another_connection_is_made_for_whoever_asks() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    let receipt = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("queued");
    rig.machine.reconnect(rig.now);
    rig.drain();
    assert!(rig.abandoned);
    let Some(Event::Reconnecting { cause, next_in, .. }) = rig.events.last() else {
        unreachable!("{:?}", rig.events)
    };
    assert_eq!(cause.kind(), ErrorKind::ConnectionLost);
    assert!(*next_in > Duration::ZERO, "as after any other loss");
    assert!(matches!(outcome(&mut rig, receipt), Some(Outcome::NotSent(_))));

    // Who does not want to wait asks again. An attempt that is under way is left alone.
    rig.machine.reconnect(rig.now);
    rig.drain();
    assert_eq!(rig.dialed, 2, "at once");
    rig.abandoned = false;
    for handshaking in [false, true] {
        if handshaking {
            rig.input(Input::Opened { now: rig.now });
        }
        rig.machine.reconnect(rig.now);
        rig.drain();
        assert_eq!((rig.dialed, rig.abandoned), (2, false));
    }
    assert_eq!(rig.frame().command(), Command::Connect);
    rig.receive("CONNECTED\nversion:1.2\n\n\0");

    // Nor does it keep anybody from leaving.
    rig.machine.disconnect(rig.now);
    rig.drain();
    assert_eq!(rig.frame().command(), Command::Disconnect);
    rig.machine.reconnect(rig.now);
    rig.drain();
    assert!(!rig.abandoned);
    rig.cut(None);
    assert!(rig.end().is_none());
    rig.machine.reconnect(rig.now);
    rig.drain();
    assert_eq!((rig.dialed, rig.end().is_none()), (2, true));
}

#[test]
fn who_asks_for_another_connection_where_none_is_made_ends_the_session() {
    let mut rig = Rig::connected("1.2");
    rig.machine.reconnect(rig.now);
    rig.drain();
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::ConnectionLost);
}

#[test]
fn healthy_means_connected_not_merely_open() {
    let mut config = config();
    config.failover = vec!["tcp://b.example".parse().expect("a URL")];
    let mut rig = Rig::opened(config);
    // The load balancer answers, the broker behind it does not.
    rig.advance(10 * SECOND);
    assert_eq!((rig.dialed, rig.machine.attempt().endpoint.host()), (2, "b.example"));
}

#[test]
fn a_connect_that_was_not_written_does_not_go_to_the_next_connection() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    rig.cut(None);
    rig.advance(30 * SECOND);
    rig.input(Input::Opened { now: rig.now });
    // The connection takes nothing, not even CONNECT, and is gone.
    rig.cut(None);
    rig.advance_unwritten(30 * SECOND);
    rig.input(Input::Opened { now: rig.now });
    let written: Vec<_> = rig.frames().iter().map(Frame::command).collect();
    assert_eq!(written, [Command::Connect]);
}

#[test]
fn bytes_that_are_no_stomp_twice_in_a_row_are_fatal() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    rig.receive("NONSENSE\n\n\0");
    assert!(rig.machine.closed().is_none(), "once may be chance");
    come_back(&mut rig, "");
    rig.receive("NONSENSE\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Protocol);
}

#[test]
fn a_refused_login_is_fatal_unless_one_wants_to_try_again() {
    for (again, closed) in [(false, true), (true, false)] {
        let mut config = config();
        config.reconnect.retry_refused_login = again;
        let mut rig = Rig::connected_with(config, "1.2", "");
        rig.cut(None);
        rig.advance(SECOND);
        rig.input(Input::Opened { now: rig.now });
        rig.frames();
        rig.receive("ERROR\nmessage:Bad CONNECT\n\n\0");
        assert_eq!(rig.machine.closed().is_some(), closed);
    }
}

/// Waits for the next attempt, and fails its first dial.
fn fail_dial(rig: &mut Rig, kind: TransportErrorKind) {
    let before = rig.dialed;
    // No delay is longer than 30 s.
    for _ in 0..31 {
        if rig.dialed == before {
            rig.advance(SECOND);
        }
    }
    assert_eq!(rig.dialed, before + 1, "an attempt, and one only");
    rig.input(Input::DialFailed { now: rig.now, error: TransportError::new(kind, "no") });
}

const UNTRUSTED: TransportErrorKind =
    TransportErrorKind::Certificate { fault: CertificateFault::UnknownIssuer };

#[test]
fn what_can_never_work_is_not_dialled_again() {
    for kind in [
        TransportErrorKind::UnsupportedScheme,
        TransportErrorKind::InvalidEndpoint,
        TransportErrorKind::InvalidSetting,
    ] {
        let mut rig = Rig::connected_with(config(), "1.2", "");
        rig.cut(None);
        fail_dial(&mut rig, kind);
        assert_eq!(rig.end().expect("it is over").kind(), ErrorKind::DialFailed);
    }
}

#[test]
fn a_certificate_refused_at_first_ends_the_session_at_once() {
    for (kind, closed) in [(UNTRUSTED, true), (TransportErrorKind::Refused, false)] {
        let mut config = config();
        config.reconnect.retry_initial_connect = true;
        let mut rig = Rig::dialing(config);
        rig.input(Input::DialFailed { now: rig.now, error: TransportError::new(kind, "no") });
        assert_eq!(rig.machine.closed().is_some(), closed);
    }
}

#[test]
fn certificates_refused_twice_in_a_row_later_are_fatal() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    rig.cut(None);
    fail_dial(&mut rig, UNTRUSTED);
    assert!(rig.machine.closed().is_none(), "it may be about to be replaced");
    come_back(&mut rig, "");
    rig.cut(None);
    fail_dial(&mut rig, UNTRUSTED);
    assert!(rig.machine.closed().is_none(), "there was a connection in between");
    // Behind it the broker is not up yet; that says nothing of certificates.
    fail_dial(&mut rig, TransportErrorKind::Refused);
    fail_dial(&mut rig, UNTRUSTED);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::DialFailed);
}

#[test]
fn one_host_that_nobody_trusts_does_not_end_the_others() {
    let mut config = config();
    config.failover = vec!["tls://b.example".parse().expect("a URL")];
    let mut rig = Rig::connected_with(config, "1.2", "");
    rig.cut(None);
    for _ in 0..3 {
        fail_dial(&mut rig, UNTRUSTED);
        rig.input(Input::DialFailed { now: rig.now, error: refused() });
    }
    assert!(rig.machine.closed().is_none());
    for _ in 0..2 {
        fail_dial(&mut rig, UNTRUSTED);
        let error = TransportError::new(TransportErrorKind::ClientCertificateRefused, "not you");
        rig.input(Input::DialFailed { now: rig.now, error });
    }
    assert!(rig.machine.closed().is_some(), "none of them, twice");
}

#[test]
fn an_attempt_may_be_changed_before_the_dial_ends() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    rig.cut(None);
    rig.advance(SECOND);
    let mut attempt = rig.machine.attempt().clone();
    assert_eq!(
        attempt.last_error.as_ref().map(stompede_session::Error::kind),
        Some(ErrorKind::ConnectionLost)
    );
    attempt.passcode = Some("fresh".into());
    attempt.headers.push(("client-id".into(), "me".into()));
    rig.machine.set_attempt(attempt);
    rig.input(Input::Opened { now: rig.now });
    let connect = rig.frame();
    assert_eq!((header(&connect, "passcode"), header(&connect, "client-id")), ("fresh".into(), "me".into()));
}

#[test]
fn at_least_once_is_written_again_with_the_same_id_until_its_receipt() {
    let mut config = config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    config.profile = Some(BrokerProfile::ARTEMIS);
    let mut rig = Rig::connected_with(config, "1.2", "");
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("room");
    let first = rig.frame();
    rig.cut(None);
    assert!(outcome(&mut rig, id).is_none(), "it goes on");
    let again = come_back(&mut rig, "");
    assert_eq!(again.len(), 1);
    let key = header(&first, "_AMQ_DUPL_ID");
    assert!(!key.is_empty());
    assert_eq!(header(&again[0], "_AMQ_DUPL_ID"), key);
    rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&again[0], "receipt")));
    assert!(matches!(outcome(&mut rig, id), Some(Outcome::Confirmed)));
    rig.cut(None);
    assert!(come_back(&mut rig, "").is_empty(), "nothing is sent again after its RECEIPT");
}

#[test]
fn what_waits_during_an_outage_depends_on_the_guarantee_unless_it_is_set() {
    use WhileOffline::{ByGuarantee, Fail, Queue};
    let at_most = Guarantee::AtMostOnce;
    let cases = [
        (at_most, ByGuarantee, false),
        (at_most, Fail, false),
        (at_most, Queue, true),
        (Guarantee::AtLeastOnce, ByGuarantee, true),
        (Guarantee::AtLeastOnce, Fail, false),
        (Guarantee::AtLeastOnce, Queue, true),
    ];
    for (guarantee, while_offline, waits) in cases {
        let mut config = config();
        (config.sending.guarantee, config.sending.while_offline) = (guarantee, while_offline);
        let mut rig = Rig::connected_with(config, "1.2", "");
        rig.cut(None);
        let taken = rig.machine.send_with_receipt(&mut send("/queue/a"), None);
        assert_eq!(taken.is_ok(), waits, "{guarantee:?}, {while_offline:?}: {taken:?}");
        assert_eq!(come_back(&mut rig, "").len(), usize::from(waits));
    }
    assert_eq!(WhileOffline::default(), ByGuarantee);
}

#[test]
fn what_has_waited_too_long_is_not_sent_or_unknown() {
    for guarantee in [Guarantee::AtMostOnce, Guarantee::AtLeastOnce] {
        let mut config = config();
        config.sending.guarantee = guarantee;
        config.sending.while_offline = WhileOffline::Queue;
        config.sending.outbox.expiry = Some(60 * SECOND);
        let mut rig = Rig::connected_with(config, "1.2", "");
        let written = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("room");
        assert_eq!(rig.frame().command(), Command::Send);
        rig.cut(None);
        let unwritten = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("room");
        rig.advance_unwritten(59 * SECOND);
        assert!(outcome(&mut rig, unwritten).is_none(), "it waits");
        rig.advance_unwritten(SECOND);
        let unwritten = outcome(&mut rig, unwritten);
        assert!(matches!(unwritten, Some(Outcome::NotSent(_))), "{unwritten:?}");
        let written = outcome(&mut rig, written);
        assert!(matches!(written, Some(Outcome::Unknown(_))), "{written:?}");
        assert!(come_back(&mut rig, "").is_empty(), "nothing is sent any more");
    }
}

#[test]
fn a_message_that_is_answered_with_error_twice_is_given_up() {
    let mut config = config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    let mut rig = Rig::connected_with(config, "1.2", "");
    let bad = rig.machine.send_with_receipt(&mut send("/queue/bad"), None).expect("room");
    let good = rig.machine.send_with_receipt(&mut send("/queue/good"), None).expect("room");
    assert_eq!(rig.frames().len(), 2);
    // As RabbitMQ does: it does not say which one it means.
    rig.receive("ERROR\nmessage:no\n\n\0");
    for _ in 0..2 {
        assert!(outcome(&mut rig, bad).is_none(), "it may have been another");
        let again = come_back(&mut rig, "");
        assert_eq!(again.len(), 1, "one at a time");
        assert_eq!(header(&again[0], "destination"), "/queue/bad");
        rig.receive("ERROR\nmessage:no\n\n\0");
    }
    let bad = outcome(&mut rig, bad);
    assert!(matches!(bad, Some(Outcome::Unknown(_))), "{bad:?}");
    let again = come_back(&mut rig, "");
    assert_eq!(header(&again[0], "destination"), "/queue/good");
    rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&again[0], "receipt")));
    assert!(matches!(outcome(&mut rig, good), Some(Outcome::Confirmed)));
}

/// RabbitMQ does not say which one it means; over WebSocket it says nothing at all.
#[test]
fn a_refused_subscription_is_suspected_as_long_as_its_receipt_is_awaited() {
    for (error, losses) in [(true, 3), (false, 6)] {
        let mut rig = Rig::connected_with(config(), "1.2", "");
        let good = rig.machine.subscribe(SubscribeRequest::new("/queue/good")).expect("subscribed");
        rig.frames();
        let bad = SubscribeRequest::new("/queue/bad");
        let (_, receipt) = rig.machine.subscribe_with_receipt(bad, None).expect("subscribed");
        let mut written = rig.frames();
        for loss in 1..=losses {
            while header(&written[0], "destination") == "/queue/good" && written.len() == 1 {
                rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&written[0], "receipt")));
                written = rig.frames();
            }
            assert!(outcome(&mut rig, receipt.expect("asked for")).is_none(), "loss {loss}");
            if error {
                rig.receive("ERROR\nmessage:not_found\n\n\0");
            } else {
                rig.cut(None);
            }
            written = come_back(&mut rig, "");
        }
        let told = outcome(&mut rig, receipt.expect("asked for"));
        assert!(matches!(told, Some(Outcome::Rejected(_))), "{told:?}");
        assert_eq!(written.len(), 1);
        assert_eq!(header(&written[0], "destination"), "/queue/good");
        assert!(rig.machine.inbox(good).is_some());
    }
}

/// As RabbitMQ does over WebSocket where an exchange is missing, or a permission.
#[test]
fn a_message_at_which_the_broker_closes_again_and_again_is_given_up() {
    for (how, refused) in [
        (None, true),
        // RabbitMQ over WebSocket: "STOMP died".
        (Some(TransportErrorKind::Closed { code: 1000 }), true),
        (Some(TransportErrorKind::Closed { code: 1009 }), true),
        (Some(TransportErrorKind::Closed { code: 1001 }), false),
        (Some(TransportErrorKind::Closed { code: 1012 }), false),
        (Some(TransportErrorKind::Lost), false),
    ] {
        let mut config = config();
        config.sending.guarantee = Guarantee::AtLeastOnce;
        let mut rig = Rig::connected_with(config, "1.2", "");
        let bad = rig.machine.send_with_receipt(&mut send("/queue/bad"), None).expect("room");
        let good = rig.machine.send_with_receipt(&mut send("/queue/good"), None).expect("room");
        assert_eq!(rig.frames().len(), 2);
        let cut = |rig: &mut Rig| rig.cut(how.clone().map(|kind| TransportError::new(kind, "no")));
        cut(&mut rig);
        assert_eq!(come_back(&mut rig, "").len(), 2, "once may be chance");
        cut(&mut rig);
        for _ in 0..4 {
            assert!(outcome(&mut rig, bad).is_none(), "it may have been another");
            let again = come_back(&mut rig, "");
            assert_eq!(again.len(), 1, "one at a time");
            assert_eq!(header(&again[0], "destination"), "/queue/bad");
            cut(&mut rig);
        }
        let told = outcome(&mut rig, bad);
        assert_eq!(matches!(told, Some(Outcome::Unknown(_))), refused, "{how:?}: {told:?}");
        let mut again = come_back(&mut rig, "");
        if !refused {
            assert_eq!(
                header(&again[0], "destination"),
                "/queue/bad",
                "a network that breaks proves nothing"
            );
            rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&again[0], "receipt")));
            assert!(matches!(outcome(&mut rig, bad), Some(Outcome::Confirmed)));
            again = rig.frames();
        }
        assert_eq!(header(&again[0], "destination"), "/queue/good");
        rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&again[0], "receipt")));
        assert!(matches!(outcome(&mut rig, good), Some(Outcome::Confirmed)));
    }
}

#[test]
fn a_connection_on_which_something_was_confirmed_casts_no_suspicion() {
    let mut config = config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    let mut rig = Rig::connected_with(config, "1.2", "");
    for _ in 0..10 {
        rig.machine.send(&send("/queue/a")).expect("room");
        rig.machine.send(&send("/queue/b")).expect("room");
        let first = rig.frames();
        rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&first[0], "receipt")));
        rig.cut(None);
        let left = come_back(&mut rig, "");
        assert!(!left.is_empty(), "together");
        for frame in &left {
            rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(frame, "receipt")));
        }
    }
}

#[test]
fn beats_overtake_what_waits_while_things_are_brought_back_one_at_a_time() {
    let mut config = config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    config.heart_beat = HeartBeat::every(SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "");
    rig.machine.send(&send("/queue/a")).expect("room");
    rig.frame();
    rig.receive("ERROR\nmessage:no\n\n\0");
    assert_eq!(come_back(&mut rig, "heart-beat:0,1000\n").len(), 1, "one at a time");
    rig.machine.subscribe(SubscribeRequest::new("/queue/a")).expect("it waits");
    let beats = rig.beats;
    rig.advance(3 * SECOND);
    assert!(rig.machine.queued_bytes() > 0, "it still waits");
    assert_eq!(rig.beats, beats + 4, "every three quarters of a second");
}

#[test]
fn who_leaves_while_things_are_brought_back_one_at_a_time_says_goodbye() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    for destination in ["/queue/a", "/queue/b"] {
        rig.machine.subscribe(SubscribeRequest::new(destination)).expect("open");
    }
    rig.frames();
    // All at once is answered with an ERROR that names nobody.
    rig.cut(None);
    assert_eq!(come_back(&mut rig, "").len(), 2);
    rig.receive("ERROR\nmessage:no\n\n\0");
    assert_eq!(come_back(&mut rig, "").len(), 1, "one at a time");
    rig.machine.disconnect(rig.now);
    rig.drain();
    let goodbye = rig.frame();
    assert_eq!(goodbye.command(), Command::Disconnect);
    // The time for the RECEIPT of the SUBSCRIBE passes.
    rig.advance(6 * SECOND);
    rig.receive(&format!("RECEIPT\nreceipt-id:{}\n\n\0", header(&goodbye, "receipt")));
    rig.cut(None);
    assert!(rig.end().is_none());
}

#[test]
fn a_subscribe_that_a_drain_came_before_holds_up_no_end() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    let mut request = SubscribeRequest::new("/queue/a");
    request.ack = AckMode::Client;
    let (_, receipt) = rig.machine.subscribe_with_receipt(request, None).expect("open");
    let receipt = receipt.expect("one is asked for");
    rig.frame();
    rig.machine.begin_drain(None);
    rig.cut(None);
    assert!(come_back(&mut rig, "").is_empty(), "nothing is brought back for a session that is about to end");
    let outcome = outcome(&mut rig, receipt);
    assert!(matches!(outcome, Some(Outcome::NotSent(_))), "{outcome:?}");
    rig.machine.disconnect(rig.now);
    assert_eq!(rig.frame().command(), Command::Disconnect);
}

/// The session's clock stood still before it was sent, so its time as a message is over before that of its RECEIPT.
#[test]
fn a_message_that_has_waited_too_long_is_told_of_with_its_receipt() {
    let mut config = config();
    config.sending.guarantee = Guarantee::AtLeastOnce;
    config.sending.outbox.expiry = Some(60 * SECOND);
    let mut rig = Rig::connected_with(config, "1.2", "");
    rig.now += 10 * SECOND;
    let receipt = rig.machine.send_with_receipt_within(&mut send("/queue/a"), 60 * SECOND).expect("room");
    rig.input(Input::Taken { now: rig.now });
    rig.advance_unwritten(50 * SECOND);
    let outcome = outcome(&mut rig, receipt);
    assert!(matches!(outcome, Some(Outcome::NotSent(_))), "{outcome:?}");
}

#[test]
fn at_most_once_is_unknown_once_it_was_written_and_never_written_again() {
    let mut rig = Rig::connected_with(config(), "1.2", "");
    let id = rig.machine.send_with_receipt(&mut send("/queue/a"), None).expect("sent");
    rig.frame();
    let unwritten = rig.machine.send_with_receipt(&mut send("/queue/b"), None).expect("sent");
    rig.cut(None);
    assert!(matches!(outcome(&mut rig, id), Some(Outcome::Unknown(_))));
    assert!(matches!(outcome(&mut rig, unwritten), Some(Outcome::NotSent(_))));
    assert!(come_back(&mut rig, "").is_empty());
}

#[test]
fn the_profile_says_what_stands_in_a_subscribe() {
    let durable = |server: &str, prefetch: bool| {
        let mut rig = Rig::connected_with(config(), "1.2", &format!("server:{server}\n"));
        let mut request = SubscribeRequest::new("/topic/a");
        request.durable = Some("mine".into());
        if prefetch {
            (request.ack, request.window) = (AckMode::ClientIndividual, 5);
        }
        rig.machine.subscribe(request).map(|_| rig.frame())
    };
    let rabbit = durable("RabbitMQ/3.10.8", true).expect("known");
    let headers = ["id", "durable", "auto-delete", "prefetch-count"].map(|name| header(&rabbit, name));
    assert_eq!(headers, ["mine", "true", "false", "5"]);
    let active = durable("ActiveMQ/5.17.2", true).expect("known");
    assert_eq!(header(&active, "activemq.subscriptionName"), "mine");
    assert_eq!(header(&active, "activemq.prefetchSize"), "5");
    let artemis = durable("ActiveMQ-Artemis/2.31.2", false).expect("known");
    assert_eq!(header(&artemis, "durable-subscription-name"), "mine");
    assert_eq!(durable("something/1", false).expect_err("unknown").kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_profile_says_whether_a_text_has_a_length() {
    for (server, length) in [("RabbitMQ/3", "2"), ("ActiveMQ/5", "")] {
        let mut rig = Rig::connected_with(config(), "1.2", &format!("server:{server}\n"));
        let text = send("/queue/a").with_header("content-type", "text/plain").with_body("hi");
        rig.machine.send(&text).expect("sent");
        assert_eq!(header(&rig.frame(), "content-length"), length, "{server}");
    }
}

#[test]
fn replies_of_rabbitmq_come_without_a_subscribe() {
    let mut rig = Rig::connected_with(config(), "1.2", "server:RabbitMQ/3.10.8\n");
    let id = rig.machine.subscribe(SubscribeRequest::new("/temp-queue/r")).expect("fine");
    assert!(rig.frames().is_empty());
    rig.receive("MESSAGE\nsubscription:/temp-queue/r\nmessage-id:1\n\nhi\0");
    assert_eq!(rig.bodies(id), ["hi"]);
}

#[test]
fn undefined_escapes_pass_where_the_broker_is_known_to_send_them() {
    for (server, passes) in [("ActiveMQ/5.17.2", true), ("something/1", false)] {
        let mut rig = Rig::connected_with(config(), "1.2", &format!("server:{server}\n"));
        rig.receive("MESSAGE\nsubscription:s\nmessage-id:1\nx:a\\tb\n\nhi\0");
        let came = rig.events.iter().any(|event| matches!(event, Event::Unrouted(_)));
        assert_eq!(came, passes, "{server}");
    }
}

#[test]
fn a_broker_without_receipts_and_acks_is_asked_for_neither() {
    let mut config = config();
    config.profile = Some(BrokerProfile::SPRING_SIMPLE);
    let mut rig = Rig::connected_with(config, "1.2", "");
    let asked = rig.machine.send_with_receipt(&mut send("/topic/a"), None);
    assert_eq!(asked.expect_err("never").kind(), ErrorKind::InvalidArgument);
    let mut request = SubscribeRequest::new("/topic/a");
    (request.id, request.ack) = (Some("s".into()), AckMode::ClientIndividual);
    let id = rig.machine.subscribe(request).expect("subscribed");
    rig.frames();
    rig.receive("MESSAGE\nsubscription:s\nmessage-id:1\n\nhi\0");
    let (message, ticket) = rig.message(id);
    rig.machine.settle(&ticket, &message, Settle::new(true)).expect("nothing to do");
    assert!(rig.frames().is_empty());
}
