//! What the encoder writes and what it refuses, rule by rule.

use bytes::BytesMut;
use stompede_codec::{Command, ContentLength, EncodeErrorKind, Encoder, Frame, Headers, Version};

const V1_0: Encoder = Encoder::new(Version::V1_0);
const V1_1: Encoder = Encoder::new(Version::V1_1);
const V1_2: Encoder = Encoder::new(Version::V1_2);

fn encoded(encoder: Encoder, frame: &Frame) -> Result<String, EncodeErrorKind> {
    let mut out = BytesMut::new();
    encoder.encode(frame, &mut out).map_err(|error| {
        assert!(out.is_empty(), "nothing stays of a refused frame");
        error.kind()
    })?;
    Ok(String::from_utf8(out.to_vec()).expect("these frames are text"))
}

fn send(name: &str, value: &str) -> Frame {
    Frame::new(Command::Send).with_header(name, value)
}

#[test]
fn headers_are_escaped_by_the_version() {
    let frame = send("a:\\", "b\n:\\");
    assert_eq!(encoded(V1_2, &frame).as_deref(), Ok("SEND\na\\c\\\\:b\\n\\c\\\\\n\n\0"));
    assert_eq!(encoded(V1_1, &frame), encoded(V1_2, &frame));
    assert_eq!(encoded(V1_0, &send("a\\", ":\\")).as_deref(), Ok("SEND\na\\::\\\n\n\0"));
    assert_eq!(encoded(V1_2, &send("a", "\r")).as_deref(), Ok("SEND\na:\\r\n\n\0"));
}

#[test]
fn what_a_version_cannot_carry_is_refused() {
    let connect = |name: &str, value: &str| Frame::new(Command::Connect).with_header(name, value);
    for (encoder, frame, kind) in [
        (V1_2, send("", "x"), EncodeErrorKind::EmptyHeaderName),
        (V1_2, send("a", "\0"), EncodeErrorKind::NulInHeader),
        (V1_2, send("\0", "a"), EncodeErrorKind::NulInHeader),
        (V1_1, send("a", "b\r"), EncodeErrorKind::LineBreakInHeader),
        (V1_0, send("a", "b\nevil:1"), EncodeErrorKind::LineBreakInHeader),
        (V1_0, send("a", "b\r"), EncodeErrorKind::LineBreakInHeader),
        (V1_0, send("a:b", "c"), EncodeErrorKind::ColonInHeaderName),
        (V1_2, connect("a:b", "c"), EncodeErrorKind::ColonInHeaderName),
        (V1_2, connect("a", "b\nc"), EncodeErrorKind::LineBreakInHeader),
        (V1_2, connect("a", "b\rc"), EncodeErrorKind::LineBreakInHeader),
        (V1_0, Frame::new(Command::Nack), EncodeErrorKind::CommandNotInVersion),
        (V1_0, Frame::new(Command::Stomp), EncodeErrorKind::CommandNotInVersion),
        (V1_1, Frame::new(Command::Ack).with_body("x"), EncodeErrorKind::BodyNotAllowed),
        (V1_0, Frame::new(Command::Ack).with_body("\0"), EncodeErrorKind::NulInBody),
    ] {
        assert_eq!(encoded(encoder, &frame), Err(kind), "{frame}");
    }
    assert!(encoded(V1_2, &connect("passcode", "a:b\\c")).is_ok());
    assert!(encoded(V1_0, &Frame::new(Command::Ack).with_body("x")).is_ok());
}

#[test]
fn content_length_is_written_where_a_body_needs_it() {
    let message = Frame::new(Command::Message).with_body("é\0");
    assert_eq!(encoded(V1_2, &message).as_deref(), Ok("MESSAGE\ncontent-length:3\n\né\0\0"));
    assert_eq!(encoded(V1_2, &Frame::new(Command::Send)).as_deref(), Ok("SEND\n\n\0"));
    let given = send("content-length", "05").with_body("hello");
    assert_eq!(encoded(V1_2, &given).as_deref(), Ok("SEND\ncontent-length:05\n\nhello\0"));
    for wrong in ["4", "", "+5", "5 ", "x", "99999999999999999999999"] {
        let frame = send("content-length", wrong).with_body("hello");
        assert_eq!(encoded(V1_2, &frame), Err(EncodeErrorKind::ContentLengthMismatch), "{wrong:?}");
    }
}

