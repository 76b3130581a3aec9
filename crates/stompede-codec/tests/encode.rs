//! How the encoder behaves, and what frames show of themselves.
//!
//! What can be written in which version is in `specification/`.

use bytes::BytesMut;
use stompede_codec::{Command, ContentLength, EncodeErrorKind, Encoder, Frame, Headers, Version};

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
fn one_header_more_is_written_like_the_others() {
    let send = send("a", "b").with_body("hello");
    for (name, value) in [
        ("receipt", "r-1"),
        ("a:b", "c\nd"),
        ("receipt", ""),
        ("content-length", "5"),
        ("content-length", "4"),
        ("content-length", "five"),
    ] {
        for encoder in [V1_2, V1_2.content_length(ContentLength::Omit)] {
            let (mut one, mut other) = (BytesMut::new(), BytesMut::new());
            let with_more = encoder.encode_head_with(&send, (name, value), &mut one);
            let as_usual = encoder.encode_head(&send.clone().with_header(name, value), &mut other);
            assert_eq!((with_more, one), (as_usual, other), "{name}:{value}");
        }
    }
    let mut out = BytesMut::from(&b"earlier"[..]);
    for (version, header, kind) in [
        (Version::V1_2, ("", "x"), EncodeErrorKind::EmptyHeaderName),
        (Version::V1_2, ("x", "\0"), EncodeErrorKind::NulInHeader),
        (Version::V1_0, ("x", "a\nb"), EncodeErrorKind::LineBreakInHeader),
    ] {
        let error = Encoder::new(version).encode_head_with(&send, header, &mut out).unwrap_err();
        assert_eq!((error.kind(), &out[..]), (kind, &b"earlier"[..]));
    }
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
