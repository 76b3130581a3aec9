//! How the decoder works through a stream: chunks, blocks, errors and what is shared.
//!
//! The rules of the grammar are in `specification/`.

mod common;

use bytes::Bytes;
use common::{End, Outcome, Reading, Seen, Way, decode, decode_in_pieces, only_frame, oracle};
use stompede_codec::{Command, DecodeErrorKind, Decoder, FrameRef, Item, ItemRef, Limits, Version};

const V1_2: Option<Version> = Some(Version::V1_2);

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

/// The decoder looks at blocks of many octets: whatever it looks for is moved through more than two of them.
#[test]
fn a_head_reads_the_same_wherever_it_stands() {
    for shift in 0..=130 {
        for tail in TAILS {
            let first = [b"SEND\np:", &b"x".repeat(shift)[..]].concat();
            let wire = [&first[..], b"\n", tail].concat();
            let line = shift + 2;
            let default = Limits::default();
            for limits in [
                default,
                default.with_max_header_line(line - 1),
                default.with_max_header_line(line),
                default.with_max_head(first.len()),
                default.with_max_head(first.len() + 1),
                default.with_max_header_count(1),
            ] {
                let reading = Reading { limits, ..Reading::of(V1_2) };
                let expected = oracle::decode(&wire, reading.rules());
                for chunk in [1, 63, 64, 65, wire.len()] {
                    let cuts: Vec<_> = (0..wire.len()).step_by(chunk).collect();
                    let read = decode_in_pieces(&wire, &cuts, Way::PLAIN, reading);
                    assert_eq!(read, expected, "{}, chunks of {chunk}", wire.escape_ascii());
                }
            }
        }
    }
}

const TAILS: [&[u8]; 12] = [
    b"\nbody\0\n",
    b"\r\n\0",
    b"a:1\r\nb\\c:2\n\n\0SEND\n\n\0",
    b"no colon\n",
    b":no name\n",
    b"a:\0",
    b"a:\\n\\\\\\r\n\n\0",
    b"a:\\\\\\t\n\n\0",
    b"a\\:b\n\n\0",
    "é:🐎\n\n\0".as_bytes(),
    b"a:\xc3\n\n\xa9\0",
    b"content-length:2\n\n\0\0\0",
];

#[test]
fn a_cut_off_frame_is_seen_as_unfinished() {
    let wire = b"MESSAGE\ncontent-length:3\n\na\0b\0";
    for end in 1..wire.len() {
        assert_eq!(decode(&wire[..end], V1_2), Outcome { seen: vec![], end: End::MidFrame }, "cut at {end}");
    }
}

#[test]
fn a_frame_in_one_chunk_shares_it_and_a_detached_one_does_not() {
    // Few header lines would be copied.
    let wire = format!("SEND\nkey:{}\n\nhello\0SEND\n\n\0", "v".repeat(100));
    let chunk = Bytes::from(wire.into_bytes());
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
fn a_frame_with_a_short_head_and_no_body_leaves_its_chunk_alone() {
    for len in 1..200 {
        // Alone in its chunk, and with others behind it.
        for rest in [0, 100, 400] {
            let receipt = format!("RECEIPT\nreceipt-id:{}\n\n\0", "r".repeat(len));
            let chunk = Bytes::from([receipt.as_bytes(), &b"\n".repeat(rest)].concat());
            let mut decoder = Decoder::new(Limits::default());
            decoder.push(chunk.clone());
            let Ok(Some(Item::Frame(frame))) = decoder.next() else { unreachable!() };
            while decoder.next() != Ok(None) {}
            assert_eq!(chunk.is_unique(), "receipt-id:".len() + len + 2 <= 84, "{len}, {rest}");
            assert_eq!(frame.header("receipt-id"), Some("r".repeat(len).into()));
            assert_eq!((frame.header("receipt"), frame.headers().len()), (None, 1));
            assert_eq!(frame.clone().detach(), frame);
            assert_eq!(frame.with_header("a", "b").headers().iter().last(), Some(("a".into(), "b".into())));
        }
    }
}

#[test]
fn a_frame_that_was_lent_is_held_no_longer() {
    for cut in [0, 5, 40] {
        let (first, second) = b"SEND\nkey:value\n\nhello\0RECEIPT\n\n\0SEND\n\npar".split_at(cut);
        let mut decoder = Decoder::new(Limits::default());
        decoder.push_slice(first);
        decoder.push_slice(second);
        assert!(matches!(decoder.next_ref(), Ok(Some(ItemRef::Frame(frame))) if frame.body() == b"hello"));
        assert_eq!((decoder.buffered(), decoder.is_mid_frame()), (19, false), "cut at {cut}");
        assert!(matches!(decoder.next_ref(), Ok(Some(ItemRef::Frame(frame))) if frame.body().is_empty()));
        assert_eq!((decoder.buffered(), decoder.is_mid_frame()), (9, false), "cut at {cut}");
        assert_eq!(decoder.next(), Ok(None));
        assert_eq!((decoder.buffered(), decoder.is_mid_frame()), (9, true), "cut at {cut}");
    }
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
