//! The head of a frame: its command line, then its header lines.

use super::fault::Fault;
use super::limits::Limits;
use super::lines::Lines;
use super::settings::Settings;
use crate::headers::escape::Rules;
use crate::{Command, DecodeErrorKind};

/// What is known of the head of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) command: Command,
    pub(crate) rules: Rules,
    /// Where the first header line begins; 0 as long as the command line has not ended.
    pub(crate) first: u8,
    pub(crate) lines: Lines,
}

impl Head {
    pub(super) const fn new() -> Self {
        // Until the first line end, nobody asks for command and rules.
        Self { command: Command::Error, rules: Rules::Literal, first: 0, lines: Lines::from(0) }
    }

    /// Looks at what is new in `frame`, which may go on behind the head; whether the head is whole.
    pub(super) fn scan(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        if self.first == 0 && !self.command_line(frame, settings)? {
            return Ok(false);
        }
        self.lines.scan(frame, settings)
    }

    /// How many more octets may be taken up before the limits have to be asked again.
    pub(super) fn room(&self, limits: &Limits) -> usize {
        let Lines { line, len, .. } = self.lines;
        let line = line.saturating_add(limits.max_header_line).saturating_add(LINE_END);
        line.min(limits.max_head).saturating_sub(len).clamp(1, STEP)
    }

    /// Looks for the end of the command line; whether it is there.
    fn command_line(&mut self, frame: &[u8], settings: &Settings) -> Result<bool, Fault> {
        let (command, len) = command_line_of(frame, settings)?;
        let Some(command) = command else {
            self.lines.len = len;
            return Ok(false);
        };
        self.command = command;
        self.rules = settings.rules(command);
        self.first = len as u8;
        self.lines = Lines::from(len);
        Ok(true)
    }
}

/// The command and the octets of its line, if that has ended; otherwise the octets that were looked at.
///
/// A command line is short, or it is none.
fn command_line_of(frame: &[u8], settings: &Settings) -> Result<(Option<Command>, usize), Fault> {
    let line = &frame[..frame.len().min(MAX_COMMAND_LINE + 1)];
    let Some(place) = line.iter().position(|&octet| octet == b'\n' || octet == 0) else {
        return check_line(0, line.len(), line.len(), settings).map(|()| (None, line.len()));
    };
    check_line(0, place, place + 1, settings)?;
    if line[place] == 0 {
        return Err(Fault { kind: DecodeErrorKind::NulInHead, offset: place });
    }
    // Here and not when the frame is whole: an answer in HTTP never has the NUL to end it.
    match Command::parse(without_cr(&line[..place])) {
        Some(command) => Ok((Some(command), place + 1)),
        None => Err(Fault { kind: DecodeErrorKind::UnknownCommand, offset: 0 }),
    }
}

/// Holds the line from `line` on, whose text goes up to `text_end`, and the head up to `end` against the limits.
pub(super) fn check_line(line: usize, text_end: usize, end: usize, settings: &Settings) -> Result<(), Fault> {
    let max_line = if line == 0 { MAX_COMMAND_LINE } else { settings.limits.max_header_line };
    if text_end - line <= max_line && end <= settings.limits.max_head {
        return Ok(());
    }
    Err(beyond_limit(line, text_end, max_line, settings.limits.max_head))
}

#[cold]
fn beyond_limit(line: usize, text_end: usize, max_line: usize, max_head: usize) -> Fault {
    let line_limit = line.saturating_add(max_line);
    if line_limit >= text_end || line_limit > max_head {
        return Fault { kind: DecodeErrorKind::HeadTooLarge { limit: max_head }, offset: 0 };
    }
    let kind = match line {
        0 => DecodeErrorKind::UnknownCommand,
        _ => DecodeErrorKind::HeaderLineTooLong { limit: max_line },
    };
    Fault { kind, offset: line }
}

#[inline]
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Octets of a command line without its line feed: the longest command and a carriage return.
const MAX_COMMAND_LINE: usize = "UNSUBSCRIBE\r".len();

/// Octets of the longer line end.
const LINE_END: usize = 2;

/// Octets that are taken up at a time when a frame spans chunks: a whole head of most frames, and little to have copied
/// in vain where it turns out to be less.
const STEP: usize = 512;
