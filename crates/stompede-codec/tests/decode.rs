//! What the decoder makes of a stream, rule by rule.

mod common;

use bytes::Bytes;
use common::{End, Outcome, Reading, Seen, Way, decode, decode_in_pieces, error, only_frame};
use stompede_codec::{Command, DecodeErrorKind, Decoder, Frame, FrameRef, Item, Limits, Version};

const V1_0: Option<Version> = Some(Version::V1_0);
const V1_1: Option<Version> = Some(Version::V1_1);
const V1_2: Option<Version> = Some(Version::V1_2);

#[test]
fn a_frame_has_command_headers_and_body() {
    let frame = only_frame(b"SEND\ndestination:/queue/a\ncontent-type:text/plain\n\nhello\0", V1_2);
    let expected = Frame::new(Command::Send)
        .with_header("destination", "/queue/a")
        .with_header("content-type", "text/plain")
        .with_body("hello");
    assert_eq!(frame, expected);
}

#[test]
fn a_line_may_end_in_cr_lf_in_every_version() {
    for version in [None, V1_0, V1_1, V1_2] {
        let frame = only_frame(b"MESSAGE\r\na:b\nc:d\r\n\r\n\r\nbody\r\n\0", version);
        assert_eq!(frame.headers(), &[("a", "b"), ("c", "d")].into_iter().collect());
        assert_eq!(frame.body(), "\r\nbody\r\n", "a body is left as it is");
    }
}

#[test]
fn only_one_carriage_return_belongs_to_the_line_end() {
    assert_eq!(only_frame(b"SEND\na:b\r\r\n\n\0", V1_2).header("a").as_deref(), Some("b\r"));
}

#[test]
fn a_value_is_never_trimmed_and_may_be_empty_or_hold_colons() {
    let frame = only_frame(b"SEND\na: b \nempty:\nurl:tcp://host:1\n\n\0", V1_2);
    assert_eq!(frame.header("a").as_deref(), Some(" b "));
    assert_eq!(frame.header("empty").as_deref(), Some(""));
    assert_eq!(frame.header("url").as_deref(), Some("tcp://host:1"));
}

#[test]
fn the_first_of_repeated_headers_counts_and_all_are_kept() {
    let frame = only_frame(b"MESSAGE\nhop:1\nhop:2\ncontent-length:1\ncontent-length:x\n\n\0\0", V1_2);
    assert_eq!(frame.header("hop").as_deref(), Some("1"));
    assert_eq!(frame.headers().get_all("hop").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(frame.body(), "\0");
}

#[test]
fn escapes_follow_the_version() {
    let wire = b"SEND\na\\cb:1\\n2\\\\n3\n\n\0";
    for version in [V1_1, V1_2] {
        assert_eq!(only_frame(wire, version).header("a:b").as_deref(), Some("1\n2\\n3"));
    }
    assert_eq!(only_frame(wire, V1_0).header("a\\cb").as_deref(), Some("1\\n2\\\\n3"));

    let cr = b"SEND\na:\\r\n\n\0";
    assert_eq!(only_frame(cr, V1_2).header("a").as_deref(), Some("\r"));
    assert_eq!(only_frame(cr, V1_0).header("a").as_deref(), Some("\\r"));
    assert_eq!(error(cr, V1_1), ("UndefinedEscape".to_owned(), 7));
}

#[test]
fn an_undefined_escape_is_an_error_where_it_stands() {
    for wire in [&b"SEND\nab:\\t\n\n\0"[..], b"SEND\nab:\\\n\n\0", b"SEND\nab:\\\r\n\n\0"] {
        assert_eq!(error(wire, V1_2), ("UndefinedEscape".to_owned(), 8));
    }
    assert_eq!(error(b"SEND\na\\:b\n\n\0", V1_2), ("UndefinedEscape".to_owned(), 6));
}

#[test]
fn connect_and_connected_are_never_unescaped() {
    for version in [None, V1_1, V1_2] {
        let frame = only_frame(b"CONNECT\npasscode:a\\nb:c\\\n\n\0", version);
        assert_eq!(frame.header("passcode").as_deref(), Some("a\\nb:c\\"));
        let frame = only_frame(b"CONNECTED\nversion:1.2\nsession:a\\t:b\n\n\0", version);
        assert_eq!(frame.header("session").as_deref(), Some("a\\t:b"));
    }
}

#[test]
fn an_error_before_connected_is_never_lost_over_its_escapes() {
    let wire = b"ERROR\nmessage:bad path C:\\temp\\nsee log\\\n\nno\0";
    let frame = only_frame(wire, None);
    assert_eq!(frame.header("message").as_deref(), Some("bad path C:\\temp\nsee log\\"));
    assert_eq!(error(wire, V1_2).0, "UndefinedEscape");
}

#[test]
fn the_decoder_takes_the_version_from_connected() {
    let after = |wire: &'static [u8]| {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(Bytes::from_static(wire));
        assert!(matches!(decoder.next(), Ok(Some(Item::Frame(_)))));
        decoder.version()
    };
    assert_eq!(after(b"CONNECTED\nversion:1.1\nversion:1.2\n\n\0"), V1_1);
    assert_eq!(after(b"CONNECTED\nsession:1\n\n\0"), V1_0);
    assert_eq!(after(b"CONNECTED\nversion:2.0\n\n\0"), None);
    assert_eq!(after(b"MESSAGE\nversion:1.1\n\n\0"), None);
}

