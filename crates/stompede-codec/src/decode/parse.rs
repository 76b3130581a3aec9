//! The grammar of a head, run once over exactly one whole head.

use alloc::vec::Vec;

use memchr::memchr;
use nom::combinator::{all_consuming, map_opt, verify};
use nom::error::{ErrorKind, ParseError};
use nom::multi::fold_many0;
use nom::{IResult, Parser};

use super::scan::Fault;
use crate::headers::Span;
use crate::headers::escape::Rules;
use crate::{Command, DecodeErrorKind, Version};

/// What stands in a head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) command: Command,
    pub(crate) index: Vec<Span>,
    /// Whether names and values may have escapes to resolve.
    pub(crate) escaped: bool,
}

/// Parses a head, from the command to the blank line.
pub(crate) fn head(text: &str, version: Option<Version>, header_count: usize) -> Result<Head, Fault> {
    let octets = text.as_bytes();
    let index = || Vec::with_capacity(header_count);
    let collect = |mut index: Vec<Span>, line: HeaderLine| {
        let start = octets.len() - line.left;
        index.push(Span { start, colon: start + line.colon, end: start + line.len });
        index
    };
    let grammar = (command_line, fold_many0(header_line, index, collect), blank_line);
    let (command, index, ()) = match all_consuming(grammar).parse(octets) {
        Ok((_, parsed)) => parsed,
        Err(nom::Err::Error(wrong) | nom::Err::Failure(wrong)) => {
            return Err(Fault { kind: wrong.kind, offset: octets.len() - wrong.left });
        }
        Err(nom::Err::Incomplete(_)) => {
            return Err(Fault { kind: DecodeErrorKind::Incomplete, offset: octets.len() });
        }
    };

    let rules = Rules::for_reading(command, version);
    let escaped = rules != Rules::Literal && memchr(b'\\', octets).is_some();
    if escaped && let Some(offset) = rules.first_undefined(octets) {
        return Err(Fault { kind: DecodeErrorKind::UndefinedEscape, offset });
    }
    Ok(Head { command, index, escaped })
}

/// What is wrong, and how many octets were left there.
#[derive(Debug)]
struct Wrong {
    kind: DecodeErrorKind,
    left: usize,
}

impl ParseError<&[u8]> for Wrong {
    fn from_error_kind(input: &[u8], kind: ErrorKind) -> Self {
        let kind = match kind {
            ErrorKind::MapOpt => DecodeErrorKind::UnknownCommand,
            _ => DecodeErrorKind::Incomplete,
        };
        Self { kind, left: input.len() }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// A header line: the octets left where it begins, the place of its colon, its length without line end.
struct HeaderLine {
    left: usize,
    colon: usize,
    len: usize,
}

fn command_line(input: &[u8]) -> IResult<&[u8], Command, Wrong> {
    map_opt(line, Command::parse).parse(input)
}

fn blank_line(input: &[u8]) -> IResult<&[u8], (), Wrong> {
    verify(line, |line: &[u8]| line.is_empty()).map(drop).parse(input)
}

/// A header line; a blank line is no failure but the end of the headers.
fn header_line(input: &[u8]) -> IResult<&[u8], HeaderLine, Wrong> {
    let left = input.len();
    let (rest, line) = verify(line, |line: &[u8]| !line.is_empty()).parse(input)?;
    let kind = match memchr(b':', line) {
        Some(0) => DecodeErrorKind::EmptyHeaderName,
        Some(colon) => return Ok((rest, HeaderLine { left, colon, len: line.len() })),
        None => DecodeErrorKind::HeaderWithoutColon,
    };
    Err(nom::Err::Failure(Wrong { kind, left }))
}

/// A line without its end, which is LF or CR LF in every version.
fn line(input: &[u8]) -> IResult<&[u8], &[u8], Wrong> {
    let Some(end) = memchr(b'\n', input) else {
        return Err(nom::Err::Error(Wrong::from_error_kind(input, ErrorKind::Eof)));
    };
    let line = &input[..end];
    Ok((&input[end + 1..], line.strip_suffix(b"\r").unwrap_or(line)))
}
