//! What a hostile peer can make the decoder hold.

mod common;

use bytes::Bytes;
use common::{End, Reading, Way, commands, decode_in_pieces, error};
use stompede_codec::{DecodeError, DecodeErrorKind, Decoder, Item, Limits, Version};

/// Feeds `head` and then `flood` for ever; the most that was held, and the error that ended it.
fn flooded(limits: Limits, head: &'static [u8], flood: &'static [u8]) -> (usize, DecodeError) {
    let mut decoder = Decoder::new(limits);
    decoder.push(Bytes::from_static(head));
    let mut most = 0;
    for _ in 0..1_000_000 {
        decoder.push(Bytes::from_static(flood));
        match decoder.next() {
            Ok(None) => most = most.max(decoder.buffered()),
            Ok(Some(item)) => unreachable!("{item:?}"),
            Err(error) => return (most, error),
        }
    }
    unreachable!("the flood was never refused")
}

#[test]
fn an_endless_line_is_refused_at_the_limit() {
    let limits = Limits::default().with_max_header_line(1000);
    let (most, error) = flooded(limits, b"SEND\n", b"aaaaaaaaaaaaaaaa");
    assert_eq!(error.kind(), DecodeErrorKind::HeaderLineTooLong { limit: 1000 });
    assert_eq!(error.offset(), 5);
    assert!(most <= 5 + 1000, "{most}");
}

#[test]
fn endless_headers_are_refused_at_the_limit() {
    let (_, error) = flooded(Limits::default().with_max_header_count(100), b"SEND\n", b"a:b\n");
    assert_eq!(error.kind(), DecodeErrorKind::TooManyHeaders { limit: 100 });
    assert_eq!(error.offset(), 5 + 100 * 4);
    let (most, error) = flooded(Limits::default().with_max_head(100), b"SEND\n", b"a:b\n");
    assert_eq!(error.kind(), DecodeErrorKind::HeadTooLarge { limit: 100 });
    assert!(most <= 100, "{most}");
}

#[test]
fn an_endless_body_is_refused_at_the_limit() {
    let (most, error) = flooded(Limits::default().with_max_body(5000), b"SEND\n\n", b"aaaaaaaaaaaaaaaa");
    assert_eq!(error.kind(), DecodeErrorKind::BodyTooLarge { limit: 5000 });
    assert!(most <= 6 + 5000, "{most}");
}

#[test]
fn endless_line_ends_hold_nothing() {
    let mut decoder = Decoder::new(Limits::default());
    for _ in 0..1000 {
        decoder.push(Bytes::from_static(&[b'\n'; 4096]));
        assert_eq!(decoder.next(), Ok(Some(Item::HeartBeat)));
        assert_eq!(decoder.next(), Ok(None));
        assert_eq!(decoder.buffered(), 0);
    }
}

#[test]
fn a_content_length_beyond_the_limit_is_refused_before_any_body_comes() {
    // 2^32 + 1 and 2^64 + 1 are among them: a number that wraps round would be 1.
    for length in [
        "16777217",
        "4294967297",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551617",
        "99999999999999999999999999",
    ] {
        let wire = format!("SEND\ncontent-length:{length}\n");
        let expected = ("BodyTooLarge { limit: 16777216 }".to_owned(), 5);
        assert_eq!(error(wire.as_bytes(), Some(Version::V1_2)), expected, "{length}");
    }
}

#[test]
fn a_limit_may_be_as_large_as_a_number_can_be() {
    let limits = Limits::default()
        .with_max_header_count(usize::MAX)
        .with_max_header_line(usize::MAX)
        .with_max_head(usize::MAX)
        .with_max_body(usize::MAX);
    let mut decoder = Decoder::new(limits);
    decoder.push(Bytes::from(format!("SEND\na:b\ncontent-length:{}\n\nabc", usize::MAX)));
    let kind = decoder.next().unwrap_err().kind();
    assert_eq!(kind, DecodeErrorKind::BodyTooLarge { limit: usize::MAX });
}

/// Each limit, reached and passed by one octet or one header, by every frame of both directions.
#[test]
fn limits_hold_for_every_frame() {
    let default = Limits::default();
    for command in commands() {
        let len = command.as_str().len();
        let headers = format!("{command}\r\nkey:value\r\na:b\n\r\n\0");
        let until_nul = format!("{command}\n\nhello\0");
        let counted = format!("{command}\ncontent-length:5\n\nhello\0");
        for (wire, fits, passed, kind, offset) in [
            (
                &headers,
                default.with_max_header_count(2),
                default.with_max_header_count(1),
                "TooManyHeaders { limit: 1 }",
                len + 13,
            ),
            (
                &headers,
                default.with_max_header_line(10),
                default.with_max_header_line(9),
                "HeaderLineTooLong { limit: 9 }",
                len + 2,
            ),
            (
                &headers,
                default.with_max_head(len + 19),
                default.with_max_head(len + 18),
                &format!("HeadTooLarge {{ limit: {} }}", len + 18),
                0,
            ),
            (
                &until_nul,
                default.with_max_body(5),
                default.with_max_body(4),
                "BodyTooLarge { limit: 4 }",
                len + 2,
            ),
            (
                &counted,
                default.with_max_body(5),
                default.with_max_body(4),
                "BodyTooLarge { limit: 4 }",
                len + 1,
            ),
        ] {
            let read = |limits, cuts: &[usize]| {
                decode_in_pieces(wire.as_bytes(), cuts, Way::PLAIN, Reading { limits, ..Reading::of(None) })
            };
            let refused = End::Error { kind: kind.to_owned(), offset: offset as u64 };
            for cuts in [vec![], (0..wire.len()).collect()] {
                let outcome = read(fits, &cuts);
                assert_eq!((outcome.seen.len(), outcome.end), (1, End::BetweenFrames), "{wire:?}");
                assert_eq!(read(passed, &cuts).end, refused, "{wire:?}");
            }
        }
    }
}
