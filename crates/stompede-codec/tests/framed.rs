//! The codec behind `tokio_util::codec::Framed`, over a pipe in memory that cuts where it likes.
#![cfg(feature = "tokio-util")]

mod common;

use std::io;

use bytes::{Bytes, BytesMut};
use common::{End, Seen, decode};
use futures_util::{SinkExt, StreamExt};
use proptest::collection::vec;
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};
use stompede_codec::{
    CodecError, Command, ContentLength, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Frame, Item,
    Limits, StompCodec, Version,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_util::codec::{Decoder as _, Encoder as _, Framed, FramedParts, FramedRead};

/// Everything that a `Framed` reads from these octets, which arrive in parts of at most `part` octets.
async fn read_all(wire: &[u8], part: usize, codec: StompCodec) -> (Vec<Item>, Option<CodecError>) {
    let (mut ours, theirs) = duplex(part);
    let mut framed = FramedRead::new(theirs, codec);
    let mut items = Vec::new();
    let write = async {
        // A reader that has given up closes the pipe.
        let _ = ours.write_all(wire).await;
        drop(ours);
    };
    let read = async {
        while let Some(result) = framed.next().await {
            match result {
                Ok(item) => items.push(item),
                Err(error) => {
                    drop(framed);
                    return Some(error);
                }
            }
        }
        None
    };
    let ((), error) = tokio::join!(write, read);
    (items, error)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O").block_on(future)
}

fn seen(items: &[Item]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for item in items {
        match item {
            Item::Frame(frame) => seen.push(Seen::from(frame)),
            Item::HeartBeat if seen.last() == Some(&Seen::LineEnds) => {}
            Item::HeartBeat => seen.push(Seen::LineEnds),
        }
    }
    seen
}

proptest! {
    #![proptest_config(Config { cases: 500, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_framed_reads_what_the_decoder_reads(parts in vec(select(PARTS), 0..12), part in 1_usize..40) {
        let wire = parts.concat();
        let expected = decode(&wire, None);
        let (items, error) = run(read_all(&wire, part, StompCodec::default()));
        prop_assert_eq!(seen(&items), expected.seen);
        match (expected.end, error) {
            (End::BetweenFrames, None) => {}
            (End::MidFrame, Some(CodecError::CutOff { octets })) => prop_assert!(wire.len() >= octets && octets > 0),
            (End::Error { kind, offset }, Some(CodecError::Decode(error))) => {
                prop_assert_eq!((kind, offset), (format!("{:?}", error.kind()), error.offset()));
            }
            (expected, found) => prop_assert!(false, "expected {expected:?}, found {found:?}"),
        }
    }
}

/// Frames, heart-beats, and what goes wrong.
const PARTS: &[&[u8]] = &[
    b"CONNECTED\nversion:1.1\n\n\0\n",
    b"CONNECTED\nversion:1.2\n\n\0",
    b"MESSAGE\nmessage-id:1\\c2\ncontent-length:3\n\na\0b\0\n",
    b"MESSAGE\nmessage-id:2\n\nhello there\0",
    b"RECEIPT\nreceipt-id:a\\rb\n\n\0",
    b"\n",
    b"\r\n",
    b"\n\n\n",
    b"MESSAGE\nunfinished:",
    b"MESSAGE\ncontent-length:1\n\nab\0",
];

#[tokio::test]
async fn both_sides_follow_the_version_of_connected() {
    let (ours, theirs) = duplex(64);
    let mut client = Framed::new(ours, StompCodec::default());
    let mut server = Framed::new(theirs, StompCodec::default());
    let odd = |value| Frame::new(Command::Message).with_header("odd", value);
    assert_eq!((client.codec().version(), server.codec().version()), (None, None));

    server.send(Frame::new(Command::Connected).with_header("version", "1.1")).await.unwrap();
    assert_eq!(server.codec().version(), Some(Version::V1_1));
    assert!(matches!(client.next().await, Some(Ok(Item::Frame(_)))));
    assert_eq!(client.codec().version(), Some(Version::V1_1));
    for end in [&mut server, &mut client] {
        let Err(CodecError::Encode(error)) = end.send(&odd("a\rb")).await else { panic!("1.1 has no \\r") };
        assert_eq!(error.kind(), EncodeErrorKind::LineBreakInHeader);
    }

    // Nothing of the refused frame stands before the next one.
    server.send(Frame::new(Command::Connected).with_header("version", "1.2")).await.unwrap();
    server.send(&odd("a\rb")).await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Item::Frame(_)))));
    assert_eq!(client.next().await.transpose().unwrap(), Some(Item::Frame(odd("a\rb"))));

    // No version header is 1.0; one that nobody knows changes nothing.
    server.send(Frame::new(Command::Connected).with_header("version", "7")).await.unwrap();
    assert_eq!(server.codec().version(), Some(Version::V1_2));
    server.send(Frame::new(Command::Connected)).await.unwrap();
    assert_eq!(server.codec().version(), Some(Version::V1_0));
}

