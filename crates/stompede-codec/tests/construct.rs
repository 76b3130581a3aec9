//! Constructors and `Frame::check`, against the specification's tables written down a second time.

use bytes::BytesMut;
use proptest::prelude::Strategy;
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};
use stompede_codec::FrameErrorKind::{self, EmptyValue, ForbiddenHeader, InvalidValue, MissingHeader};
use stompede_codec::{AckMode, Command, Encoder, Frame, FrameError, Version};

use Version::{V1_0, V1_1, V1_2};

/// Headers by name and value.
type Named = &'static [(&'static str, &'static str)];

/// Command, versions, and the headers that the specification requires, with values that fit.
const REQUIRED: &[(&str, &[Version], Named)] = &[
    ("CONNECT", &[V1_0], &[]),
    ("CONNECT", &[V1_1, V1_2], &[("accept-version", "1.0,1.1,1.2"), ("host", "h")]),
    ("STOMP", &[V1_1, V1_2], &[("accept-version", "1.0,1.1,1.2"), ("host", "h")]),
    ("CONNECTED", &[V1_0], &[]),
    ("CONNECTED", &[V1_1], &[("version", "1.1")]),
    ("CONNECTED", &[V1_2], &[("version", "1.2")]),
    ("SEND", &Version::ALL, &[("destination", "/queue/a")]),
    ("SUBSCRIBE", &[V1_0], &[("destination", "/queue/a")]),
    ("SUBSCRIBE", &[V1_1, V1_2], &[("destination", "/queue/a"), ("id", "0")]),
    ("UNSUBSCRIBE", &[V1_1, V1_2], &[("id", "0")]),
    ("ACK", &[V1_0], &[("message-id", "1")]),
    ("ACK", &[V1_1], &[("message-id", "1"), ("subscription", "0")]),
    ("ACK", &[V1_2], &[("id", "1")]),
    ("NACK", &[V1_1], &[("message-id", "1"), ("subscription", "0")]),
    ("NACK", &[V1_2], &[("id", "1")]),
    ("BEGIN", &Version::ALL, &[("transaction", "t")]),
    ("COMMIT", &Version::ALL, &[("transaction", "t")]),
    ("ABORT", &Version::ALL, &[("transaction", "t")]),
    ("DISCONNECT", &Version::ALL, &[]),
    ("MESSAGE", &[V1_0], &[("destination", "/queue/a"), ("message-id", "1")]),
    ("MESSAGE", &[V1_1, V1_2], &[("destination", "/queue/a"), ("message-id", "1"), ("subscription", "0")]),
    ("RECEIPT", &Version::ALL, &[("receipt-id", "r")]),
    ("ERROR", &Version::ALL, &[]),
];

fn each_row() -> impl Iterator<Item = (Command, Version, Named)> {
    REQUIRED.iter().flat_map(|&(command, versions, headers)| {
        let command = command.parse().expect("the table names commands");
        versions.iter().map(move |&version| (command, version, headers))
    })
}

fn frame(command: Command, headers: &[(&str, &str)]) -> Frame {
    headers.iter().fold(Frame::new(command), |frame, (name, value)| frame.with_header(name, value))
}

fn fault(result: Result<impl Sized, FrameError>) -> Option<(FrameErrorKind, Option<String>)> {
    result.err().map(|error| (error.kind(), error.header().map(str::to_owned)))
}

fn about(kind: FrameErrorKind, header: &str) -> Option<(FrameErrorKind, Option<String>)> {
    Some((kind, Some(header.to_owned())))
}

#[track_caller]
fn assert_invalid(frame: &Frame, version: Version, header: &str) {
    match fault(frame.check(version)) {
        Some((InvalidValue { .. }, Some(named))) => assert_eq!(named, header, "{frame}"),
        other => unreachable!("{frame} in {version}: {other:?}"),
    }
}