#[test]
fn content_length_counts_octets_and_lets_nul_through() {
    let frame = only_frame("SEND\ncontent-length:4\n\né\0\n\0".as_bytes(), V1_2);
    assert_eq!(frame.body(), &b"\xc3\xa9\0\n"[..]);
    assert_eq!(only_frame(b"RECEIPT\ncontent-length:02\r\n\r\n\0\0\0", V1_2).body(), &b"\0\0"[..]);
    assert_eq!(error(b"SEND\ncontent-length:2\n\nabc\0", V1_2), ("BodyNotTerminated".to_owned(), 25));
}

#[test]
fn content_length_that_is_no_decimal_number_is_an_error() {
    for value in ["", " 1", "1 ", "+1", "-1", "0x1", "1.0", "one"] {
        let wire = format!("SEND\na:b\ncontent-length:{value}\n\nx\0");
        assert_eq!(error(wire.as_bytes(), V1_2), ("ContentLength".to_owned(), 9), "{value:?}");
    }
}

#[test]
fn what_is_wrong_in_a_head_is_named_with_its_place() {
    let cases: [(&[u8], &str, u64); 9] = [
        (b"HELLO\n\n\0", "UnknownCommand", 0),
        (b"send\n\n\0", "UnknownCommand", 0),
        (b"HTTP/1.1 400 Bad Request\r\n", "UnknownCommand", 0),
        (b"\n\nSEND \n\n\0", "UnknownCommand", 2),
        (b"SEND\na:b\nno colon\n\n\0", "HeaderWithoutColon", 9),
        (b"SEND\n:b\n\n\0", "EmptyHeaderName", 5),
        (b"SEND\na:\xff\n\n\0", "NotUtf8", 7),
        (b"SEND\na:b\0\n\n\0", "NulInHead", 8),
        (b"RECEIPT\n\n\0\rX", "StrayCarriageReturn", 10),
    ];
    for (wire, kind, offset) in cases {
        assert_eq!(error(wire, V1_2), (kind.to_owned(), offset), "{}", wire.escape_ascii());
    }
}

#[test]
fn an_answer_that_is_not_stomp_fails_before_a_nul_ever_comes() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"\x15\x03\x03\x00\x02\x02\x28garbage of TLS"));
    assert!(decoder.next().is_err());
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"AMQP 0 9 1 xyz"));
    assert_eq!(decoder.next().map_err(|e| e.kind()), Err(DecodeErrorKind::UnknownCommand));
}

#[test]
fn a_failed_decoder_stays_failed_and_holds_nothing() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"RECEIPT\nreceipt-id:1\n\n\0NOPE\n"));
    assert!(matches!(decoder.next(), Ok(Some(Item::Frame(_)))));
    let error = decoder.next().unwrap_err();
    assert_eq!(error.offset(), 23);
    decoder.push(Bytes::from_static(b"RECEIPT\nreceipt-id:2\n\n\0"));
    assert_eq!(decoder.buffered(), 0);
    assert_eq!(decoder.next(), Err(error));
}

#[test]
fn a_run_of_line_ends_is_one_heart_beat() {
    let mut decoder = Decoder::new(Limits::default());
    for chunk in [&b"\n\n\r"[..], b"\n\n", b"\r\n"] {
        decoder.push(Bytes::from_static(chunk));
    }
    assert_eq!(decoder.next(), Ok(Some(Item::HeartBeat)));
    assert_eq!(decoder.next(), Ok(None));
    decoder.push(Bytes::from_static(b"\r"));
    assert_eq!(decoder.next(), Ok(None), "half a line end is not one yet");
    assert!(!decoder.is_mid_frame());
    decoder.push(Bytes::from_static(b"\n"));
    assert_eq!(decoder.next(), Ok(Some(Item::HeartBeat)));
}