#[tokio::test]
async fn frames_references_and_heart_beats_can_be_sent() {
    let (ours, mut theirs) = duplex(1024);
    let mut framed = Framed::new(ours, StompCodec::default());
    let frame = Frame::new(Command::Send).with_header("destination", "/queue/a").with_body("x");
    framed.send(&frame).await.unwrap();
    framed.send(Item::HeartBeat).await.unwrap();
    framed.send(Item::Frame(frame.clone())).await.unwrap();
    framed.send(frame).await.unwrap();
    drop(framed);
    let mut wire = String::new();
    theirs.read_to_string(&mut wire).await.unwrap();
    let one = "SEND\ndestination:/queue/a\ncontent-length:1\n\nx\0";
    assert_eq!(wire, format!("{one}\n{one}{one}"));
}

#[test]
fn settings_of_decoder_and_encoder_hold() {
    let decoder = Decoder::new(Limits::default().with_max_body(4));
    let encoder = Encoder::new(Version::V1_1).content_length(ContentLength::Omit);
    let mut codec = StompCodec::from_parts(decoder, encoder);
    let mut out = BytesMut::new();
    codec.encode(&Frame::new(Command::Send).with_header("a", ":").with_body("x"), &mut out).unwrap();
    assert_eq!(&out[..], b"SEND\na:\\c\n\nx\0");
    codec.set_version(Version::V1_0);
    out.clear();
    codec.encode(&Frame::new(Command::Send).with_header("a", ":").with_body("x"), &mut out).unwrap();
    assert_eq!(&out[..], b"SEND\na::\n\nx\0", "the version changed, not the other settings");
    let mut long = BytesMut::from(&b"SEND\n\nhello\0"[..]);
    let Err(CodecError::Decode(error)) = codec.decode(&mut long) else { panic!("five octets of body") };
    assert_eq!(error.kind(), DecodeErrorKind::BodyTooLarge { limit: 4 });
}

#[test]
fn what_was_read_is_taken_at_once_and_shared() {
    let mut codec = StompCodec::default();
    let mut src = BytesMut::from(&b"MESSAGE\na:b\n\nhello\0MESS"[..]);
    let within = src.as_ptr_range();
    let Ok(Some(Item::Frame(frame))) = codec.decode(&mut src) else { panic!("a whole frame") };
    assert!(src.is_empty(), "nothing stays to be looked at twice");
    assert!(within.contains(&frame.body().as_ptr()), "the body lies in the read buffer");
    assert_eq!(codec.decoder().buffered(), 4);
    assert!(matches!(codec.decode(&mut src), Ok(None)));
    src.extend_from_slice(b"AGE\n\n\0");
    assert!(matches!(codec.decode(&mut src), Ok(Some(Item::Frame(_)))));
}

#[test]
fn a_cut_off_frame_is_an_error_and_line_ends_are_none() {
    let end = |wire: &[u8]| {
        let mut codec = StompCodec::default();
        let mut src = BytesMut::from(wire);
        let mut items = 0;
        loop {
            match codec.decode_eof(&mut src) {
                Ok(Some(_)) => items += 1,
                Ok(None) => return (items, None),
                Err(error) => return (items, Some(error.to_string())),
            }
        }
    };
    assert_eq!(end(b""), (0, None));
    assert_eq!(end(b"RECEIPT\n\n\0\n\n"), (2, None));
    let cut_off = "the stream ended inside a frame, after 3 octets of it";
    assert_eq!(end(b"RECEIPT\n\n\0SEN"), (1, Some(cut_off.to_owned())));
}

#[tokio::test]
async fn a_framed_taken_apart_goes_on_where_it_was() {
    let (mut ours, theirs) = duplex(64);
    let mut framed: Framed<_, StompCodec> = Framed::new(theirs, StompCodec::default());
    ours.write_all(b"RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt").await.unwrap();
    assert!(matches!(framed.next().await, Some(Ok(Item::Frame(_)))));
    let old = framed.into_parts();
    let mut parts = FramedParts::new::<Frame>(old.io, old.codec);
    // What the owner has read in the meantime.
    parts.read_buf = BytesMut::from(&b"-id:"[..]);
    let mut framed = Framed::from_parts(parts);
    ours.write_all(b"2\n\n\0").await.unwrap();
    let Some(Ok(Item::Frame(receipt))) = framed.next().await else { panic!("the rest has arrived") };
    assert_eq!(receipt.header("receipt-id").as_deref(), Some("2"));
    let (decoder, encoder) = framed.into_parts().codec.into_parts();
    assert_eq!((decoder.buffered(), encoder.version()), (0, Version::V1_2));
}

#[test]
fn errors_say_what_their_causes_say() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n"));
    let cause = decoder.next().unwrap_err();
    assert_eq!(CodecError::from(cause.clone()).to_string(), cause.to_string());
    let io = CodecError::from(io::Error::from(io::ErrorKind::ConnectionReset));
    assert!(matches!(io, CodecError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
    let passcode = Frame::new(Command::Connect).with_header("passcode", "hunter2\n");
    let refused = StompCodec::default().encode(passcode, &mut BytesMut::new()).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}
