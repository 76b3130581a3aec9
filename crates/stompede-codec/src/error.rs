//! What can be wrong with a frame.

use alloc::boxed::Box;
use core::fmt;

use crate::{Command, Version};

/// The stream is not STOMP, or goes past a limit.
///
/// There is no way to find the next frame after it: the connection has to end.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} (at octet {offset} of the stream)")]
pub struct DecodeError {
    kind: DecodeErrorKind,
    offset: u64,
}

impl DecodeError {
    pub(crate) const fn new(kind: DecodeErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// Where it is wrong: octets since the decoder began, so 0 is the first one.
    ///
    /// It points at the octet, the escape or the beginning of the line in question.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

/// What is wrong with a stream.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The first line is no command: the peer may not speak STOMP at all.
    #[error("unknown command: is this a STOMP endpoint?")]
    UnknownCommand,
    /// Between two frames stands a carriage return without its line feed.
    #[error("carriage return without line feed between frames")]
    StrayCarriageReturn,
    /// A header line has no `:`.
    #[error("header line without ':'")]
    HeaderWithoutColon,
    /// A header line begins with `:`.
    #[error("header line with an empty name")]
    EmptyHeaderName,
    /// The command or a header is not UTF-8.
    #[error("head of the frame is not UTF-8")]
    NotUtf8,
    /// A header has a backslash that begins no escape of the version in force.
    #[error("undefined escape in a header")]
    UndefinedEscape,
    /// The value of `content-length` is not a decimal number.
    #[error("content-length is not a decimal number")]
    ContentLength,
    /// The octet after the counted body is not NUL: `content-length` is wrong.
    #[error("no NUL after as many octets of body as content-length says")]
    BodyNotTerminated,
    /// A NUL stands before the blank line that ends the headers.
    #[error("NUL before the end of the headers")]
    NulInHead,
    /// More headers than [`Limits::max_header_count`](crate::Limits::max_header_count).
    #[error("more than {limit} headers")]
    TooManyHeaders {
        /// The limit in force.
        limit: usize,
    },
    /// A header line of more octets than [`Limits::max_header_line`](crate::Limits::max_header_line).
    #[error("header line of more than {limit} octets")]
    HeaderLineTooLong {
        /// The limit in force.
        limit: usize,
    },
    /// Command and headers of more octets than [`Limits::max_head`](crate::Limits::max_head).
    #[error("command and headers of more than {limit} octets")]
    HeadTooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// A body of more octets than [`Limits::max_body`](crate::Limits::max_body).
    #[error("body of more than {limit} octets")]
    BodyTooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// The octets end before the frame does. Only from [`FrameRef::parse`](crate::FrameRef::parse).
    #[error("the octets end before the frame does")]
    Incomplete,
    /// The frame ends before the octets do. Only from [`FrameRef::parse`](crate::FrameRef::parse).
    #[error("octets after the end of the frame")]
    TrailingOctets,
}

/// A frame that cannot be written in this version of STOMP.
///
/// The text says which header is meant and what to do; it never shows a header's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodeError {
    kind: EncodeErrorKind,
    command: Command,
    version: Version,
    header: Option<Box<str>>,
}

impl EncodeError {
    pub(crate) fn new(kind: EncodeErrorKind, command: Command, version: Version) -> Self {
        Self { kind, command, version, header: None }
    }

    pub(crate) fn with_header(mut self, name: &str) -> Self {
        self.header = Some(name.into());
        self
    }

    /// What is wrong.
    pub const fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// The command of the frame.
    pub const fn command(&self) -> Command {
        self.command
    }

    /// The name of the header in question, if it is about one.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {} in STOMP {}: ", self.command, self.version)?;
        if let Some(name) = &self.header {
            write!(f, "header {name:?}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl core::error::Error for EncodeError {}

/// Why a frame cannot be written.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum EncodeErrorKind {
    /// NACK or STOMP in 1.0.
    #[error("this version does not have the command; NACK and STOMP need 1.1")]
    CommandNotInVersion,
    /// A header without a name.
    #[error("the name is empty; name the header or leave it out")]
    EmptyHeaderName,
    /// A NUL in a header; many peers end the frame there.
    #[error("NUL is not allowed in a header; encode the value, as base64 for instance")]
    NulInHeader,
    /// A line break in a header of a frame that has no escape for it.
    #[error(
        "a line break cannot be written here (CR needs 1.2, LF needs 1.1, CONNECT and CONNECTED have neither); take it out or encode the value"
    )]
    LineBreakInHeader,
    /// A `:` in the name of a header of a frame that has no escape for it.
    #[error(
        "':' cannot be written in a name here (1.0, CONNECT and CONNECTED have no escapes); rename the header"
    )]
    ColonInHeaderName,
    /// A body on a frame other than SEND, MESSAGE and ERROR, since 1.1.
    #[error("only SEND, MESSAGE and ERROR may have a body; take it off")]
    BodyNotAllowed,
    /// `content-length` is not the length of the body.
    #[error("it is not the length of the body in octets; leave it out, it is written as needed")]
    ContentLengthMismatch,
    /// A body with NUL, and no `content-length` that would make it readable.
    #[error("a body with NUL cannot be written without content-length; do not omit it")]
    NulInBody,
}
