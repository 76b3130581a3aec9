//! Finds where a frame ends and where its headers stand, over any number of chunks, looking at each octet once.
//!
//! The head is looked at in blocks of 64 octets ([`block`](super::block)); only line ends and the first colon of each
//! line are visited. Limits are checked at every line end and at the end of what has arrived, so that a caller who
//! joins chunks holds no more than they allow. Whatever an octet-by-octet reader would object to first is
//! reported, so that the way in which a stream is cut never changes the error.

use alloc::vec::Vec;

use memchr::memchr;

use super::Settings;
use super::block::{Block, WIDTH};
use super::escapes::Escapes;
use super::limits::Limits;
use crate::headers::Span;
use crate::headers::escape::Rules;
use crate::headers::name::CONTENT_LENGTH;
use crate::{Command, DecodeError, DecodeErrorKind};

/// What is wrong, and where within the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: DecodeErrorKind,
    pub(crate) offset: usize,
}

impl Fault {
    /// The error, for a frame that begins at `start` of the stream.
    pub(crate) fn at(self, start: u64) -> DecodeError {
        DecodeError::new(self.kind, start + self.offset as u64)
    }
}

/// The search for the end of one frame.
#[derive(Debug)]
pub(crate) struct Scanner {
    phase: Phase,
    /// Octets of this frame that were looked at.
    len: usize,
    /// Where the line at hand begins; the first is the command's.
    line: usize,
    /// The first colon in the line at hand; 0 if there was none, which is where no header has one.
    colon: usize,
    command: Command,
    rules: Rules,
    escapes: Escapes,
    is_ascii: bool,
    content_length: Option<usize>,
    index: Vec<Span>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Head,
    /// In a body of known length, whose NUL stands at `end`.
    Counted {
        head_len: usize,
        end: usize,
    },
    /// In a body that ends at its first NUL.
    UntilNul {
        head_len: usize,
    },
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Head,
            len: 0,
            line: 0,
            colon: 0,
            // Until the first line end, nobody asks.
            command: Command::Error,
            rules: Rules::Literal,
            escapes: Escapes::NONE,
            is_ascii: true,
            content_length: None,
            index: Vec::with_capacity(INDEX_AT_FIRST),
        }
    }

    /// Makes ready for the next frame.
    pub(crate) fn reset(&mut self) {
        self.phase = Phase::Head;
        self.len = 0;
        self.line = 0;
        self.colon = 0;
        self.escapes = Escapes::NONE;
        self.is_ascii = true;
        self.content_length = None;
        self.index.clear();
        self.index.shrink_to(INDEX_KEPT);
    }

    /// Looks at `frame`, which holds what has arrived of a frame and possibly more; whether its end is in there.
    ///
    /// What was looked at before is not looked at again.
    #[inline]
    pub(crate) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        if self.phase == Phase::Head && !self.head(frame, settings)? {
            return Ok(false);
        }
        self.body(&frame[self.len..], settings).map(|(_, whole)| whole)
    }

    /// Looks at what is new of the head in `frame`, which may go on behind it; whether the head is whole.
    pub(crate) fn head(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        let mut at = self.len;
        while at < frame.len() {
            let block = Block::first_of(&frame[at..]);
            let (ends, colons) = (block.at_most(b'\n'), block.equal_to(b':'));
            let mut marks = if self.colon == 0 { ends | colons } else { ends };
            let mut belongs = u64::MAX;
            while marks != 0 {
                let bit = marks.trailing_zeros();
                let place = at + bit as usize;
                let above = u64::MAX << bit << 1;
                match frame[place] {
                    b':' => {
                        self.colon = place;
                        marks = ends & above;
                    }
                    b'\n' => {
                        if self.end_line(frame, place, settings)? {
                            belongs = !above;
                            break;
                        }
                        marks = (ends | colons) & above;
                    }
                    0 => return Err(self.nul(place, settings)),
                    // Another control character: it only looked like an end.
                    _ => marks &= marks - 1,
                }
            }
            let width = WIDTH.min(frame.len() - at);
            self.escapes.look(block, belongs, width, at, self.rules);
            if !block.is_ascii() {
                self.is_ascii &= block.beyond_ascii() & belongs == 0;
            }
            if self.phase != Phase::Head {
                return Ok(true);
            }
            at += width;
        }
        self.len = frame.len();
        self.check_line(self.len, self.len, settings).map(|()| false)
    }

    /// Looks at octets that follow those looked at, once the head is whole: how many belong to this frame, and whether
    /// they end it.
    pub(crate) fn body(&mut self, fresh: &[u8], settings: &Settings) -> Result<(usize, bool), Fault> {
        let (part, whole) = match self.phase {
            Phase::Head => (0, false),
            Phase::Counted { end, .. } => match fresh.get(end - self.len) {
                None => (fresh.len(), false),
                Some(0) => (end + 1 - self.len, true),
                Some(_) => return Err(Fault { kind: DecodeErrorKind::BodyNotTerminated, offset: end }),
            },
            Phase::UntilNul { head_len } => {
                let nul = memchr(0, fresh);
                let body_len = self.len - head_len + nul.unwrap_or(fresh.len());
                let limit = settings.limits.max_body;
                if body_len > limit {
                    return Err(Fault { kind: DecodeErrorKind::BodyTooLarge { limit }, offset: head_len });
                }
                nul.map_or((fresh.len(), false), |at| (at + 1, true))
            }
        };
        self.len += part;
        Ok((part, whole))
    }

    /// Octets of this frame that were looked at.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the head is whole.
    pub(crate) fn in_body(&self) -> bool {
        self.phase != Phase::Head
    }

    /// How many octets are known to be missing; 0 if the length is not known.
    pub(crate) fn missing(&self) -> usize {
        match self.phase {
            Phase::Counted { end, .. } => end + 1 - self.len,
            Phase::Head | Phase::UntilNul { .. } => 0,
        }
    }

    /// How many more octets of the head may be taken up before the limits have to be asked again.
    pub(crate) fn head_room(&self, limits: &Limits) -> usize {
        let line = self.line.saturating_add(limits.max_header_line).saturating_add(LINE_END);
        line.min(limits.max_head).saturating_sub(self.len).clamp(1, HEAD_STEP)
    }

    /// Octets of command, headers and blank line; 0 before they are whole.
    pub(crate) fn head_len(&self) -> usize {
        match self.phase {
            Phase::Head => 0,
            Phase::Counted { head_len, .. } | Phase::UntilNul { head_len } => head_len,
        }
    }

    /// Octets of the body of a whole frame.
    pub(crate) fn body_len(&self) -> usize {
        self.len.saturating_sub(self.head_len() + 1)
    }

    pub(crate) fn command(&self) -> Command {
        self.command
    }

    /// Takes note of octets that are known to belong to a counted body.
    pub(crate) fn advance(&mut self, part: usize) {
        self.len += part;
    }

    /// Head and body of the whole frame at the beginning of `frame`.
    pub(crate) fn split<'a>(&self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (head, rest) = frame.split_at(self.head_len());
        (head, &rest[..self.body_len()])
    }

    /// Judges what is judged of a whole head: that it is UTF-8 and that its escapes are defined.
    pub(crate) fn check_head(&self, frame: &[u8]) -> Result<(), Fault> {
        if !self.is_ascii
            && let Err(error) = core::str::from_utf8(&frame[..self.head_len()])
        {
            return Err(Fault { kind: DecodeErrorKind::NotUtf8, offset: error.valid_up_to() });
        }
        self.check_escapes()
    }

    /// Where the headers stand.
    pub(crate) fn index(&self) -> &[Span] {
        &self.index
    }

    /// Takes out where the headers stand.
    pub(crate) fn into_index(self) -> Vec<Span> {
        self.index
    }

    /// Whether names and values have escapes to resolve.
    pub(crate) fn has_escapes(&self) -> bool {
        self.rules != Rules::Literal && self.escapes.any()
    }

    /// Judges the escapes of a whole head.
    pub(crate) fn check_escapes(&self) -> Result<(), Fault> {
        match self.escapes.first_undefined() {
            Some(offset) if self.rules.are_strict() => {
                Err(Fault { kind: DecodeErrorKind::UndefinedEscape, offset })
            }
            _ => Ok(()),
        }
    }

    /// Takes note of the line whose line feed stands at `place`; whether it was the blank one.
    #[inline]
    fn end_line(&mut self, frame: &[u8], place: usize, settings: &Settings) -> Result<bool, Fault> {
        self.check_line(place, place + 1, settings)?;
        let start = self.line;
        let fault = |kind| Err(Fault { kind, offset: start });
        let end = if place > start && frame[place - 1] == b'\r' { place - 1 } else { place };
        self.line = place + 1;
        if start == 0 {
            // Here and not when the frame is whole: an answer in HTTP never has the NUL to end it.
            let Some(command) = Command::parse(&frame[..end]) else {
                return fault(DecodeErrorKind::UnknownCommand);
            };
            self.command = command;
            self.rules = Rules::for_reading(command, settings.version, settings.strictness);
            self.colon = 0;
            return Ok(false);
        }
        if end == start {
            self.len = self.line;
            let head_len = self.line;
            self.phase = match self.content_length {
                None => Phase::UntilNul { head_len },
                Some(length) => Phase::Counted { head_len, end: head_len + length },
            };
            return Ok(true);
        }
        let colon = core::mem::take(&mut self.colon);
        let limit = settings.limits.max_header_count;
        if self.index.len() >= limit {
            return fault(DecodeErrorKind::TooManyHeaders { limit });
        }
        if colon <= start {
            let kind = DecodeErrorKind::HeaderWithoutColon;
            return fault(if colon == start { DecodeErrorKind::EmptyHeaderName } else { kind });
        }
        if self.content_length.is_none() && frame[start..colon] == *CONTENT_LENGTH.as_bytes() {
            match content_length(&frame[colon + 1..end], &settings.limits) {
                Ok(length) => self.content_length = Some(length),
                Err(kind) => return fault(kind),
            }
        }
        self.index.push(Span::new(start, colon, end));
        Ok(false)
    }

    /// Holds the line at hand, whose text goes up to `text_end`, and the head up to `end` against the limits.
    #[inline]
    fn check_line(&self, text_end: usize, end: usize, settings: &Settings) -> Result<(), Fault> {
        let max_line = if self.line == 0 { MAX_COMMAND_LINE } else { settings.limits.max_header_line };
        if text_end - self.line <= max_line && end <= settings.limits.max_head && end <= MAX_HEAD {
            return Ok(());
        }
        Err(self.beyond_limit(text_end, max_line, &settings.limits))
    }

    #[cold]
    fn beyond_limit(&self, text_end: usize, max_line: usize, limits: &Limits) -> Fault {
        let max_head = limits.max_head.min(MAX_HEAD);
        let line_limit = self.line.saturating_add(max_line);
        if line_limit >= text_end || line_limit > max_head {
            return Fault { kind: DecodeErrorKind::HeadTooLarge { limit: max_head }, offset: 0 };
        }
        let kind = match self.line {
            0 => DecodeErrorKind::UnknownCommand,
            _ => DecodeErrorKind::HeaderLineTooLong { limit: max_line },
        };
        Fault { kind, offset: self.line }
    }

    #[cold]
    fn nul(&self, place: usize, settings: &Settings) -> Fault {
        let nul = Fault { kind: DecodeErrorKind::NulInHead, offset: place };
        self.check_line(place, place + 1, settings).err().unwrap_or(nul)
    }
}