#[test]
fn what_is_required_is_enough_and_nothing_of_it_may_be_missing() {
    for (command, version, headers) in each_row() {
        let whole = frame(command, headers);
        assert_eq!(whole.check(version), Ok(()), "{whole} in {version}");
        for (name, _) in headers {
            let mut lacking = whole.clone();
            lacking.headers_mut().remove(name);
            // A CONNECT that offers nothing is one of 1.0 unless it is judged by more.
            assert_eq!(fault(lacking.check(version)), about(MissingHeader, name), "{lacking} in {version}");
            let mut empty = whole.clone();
            empty.headers_mut().insert(name, "");
            match *name {
                "host" | "receipt-id" => assert_eq!(empty.check(version), Ok(())),
                "accept-version" | "version" => assert_invalid(&empty, version, name),
                _ => assert_eq!(fault(empty.check(version)), about(EmptyValue, name), "{empty} in {version}"),
            }
        }
    }
}

#[test]
fn every_command_and_version_is_in_the_table_or_does_not_exist() {
    for command in each_row().map(|(command, ..)| command) {
        for version in Version::ALL {
            let listed = each_row().any(|(other, in_version, _)| (other, in_version) == (command, version));
            let absent = fault(Frame::new(command).check(version))
                == Some((FrameErrorKind::CommandNotInVersion, None));
            // UNSUBSCRIBE of 1.0 takes one of two and has a test of its own.
            let special = (command, version) == (Command::Unsubscribe, V1_0);
            assert_eq!(listed || special, !absent, "{command} in {version}");
        }
    }
}

#[test]
fn a_body_is_for_send_message_and_error_since_1_1() {
    for (command, version, headers) in each_row() {
        let result = fault(frame(command, headers).with_body("x").check(version));
        let may = version == V1_0 || matches!(command, Command::Send | Command::Message | Command::Error);
        let expected = (!may).then_some((FrameErrorKind::BodyNotAllowed, None));
        assert_eq!(result, expected, "{command} in {version}");
    }
}

#[test]
fn unsubscribe_of_1_0_takes_an_id_or_a_destination() {
    let by = |name, value| Frame::new(Command::Unsubscribe).with_header(name, value);
    assert_eq!(by("id", "0").check(V1_0), Ok(()));
    assert_eq!(by("destination", "/queue/a").check(V1_0), Ok(()));
    assert_eq!(fault(by("destination", "/queue/a").check(V1_1)), about(MissingHeader, "id"));
    assert_eq!(fault(by("x", "y").check(V1_0)), about(MissingHeader, "destination"));
    assert_eq!(fault(by("id", "").check(V1_0)), about(EmptyValue, "id"));
}

#[test]
fn connect_has_no_receipt_and_no_line_breaks() {
    let connect = Frame::connect("h", &Version::ALL).unwrap();
    let receipt = connect.clone().with_header("receipt", "1");
    for version in Version::ALL {
        assert_eq!(fault(receipt.check(version)), about(ForbiddenHeader, "receipt"));
    }
    for bad in ["a\nb", "a\rb", "a\0b"] {
        assert_eq!(fault(Frame::connect(bad, &[V1_2])), about(FrameErrorKind::NotEscapable, "host"));
        let passcode = connect.clone().with_header("passcode", bad);
        assert_eq!(fault(passcode.check(V1_2)), about(FrameErrorKind::NotEscapable, "passcode"));
        let named = connect.clone().with_header(bad, "x");
        assert_eq!(fault(named.check(V1_2)), about(FrameErrorKind::NotEscapable, bad));
        let session = Frame::connected(V1_1).with_header("session", bad);
        assert_eq!(fault(session.check(V1_1)), about(FrameErrorKind::NotEscapable, "session"));
    }
    // Elsewhere they are escaped, or the encoder refuses them.
    assert_eq!(Frame::send("a\nb").unwrap().check(V1_2), Ok(()));
    assert_eq!(Frame::connect("a:b\\", &[V1_2]).unwrap().check(V1_2), Ok(()));
}