#[test]
fn a_stream_cut_at_any_octet_reads_the_same() {
    let wire: &[u8] = "\r\nCONNECTED\r\nversion:1.2\r\nserver:x:\\t\r\n\r\n\0\n\
        MESSAGE\ncontent-length:5\nkey\\c:é\\n\n\n\0\0\r\n\0\0\r\n\r\n\
        MESSAGE\nsubscription:1\n\n\nline\n\0\nERROR\nmessage:no\n\nwhy\0\n"
        .as_bytes();
    let whole = decode(wire, None);
    assert_eq!(whole.end, End::BetweenFrames);
    assert_eq!(whole.seen.iter().filter(|seen| matches!(seen, Seen::Frame { .. })).count(), 4);
    for first in 0..=wire.len() {
        for way in Way::all() {
            assert_eq!(decode_in_pieces(wire, &[first], way, Reading::of(None)), whole);
            let cuts = [first, first + 1, first + 2];
            assert_eq!(decode_in_pieces(wire, &cuts, way, Reading::of(None)), whole);
        }
    }
}

#[test]
fn a_cut_off_frame_is_seen_as_unfinished() {
    let wire = b"MESSAGE\ncontent-length:3\n\na\0b\0";
    for end in 1..wire.len() {
        assert_eq!(decode(&wire[..end], V1_2), Outcome { seen: vec![], end: End::MidFrame }, "cut at {end}");
    }
}

#[test]
fn a_frame_in_one_chunk_shares_it_and_a_detached_one_does_not() {
    let chunk = Bytes::from(b"SEND\nkey:value\n\nhello\0SEND\n\n\0".to_vec());
    let within = |octets: &[u8]| chunk.as_ptr_range().contains(&octets.as_ptr());
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(chunk.clone());
    let Ok(Some(Item::Frame(frame))) = decoder.next() else { unreachable!() };
    assert!(within(frame.body()));
    assert!(within(frame.header("key").unwrap().as_bytes()));
    let detached = frame.clone().detach();
    assert_eq!(detached, frame);
    assert!(!within(detached.body()));
    assert!(!within(detached.header("key").unwrap().as_bytes()));
}

#[test]
fn a_chunk_is_let_go_when_nothing_of_it_is_needed() {
    let chunk = Bytes::from(b"RECEIPT\n\n\0SEND\n\npar".to_vec());
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(chunk.clone());
    let Ok(Some(Item::Frame(_receipt))) = decoder.next() else { unreachable!() };
    assert_eq!(decoder.next(), Ok(None));
    assert!(chunk.is_unique(), "neither an empty frame nor the part of the next one keeps it");
    assert_eq!(decoder.buffered(), 9);
}

#[test]
fn changing_decoded_headers_leaves_the_others_as_read() {
    let mut frame = only_frame(b"SEND\na:1\\c2\nb:3\na:4\n\n\0", V1_2);
    frame.headers_mut().push("c", "5");
    assert_eq!(frame.headers(), &[("a", "1:2"), ("b", "3"), ("a", "4"), ("c", "5")].into_iter().collect());
    frame.headers_mut().insert("a", "6");
    assert_eq!(frame.headers(), &[("a", "6"), ("b", "3"), ("c", "5")].into_iter().collect());
    assert!(frame.headers_mut().remove("b"));
    assert!(!frame.headers_mut().remove("b"));
    assert_eq!(frame.headers(), &[("a", "6"), ("c", "5")].into_iter().collect());
}

#[test]
fn a_borrowed_frame_reads_exactly_one_frame() {
    let slab = Bytes::from_static(b"SEND\na:1\\c2\n\nhello\0");
    let view = FrameRef::parse(&slab, V1_2).unwrap();
    assert_eq!((view.command(), view.body()), (Command::Send, &b"hello"[..]));
    assert_eq!(view.header("a").as_deref(), Some("1:2"));
    assert_eq!(view.headers().count(), 1);
    assert_eq!(view.to_string(), r#"SEND a="1:2" body=5 B "hello""#);
    let frame = view.to_frame(&slab);
    assert_eq!(frame.body().as_ptr(), view.body().as_ptr());
    assert_eq!(view.to_frame(&Bytes::from_static(b"another")), frame, "what is not in the slab is copied");

    let kind = |octets: &[u8]| FrameRef::parse(octets, V1_2).map(drop).map_err(|e| (e.kind(), e.offset()));
    assert_eq!(kind(b"SEND\n\nhel"), Err((DecodeErrorKind::Incomplete, 9)));
    assert_eq!(kind(b""), Err((DecodeErrorKind::Incomplete, 0)));
    assert_eq!(kind(b"SEND\n\n\0\n"), Err((DecodeErrorKind::TrailingOctets, 7)));
    assert_eq!(kind(b"SEND\na:\xc3\n\n\0"), Err((DecodeErrorKind::NotUtf8, 7)));
}

#[test]
fn an_error_says_what_and_where() {
    let error = FrameRef::parse(b"GET / HTTP/1.1\r\n", None).unwrap_err();
    assert_eq!(error.to_string(), "unknown command: is this a STOMP endpoint? (at octet 0 of the stream)");
}

#[test]
fn the_decoder_does_not_show_what_it_holds() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"CONNECT\npasscode:hunter2\n"));
    assert!(!format!("{decoder:?}").contains("hunter2"));
}
