//! How a connection begins, and every way in which it can fail to.

mod common;

use common::{Rig, SECOND, config, header};
use stompede_codec::{Command, Version};
use stompede_session::protocol::{Event, Input};
use stompede_session::{Config, ErrorKind, Recovery};
use stompede_transport::{TransportError, TransportErrorKind};

#[test]
fn connect_offers_all_versions_and_names_the_host() {
    let mut rig = Rig::dialing(config());
    rig.input(Input::Opened { now: rig.now });
    let connect = rig.frame();
    assert_eq!(connect.command(), Command::Connect);
    assert_eq!(header(&connect, "accept-version"), "1.0,1.1,1.2");
    assert_eq!(header(&connect, "host"), "broker.example");
    assert!(connect.header("login").is_none() && connect.header("passcode").is_none());
}

#[test]
fn connect_carries_credentials_host_and_headers_as_they_are() {
    let mut settings = Config::for_url("tcp://me:s%3Acret@broker.example").expect("a URL");
    settings.host = Some("/".into());
    settings.headers.push(("client-id".into(), "a\\b".into()));
    let mut rig = Rig::dialing(settings);
    rig.input(Input::Opened { now: rig.now });
    let connect = rig.frame();
    assert_eq!(header(&connect, "login"), "me");
    assert_eq!(header(&connect, "passcode"), "s:cret", "CONNECT is never escaped");
    assert_eq!(header(&connect, "client-id"), "a\\b");
    assert_eq!(header(&connect, "host"), "/");
}

#[test]
fn the_brokers_version_is_taken() {
    for version in Version::ALL {
        let rig = Rig::connected(version.as_str());
        assert_eq!(rig.machine.connected().expect("connected").version(), version);
    }
}

#[test]
fn connected_without_version_is_1_0() {
    let mut rig = Rig::opened(config());
    rig.receive("CONNECTED\nsession:a:b\n\n\0");
    let peer = rig.machine.connected().expect("connected");
    assert_eq!(peer.version(), Version::V1_0);
    assert_eq!(peer.session().as_deref(), Some("a:b"), "CONNECTED is never unescaped");
}

#[test]
fn heart_beats_before_connected_do_no_harm() {
    let mut rig = Rig::opened(config());
    rig.receive("\n\r\n\n");
    rig.receive("CONNECTED\nversion:1.2\n\n\0");
    assert!(matches!(rig.events.last(), Some(Event::Connected(_))));
}

#[test]
fn a_version_that_was_not_offered_is_refused() {
    for version in ["1.0", "1.1", "1.3", "2", ""] {
        let mut settings = config();
        settings.versions = vec![Version::V1_2];
        let mut rig = Rig::opened(settings);
        rig.receive(&format!("CONNECTED\nversion:{version}\n\n\0"));
        assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::VersionMismatch, "{version:?}");
        assert!(rig.abandoned);
    }
}

#[test]
fn an_error_instead_of_connected_is_a_refused_login_with_the_brokers_words() {
    let mut rig = Rig::opened(config());
    rig.receive("ERROR\nmessage:Bad CONNECT\n\nAccess refused for user 'guest'\n\0");
    let cause = rig.end().expect("a cause");
    assert_eq!(cause.kind(), ErrorKind::LoginRefused);
    assert_eq!(cause.recovery(), Recovery::Fatal);
    assert_eq!(cause.frame().and_then(|frame| frame.header("message")).as_deref(), Some("Bad CONNECT"));
    assert!(cause.to_string().contains("Bad CONNECT (Access refused for user 'guest')"), "{cause}");
    assert!(matches!(rig.events[0], Event::Error(_)), "listeners hear of it");
}

#[test]
fn an_error_that_lists_foreign_versions_is_a_version_mismatch() {
    let mut rig = Rig::opened(config());
    rig.receive("ERROR\nmessage:Version mismatch\nversion:2.0,2.1\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::VersionMismatch);
    let mut rig = Rig::opened(config());
    rig.receive("ERROR\nmessage:Bad CONNECT\nversion:1.0,1.1,1.2\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::LoginRefused);
}

#[test]
fn anything_else_first_is_no_stomp() {
    for frame in
        ["RECEIPT\nreceipt-id:1\n\n\0", "MESSAGE\nmessage-id:1\n\n\0", "HTTP/1.1 400 Bad Request\r\n\r\n"]
    {
        let mut rig = Rig::opened(config());
        rig.receive(frame);
        assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Protocol, "{frame:?}");
    }
}

#[test]
fn a_second_connected_ends_the_session() {
    let mut rig = Rig::connected("1.2");
    rig.receive("CONNECTED\nversion:1.2\n\n\0");
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::Protocol);
}

#[test]
fn a_failed_dial_says_what_failed() {
    let mut rig = Rig::dialing(config());
    assert_eq!(rig.dialed, 1);
    let error = TransportError::new(TransportErrorKind::Refused, "nothing listens");
    rig.input(Input::DialFailed { now: rig.now, error });
    let cause = rig.end().expect("a cause");
    assert_eq!(cause.kind(), ErrorKind::DialFailed);
    assert_eq!(cause.transport().map(TransportError::kind), Some(&TransportErrorKind::Refused));
}

#[test]
fn a_dial_that_takes_too_long_is_given_up() {
    let mut rig = Rig::dialing(config());
    rig.advance(9 * SECOND);
    assert!(rig.events.is_empty());
    rig.advance(SECOND);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::ConnectTimedOut);
    assert!(rig.abandoned);
    // The connection comes after all: it is let go, and nothing begins anew.
    rig.abandoned = false;
    rig.input(Input::Opened { now: rig.now });
    assert!(rig.abandoned && rig.frames().is_empty());
}

