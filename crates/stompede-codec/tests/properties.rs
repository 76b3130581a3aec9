//! What holds for every stream and every frame: compared with the oracle, cut anywhere, written and read back.

mod common;

use bytes::BytesMut;
use common::{Reading, Seen, Way, commands, decode_in_pieces, oracle, writing};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert_eq, prop_oneof, proptest};
use stompede_codec::{ContentLength, Encoder, Frame, Item, Limits, Strictness, Version};

proptest! {
    // Enough to meet each pair of fragments often, and still a few seconds without optimisation.
    #![proptest_config(Config { cases: 6000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_stream_in_any_pieces_reads_as_the_oracle_says(
        wire in streams(),
        cuts in vec(0_usize..4096, 0..12),
        reading in readings(),
        way in ways(),
    ) {
        let expected = oracle::decode(&wire, reading.rules());
        let whole = decode_in_pieces(&wire, &[], Way::PLAIN, reading);
        prop_assert_eq!(&whole, &expected);
        let pieces = decode_in_pieces(&wire, &cuts, way, reading);
        prop_assert_eq!(&pieces, &expected);
        let octets: Vec<usize> = (0..wire.len()).collect();
        let single = decode_in_pieces(&wire, &octets, way, reading);
        prop_assert_eq!(&single, &expected);
    }

    #[test]
    fn what_the_encoder_writes_reads_back_as_the_same_frame_and_no_other(
        frame in frames(),
        version in select(&Version::ALL),
        length in select(vec![ContentLength::Auto, ContentLength::Omit]),
    ) {
        writing::check(&frame, version, length);
    }

    #[test]
    fn every_frame_that_the_tables_allow_is_written(
        frame in frames(),
        version in select(&Version::ALL),
        cuts in vec(0_usize..4096, 0..6),
        way in ways(),
    ) {
        let frame = writing::made_writable(&frame, version);
        let mut wire = BytesMut::new();
        prop_assert_eq!(Encoder::new(version).encode(&frame, &mut wire), Ok(()));
        let read = decode_in_pieces(&wire, &cuts, way, Reading::of(Some(version)));
        prop_assert_eq!(read.seen, [Seen::from(&writing::as_read(&frame, ContentLength::Auto))]);
    }

    #[test]
    fn a_decoded_frame_can_be_written_wherever_the_tables_allow(
        wire in streams(),
        reading in readings(),
        version in select(&Version::ALL),
        length in select(vec![ContentLength::Auto, ContentLength::Omit]),
    ) {
        let mut decoder = reading.decoder();
        decoder.push_slice(&wire);
        while let Ok(Some(item)) = decoder.next() {
            if let Item::Frame(frame) = item {
                writing::check(&frame, version, length);
            }
        }
    }
}

fn readings() -> impl Strategy<Value = Reading> {
    let versions = vec![None, Some(Version::V1_0), Some(Version::V1_1), Some(Version::V1_2)];
    let strictness = vec![Strictness::Strict, Strictness::Lenient];
    (limits(), select(versions), select(strictness)).prop_map(|(limits, version, strictness)| Reading {
        limits,
        version,
        strictness,
    })
}

fn ways() -> impl Strategy<Value = Way> {
    select(Way::all().collect::<Vec<_>>())
}

/// Mostly the default; otherwise so small that streams run into them.
fn limits() -> impl Strategy<Value = Limits> {
    let small = (0_usize..4, 0_usize..24, 0_usize..60, 0_usize..12).prop_map(|(count, line, head, body)| {
        Limits::default()
            .with_max_header_count(count)
            .with_max_header_line(line)
            .with_max_head(head)
            .with_max_body(body)
    });
    prop_oneof![Just(Limits::default()), small]
}

/// Streams that are near enough to STOMP to get deep into the decoder, and wrong in all manner of ways.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let fragment = select(FRAGMENTS).prop_map(<[u8]>::to_vec);
    let frame = prop_oneof![4 => select(FRAMES).prop_map(<[u8]>::to_vec), 1 => fragment.clone()];
    let noise = vec(any::<u8>(), 0..4);
    prop_oneof![
        4 => vec(fragment.clone(), 0..14).prop_map(|parts| parts.concat()),
        4 => vec(frame, 0..6).prop_map(|parts| parts.concat()),
        1 => (vec(fragment, 0..8), noise).prop_map(|(parts, noise)| [parts.concat(), noise].concat()),
    ]
}

fn frames() -> impl Strategy<Value = Frame> {
    let text = || vec(select(PIECES), 0..4).prop_map(|parts| parts.concat());
    let header = prop_oneof![
        8 => (text(), text()),
        1 => (Just("content-length".to_owned()), (0_usize..6).prop_map(|n| n.to_string())),
        1 => (Just("content-length".to_owned()), text()),
        1 => (Just("version".to_owned()), select(vec!["1.0", "1.1", "1.2", "2"]).prop_map(str::to_owned)),
    ];
    let body = prop_oneof![Just(Vec::new()), vec(select(vec![0_u8, b'\n', b'\r', b'a', 0xff]), 0..6)];
    (select(commands().collect::<Vec<_>>()), vec(header, 0..4), body).prop_map(|(command, headers, body)| {
        headers.iter().fold(Frame::new(command), |frame, (n, v)| frame.with_header(n, v)).with_body(body)
    })
}

/// Pieces of header text.
const PIECES: &[&str] =
    &["a", "b", "key", "é", "🐎", " ", "a", "b", "\\", "n", "\\n", "c", ":", "\r", "\n", "\0", "r"];

const FRAGMENTS: &[&[u8]] = &[
    b"SEND\n",
    b"SEND\r\n",
    b"MESSAGE\n",
    b"CONNECT\n",
    b"CONNECTED\n",
    b"ERROR\n",
    b"UNSUBSCRIBE\r\n",
    b"HTTP/1.1 400 Bad Request\r\n",
    b"version:1.0\n",
    b"version:1.1\n",
    b"version:3\n",
    b"content-length:3\n",
    b"content-length:0\r\n",
    b"content-length:",
    b"9223372036854775808\n",
    b"18446744073709551616\n",
    b"18446744073709551617\n",
    b"0003\n",
    b"-1\n",
    b"a:b\n",
    b"a:b\r\n",
    b"key:",
    b"\\n",
    b"\\r",
    b"\\c",
    b"\\\\",
    b"\\t",
    b"\\",
    b":",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\0",
    b"\0",
    b"\0\n",
    b"abc",
    "é".as_bytes(),
    b"\xff",
    b"\xf0\x9f",
];

const FRAMES: &[&[u8]] = &[
    b"CONNECTED\n\n\0",
    b"CONNECTED\nversion:1.0\n\n\0\n",
    b"CONNECTED\nversion:1.1\n\n\0",
    b"CONNECTED\r\nversion:1.2\r\nserver:a\\tb:c\r\n\r\n\0\r\n",
    b"CONNECTED\nversion:9\n\n\0",
    b"ERROR\nmessage:C\\temp\\n:\\\n\n\0",
    b"SEND\na:\\r\n\n\0",
    b"SEND\na\\cb:\\n\\\\n\n\nbody\0",
    b"SEND\na:\\t\n\n\0",
    b"MESSAGE\ncontent-length:3\ncontent-length:x\n\n\0\n\0\0",
    b"MESSAGE\ncontent-length:2\n\nabc\0",
    b"MESSAGE\n\n\n\r\nbody\0\n\n",
    b"RECEIPT\nreceipt-id:1\n\n\0\n",
    b"\n\r\n\n",
];
