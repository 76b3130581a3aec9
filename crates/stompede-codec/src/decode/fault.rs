//! What is wrong with a frame.

use crate::{DecodeError, DecodeErrorKind};

/// What is wrong, and where within the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: DecodeErrorKind,
    pub(crate) offset: usize,
}

impl Fault {
    /// The error, for a frame that begins at `start` of the stream.
    #[cold]
    pub(crate) fn at(self, start: u64) -> DecodeError {
        DecodeError::new(self.kind, start + self.offset as u64)
    }
}