#[test]
fn content_length_can_be_left_out() {
    let bare = V1_2.content_length(ContentLength::Omit);
    let frame = send("content-length", "5").with_body("hello");
    assert_eq!(encoded(bare, &frame).as_deref(), Ok("SEND\n\nhello\0"));
    let frame = Frame::new(Command::Send).with_body("a\0b");
    assert_eq!(encoded(bare, &frame), Err(EncodeErrorKind::NulInBody));
}

#[test]
fn a_head_is_the_frame_without_body_and_nul() {
    let frame = send("a", "b").with_body("hello");
    let (mut head, mut whole) = (BytesMut::new(), BytesMut::new());
    V1_2.encode_head(&frame, &mut head).unwrap();
    V1_2.encode(&frame, &mut whole).unwrap();
    assert_eq!([&head[..], frame.body(), b"\0"].concat(), whole);
}

#[test]
fn a_refused_frame_leaves_what_was_there() {
    let mut out = BytesMut::from(&b"earlier"[..]);
    let refused = send("fine", "1").with_header("bad", "\0");
    assert!(V1_2.encode(&refused, &mut out).is_err());
    assert!(V1_2.encode_head(&refused, &mut out).is_err());
    assert_eq!(&out[..], b"earlier");
}

#[test]
fn an_error_names_the_header_and_never_its_value() {
    let frame = Frame::new(Command::Connect).with_header("passcode", "hunter2\n");
    let error = V1_2.encode(&frame, &mut BytesMut::new()).unwrap_err();
    assert_eq!((error.command(), error.header()), (Command::Connect, Some("passcode")));
    let shown = format!("{error} {error:?}");
    assert!(
        shown.starts_with("cannot write CONNECT in STOMP 1.2: header \"passcode\": a line break"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"));
}

#[test]
fn a_frame_shows_no_secrets_and_not_all_of_its_body() {
    let frame = Frame::new(Command::Connect)
        .with_header("login", "guest")
        .with_header("passcode", "hunter2")
        .with_header("Authorization", "Bearer hunter2")
        .with_header("x-access-token", "hunter2")
        .with_header("note", "a\nb")
        .with_body("é".repeat(100));
    let shown = format!("{frame} {frame:?} {frame:#?} {:?}", frame.headers());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(frame.to_string().starts_with(
        r#"CONNECT login="guest" passcode="***" Authorization="***" x-access-token="***" note="a\nb" body=200 B "é"#
    ));
    assert!(frame.to_string().len() < 250);
    let odd = Frame::new(Command::Send).with_body(format!("{}é", "a".repeat(63)));
    assert!(odd.to_string().ends_with("aaa\"…"), "{odd}");
    assert_eq!(Frame::new(Command::Send).with_body(&b"\xff"[..]).to_string(), r#"SEND body=1 B "\xff""#);
}

#[test]
fn a_body_is_text_on_demand() {
    let frame = Frame::new(Command::Send).with_body(&b"a\xff"[..]);
    assert!(frame.body_text().is_err());
    assert_eq!(frame.body_text_lossy(), "a\u{fffd}");
    let (command, headers, body) = frame.into_parts();
    assert_eq!((command, headers, &body[..]), (Command::Send, Headers::new(), &b"a\xff"[..]));
}

#[test]
fn commands_and_versions_read_back_as_they_are_written() {
    for name in "CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT CONNECTED \
                 MESSAGE RECEIPT ERROR"
        .split_whitespace()
    {
        assert_eq!(name.parse::<Command>().map(Command::as_str), Ok(name));
    }
    assert!("Send".parse::<Command>().is_err());
    for version in Version::ALL {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    assert!(Version::ALL.is_sorted());
    assert_eq!(Version::default(), Version::V1_2);
    assert!("1.3".parse::<Version>().is_err());
}

#[test]
fn everything_may_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Frame>();
    check::<stompede_codec::Decoder>();
    check::<stompede_codec::DecodeError>();
    check::<stompede_codec::EncodeError>();
}
