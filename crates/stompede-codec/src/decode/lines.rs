//! The header lines of a frame and the blank line behind them, 64 octets at a time.
//!
//! All lines of a block are looked at together and without a loop over them. Where something may be wrong or special, the
//! head is gone through again line by line, once; so whatever an octet-by-octet reader would object to first is
//! reported, and the way in which a stream is cut never changes the error.

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
    /// Where the first of them begins.
    start: usize,
    /// Where lines ended in the 64 octets before.
    before: u64,
    /// Whether the line at hand began before those that are to be looked at and has no colon yet.
    nameless: bool,
    /// Whether to go on line by line.
    careful: bool,
}

impl Lines {
    /// Header lines that begin there.
    #[inline(always)]
    pub(super) const fn from(start: usize) -> Self {
        Self {
            len: start,
            count: 0,
            content_length: None,
            is_plain: true,
            line: start,
            start,
            before: COMMAND_END,
            nameless: false,
            careful: false,
        }
    }

    /// Looks at what is new in `frame`, which may go on behind the head; whether the blank line is in there.
    #[inline(always)]
    pub(super) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        match self.scan_blocks(frame, settings) {
            Some(true) => Ok(true),
            Some(false) => check_line(self.line, self.len, self.len, settings).map(|()| false),
            None => {
                // On a copy, so that the original can stay in registers.
                let mut copy = if self.careful { *self } else { Self::from(self.start) };
                let whole = copy.scan_lines(frame, settings);
                *self = copy;
                whole
            }
        }
    }

    /// The same; `None` if it has to be done line by line.
    #[inline(always)]
    fn scan_blocks(&mut self, frame: &[u8], settings: &Settings) -> Option<bool> {
        if self.careful {
            return None;
        }
        while let Some(fresh) = frame.get(self.len..).filter(|fresh| !fresh.is_empty()) {
            let block = Block::first_of(fresh);
            let ends = block.equal_to(b'\n');
            let colons = block.equal_to(b':');
            let starts = behind(ends, self.before, 1);
            // The first colon or line feed of each line: adding the beginnings of lines to all other octets carries
            // through each line up to there. A line that has its colon already is left out.
            let others = !(ends | colons);
            let (carried, nameless) = others.overflowing_add(starts | u64::from(self.nameless));
            let stops = carried & !others;
            // A line feed without a colon before it ends the blank line; what comes behind it is no head.
            let blank = stops & ends;
            let within = blank ^ blank.wrapping_sub(1);
            let nul = if blank == 0 { u64::from(block.has_nul()) } else { block.equal_to(0) };
            // The blank line begins with its line feed, no other line begins with its first colon.
            let odd = stops & !(colons ^ starts) | nul;
            if odd & within != 0 || self.len + WIDTH > settings.plain_until {
                return None;
            }
            let names = stops & colons & within;
            self.count += names.count_ones() as usize;
            if self.count > settings.limits.max_header_count {
                return None;
            }
            self.is_plain &= block.is_plain();
            let named = names & behind(ends, self.before, LENGTH_NAME.len() as u32);
            if named != 0 && self.content_length.is_none() {
                self.content_length = find_length(named, self.len, frame, &settings.limits)?;
            }
            if blank != 0 {
                self.len += blank.trailing_zeros() as usize + 1;
                return Some(true);
            }
            if ends != 0 {
                self.line = self.len + WIDTH - ends.leading_zeros() as usize;
            }
            self.nameless = nameless;
            if fresh.len() < WIDTH {
                self.before = behind(ends, self.before, (WIDTH - fresh.len()) as u32);
                self.len += fresh.len();
                break;
            }
            self.before = ends;
            self.len += WIDTH;
        }
        Some(false)
    }

    /// Goes through what is new line by line; whether the blank line is in there.
    #[cold]
    #[inline(never)]
    fn scan_lines(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        self.careful = true;
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

/// Looks for `content-length` among the lines that have their first colon at one of `named` in the block at `at`; `None`
/// if it is not what it should be, or not all there.
#[cold] // Once a frame at most: what comes in every block has the registers.
#[inline(never)]
fn find_length(mut named: u64, at: usize, frame: &[u8], limits: &Limits) -> Option<Option<usize>> {
    while named != 0 {
        let behind_name = at + named.trailing_zeros() as usize + 1;
        if frame[..behind_name].ends_with(LENGTH_NAME) {
            let value = &frame[behind_name..];
            let len = value.iter().take(MAX_DIGITS).take_while(|octet| octet.is_ascii_digit()).count();
            let length = value[..len].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
            let ends = matches!(value[len..], [b'\n', ..] | [b'\r', b'\n', ..]);
            return (ends && len > 0 && length <= limits.max_body).then_some(Some(length));
        }
        named &= named - 1;
    }
    Some(None)
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

/// The octets that stand `distance` behind `places`, of which those `before` are in the block before.
#[inline(always)]
fn behind(places: u64, before: u64, distance: u32) -> u64 {
    places << distance | before >> (u64::BITS - distance)
}

/// The command line ends right before the first header line.
const COMMAND_END: u64 = 1 << (WIDTH - 1);

/// Digits of a length that needs no thought.
const MAX_DIGITS: usize = 9;

/// What stands in front of the length of the body.
const LENGTH_NAME: &[u8] = name::CONTENT_LENGTH_COLON.as_bytes();
