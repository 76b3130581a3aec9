//! What the tests of this crate share: a second decoder to compare with, and ways to run the first.
#![allow(dead_code, reason = "each test binary uses its share")]

pub(crate) mod oracle;

use bytes::Bytes;
use stompede_codec::{Decoder, Frame, Item, Limits, Version};

/// One thing found in a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    Frame {
        command: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// A run of line ends, however long.
    LineEnds,
}

/// How a stream ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    BetweenFrames,
    MidFrame,
    /// The kind as `Debug` shows it, so that the oracle need not know the type.
    Error {
        kind: String,
        offset: u64,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) seen: Vec<Seen>,
    pub(crate) end: End,
}

impl From<&Frame> for Seen {
    fn from(frame: &Frame) -> Self {
        let headers = frame.headers().iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        Self::Frame { command: frame.command().to_string(), headers, body: frame.body().to_vec() }
    }
}

/// When the decoder is asked for items.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drain {
    AfterEachChunk,
    AtTheEnd,
}

/// Runs the decoder over a stream cut at `cuts`.
pub(crate) fn decode_in_pieces(
    wire: &[u8],
    cuts: &[usize],
    drain: Drain,
    limits: Limits,
    version: Option<Version>,
) -> Outcome {
    let mut decoder = Decoder::new(limits);
    if let Some(version) = version {
        decoder.set_version(version);
    }
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    cuts.extend([0, wire.len()]);
    cuts.sort_unstable();
    let mut seen = Vec::new();
    for pair in cuts.windows(2) {
        decoder.push(Bytes::copy_from_slice(&wire[pair[0]..pair[1]]));
        if matches!(drain, Drain::AfterEachChunk) {
            let _ = drain_into(&mut decoder, &mut seen);
        }
    }
    let end = drain_into(&mut decoder, &mut seen);
    Outcome { seen, end }
}

fn drain_into(decoder: &mut Decoder, seen: &mut Vec<Seen>) -> End {
    loop {
        match decoder.next() {
            Ok(Some(Item::Frame(frame))) => seen.push(Seen::from(&frame)),
            Ok(Some(Item::HeartBeat)) if seen.last() == Some(&Seen::LineEnds) => {}
            Ok(Some(Item::HeartBeat)) => seen.push(Seen::LineEnds),
            Ok(None) if decoder.is_mid_frame() => return End::MidFrame,
            Ok(None) => return End::BetweenFrames,
            Err(error) => {
                assert_eq!(decoder.buffered(), 0, "a failed decoder holds nothing");
                return End::Error { kind: format!("{:?}", error.kind()), offset: error.offset() };
            }
        }
    }
}

/// Decodes a stream in one piece with the default limits.
pub(crate) fn decode(wire: &[u8], version: Option<Version>) -> Outcome {
    decode_in_pieces(wire, &[], Drain::AtTheEnd, Limits::default(), version)
}

/// The one frame of a stream; fails if there is anything else.
#[track_caller]
pub(crate) fn only_frame(wire: &[u8], version: Option<Version>) -> Frame {
    let mut decoder = Decoder::new(Limits::default());
    if let Some(version) = version {
        decoder.set_version(version);
    }
    decoder.push(Bytes::copy_from_slice(wire));
    let Ok(Some(Item::Frame(frame))) = decoder.next() else {
        unreachable!("no frame in {:?}: {:?}", wire.escape_ascii().to_string(), decoder.next())
    };
    assert!(matches!(decoder.next(), Ok(None)), "more than one frame");
    assert_eq!(decoder.buffered(), 0);
    frame
}

/// The kind and offset of the error in a stream.
#[track_caller]
pub(crate) fn error(wire: &[u8], version: Option<Version>) -> (String, u64) {
    match decode(wire, version).end {
        End::Error { kind, offset } => (kind, offset),
        other => unreachable!("no error but {other:?}"),
    }
}
