//! What a hostile peer can make the decoder hold.

mod common;

use bytes::Bytes;
use common::error;
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
    for length in ["16777217", "9223372036854775808", "18446744073709551615", "99999999999999999999999999"] {
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

#[test]
fn what_just_fits_is_read() {
    let limits = Limits::default()
        .with_max_header_count(1)
        .with_max_header_line("key:value\r".len())
        .with_max_head("SEND\r\nkey:value\r\n\r\n".len())
        .with_max_body(5);
    let mut decoder = Decoder::new(limits);
    decoder.push(Bytes::from_static(b"SEND\r\nkey:value\r\n\r\nhello\0"));
    assert!(matches!(decoder.next(), Ok(Some(Item::Frame(_)))));
}