fn content_length(value: &[u8], limits: &Limits) -> Result<usize, DecodeErrorKind> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(DecodeErrorKind::ContentLength);
    }
    // A head and a NUL come on top, and the sum has to be a length; nothing so large could be held anyway.
    let limit = limits.max_body.min(usize::MAX / 4);
    let digit = |octet: &u8| usize::from(octet - b'0');
    value
        .iter()
        .try_fold(0_usize, |sum, octet| sum.checked_mul(10)?.checked_add(digit(octet)))
        .filter(|&length| length <= limit)
        .ok_or(DecodeErrorKind::BodyTooLarge { limit: limits.max_body })
}

/// Octets of a command line without its line feed: the longest command and a carriage return.
const MAX_COMMAND_LINE: usize = "UNSUBSCRIBE\r".len();

/// Octets of the longer line end.
const LINE_END: usize = 2;

/// Octets of a head that are taken up at a time when a frame spans chunks: a whole head of most frames, and little to
/// have copied in vain where it turns out to be less.
const HEAD_STEP: usize = 512;

/// What the index can point into. The default of [`Limits::max_head`] is far below.
const MAX_HEAD: usize = u32::MAX as usize;

/// Entries that the index has room for at first: most frames have fewer headers, and a decoder that reads none of more
/// never has to make room.
const INDEX_AT_FIRST: usize = 32;

/// Entries of the index that are kept from frame to frame, 3 KiB of them: few frames have more headers.
const INDEX_KEPT: usize = 256;
