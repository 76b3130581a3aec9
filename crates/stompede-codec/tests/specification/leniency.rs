//! What [`Strictness::Lenient`](stompede_codec::Strictness::Lenient) lets pass, and that it lets nothing else pass.

use stompede_codec::Version;

use super::common::{End, Outcome, Reading, Seen, Way, decode_in_pieces, error_read, frame_read};
use super::{is_literal, readings};

#[test]
fn an_undefined_escape_stays_as_it_is() {
    for (command, version) in readings() {
        for octet in (1..=127).filter(|octet| !b"\nnrc\\".contains(octet)) {
            let raw = format!("a\\{}b", char::from(octet));
            let wire = format!("{command}\nkey:{raw}\n\n\0");
            let frame = frame_read(wire.as_bytes(), Reading::lenient(version));
            assert_eq!(frame.header("key").as_deref(), Some(&*raw));
            if octet != b':' {
                let wire = format!("{command}\n{raw}:value\n\n\0");
                let frame = frame_read(wire.as_bytes(), Reading::lenient(version));
                assert_eq!(frame.header(&raw).as_deref(), Some("value"));
            }
        }
    }
}

#[test]
fn a_lone_backslash_stays_at_the_end_of_a_name_or_a_value() {
    for (command, version) in readings() {
        let wire = format!("{command}\na\\:b\\\nc:\\\r\n\n\0");
        let frame = frame_read(wire.as_bytes(), Reading::lenient(version));
        assert_eq!(frame.headers(), &[("a\\", "b\\"), ("c", "\\")].into_iter().collect());
    }
}

#[test]
fn what_is_defined_is_resolved_beside_it() {
    for (command, version) in readings() {
        let raw = "\\t\\n\\\\t\\c\\r\\\\\\";
        let wire = format!("{command}\nkey:{raw}\n\n\0");
        let plain = if is_literal(command, version) { raw } else { "\\t\n\\t:\r\\\\" };
        let frame = frame_read(wire.as_bytes(), Reading::lenient(version));
        assert_eq!(frame.header("key").as_deref(), Some(plain), "{command} in {version:?}");
    }
}

#[test]
fn nul_octets_between_frames_are_skipped_and_are_no_heart_beat() {
    for (command, version) in readings() {
        let frame = format!("{command}\n\n\0");
        let seen = Seen::Frame { command: command.to_string(), headers: vec![], body: vec![] };
        for (wire, seen) in [
            ("\0\0".to_owned(), vec![]),
            (format!("\0{frame}\0\0{frame}\0"), vec![seen.clone(), seen.clone()]),
            (format!("{frame}\0\n\0\r\n\0{frame}"), vec![seen.clone(), Seen::LineEnds, seen.clone()]),
        ] {
            for way in Way::all() {
                let cuts: Vec<_> = (0..wire.len()).collect();
                let outcome = decode_in_pieces(wire.as_bytes(), &cuts, way, Reading::lenient(version));
                assert_eq!(outcome, Outcome { seen: seen.clone(), end: End::BetweenFrames }, "{wire:?}");
            }
        }
    }
}

#[test]
fn nothing_else_is_let_pass() {
    let faults: [&[u8]; 21] = [
        b"HELLO\n\n\0",
        b"send\n\n\0",
        b" SEND\n\n\0",
        b"\x01SEND\n\n\0",
        b"RECEIPT\n\n\0\rX",
        b"RECEIPT\n\n\0\r\0\n",
        b"SEND\nno colon\n\n\0",
        b"SEND\n:b\n\n\0",
        b"SEND\na:\xff\n\n\0",
        b"SEND\na:\\\xff\n\n\0",
        b"SEND\0\n\0",
        b"SEND\na:b\0\n\n\0",
        b"SEND\na:\\\0\n\n\0",
        b"SEND\ncontent-length:+1\n\na\0",
        b"SEND\ncontent-length:\\n\n\na\0",
        b"SEND\ncontent-length:1\n\nab\0",
        b"SEND\ncontent-length:1\n\na\n\0",
        b"SEND\ncontent-length:9223372036854775808\n\n",
        b"SEND\ncontent-length:99999999999999999999999\n\n",
        b"SEND\n\n\0a",
        b"SEND\n\n\0SEND\nb\n",
    ];
    for wire in faults {
        for version in [None, Some(Version::V1_0), Some(Version::V1_1), Some(Version::V1_2)] {
            let strict = decode_in_pieces(wire, &[], Way::PLAIN, Reading::of(version));
            let lenient = decode_in_pieces(wire, &[], Way::PLAIN, Reading::lenient(version));
            assert_eq!(lenient, strict, "{}", wire.escape_ascii());
        }
    }
    for (wire, at) in [(b"\n\0\r\0\n", 2), (b"\0\0\r\r\n", 2), (b"\0\0\0\rX", 3)] {
        assert_eq!(error_read(wire, Reading::lenient(None)), ("StrayCarriageReturn".to_owned(), at));
    }
}

#[test]
fn strict_is_the_default() {
    use stompede_codec::{Decoder, Limits, Strictness};
    assert_eq!(Decoder::new(Limits::default()).strictness(), Strictness::Strict);
    assert_eq!(Strictness::default(), Strictness::Strict);
    let lenient = Decoder::new(Limits::default()).with_strictness(Strictness::Lenient);
    assert_eq!(lenient.strictness(), Strictness::Lenient);
}