#[test]
fn heart_beat_is_two_numbers_since_1_1() {
    let connect = |value| Frame::connect("h", &[V1_1]).unwrap().with_header("heart-beat", value);
    for good in ["0,0", "10000,0", "1,4294967296", "007,1"] {
        assert_eq!(connect(good).check(V1_1), Ok(()), "{good}");
    }
    for bad in ["", "1", "1,", ",1", "1,2,3", "-1,2", "+1,2", "1, 2", "1.5,2", "a,b", "1;2"] {
        assert_invalid(&connect(bad), V1_1, "heart-beat");
        assert_invalid(&Frame::connected(V1_1).with_header("heart-beat", bad), V1_1, "heart-beat");
    }
    let old = Frame::connect("h", &[V1_0]).unwrap().with_header("heart-beat", "0,0");
    assert_eq!(fault(old.check(V1_0)), about(ForbiddenHeader, "heart-beat"));
    // A server that chooses 1.0 does not make the offer wrong.
    assert_eq!(connect("0,0").check(V1_0), Ok(()));
}

#[test]
fn versions_are_offered_in_order_and_read_in_any() {
    let offered = |versions: &[Version]| {
        Frame::connect("h", versions).ok()?.header("accept-version").map(|list| list.into_owned())
    };
    assert_eq!(offered(&Version::ALL).as_deref(), Some("1.0,1.1,1.2"));
    assert_eq!(offered(&[V1_1]).as_deref(), Some("1.1"));
    for wrong in [&[][..], &[V1_2, V1_1], &[V1_1, V1_1]] {
        let error = Frame::connect("h", wrong).unwrap_err();
        assert!(matches!(error.kind(), InvalidValue { .. }) && error.header() == Some("accept-version"));
    }
    let received = |list| frame(Command::Connect, &[("accept-version", list), ("host", "h")]);
    for good in ["1.2,1.1,1.0", "1.2", "1.1,2.0", "3.7"] {
        assert_eq!(received(good).check(V1_1), Ok(()), "{good}");
    }
    for bad in ["", ",", "1.2,", "1.1, 1.2", "1", "1.x", "1.1;1.2", "v1.2"] {
        assert_invalid(&received(bad), V1_1, "accept-version");
    }
    // What it offers is what it is judged by, though a server would also take less.
    let hostless = frame(Command::Connect, &[("accept-version", "1.0,1.2")]);
    assert_eq!(fault(hostless.check(V1_0)), about(MissingHeader, "host"));
    assert_eq!(hostless.check(V1_0).unwrap_err().version(), V1_2);
    assert_eq!(frame(Command::Connect, &[("accept-version", "1.0")]).check(V1_0), Ok(()));
    assert_eq!(fault(Frame::stomp("h", &[V1_0])), Some((FrameErrorKind::CommandNotInVersion, None)));
    assert_eq!(Frame::stomp("h", &[V1_0, V1_1]).unwrap().check(V1_0), Ok(()));
}

#[test]
fn connected_says_the_version_in_use() {
    assert!(Frame::connected(V1_0).headers().is_empty());
    assert_eq!(Frame::connected(V1_2).header("version").as_deref(), Some("1.2"));
    assert_eq!(Frame::new(Command::Connected).with_header("version", "1.0").check(V1_0), Ok(()));
    assert_invalid(&Frame::connected(V1_2), V1_1, "version");
    assert_invalid(&Frame::connected(V1_2), V1_0, "version");
    let repeated = Frame::connected(V1_1).with_header("version", "1.2");
    assert_eq!(repeated.check(V1_1), Ok(()), "the first header counts");
}

#[test]
fn an_ack_mode_is_one_of_its_version() {
    let subscribe = |version, mode| Frame::subscribe(version, "0", "/queue/a", mode);
    for version in Version::ALL {
        for mode in AckMode::ALL {
            let result = subscribe(version, mode);
            assert_eq!(result.is_err(), (version, mode) == (V1_0, AckMode::ClientIndividual));
        }
        for odd in ["", "Auto", "manual"] {
            let mut frame = subscribe(version, AckMode::Client).unwrap();
            frame.headers_mut().insert("ack", odd);
            assert_invalid(&frame, version, "ack");
        }
    }
    assert_eq!(subscribe(V1_2, AckMode::default()).unwrap().header("ack").as_deref(), Some("auto"));
    for mode in AckMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
}

