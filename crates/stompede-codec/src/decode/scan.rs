//! Finds where a frame ends, over any number of chunks, looking at each octet once.
//!
//! The scanner is fed in strides: [`Scanner::stride`] says how many of the fresh octets belong to the line or the
//! body at hand, and refuses them if they go past a limit, before the caller has copied or reserved anything;
//! [`Scanner::advance`] then looks at the line that is whole, if one is.

use core::ops::Range;

use memchr::{memchr, memchr2};

use crate::headers::name::CONTENT_LENGTH;
use crate::{Command, DecodeError, DecodeErrorKind, Limits};

/// Where the parts of a whole frame stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Extent {
    /// Octets of command, headers and blank line.
    pub(crate) head_len: usize,
    /// Octets of the body.
    pub(crate) body_len: usize,
    /// How many header lines there are.
    pub(crate) header_count: usize,
}

impl Extent {
    /// Octets of the whole frame with its NUL.
    pub(crate) fn len(&self) -> usize {
        self.head_len + self.body_len + 1
    }

    /// The body within the frame.
    pub(crate) fn body(&self) -> Range<usize> {
        self.head_len..self.head_len + self.body_len
    }
}

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

/// The extent of a frame that lies in memory, which may have octets behind it.
pub(crate) fn whole(octets: &[u8]) -> Result<Extent, DecodeError> {
    let mut scanner = Scanner::default();
    while scanner.len() < octets.len() {
        let stride = scanner.stride(&octets[scanner.len()..], &Limits::NONE).map_err(|fault| fault.at(0))?;
        let seen = &octets[..scanner.len() + stride];
        if let Some(extent) = scanner.advance(seen, &Limits::NONE).map_err(|fault| fault.at(0))? {
            return Ok(extent);
        }
    }
    Err(DecodeError::new(DecodeErrorKind::Incomplete, octets.len() as u64))
}

/// The search for the end of one frame.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    phase: Phase,
    /// Octets of this frame that were looked at.
    len: usize,
    header_count: usize,
    content_length: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// In the line that begins here; the first is the command's.
    Head { line: usize },
    /// In a body of known length, whose NUL stands at `end`.
    Counted { head_len: usize, end: usize },
    /// In a body that ends at its first NUL.
    UntilNul { head_len: usize },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Head { line: 0 }
    }
}

impl Scanner {
    /// How many of the fresh octets belong to the line or body at hand, at least one.
    pub(crate) fn stride(&self, fresh: &[u8], limits: &Limits) -> Result<usize, Fault> {
        match self.phase {
            Phase::Head { line } => self.line_stride(line, fresh, limits),
            Phase::Counted { end, .. } => Ok(fresh.len().min(end + 1 - self.len)),
            Phase::UntilNul { head_len } => {
                let nul = memchr(0, fresh);
                let body_len = self.len - head_len + nul.unwrap_or(fresh.len());
                if body_len > limits.max_body {
                    let kind = DecodeErrorKind::BodyTooLarge { limit: limits.max_body };
                    return Err(Fault { kind, offset: head_len });
                }
                Ok(nul.map_or(fresh.len(), |at| at + 1))
            }
        }
    }

    /// Takes note of the octets of one stride; `seen` is the frame so far, those included.
    ///
    /// Returns where everything stands once the frame is whole.
    pub(crate) fn advance(&mut self, seen: &[u8], limits: &Limits) -> Result<Option<Extent>, Fault> {
        self.len = seen.len();
        match self.phase {
            Phase::Head { line } => {
                if seen.last() == Some(&b'\n') {
                    self.end_line(line, &seen[line..seen.len() - 1], limits)?;
                }
                Ok(None)
            }
            Phase::Counted { head_len, end } => match seen.get(end) {
                None => Ok(None),
                Some(0) => Ok(Some(self.extent(head_len))),
                Some(_) => Err(Fault { kind: DecodeErrorKind::BodyNotTerminated, offset: end }),
            },
            Phase::UntilNul { head_len } => Ok((seen.last() == Some(&0)).then(|| self.extent(head_len))),
        }
    }

    /// Octets of this frame that were looked at.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many octets are known to be missing; 0 if the length is not known.
    pub(crate) fn missing(&self) -> usize {
        match self.phase {
            Phase::Counted { end, .. } => end + 1 - self.len,
            Phase::Head { .. } | Phase::UntilNul { .. } => 0,
        }
    }

    /// Whichever limit an octet-by-octet reader would hit first is reported, so that the way in which a
    /// stream is cut never changes the error.
    fn line_stride(&self, line: usize, fresh: &[u8], limits: &Limits) -> Result<usize, Fault> {
        let stop = memchr2(b'\n', 0, fresh);
        let text_end = self.len + stop.unwrap_or(fresh.len());
        let end = stop.map_or(text_end, |_| text_end + 1);
        let (max_line, too_long) = if line == 0 {
            (MAX_COMMAND_LINE, DecodeErrorKind::UnknownCommand)
        } else {
            let limit = limits.max_header_line;
            (limit, DecodeErrorKind::HeaderLineTooLong { limit })
        };
        let line_limit = line.saturating_add(max_line);
        if line_limit < text_end && line_limit <= limits.max_head {
            return Err(Fault { kind: too_long, offset: line });
        }
        if limits.max_head < end {
            return Err(Fault { kind: DecodeErrorKind::HeadTooLarge { limit: limits.max_head }, offset: 0 });
        }
        match stop {
            Some(at) if fresh[at] == 0 => Err(Fault { kind: DecodeErrorKind::NulInHead, offset: text_end }),
            _ => Ok(end - self.len),
        }
    }

    fn end_line(&mut self, start: usize, line: &[u8], limits: &Limits) -> Result<(), Fault> {
        let fault = |kind| Fault { kind, offset: start };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.phase = Phase::Head { line: self.len };
        if start == 0 {
            // Here and not when the frame is whole: an answer in HTTP never has the NUL to end it.
            return Command::parse(line).map(drop).ok_or(fault(DecodeErrorKind::UnknownCommand));
        }
        if line.is_empty() {
            self.phase = match self.content_length {
                None => Phase::UntilNul { head_len: self.len },
                Some(length) => Phase::Counted { head_len: self.len, end: self.len + length },
            };
            return Ok(());
        }
        self.header_count += 1;
        if self.header_count > limits.max_header_count {
            return Err(fault(DecodeErrorKind::TooManyHeaders { limit: limits.max_header_count }));
        }
        if self.content_length.is_none()
            && let Some(value) =
                line.strip_prefix(CONTENT_LENGTH.as_bytes()).and_then(|v| v.strip_prefix(b":"))
        {
            self.content_length = Some(content_length(value, limits).map_err(fault)?);
        }
        Ok(())
    }

    fn extent(&self, head_len: usize) -> Extent {
        Extent { head_len, body_len: self.len - 1 - head_len, header_count: self.header_count }
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
