//! What the tests and the fuzz targets share: a second decoder to compare with, the tables of what can be written,
//! and every way to run the first decoder.
#![allow(dead_code, reason = "each test binary uses its share")]

pub(crate) mod meter;
pub(crate) mod oracle;
pub(crate) mod writing;

use std::borrow::Cow;

use bytes::Bytes;
use stompede_codec::{
    Command, DecodeError, Decoder, Frame, FrameRef, Item, ItemRef, Limits, Strictness, Version,
};

/// Every command that a client sends.
pub(crate) const CLIENT_COMMANDS: [Command; 11] = [
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
];

/// Every command that a server sends.
pub(crate) const SERVER_COMMANDS: [Command; 4] =
    [Command::Connected, Command::Message, Command::Receipt, Command::Error];

/// Every command, of both directions.
pub(crate) fn commands() -> impl Iterator<Item = Command> + Clone {
    CLIENT_COMMANDS.into_iter().chain(SERVER_COMMANDS)
}

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
        seen(frame.command(), frame.headers(), |name| frame.header(name), frame.body())
    }
}

impl From<&FrameRef<'_>> for Seen {
    fn from(frame: &FrameRef<'_>) -> Self {
        assert_eq!(frame.detach(), frame.to_frame(&Bytes::new()), "both copies are the same");
        seen(frame.command(), frame.headers(), |name| frame.header(name), frame.body())
    }
}

/// # Panics
/// If looking for a name finds something else than going through all headers does.
fn seen<'a>(
    command: Command,
    headers: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    header: impl Fn(&str) -> Option<Cow<'a, str>>,
    body: &[u8],
) -> Seen {
    let headers: Vec<(String, String)> =
        headers.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    let check = |name: &str| {
        let first = headers.iter().find(|(other, _)| other == name);
        assert_eq!(header(name).as_deref(), first.map(|(_, value)| &**value), "{name:?}");
    };
    let mut before = "";
    for (name, value) in &headers {
        check(name);
        // Names that are none: parts of lines, and several lines.
        check(&format!("{name}:{value}"));
        check(&format!("{before}:{value}\n{name}"));
        check(&name[..name.chars().next_back().map_or(0, |last| name.len() - last.len_utf8())]);
        before = name;
    }
    Seen::Frame { command: command.to_string(), headers, body: body.to_vec() }
}

/// What a decoder is told beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) limits: Limits,
    pub(crate) version: Option<Version>,
    pub(crate) strictness: Strictness,
}

impl Reading {
    /// Strict, with the default limits.
    pub(crate) fn of(version: Option<Version>) -> Self {
        Self { limits: Limits::default(), version, strictness: Strictness::Strict }
    }

    /// Lenient, with the default limits.
    pub(crate) fn lenient(version: Option<Version>) -> Self {
        Self { strictness: Strictness::Lenient, ..Self::of(version) }
    }

    pub(crate) fn decoder(self) -> Decoder {
        let mut decoder = Decoder::new(self.limits).with_strictness(self.strictness);
        if let Some(version) = self.version {
            decoder.set_version(version);
        }
        decoder
    }

    /// The same for the oracle.
    pub(crate) fn rules(self) -> oracle::Rules<'static> {
        oracle::Rules {
            version: self.version.map(Version::as_str),
            lenient: self.strictness == Strictness::Lenient,
            max_header_count: self.limits.max_header_count,
            max_header_line: self.limits.max_header_line,
            max_head: self.limits.max_head,
            max_body: self.limits.max_body,
        }
    }
}

/// Limits that nothing in memory reaches.
pub(crate) fn unlimited() -> Limits {
    Limits::default()
        .with_max_header_count(usize::MAX)
        .with_max_header_line(usize::MAX)
        .with_max_head(usize::MAX)
        .with_max_body(usize::MAX)
}

/// How the decoder is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// How chunks are handed over.
    pub(crate) push: Turns,
    /// How items are asked for.
    pub(crate) take: Turns,
    pub(crate) drain: Drain,
}

impl Way {
    /// The plainest: chunks and frames are owned, items are asked for at the end.
    pub(crate) const PLAIN: Self = Self { push: Turns::Owned, take: Turns::Owned, drain: Drain::AtTheEnd };

    /// Every way there is.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        const TURNS: [Turns; 3] = [Turns::Owned, Turns::Borrowed, Turns::Alternating];
        TURNS.into_iter().flat_map(|push| {
            TURNS.into_iter().flat_map(move |take| {
                [Drain::AfterEachChunk, Drain::AtTheEnd].map(|drain| Self { push, take, drain })
            })
        })
    }
}