#[test]
fn an_acknowledgement_repeats_what_its_version_wants() {
    let message = frame(
        Command::Message,
        &[("destination", "/queue/a"), ("message-id", "m"), ("subscription", "s"), ("ack", "a")],
    );
    for (make, command) in [(Frame::ack as fn(_, &_) -> _, Command::Ack), (Frame::nack, Command::Nack)] {
        assert_eq!(make(V1_2, &message), Ok(frame(command, &[("id", "a")])));
        assert_eq!(make(V1_1, &message), Ok(frame(command, &[("message-id", "m"), ("subscription", "s")])));
        let other = frame(Command::Error, &[("message-id", "m"), ("ack", "a")]);
        assert_eq!(fault(make(V1_2, &other)), Some((FrameErrorKind::NotAMessage, None)));
        let unasked = frame(Command::Message, &[("message-id", "m"), ("subscription", "s")]);
        assert_eq!(fault(make(V1_2, &unasked)), about(MissingHeader, "id"));
        let anonymous = frame(Command::Message, &[("message-id", "m")]);
        assert_eq!(fault(make(V1_1, &anonymous)), about(MissingHeader, "subscription"));
    }
    assert_eq!(Frame::ack(V1_0, &message), Ok(frame(Command::Ack, &[("message-id", "m")])));
    assert_eq!(fault(Frame::nack(V1_0, &message)), Some((FrameErrorKind::CommandNotInVersion, None)));
}

#[test]
fn empty_names_of_things_are_refused() {
    assert_eq!(fault(Frame::send("")), about(EmptyValue, "destination"));
    assert_eq!(fault(Frame::unsubscribe("")), about(EmptyValue, "id"));
    assert_eq!(fault(Frame::subscribe(V1_2, "", "d", AckMode::Auto)), about(EmptyValue, "id"));
    assert_eq!(fault(Frame::subscribe(V1_2, "0", "", AckMode::Auto)), about(EmptyValue, "destination"));
    for make in [Frame::begin, Frame::commit, Frame::abort] {
        assert_eq!(fault(make("")), about(EmptyValue, "transaction"));
    }
    assert_eq!(fault(Frame::message(V1_2, "d", "", Some("0"))), about(EmptyValue, "message-id"));
    assert_eq!(fault(Frame::message(V1_1, "d", "m", None)), about(MissingHeader, "subscription"));
    let in_nothing = Frame::send("d").unwrap().with_header("transaction", "");
    assert_eq!(fault(in_nothing.check(V1_2)), about(EmptyValue, "transaction"));
}