#[test]
fn a_broker_that_never_answers_is_given_up() {
    let mut rig = Rig::opened(config());
    rig.receive("CONNECTED\nver");
    rig.advance(10 * SECOND);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::HandshakeTimedOut);
    assert_eq!(rig.deadline, None, "nothing is left to wait for");
}

#[test]
fn an_end_before_connected_is_a_lost_connection() {
    let mut rig = Rig::opened(config());
    rig.cut(None);
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::ConnectionLost);
}

#[test]
fn words_that_arrived_before_the_cut_count() {
    let mut rig = Rig::opened(config());
    let bytes = "ERROR\nmessage:no\n\n\0".into();
    rig.machine.handle_input(Input::Received { now: rig.now, bytes });
    let error = TransportError::new(TransportErrorKind::Lost, "reset");
    rig.cut(Some(error));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::LoginRefused);
}

#[test]
fn nonsense_settings_are_named() {
    let mut no_versions = config();
    no_versions.versions.clear();
    let mut no_time = config();
    no_time.connect_timeout = std::time::Duration::ZERO;
    let mut injected = config();
    injected.login = Some("a\nhost:other".into());
    let mut no_room = config();
    no_room.sending.outbox.messages = 0;
    let mut no_header = config();
    no_header.sending.duplicate_header = Some("a\0".into());
    let mut no_frame = config();
    no_frame.limits.max_head = 0;
    for (settings, named) in [
        (no_versions, "versions"),
        (no_time, "connect_timeout"),
        (injected, "login"),
        (no_room, "sending.outbox.messages"),
        (no_header, "sending.duplicate_header"),
        (no_frame, "limits"),
    ] {
        let error = settings.validate().expect_err(named);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_header_that_is_made_of_a_setting_is_refused_and_not_sent_twice() {
    for name in ["accept-version", "heart-beat", "host", "login", "passcode"] {
        let mut settings = config();
        settings.headers.push((name.into(), "hunter2".into()));
        let error = settings.validate().expect_err(name).to_string();
        assert!(
            error.starts_with(&format!("headers: {name} is made of")) && !error.contains("hunter2"),
            "{error}"
        );
    }
    // Nor may an attempt have one that somebody has changed.
    let mut rig = Rig::dialing(config());
    let mut attempt = rig.machine.attempt().clone();
    attempt.headers.push(("host".into(), "elsewhere".into()));
    rig.machine.set_attempt(attempt);
    rig.input(Input::Opened { now: rig.now });
    let end = rig.end().expect("a cause");
    assert_eq!(end.kind(), ErrorKind::InvalidArgument);
    assert!(end.to_string().contains("headers: host"), "{end}");
}

#[test]
fn the_passcode_never_shows() {
    let mut settings = Config::for_url("tcp://me:hunter2@broker.example").expect("a URL");
    settings.headers.push(("token".into(), "hunter2".into()));
    assert!(!format!("{settings:?}").contains("hunter2"));
    let rig = Rig::opened(settings);
    assert!(!format!("{:?}", rig.machine).contains("hunter2"), "{:?}", rig.machine);
}

/// Both are kept for long: in the state, in the causes of errors.
#[test]
fn neither_connected_nor_error_keeps_what_it_was_read_in() {
    let mut rig = Rig::opened(config());
    let long = "x".repeat(1000);
    for wire in
        [format!("CONNECTED\nversion:1.2\nserver:{long}\n\n\0"), format!("ERROR\nmessage:{long}\n\n{long}\0")]
    {
        let chunk = bytes::Bytes::from(wire);
        rig.input(Input::Received { now: rig.now, bytes: chunk.clone() });
        assert!(chunk.is_unique(), "{:?}", rig.events);
    }
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::BrokerError);
}

/// What the documentation of each setting says, for whoever sets nothing.
#[test]
fn each_time_limit_has_its_default() {
    let config = Config::for_url("tcp://broker.example").expect("a URL");
    let limits = [
        config.connect_timeout,
        config.handshake_timeout,
        config.total_connect_timeout,
        config.write_timeout,
        config.stall_timeout,
        config.receipt_timeout,
        config.disconnect_timeout,
        config.heart_beat.send,
        config.heart_beat.receive,
    ];
    assert_eq!(limits.map(|limit| limit.as_secs()), [10, 10, 15, 30, 5, 30, 10, 10, 10]);
    assert_eq!((config.idle_timeout, config.receive_scale), (None, 1.5));
    assert_eq!(config.receive_slack, std::time::Duration::from_millis(500));
}

#[test]
fn time_limits_beyond_the_clock_are_none_at_all() {
    let mut settings = config();
    settings.connect_timeout = std::time::Duration::MAX;
    settings.total_connect_timeout = std::time::Duration::MAX;
    let rig = Rig::dialing(settings);
    assert_eq!(rig.deadline, None);
}

#[test]
fn all_steps_together_have_a_limit_of_their_own() {
    // Nine seconds to open and nine to log in are in time each, and too long together.
    let mut rig = Rig::dialing(config());
    rig.advance(9 * SECOND);
    rig.input(Input::Opened { now: rig.now });
    rig.advance(6 * SECOND - std::time::Duration::from_millis(1));
    assert!(rig.events.is_empty());
    rig.advance(std::time::Duration::from_millis(1));
    assert_eq!(rig.end().expect("a cause").kind(), ErrorKind::HandshakeTimedOut);
}
