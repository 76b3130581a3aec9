//! The header lines of a frame and the blank line behind them, one after the other, however they are cut.

use memchr::memchr;

use super::fault::Fault;
use super::head::{check_line, without_cr};
use super::limits::Limits;
use super::settings::Settings;
use crate::DecodeErrorKind;
use crate::block::{Block, WIDTH};
use crate::headers::name;

/// What is known of the header lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Octets of the head that were looked at; of a whole head, all.
    pub(crate) len: usize,
    /// How many header lines there are.
    pub(crate) count: usize,
    pub(crate) content_length: Option<usize>,
    /// Whether no block of the head holds a backslash or an octet beyond ASCII. What comes behind the head in its last
    /// block counts too, so `false` only says that it is worth a closer look.
    pub(crate) is_plain: bool,
    /// Where the line at hand begins.
    pub(super) line: usize,
}

impl Lines {
    /// Header lines that begin there.
    pub(super) const fn from(start: usize) -> Self {
        Self { len: start, count: 0, content_length: None, is_plain: true, line: start }
    }

    /// Looks at what is new in `frame`, which may go on behind the head; whether the blank line is in there.
    pub(super) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        while let Some(fresh) = frame.get(self.len..).filter(|fresh| !fresh.is_empty()) {
            if self.block(Block::first_of(fresh), frame, settings)? {
                return Ok(true);
            }
            self.len += fresh.len().min(WIDTH);
        }
        check_line(self.line, self.len, self.len, settings).map(|()| false)
    }

    /// Goes through the lines that end in the block at hand; whether the blank line was among them.
    fn block(&mut self, block: Block, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        let at = self.len;
        self.is_plain &= block.is_plain();
        let nul = block.equal_to(0);
        // What comes behind a NUL is no head.
        let mut ends = block.equal_to(b'\n') & nul.wrapping_sub(1) & !nul;
        while ends != 0 {
            let place = at + ends.trailing_zeros() as usize;
            if self.end_line(frame, place, settings)? {
                self.len = place + 1;
                return Ok(true);
            }
            self.line = place + 1;
            ends &= ends - 1;
        }
        if nul != 0 {
            let offset = at + nul.trailing_zeros() as usize;
            check_line(self.line, offset, offset + 1, settings)?;
            return Err(Fault { kind: DecodeErrorKind::NulInHead, offset });
        }
        Ok(false)
    }

    /// Takes note of the header line, or the blank one, whose line feed stands at `place`; whether it was the
    /// blank one.
    fn end_line(&mut self, frame: &[u8], place: usize, settings: &Settings) -> Result<bool, Fault> {
        check_line(self.line, place, place + 1, settings)?;
        let (start, limits) = (self.line, &settings.limits);
        let line = without_cr(&frame[start..place]);
        let fault = |kind| Err(Fault { kind, offset: start });
        if line.is_empty() {
            return Ok(true);
        }
        if self.count >= limits.max_header_count {
            return fault(DecodeErrorKind::TooManyHeaders { limit: limits.max_header_count });
        }
        match memchr(b':', line) {
            None => return fault(DecodeErrorKind::HeaderWithoutColon),
            Some(0) => return fault(DecodeErrorKind::EmptyHeaderName),
            Some(_) => {}
        }
        if self.content_length.is_none() && line.starts_with(LENGTH_NAME) {
            self.content_length = Some(content_length(frame, start, place, limits)?);
        }
        self.count += 1;
        Ok(false)
    }
}

/// The value of `content-length` in the line from `start` to the line feed at `place`.
fn content_length(frame: &[u8], start: usize, place: usize, limits: &Limits) -> Result<usize, Fault> {
    let fault = |kind| Err(Fault { kind, offset: start });
    let value = without_cr(&frame[start + LENGTH_NAME.len()..place]);
    let mut length = 0_usize;
    let mut are_digits = !value.is_empty();
    for octet in value {
        are_digits &= octet.is_ascii_digit();
        // What is too large stays so.
        length = length.saturating_mul(10).saturating_add(usize::from(octet.wrapping_sub(b'0')));
    }
    if !are_digits {
        return fault(DecodeErrorKind::ContentLength);
    }
    // A head and a NUL come on top, and the sum has to be a length; nothing so large could be held anyway.
    if length > limits.max_body.min(usize::MAX / 4) {
        return fault(DecodeErrorKind::BodyTooLarge { limit: limits.max_body });
    }
    Ok(length)
}

/// What stands in front of the length of the body.
const LENGTH_NAME: &[u8] = name::CONTENT_LENGTH_COLON.as_bytes();
