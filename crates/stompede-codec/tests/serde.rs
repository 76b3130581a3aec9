//! Frames through serde: the exact form, what is refused, and that nothing is lost.
#![cfg(feature = "serde")]

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;
use proptest::test_runner::Config;
use proptest::{prop_assert, prop_assert_eq, proptest};
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};
use serde::de::{IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use stompede_codec::{AckMode, Command, Decoder, Frame, Headers, Item, Limits, Version};

fn from_json(text: &str) -> Result<Frame, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_text_frame_is_readable_json() {
    let frame = Frame::new(Command::Send)
        .with_header("destination", "/queue/a")
        .with_header("hop", "1")
        .with_header("hop", "2")
        .with_body("hé\nllo\0");
    let text = r#"{"command":"SEND","headers":[["destination","/queue/a"],["hop","1"],["hop","2"]],"body":"hé\nllo\u0000"}"#;
    assert_eq!(serde_json::to_string(&frame).unwrap(), text);
    assert_eq!(from_json(text), Ok(frame));
}

#[test]
fn a_body_that_is_no_text_is_a_list_of_octets() {
    let frame = Frame::new(Command::Message).with_body(&b"\xff\0a"[..]);
    let text = r#"{"command":"MESSAGE","headers":[],"body":[255,0,97]}"#;
    assert_eq!(serde_json::to_string(&frame).unwrap(), text);
    assert_eq!(from_json(text), Ok(frame));
}

#[test]
fn text_that_looks_like_octets_stays_text() {
    let frame = Frame::new(Command::Send).with_body("[255,0,97]");
    let text = serde_json::to_string(&frame).unwrap();
    assert!(text.ends_with(r#""body":"[255,0,97]"}"#), "{text}");
    assert_eq!(from_json(&text), Ok(frame));
}

#[test]
fn what_a_person_writes_may_leave_out_headers_and_body() {
    assert_eq!(from_json(r#"{"command":"DISCONNECT"}"#), Ok(Frame::new(Command::Disconnect)));
    let octets = r#"{"command":"SEND","body":[104,105]}"#;
    assert_eq!(from_json(octets), Ok(Frame::new(Command::Send).with_body("hi")));
}

#[test]
fn what_is_no_frame_is_refused_with_a_reason() {
    for (text, reason) in [
        ("{}", "missing field `command`"),
        (r#"{"command":"send"}"#, r#"invalid value: string "send", expected a STOMP command in capitals"#),
        (r#"{"command":1}"#, "expected a STOMP command"),
        (r#"{"command":"SEND","header":[]}"#, "unknown field `header`"),
        (r#"{"command":"SEND","headers":{"a":"b"}}"#, "expected a list of pairs"),
        (r#"{"command":"SEND","headers":[["a"]]}"#, "expected a tuple of size 2"),
        (r#"{"command":"SEND","headers":[["a","b","c"]]}"#, "trailing characters"),
        (r#"{"command":"SEND","headers":[["a",1]]}"#, "expected a string"),
        (r#"{"command":"SEND","body":[256]}"#, "expected u8"),
        (r#"{"command":"SEND","body":[-1]}"#, "expected u8"),
        (r#"{"command":"SEND","body":["a"]}"#, "expected u8"),
        (r#"{"command":"SEND","body":7}"#, "expected a body as text or as a list of octets"),
        (r#"{"command":"SEND","body":null}"#, "expected a body as text or as a list of octets"),
        (r#"{"command":"SEND","command":"ACK"}"#, "duplicate field `command`"),
        (r#"{"command":"SEND","body":"#, "EOF"),
    ] {
        let error = from_json(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn commands_and_versions_are_their_names() {
    assert_eq!(serde_json::to_value((Command::Nack, Version::V1_1)).unwrap(), json!(["NACK", "1.1"]));
    let mode = serde_json::to_value(AckMode::ClientIndividual).unwrap();
    assert_eq!(mode, json!("client-individual"));
    assert_eq!(serde_json::from_value::<AckMode>(mode).unwrap(), AckMode::ClientIndividual);
    assert!(serde_json::from_str::<AckMode>(r#""Auto""#).is_err());
    assert_eq!(serde_json::from_str::<Version>(r#""1.0""#).unwrap(), Version::V1_0);
    assert!(serde_json::from_str::<Version>(r#""1.3""#).is_err());
    assert!(serde_json::from_str::<Version>("1.2").is_err());
}

#[test]
fn a_secret_is_written_because_it_was_asked_for() {
    let frame = Frame::new(Command::Connect).with_header("passcode", "hunter2");
    assert!(serde_json::to_string(&frame).unwrap().contains("hunter2"));
}

#[test]
fn an_announced_length_is_not_believed() {
    // Command "SEND", then a list of headers, or a body, of 2^63 entries that are not there.
    let mut wire = b"\x04SEND".to_vec();
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    wire.extend(huge);
    assert!(postcard::from_bytes::<Frame>(&wire).is_err());
    wire.truncate(5);
    wire.push(0);
    wire.extend(huge);
    assert!(postcard::from_bytes::<Frame>(&wire).is_err());
}

/// A frame among other data, as serde buffers it.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
enum Line {
    Note { note: String },
    Frame(Frame),
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Entry {
    at: u64,
    #[serde(flatten)]
    frame: Frame,
}

proptest! {
    #![proptest_config(Config { cases: 1000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_frame_comes_back_from_every_kind_of_format(frame in frames()) {
        let text = serde_json::to_string(&frame).unwrap();
        prop_assert_eq!(from_json(&text), Ok(frame.clone()));
        let value = serde_json::to_value(&frame).unwrap();
        prop_assert_eq!(&serde_json::from_value::<Frame>(value).unwrap(), &frame);
        let octets = postcard::to_allocvec(&frame).unwrap();
        let (back, rest) = postcard::take_from_bytes::<Frame>(&octets).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&back, &frame);
    }

    #[test]
    fn every_frame_comes_back_from_within_other_data(frame in frames()) {
        let line = Line::Frame(frame.clone());
        let text = serde_json::to_string(&line).unwrap();
        prop_assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        let entry = Entry { at: 7, frame };
        let text = serde_json::to_string(&entry).unwrap();
        prop_assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }

    #[test]
    fn a_decoded_frame_comes_back_without_its_escapes(name in "[a-zé:\\\\\n]{1,6}", value in "[a-z:\\\\\r\n]{0,9}") {
        let sent = Frame::new(Command::Send).with_header(&name, &value).with_header(name, value);
        let mut wire = bytes::BytesMut::new();
        stompede_codec::Encoder::new(Version::V1_2).encode(&sent, &mut wire).unwrap();
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(wire.freeze());
        let Ok(Some(Item::Frame(read))) = decoder.next() else { unreachable!("the encoder wrote it") };
        let text = serde_json::to_string(&read).unwrap();
        prop_assert_eq!(from_json(&text), Ok(sent));
    }

    #[test]
    fn no_octets_make_it_panic(octets in vec(any::<u8>(), 0..64), text in ".{0,64}") {
        let _ = postcard::from_bytes::<Frame>(&octets);
        let _ = postcard::from_bytes::<Headers>(&octets);
        let _ = serde_json::from_str::<Frame>(&text);
    }
}

/// Every frame there can be in memory, also those that no version can write.
fn frames() -> impl Strategy<Value = Frame> {
    let command = select(
        &[
            Command::Connect,
            Command::Stomp,
            Command::Send,
            Command::Subscribe,
            Command::Unsubscribe,
            Command::Ack,
            Command::Nack,
            Command::Begin,
            Command::Commit,
            Command::Abort,
            Command::Disconnect,
            Command::Connected,
            Command::Message,
            Command::Receipt,
            Command::Error,
        ][..],
    );
    let headers = vec((any::<String>(), any::<String>()), 0..5);
    let body = proptest::prop_oneof![vec(any::<u8>(), 0..40), any::<String>().prop_map(String::into_bytes)];
    (command, headers, body).prop_map(|(command, headers, body)| {
        headers.iter().fold(Frame::new(command), |frame, (n, v)| frame.with_header(n, v)).with_body(body)
    })
}

/// Says that it has more octets than there is memory, and has three.
struct Boastful(u8);

impl Iterator for Boastful {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.checked_sub(1)?;
        Some(b'a')
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, Some(usize::MAX))
    }
}

/// The fields of a frame in a format that announces lengths.
enum Field {
    Command,
    Body,
}

impl<'de> IntoDeserializer<'de, ValueError> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Field {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Command => visitor.visit_str("SEND"),
            Self::Body => visitor.visit_seq(SeqDeserializer::new(Boastful(3))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[test]
fn nor_is_an_announced_number_of_octets_in_a_list() {
    let fields = [("command", Field::Command), ("body", Field::Body)];
    let frame = Frame::deserialize(MapDeserializer::new(fields.into_iter()));
    assert_eq!(frame, Ok(Frame::new(Command::Send).with_body("aaa")));
}
