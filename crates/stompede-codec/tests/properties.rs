//! What holds for every stream and every frame: compared with the oracle, cut anywhere, written and read back.

mod common;

use bytes::BytesMut;
use common::{Drain, End, Outcome, Seen, decode_in_pieces, oracle};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use stompede_codec::{Command, ContentLength, EncodeErrorKind, Encoder, Frame, FrameRef, Limits, Version};

proptest! {
    // Enough to meet each pair of fragments often, and still a few seconds without optimisation.
    #![proptest_config(Config { cases: 3000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_stream_in_any_pieces_reads_as_the_oracle_says(
        wire in streams(),
        cuts in vec(0_usize..4096, 0..12),
        limits in limits(),
        version in versions(),
    ) {
        let expected = oracle::decode(&wire, oracle_rules(limits, version));
        let whole = decode_in_pieces(&wire, &[], Drain::AtTheEnd, limits, version);
        prop_assert_eq!(&whole, &expected);
        for drain in [Drain::AfterEachChunk, Drain::AtTheEnd] {
            let pieces = decode_in_pieces(&wire, &cuts, drain, limits, version);
            prop_assert_eq!(&pieces, &expected);
        }
        let octets: Vec<usize> = (0..wire.len()).collect();
        let single = decode_in_pieces(&wire, &octets, Drain::AfterEachChunk, limits, version);
        prop_assert_eq!(&single, &expected);
    }

    #[test]
    fn what_the_encoder_writes_reads_back_as_the_same_frame(
        frame in frames(),
        version in select(&Version::ALL),
        cuts in vec(0_usize..4096, 0..6),
    ) {
        let mut out = BytesMut::from(&b"before"[..]);
        match Encoder::new(version).encode(&frame, &mut out) {
            Ok(()) => {
                prop_assert!(why_not(&frame, version).is_empty());
                let wire = &out[b"before".len()..];
                let expected = Outcome { seen: vec![Seen::from(&with_length(&frame))], end: End::BetweenFrames };
                let read = decode_in_pieces(wire, &cuts, Drain::AfterEachChunk, Limits::default(), Some(version));
                prop_assert_eq!(read, expected);
                let view = FrameRef::parse(wire, Some(version)).map(|view| view.to_frame(&wire.to_vec().into()));
                prop_assert_eq!(view, Ok(with_length(&frame)));
            }
            Err(error) => {
                prop_assert!(why_not(&frame, version).contains(&error.kind()), "{error}");
                prop_assert_eq!(&out[..], b"before");
            }
        }
    }

    #[test]
    fn a_decoded_frame_can_be_written_wherever_the_tables_allow(
        wire in streams(),
        version in select(&Version::ALL),
    ) {
        let outcome = decode_in_pieces(&wire, &[], Drain::AtTheEnd, Limits::default(), Some(version));
        for seen in outcome.seen {
            let Seen::Frame { command, headers, body } = seen else { continue };
            let command: Command = command.parse().expect("the decoder knows it");
            let frame = headers.iter().fold(Frame::new(command), |f, (n, v)| f.with_header(n, v)).with_body(body);
            // CONNECTED may have switched the version on the way.
            for version in Version::ALL {
                let result = Encoder::new(version).encode(&frame, &mut BytesMut::new());
                prop_assert_eq!(result.is_ok(), why_not(&frame, version).is_empty());
            }
        }
    }

    #[test]
    fn omitting_content_length_writes_none_and_refuses_nul(frame in frames(), version in select(&Version::ALL)) {
        let mut out = BytesMut::new();
        let encoder = Encoder::new(version).content_length(ContentLength::Omit);
        if encoder.encode(&frame, &mut out).is_ok() {
            prop_assert!(!frame.body().contains(&0));
            let mut bare = frame;
            bare.headers_mut().remove("content-length");
            let expected = Outcome { seen: vec![Seen::from(&bare)], end: End::BetweenFrames };
            let read = decode_in_pieces(&out, &[], Drain::AtTheEnd, Limits::default(), Some(version));
            prop_assert_eq!(read, expected);
        }
    }
}

/// All reasons for which a frame cannot be written, from the specification's tables.
fn why_not(frame: &Frame, version: Version) -> Vec<EncodeErrorKind> {
    let command = frame.command();
    let early = version == Version::V1_0;
    let connects = matches!(command, Command::Connect | Command::Connected);
    let has_body = matches!(command, Command::Send | Command::Message | Command::Error);
    let mut why = Vec::new();
    let mut reason = |applies: bool, kind| {
        if applies {
            why.push(kind);
        }
    };
    reason(early && matches!(command, Command::Nack | Command::Stomp), EncodeErrorKind::CommandNotInVersion);
    reason(!early && !has_body && !frame.body().is_empty(), EncodeErrorKind::BodyNotAllowed);
    let length = frame.header("content-length");
    let counted = length.is_some() || has_body;
    reason(!counted && frame.body().contains(&0), EncodeErrorKind::NulInBody);
    let digits = |text: &str| text.trim_start_matches('0').to_owned();
    let expected = digits(&frame.body().len().to_string());
    let fits =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) && digits(text) == expected;
    reason(length.is_some_and(|text| !fits(&text)), EncodeErrorKind::ContentLengthMismatch);
    for (name, value) in frame.headers() {
        let both = format!("{name}{value}");
        reason(name.is_empty(), EncodeErrorKind::EmptyHeaderName);
        reason(both.contains('\0'), EncodeErrorKind::NulInHeader);
        reason((early || connects) && name.contains(':'), EncodeErrorKind::ColonInHeaderName);
        reason((early || connects) && both.contains('\n'), EncodeErrorKind::LineBreakInHeader);
        let writes_cr = version == Version::V1_2 && !connects;
        reason(!writes_cr && both.contains('\r'), EncodeErrorKind::LineBreakInHeader);
    }
    why
}

/// The frame with the `content-length` that the encoder adds.
fn with_length(frame: &Frame) -> Frame {
    let wants = matches!(frame.command(), Command::Send | Command::Message | Command::Error);
    if frame.body().is_empty() || frame.headers().contains("content-length") || !wants {
        return frame.clone();
    }
    frame.clone().with_header("content-length", frame.body().len().to_string())
}

fn oracle_rules(limits: Limits, version: Option<Version>) -> oracle::Rules<'static> {
    oracle::Rules {
        version: version.map(Version::as_str),
        max_header_count: limits.max_header_count,
        max_header_line: limits.max_header_line,
        max_head: limits.max_head,
        max_body: limits.max_body,
    }
}

fn versions() -> impl Strategy<Value = Option<Version>> {
    select(vec![None, Some(Version::V1_0), Some(Version::V1_1), Some(Version::V1_2)])
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
    (select(COMMANDS), vec(header, 0..4), body).prop_map(|(command, headers, body)| {
        headers.iter().fold(Frame::new(command), |frame, (n, v)| frame.with_header(n, v)).with_body(body)
    })
}

const COMMANDS: &[Command] = &[
    Command::Connect,
    Command::Stomp,
    Command::Send,
    Command::Send,
    Command::Message,
    Command::Message,
    Command::Nack,
    Command::Receipt,
    Command::Connected,
    Command::Error,
];

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