#[test]
fn constructors_make_what_stands_on_the_wire() {
    let wire = |frame: Result<Frame, FrameError>, version| {
        let mut out = BytesMut::new();
        Encoder::new(version).encode(&frame.unwrap(), &mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    };
    for (frame, expected) in [
        (Frame::connect("h", &[V1_1, V1_2]), "CONNECT\naccept-version:1.1,1.2\nhost:h\n\n\0"),
        (Frame::stomp("h", &[V1_2]), "STOMP\naccept-version:1.2\nhost:h\n\n\0"),
        (Frame::send("/queue/a"), "SEND\ndestination:/queue/a\n\n\0"),
        (
            Frame::subscribe(V1_2, "0", "/q", AckMode::Client),
            "SUBSCRIBE\nid:0\ndestination:/q\nack:client\n\n\0",
        ),
        (Frame::unsubscribe("0"), "UNSUBSCRIBE\nid:0\n\n\0"),
        (Frame::begin("t"), "BEGIN\ntransaction:t\n\n\0"),
        (Frame::commit("t"), "COMMIT\ntransaction:t\n\n\0"),
        (Frame::abort("t"), "ABORT\ntransaction:t\n\n\0"),
        (Ok(Frame::disconnect()), "DISCONNECT\n\n\0"),
        (Ok(Frame::connected(V1_2)), "CONNECTED\nversion:1.2\n\n\0"),
        (
            Frame::message(V1_2, "/q", "m", Some("0")),
            "MESSAGE\ndestination:/q\nmessage-id:m\nsubscription:0\n\n\0",
        ),
        (Frame::message(V1_0, "/q", "m", None), "MESSAGE\ndestination:/q\nmessage-id:m\n\n\0"),
        (Ok(Frame::receipt("r")), "RECEIPT\nreceipt-id:r\n\n\0"),
        (Ok(Frame::error("no")), "ERROR\nmessage:no\n\n\0"),
    ] {
        assert_eq!(wire(frame, V1_2), expected);
    }
}

#[test]
fn an_error_says_what_is_wrong_and_shows_no_value() {
    let passcode =
        Frame::connect("h", &[V1_2]).unwrap().with_header("passcode", "hunter2\n").check(V1_2).unwrap_err();
    let expected = "CONNECT does not fit STOMP 1.2: header \"passcode\" has a line break or NUL, \
                    which nothing can escape in this frame; take it out";
    assert_eq!(passcode.to_string(), expected);
    assert!(!format!("{passcode:?}").contains("hunter2"));
    let odd = Frame::connected(V1_2).with_header("heart-beat", "hunter2").check(V1_2).unwrap_err();
    assert_eq!(
        odd.to_string(),
        "CONNECTED does not fit STOMP 1.2: header \"heart-beat\" must be two numbers of milliseconds \
         with a comma, such as 0,10000"
    );
    let nack = Frame::new(Command::Nack).check(V1_0).unwrap_err();
    assert_eq!(
        nack.to_string(),
        "NACK does not fit STOMP 1.0: this version does not have the command; NACK and STOMP need 1.1"
    );
}

proptest! {
    #![proptest_config(Config { cases: 2000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_a_constructor_makes_passes_the_check_and_only_its_text_can_keep_it_from_the_wire(
        text in "[a-z:\\\\\n\0 é]{0,3}",
        other in "[a-z,]{0,2}",
        version in select(&Version::ALL),
        mode in select(&AckMode::ALL),
    ) {
        let message = Frame::message(version, &text, &other, Some(&other)).map(|m| m.with_header("ack", &text));
        let of_message = |make: fn(_, &_) -> _| message.clone().and_then(|message| make(version, &message));
        let made = [
            Frame::connect(&text, &[version]),
            Frame::stomp(&text, &[version]),
            Frame::send(&text),
            Frame::subscribe(version, &other, &text, mode),
            Frame::unsubscribe(&text),
            of_message(Frame::ack),
            of_message(Frame::nack),
            Frame::begin(&text),
            Ok(Frame::disconnect()),
            Ok(Frame::connected(version)),
            message,
            Ok(Frame::receipt(&text)),
            Ok(Frame::error(&text)),
        ];
        let plain = !text.contains(['\n', '\0']);
        for result in made {
            match result {
                Ok(frame) => {
                    prop_assert_eq!(frame.check(version), Ok(()));
                    let written = Encoder::new(version).encode(&frame, &mut BytesMut::new());
                    prop_assert!(written.is_ok() || !plain, "{frame}: {written:?}");
                }
                Err(error) => prop_assert!(
                    text.is_empty() || other.is_empty() || !plain || version == V1_0,
                    "{error}"
                ),
            }
        }
    }

    #[test]
    fn any_frame_can_be_checked(frame in frames(), version in select(&Version::ALL)) {
        let first = frame.check(version);
        // Repeated headers and unknown ones change nothing.
        let mut more = frame.clone().with_header("x-unknown", "\u{e9}");
        for (name, value) in frame.headers() {
            more.headers_mut().push(name, format!("{value}?"));
        }
        prop_assert_eq!(first, more.check(version));
    }
}

fn frames() -> impl Strategy<Value = Frame> {
    let names = [
        "accept-version",
        "version",
        "host",
        "heart-beat",
        "receipt",
        "destination",
        "id",
        "ack",
        "message-id",
        "subscription",
        "transaction",
        "receipt-id",
    ];
    let values = ["", "1.0", "1.2", "1.1,1.2", "0,0", "auto", "client-individual", "x"];
    let header = (select(names.to_vec()), select(values.to_vec()));
    let commands: Vec<Command> = each_row().map(|(command, ..)| command).collect();
    (select(commands), proptest::collection::vec(header, 0..6), select(vec!["", "x"]))
        .prop_map(|(command, headers, body)| frame(command, &headers).with_body(body))
}
