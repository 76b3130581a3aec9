//! What makes a frame none of the specification's.

use alloc::boxed::Box;
use core::fmt;

use crate::{Command, Version};

/// A frame is not what the specification says it has to be.
///
/// The text names the header in question; it never shows a header's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrameError {
    kind: FrameErrorKind,
    command: Command,
    version: Version,
    header: Option<Box<str>>,
}

impl FrameError {
    pub(crate) fn new(kind: FrameErrorKind, command: Command, version: Version) -> Self {
        Self { kind, command, version, header: None }
    }

    pub(crate) fn with_header(mut self, name: &str) -> Self {
        self.header = Some(name.into());
        self
    }

    /// What is wrong.
    pub const fn kind(&self) -> FrameErrorKind {
        self.kind
    }

    /// The command of the frame.
    pub const fn command(&self) -> Command {
        self.command
    }

    /// The version by which the frame was judged.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The name of the header in question, if it is about one.
    pub fn header(&self) -> Option<&str> {
        self.header.as_deref()
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not fit STOMP {}: ", self.command, self.version)?;
        if let Some(name) = &self.header {
            write!(f, "header {name:?} ")?;
        }
        self.kind.fmt(f)
    }
}

impl core::error::Error for FrameError {}

/// What is wrong with a frame.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum FrameErrorKind {
    /// NACK or STOMP in 1.0.
    #[error("this version does not have the command; NACK and STOMP need 1.1")]
    CommandNotInVersion,
    /// A required header is missing. Where one of several is enough, the error names the first.
    #[error("is required")]
    MissingHeader,
    /// A header that this frame must not have.
    #[error("is not allowed here")]
    ForbiddenHeader,
    /// A destination, an id or a transaction without a single octet.
    #[error("must not be empty")]
    EmptyValue,
    /// A value that is not in the form that the specification gives it.
    #[error("must be {expected}")]
    InvalidValue {
        /// The form.
        expected: &'static str,
    },
    /// A line break or NUL in a header of CONNECT or CONNECTED, which have no escapes.
    #[error("has a line break or NUL, which nothing can escape in this frame; take it out")]
    NotEscapable,
    /// A body on a frame other than SEND, MESSAGE and ERROR, since 1.1.
    #[error("only SEND, MESSAGE and ERROR may have a body; take it off")]
    BodyNotAllowed,
    /// An acknowledgement of something else than a MESSAGE.
    #[error("only a MESSAGE can be acknowledged")]
    NotAMessage,
}
