//! Finds where any frame ends, over any number of chunks, looking at each octet once. Most frames never come here: see
//! [`usual`](super::usual).
//!
//! Limits are checked at every line end and at the end of what has arrived, so that a caller who joins chunks holds no
//! more than they allow.

use bytes::Bytes;
use memchr::memchr;

use super::Settings;
use super::fault::Fault;
use super::head::Head;
use super::limits::Limits;
use super::lines::Lines;
use super::text;
use crate::headers::{FEW_LINES, FewLines};
use crate::{Command, DecodeErrorKind, Frame, Headers};

/// The search for the end of one frame.
#[derive(Debug)]
pub(crate) struct Scanner {
    head: Head,
    phase: Phase,
    /// Octets of this frame that were looked at.
    len: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Head,
    /// In a body whose NUL stands there.
    Counted(usize),
    /// In a body that ends at its first NUL.
    UntilNul,
}

/// What was found of a frame whose end was found, and which was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub(crate) command: Command,
    /// Where the first header line begins.
    pub(crate) first: u8,
    /// How many header lines there are.
    pub(crate) count: usize,
    /// Whether names and values have escapes to resolve.
    pub(crate) escaped: bool,
    /// Octets of command, headers and blank line.
    pub(crate) head_len: usize,
    /// Octets of the whole frame with its NUL.
    pub(crate) len: usize,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self { head: Head::new(), phase: Phase::Head, len: 0 }
    }

    /// Looks at what is new in `frame`, which holds what has arrived of a frame and possibly more; whether its end is in
    /// there.
    pub(crate) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        if !self.in_body() && !self.head(frame, settings)? {
            return Ok(false);
        }
        self.body(&frame[self.len..], settings).map(|(_, whole)| whole)
    }

    /// Looks at what is new of the head in `frame`, which may go on behind it; whether the head is whole.
    pub(crate) fn head(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        let whole = self.head.scan(frame, settings)?;
        self.len = self.head.lines.len;
        if whole {
            self.phase = match self.head.lines.content_length {
                None => Phase::UntilNul,
                Some(length) => Phase::Counted(self.len + length),
            };
        }
        Ok(whole)
    }

    /// Looks at octets that follow those looked at, once the head is whole: how many belong to this frame, and whether
    /// they end it.
    pub(crate) fn body(&mut self, fresh: &[u8], settings: &Settings) -> Result<(usize, bool), Fault> {
        let (part, whole) = if let Phase::Counted(end) = self.phase {
            match fresh.get(end - self.len) {
                None => (fresh.len(), false),
                Some(0) => (end - self.len + 1, true),
                Some(_) => return Err(Fault { kind: DecodeErrorKind::BodyNotTerminated, offset: end }),
            }
        } else {
            // Most frames that are no message have no body, and starting a search is dear.
            let nul = if fresh.first() == Some(&0) { Some(0) } else { memchr(0, fresh) };
            let body_len = self.len - self.head.lines.len + nul.unwrap_or(fresh.len());
            let limit = settings.limits.max_body;
            if body_len > limit {
                return Err(Fault {
                    kind: DecodeErrorKind::BodyTooLarge { limit },
                    offset: self.head.lines.len,
                });
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
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the head is whole.
    #[inline]
    pub(crate) fn in_body(&self) -> bool {
        self.phase != Phase::Head
    }

    /// How many of these octets, which follow those looked at, belong to the body without a doubt. Its NUL is not among
    /// them, nor is what goes past a limit.
    pub(crate) fn body_alone(&self, fresh: &[u8], limits: &Limits) -> usize {
        match self.phase {
            Phase::Head => 0,
            Phase::Counted(end) => fresh.len().min(end - self.len),
            Phase::UntilNul => {
                let room = self.most(limits) - 1;
                memchr(0, &fresh[..fresh.len().min(room)]).unwrap_or(fresh.len().min(room))
            }
        }
    }

    /// For how many octets beyond those looked at room is made, so that a frame is not moved at every chunk.
    pub(crate) fn room_ahead(&self, limits: &Limits) -> usize {
        match self.phase {
            Phase::Head => self.len,
            // Exactly, since the length is known: a message that waits must not hold twice its size.
            Phase::Counted(end) => (end + 1 - self.len).min(self.len.max(RESERVE_AHEAD)),
            Phase::UntilNul => self.most(limits).min(self.len),
        }
    }

    /// How many more octets a frame may have at most whose body ends at its first NUL.
    fn most(&self, limits: &Limits) -> usize {
        let most = self.head.lines.len.saturating_add(limits.max_body).saturating_add(1);
        most - self.len
    }

    /// How many more octets of the head may be taken up before the limits have to be asked again.
    pub(crate) fn head_room(&self, limits: &Limits) -> usize {
        self.head.room(limits)
    }

    /// What the whole frame at the beginning of `frame` is; judges what is judged of a whole head: that it is UTF-8
    /// and that its escapes are defined.
    pub(crate) fn whole(&self, frame: &[u8]) -> Result<Whole, Fault> {
        let Head { command, rules, first, lines } = self.head;
        let Lines { len: head_len, count, is_plain, .. } = lines;
        let escaped = !is_plain && text::check(frame, head_len, rules)?;
        Ok(Whole { command, first, count, escaped, head_len, len: self.len })
    }
}

/// Octets reserved at most ahead of what has arrived of a body with `content-length`.
///
/// Ordinary messages get their room at once; a peer that announces 16 MiB and sends nothing gets this much.
const RESERVE_AHEAD: usize = 64 * 1024;

impl Whole {
    /// The frame that begins at `start` of `octets`, sharing them.
    #[inline]
    pub(crate) fn frame(&self, octets: &Bytes, start: usize) -> Frame {
        let Self { command, first, count, escaped, head_len, .. } = *self;
        let body = self.body(octets, start);
        let head = start..start + head_len;
        if count > 0 && head_len - usize::from(first) > FEW_LINES {
            // Each kind of headers on its own, so that they are made where the frame is and not moved there.
            let headers = Headers::shared(octets.slice(head), first, count, escaped);
            return Frame::from_read(command, headers, body);
        }
        Frame::from_read(command, Headers::read(octets, head, first, count, escaped), body)
    }

    /// The same, once it is known that it has but a few header lines.
    #[inline(always)]
    pub(crate) fn frame_of(&self, lines: &FewLines, octets: &Bytes, start: usize) -> Frame {
        let Self { command, first, count, escaped, head_len, .. } = *self;
        let body = self.body(octets, start);
        Frame::from_read(command, Headers::few(lines, head_len - usize::from(first), count, escaped), body)
    }

    /// The header lines and what comes behind them, if they are few and enough does.
    #[inline(always)]
    pub(crate) fn few_lines<'a>(&self, octets: &'a [u8]) -> Option<&'a FewLines> {
        let lines = &octets[usize::from(self.first)..];
        let are_few = self.head_len - usize::from(self.first) <= FEW_LINES;
        if are_few { lines.first_chunk() } else { None }
    }

    /// An empty slice would keep the whole chunk alive for nothing.
    #[inline(always)]
    fn body(&self, octets: &Bytes, start: usize) -> Option<Bytes> {
        let end = self.len - 1;
        if self.head_len == end { None } else { Some(octets.slice(start + self.head_len..start + end)) }
    }

    /// Head and body of the frame at the beginning of `frame`.
    #[inline]
    pub(crate) fn split<'a>(&self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (&frame[..self.head_len], &frame[self.head_len..self.len - 1])
    }
}