/// Which of two methods is called: `push` or `push_slice`, `next` or `next_ref`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turns {
    Owned,
    Borrowed,
    Alternating,
}

impl Turns {
    fn is_owned(self, turn: usize) -> bool {
        match self {
            Self::Owned => true,
            Self::Borrowed => false,
            Self::Alternating => turn.is_multiple_of(2),
        }
    }
}

/// When the decoder is asked for items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Drain {
    AfterEachChunk,
    AtTheEnd,
}

/// Runs the decoder over a stream cut at `cuts`; each is taken modulo the length of the stream.
pub(crate) fn decode_in_pieces(wire: &[u8], cuts: &[usize], way: Way, reading: Reading) -> Outcome {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
    cuts.extend([0, wire.len()]);
    cuts.sort_unstable();
    let mut run = Run { decoder: reading.decoder(), way, turn: 0, seen: Vec::new() };
    for (turn, pair) in cuts.windows(2).enumerate() {
        let chunk = &wire[pair[0]..pair[1]];
        if way.push.is_owned(turn) {
            run.decoder.push(Bytes::copy_from_slice(chunk));
        } else {
            run.decoder.push_slice(chunk);
        }
        if way.drain == Drain::AfterEachChunk {
            let _ = run.drain();
        }
    }
    let end = run.drain();
    Outcome { seen: run.seen, end }
}

struct Run {
    decoder: Decoder,
    way: Way,
    turn: usize,
    seen: Vec<Seen>,
}

impl Run {
    /// Takes items until there are none; how it stands then.
    fn drain(&mut self) -> End {
        loop {
            match self.take() {
                Ok(Some(Seen::LineEnds)) if self.seen.last() == Some(&Seen::LineEnds) => {}
                Ok(Some(seen)) => self.seen.push(seen),
                Ok(None) => return self.waiting(),
                Err(error) => return self.failed(&error),
            }
        }
    }

    fn take(&mut self) -> Result<Option<Seen>, DecodeError> {
        self.turn += 1;
        if self.way.take.is_owned(self.turn) {
            return Ok(self.decoder.next()?.map(|item| match item {
                Item::Frame(frame) => Seen::from(&frame),
                Item::HeartBeat => Seen::LineEnds,
            }));
        }
        Ok(self.decoder.next_ref()?.map(|item| match item {
            ItemRef::Frame(frame) => Seen::from(&frame),
            ItemRef::HeartBeat => Seen::LineEnds,
        }))
    }

    fn waiting(&self) -> End {
        let limits = self.decoder.limits();
        let held = self.decoder.buffered();
        assert!(held <= limits.max_head.saturating_add(limits.max_body), "{held} octets are held");
        if self.decoder.is_mid_frame() {
            return End::MidFrame;
        }
        assert_eq!(held, 0, "between frames nothing is held");
        End::BetweenFrames
    }

    /// Whatever comes, a failed decoder holds nothing and says the same.
    fn failed(&mut self, error: &DecodeError) -> End {
        self.decoder.push(Bytes::from_static(b"RECEIPT\n\n\0"));
        self.decoder.push_slice(b"RECEIPT\n\n\0");
        assert_eq!(self.decoder.buffered(), 0);
        assert_eq!(self.decoder.next().as_ref(), Err(error));
        assert_eq!(self.decoder.next_ref().err().as_ref(), Some(error));
        End::Error { kind: format!("{:?}", error.kind()), offset: error.offset() }
    }
}

/// Decodes a stream in one piece with the default limits.
pub(crate) fn decode(wire: &[u8], version: Option<Version>) -> Outcome {
    decode_in_pieces(wire, &[], Way::PLAIN, Reading::of(version))
}

/// The one frame of a stream; fails if there is anything else.
#[track_caller]
pub(crate) fn only_frame(wire: &[u8], version: Option<Version>) -> Frame {
    frame_read(wire, Reading::of(version))
}

/// The one frame of a stream; fails if there is anything else.
#[track_caller]
pub(crate) fn frame_read(wire: &[u8], reading: Reading) -> Frame {
    let mut decoder = reading.decoder();
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
    error_read(wire, Reading::of(version))
}

/// The kind and offset of the error in a stream.
#[track_caller]
pub(crate) fn error_read(wire: &[u8], reading: Reading) -> (String, u64) {
    match decode_in_pieces(wire, &[], Way::PLAIN, reading).end {
        End::Error { kind, offset } => (kind, offset),
        other => unreachable!("no error but {other:?}"),
    }
}
