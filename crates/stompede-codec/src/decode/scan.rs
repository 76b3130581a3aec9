//! Finds where a frame ends and where its headers stand, over any number of chunks, looking at each octet once.
//!
//! The head is looked at in blocks of 64 octets ([`block`](crate::block)); only line ends and the first colon of each
//! line are visited. Limits are checked at every line end and at the end of what has arrived, so that a caller who
//! joins chunks holds no more than they allow. Whatever an octet-by-octet reader would object to first is
//! reported, so that the way in which a stream is cut never changes the error.

use memchr::memchr;

use super::Settings;
use super::escapes;
use super::limits::Limits;
use crate::block::{Block, WIDTH};
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
    command: Command,
    rules: Rules,
    /// Where the line at hand begins; the first is the command's.
    line: usize,
    /// The first colon in the line at hand; 0 if there was none, which is where no header has one.
    colon: usize,
    /// Where the first header line begins.
    first: u8,
    /// How many header lines there are.
    count: usize,
    content_length: Option<usize>,
    /// Octets of command, headers and blank line.
    head_len: usize,
    /// Octets up to the NUL, where they are known.
    end: usize,
    /// Whether no block of the head holds a backslash or an octet beyond ASCII. What comes behind the head in its last
    /// block counts too, so `false` only says that it is worth a closer look.
    is_plain: bool,
    /// Whether a backslash in the head may begin an escape.
    escaped: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Command,
    Headers,
    /// In a body whose NUL stands at [`Scanner::end`].
    Counted,
    /// In a body that ends at its first NUL.
    UntilNul,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Command,
            len: 0,
            // Until the first line end, nobody asks.
            command: Command::Error,
            rules: Rules::Literal,
            line: 0,
            colon: 0,
            first: 0,
            count: 0,
            content_length: None,
            head_len: 0,
            end: 0,
            is_plain: true,
            escaped: false,
        }
    }

    /// Makes ready for the next frame.
    #[inline]
    pub(crate) fn reset(&mut self) {
        self.phase = Phase::Command;
        self.len = 0;
        self.line = 0;
        self.colon = 0;
        self.count = 0;
        self.content_length = None;
        self.is_plain = true;
    }

    /// Looks at `frame`, which holds what has arrived of a frame and possibly more; whether its end is in there.
    ///
    /// What was looked at before is not looked at again.
    #[inline]
    pub(crate) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        if !self.in_body() && !self.head(frame, settings)? {
            return Ok(false);
        }
        self.body(&frame[self.len..], settings).map(|(_, whole)| whole)
    }

    /// Looks at what is new of the head in `frame`, which may go on behind it; whether the head is whole.
    pub(crate) fn head(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        if self.phase == Phase::Command && !self.command_line(frame, settings)? {
            return Ok(false);
        }
        while self.len < frame.len() {
            let fresh = &frame[self.len..];
            if self.block(Block::first_of(fresh), frame, settings)? {
                return Ok(true);
            }
            self.len += fresh.len().min(WIDTH);
        }
        self.check_line(self.len, self.len, settings).map(|()| false)
    }

    /// Looks for the end of the command line; whether it is there.
    #[inline]
    fn command_line(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        match Command::at_start(frame) {
            Some((command, len)) if len <= settings.plain_until => self.begin(command, len, settings),
            _ => match self.any_command(frame, settings)? {
                Some((command, len)) => self.begin(command, len, settings),
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// The command and the octets of its line, if that is there; it is short, or it is none.
    fn any_command(&mut self, frame: &[u8], settings: &Settings) -> Result<Option<(Command, usize)>, Fault> {
        let line = &frame[..frame.len().min(MAX_COMMAND_LINE + 1)];
        let Some(place) = line.iter().position(|&octet| octet == b'\n' || octet == 0) else {
            self.len = line.len();
            return self.check_line(self.len, self.len, settings).map(|()| None);
        };
        self.check_line(place, place + 1, settings)?;
        if line[place] == 0 {
            return Err(Fault { kind: DecodeErrorKind::NulInHead, offset: place });
        }
        let line = &line[..place];
        // Here and not when the frame is whole: an answer in HTTP never has the NUL to end it.
        match Command::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
            Some(command) => Ok(Some((command, place + 1))),
            None => Err(Fault { kind: DecodeErrorKind::UnknownCommand, offset: 0 }),
        }
    }

    /// Begins with the headers of a frame whose command line takes so many octets.
    #[inline]
    fn begin(&mut self, command: Command, len: usize, settings: &Settings) {
        self.command = command;
        self.rules = Rules::for_reading(command, settings.version, settings.strictness);
        self.phase = Phase::Headers;
        self.len = len;
        self.line = len;
        self.first = len as u8;
    }

    /// Ends the head, of so many octets.
    #[inline]
    fn end_head(&mut self, len: usize) {
        self.head_len = len;
        self.len = len;
        self.phase = match self.content_length {
            None => Phase::UntilNul,
            Some(length) => {
                self.end = len + length;
                Phase::Counted
            }
        };
    }

    /// Takes note of the header lines that end in the block at hand; whether the blank line was among them.
    #[inline(always)]
    fn block(&mut self, block: Block, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        let at = self.len;
        self.is_plain &= block.is_plain();
        let mut ends = block.equal_to(b'\n');
        let mut colons = block.equal_to(b':');
        let nul = if block.has_nul() { block.equal_to(0) } else { 0 };
        // What comes behind a NUL is no head.
        ends &= nul.wrapping_sub(1) & !nul;
        let (mut line, mut colon, mut count) = (self.line, self.colon, self.count);
        while ends != 0 {
            let bit = ends.trailing_zeros();
            let place = at + bit as usize;
            if colon == 0 {
                // Colons in front of the line at hand are gone from the mask, those behind it are of no use.
                let first = colons.trailing_zeros();
                colon = if first < bit { at + first as usize } else { 0 };
            }
            // A line that nothing has to be asked about, in few steps: nearly all lines are.
            if place < settings.plain_until
                && colon > line
                && colon - line != CONTENT_LENGTH.len()
                && count < settings.limits.max_header_count
            {
                count += 1;
            } else if place == line && place < settings.plain_until {
                self.count = count;
                self.end_head(place + 1);
                return Ok(true);
            } else {
                (self.line, self.colon, self.count) = (line, colon, count);
                if self.end_line(frame, place, settings)? {
                    return Ok(true);
                }
                count = self.count;
            }
            line = place + 1;
            colon = 0;
            ends &= ends - 1;
            colons &= u64::MAX << bit;
        }
        if colon == 0 && colons != 0 {
            colon = at + colons.trailing_zeros() as usize;
        }
        (self.line, self.colon, self.count) = (line, colon, count);
        if nul == 0 { Ok(false) } else { Err(self.nul(at + nul.trailing_zeros() as usize, settings)) }
    }

    /// Takes note of the header line, or the blank one, whose line feed stands at `place`; whether it was the
    /// blank one.
    #[inline(never)]
    fn end_line(&mut self, frame: &[u8], place: usize, settings: &Settings) -> Result<bool, Fault> {
        self.check_line(place, place + 1, settings)?;
        let (start, limits) = (self.line, &settings.limits);
        let line = &frame[start..place];
        let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
        if end == start {
            self.end_head(place + 1);
            return Ok(true);
        }
        let fault = |kind| Err(Fault { kind, offset: start });
        if self.count >= limits.max_header_count {
            return fault(DecodeErrorKind::TooManyHeaders { limit: limits.max_header_count });
        }
        let colon = self.colon;
        if colon <= start {
            let kind = DecodeErrorKind::HeaderWithoutColon;
            return fault(if colon == start { DecodeErrorKind::EmptyHeaderName } else { kind });
        }
        if self.content_length.is_none() && frame[start..colon] == *CONTENT_LENGTH.as_bytes() {
            match content_length(&frame[colon + 1..end], limits) {
                Ok(length) => self.content_length = Some(length),
                Err(kind) => return fault(kind),
            }
        }
        self.count += 1;
        Ok(false)
    }

    /// Looks at octets that follow those looked at, once the head is whole: how many belong to this frame, and whether
    /// they end it.
    #[inline]
    pub(crate) fn body(&mut self, fresh: &[u8], settings: &Settings) -> Result<(usize, bool), Fault> {
        let (part, whole) = if self.phase == Phase::Counted {
            match fresh.get(self.end - self.len) {
                None => (fresh.len(), false),
                Some(0) => (self.end - self.len + 1, true),
                Some(_) => return Err(Fault { kind: DecodeErrorKind::BodyNotTerminated, offset: self.end }),
            }
        } else {
            // Most frames that are no message have no body, and starting a search is dear.
            let nul = if fresh.first() == Some(&0) { Some(0) } else { memchr(0, fresh) };
            let body_len = self.len - self.head_len + nul.unwrap_or(fresh.len());
            let limit = settings.limits.max_body;
            if body_len > limit {
                return Err(Fault { kind: DecodeErrorKind::BodyTooLarge { limit }, offset: self.head_len });
            }
            nul.map_or((fresh.len(), false), |at| (at + 1, true))
        };
        self.len += part;
        Ok((part, whole))
    }

    /// Takes note of octets that are known to belong to a counted body.
    pub(crate) fn advance(&mut self, part: usize) {
        self.len += part;
    }

    /// Octets of this frame that were looked at.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the head is whole.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self.phase, Phase::Counted | Phase::UntilNul)
    }

    /// How many octets are missing, if that is known.
    pub(crate) fn missing(&self) -> Option<usize> {
        (self.phase == Phase::Counted).then(|| self.end + 1 - self.len)
    }

    /// How many more octets of the head may be taken up before the limits have to be asked again.
    pub(crate) fn head_room(&self, limits: &Limits) -> usize {
        let line = self.line.saturating_add(limits.max_header_line).saturating_add(LINE_END);
        line.min(limits.max_head).saturating_sub(self.len).clamp(1, HEAD_STEP)
    }

    /// Octets of command, headers and blank line of a whole frame.
    pub(crate) fn head_len(&self) -> usize {
        self.head_len
    }

    /// Octets of the body of a whole frame.
    pub(crate) fn body_len(&self) -> usize {
        self.len - self.head_len - 1
    }

    /// Head and body of the whole frame at the beginning of `frame`.
    pub(crate) fn split<'a>(&self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (&frame[..self.head_len], &frame[self.head_len..self.len - 1])
    }

    /// Judges what is judged of a whole head: that it is UTF-8 and that its escapes are defined.
    #[inline]
    pub(crate) fn check_head(&mut self, frame: &[u8]) -> Result<(), Fault> {
        let head = &frame[..self.head_len];
        if !self.is_plain
            && let Err(error) = core::str::from_utf8(head)
        {
            return Err(Fault { kind: DecodeErrorKind::NotUtf8, offset: error.valid_up_to() });
        }
        self.escaped = !self.is_plain && self.rules != Rules::Literal && memchr(b'\\', head).is_some();
        if self.escaped
            && self.rules.are_strict()
            && let Some(offset) = escapes::first_undefined(head, self.rules)
        {
            return Err(Fault { kind: DecodeErrorKind::UndefinedEscape, offset });
        }
        Ok(())
    }

    pub(crate) fn command(&self) -> Command {
        self.command
    }

    /// Where the first header line begins.
    pub(crate) fn first(&self) -> u8 {
        self.first
    }

    /// How many header lines there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether names and values of a head that was checked have escapes to resolve.
    pub(crate) fn has_escapes(&self) -> bool {
        self.escaped
    }

    /// Holds the line at hand, whose text goes up to `text_end`, and the head up to `end` against the limits.
    fn check_line(&self, text_end: usize, end: usize, settings: &Settings) -> Result<(), Fault> {
        let max_line = if self.line == 0 { MAX_COMMAND_LINE } else { settings.limits.max_header_line };
        if text_end - self.line <= max_line && end <= settings.limits.max_head {
            return Ok(());
        }
        Err(self.beyond_limit(text_end, max_line, settings.limits.max_head))
    }

    #[cold]
    fn beyond_limit(&self, text_end: usize, max_line: usize, max_head: usize) -> Fault {
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
