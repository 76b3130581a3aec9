//! A frame that borrows its bytes.

use alloc::borrow::Cow;
use core::fmt;

use bytes::Bytes;

use crate::decode::Settings;
use crate::decode::scan::{Scanner, Whole};
use crate::decode::usual;
use crate::frame::{self, Abbreviated};
use crate::headers::{Entries, HeaderIter, Text};
use crate::{Command, DecodeError, DecodeErrorKind, Frame, Headers, Limits, Version};

/// One whole frame that was read in place: it borrows the octets and copies nothing.
///
/// For looking at a frame that lies in memory anyway, or at the frames of a stream one by one with
/// [`Decoder::next_ref`](crate::Decoder::next_ref).
///
/// ```
/// use bytes::Bytes;
/// use stompede_codec::{Command, FrameRef, Version};
///
/// let slab = Bytes::from_static(b"MESSAGE\nsubscription:0\n\nhello\0");
/// let view = FrameRef::parse(&slab, Some(Version::V1_2))?;
/// assert_eq!(view.command(), Command::Message);
/// assert_eq!(view.header("subscription").as_deref(), Some("0"));
/// assert_eq!(view.body(), b"hello");
///
/// let frame = view.to_frame(&slab); // shares the slab
/// assert_eq!(frame.body_text(), Ok("hello"));
/// # Ok::<(), stompede_codec::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct FrameRef<'a> {
    command: Command,
    /// Checked as UTF-8.
    head: &'a [u8],
    first: u8,
    len: usize,
    escaped: bool,
    body: &'a [u8],
}

impl<'a> FrameRef<'a> {
    /// Reads exactly one frame, from its command to its NUL.
    ///
    /// `version` is `None` before one was negotiated, as in [`Decoder`](crate::Decoder). No
    /// [`Limits`](crate::Limits) apply: the octets are in memory already.
    ///
    /// # Errors
    /// As [`Decoder::next`](crate::Decoder::next), and [`DecodeErrorKind::Incomplete`] if the frame does not end within `octets`,
    /// [`DecodeErrorKind::TrailingOctets`] if it ends before them.
    pub fn parse(octets: &'a [u8], version: Option<Version>) -> Result<Self, DecodeError> {
        let settings = Settings::new(Limits::NONE, version);
        if let Some(whole) = usual::whole(octets, &settings).filter(|whole| whole.len == octets.len()) {
            return Ok(Self::from_whole(&whole, octets));
        }
        let mut scanner = Scanner::new();
        if !scanner.scan(octets, &settings).map_err(|fault| fault.at(0))? {
            return Err(DecodeError::new(DecodeErrorKind::Incomplete, octets.len() as u64));
        }
        if scanner.len() < octets.len() {
            return Err(DecodeError::new(DecodeErrorKind::TrailingOctets, scanner.len() as u64));
        }
        let whole = scanner.whole(octets).map_err(|fault| fault.at(0))?;
        Ok(Self::from_whole(&whole, octets))
    }

    /// A view of the whole frame at the beginning of `octets`, which was checked.
    #[inline(always)]
    pub(crate) fn from_whole(whole: &Whole, octets: &'a [u8]) -> Self {
        let (head, body) = whole.split(octets);
        let Whole { command, first, count: len, escaped, .. } = *whole;
        Self { command, head, first, len, escaped, body }
    }

    /// The command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The value of the first header of that name.
    ///
    /// Borrowed, unless the value has an escape in it.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.entries().get(name)
    }

    /// All headers in order.
    pub fn headers(&self) -> HeaderIter<'a> {
        HeaderIter::new(self.entries())
    }

    /// The body; empty if the frame has none.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// An owned frame that shares `slab`, the buffer this view was parsed from.
    ///
    /// What does not lie in `slab` is copied.
    pub fn to_frame(&self, slab: &Bytes) -> Frame {
        let head = share(slab, self.head);
        let headers = Headers::read(&head, 0..self.head.len(), self.first, self.len, self.escaped);
        Frame::from_parts(self.command, headers, share(slab, self.body))
    }

    /// An owned copy that shares no bytes with anything.
    pub fn detach(&self) -> Frame {
        Frame::from_parts(self.command, self.headers().collect(), Bytes::copy_from_slice(self.body))
    }

    pub(crate) fn entries(&self) -> Entries<'a> {
        let Self { first, len, escaped, .. } = *self;
        let (text, end) = (Text::Octets(self.head), self.head.len());
        Entries { text, first: usize::from(first), end, len, escaped }
    }
}

impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameRef")
            .field("command", &self.command)
            .field("headers", &self.entries())
            .field("body", &Abbreviated(self.body))
            .finish()
    }
}

impl fmt::Display for FrameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        frame::display(self.command, self.headers(), self.body, f)
    }
}

/// `part` as a slice of `slab`, or as a copy if it lies elsewhere.
fn share(slab: &Bytes, part: &[u8]) -> Bytes {
    let within = part
        .as_ptr()
        .addr()
        .checked_sub(slab.as_ptr().addr())
        .filter(|from| from.checked_add(part.len()).is_some_and(|end| end <= slab.len()));
    match within {
        Some(from) => slab.slice(from..from + part.len()),
        None => Bytes::copy_from_slice(part),
    }
}
