//! A frame that borrows its bytes.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::decode::{parse, scan};
use crate::frame::{self, Abbreviated};
use crate::headers::{Entries, HeaderIter, Span};
use crate::{Command, DecodeError, DecodeErrorKind, Frame, Headers, Version};

/// One whole frame that was read in place: it borrows the octets and copies nothing.
///
/// For looking at a frame that lies in memory anyway; a stream is the business of
/// [`Decoder`](crate::Decoder).
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
#[derive(Clone)]
pub struct FrameRef<'a> {
    command: Command,
    head: &'a str,
    index: Vec<Span>,
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
        let extent = scan::whole(octets)?;
        if extent.len() < octets.len() {
            return Err(DecodeError::new(DecodeErrorKind::TrailingOctets, extent.len() as u64));
        }
        let head = core::str::from_utf8(&octets[..extent.head_len])
            .map_err(|error| DecodeError::new(DecodeErrorKind::NotUtf8, error.valid_up_to() as u64))?;
        let parsed = parse::head(head, version, extent.header_count).map_err(|fault| fault.at(0))?;
        Ok(Self {
            command: parsed.command,
            head,
            index: parsed.index,
            escaped: parsed.escaped,
            body: &octets[extent.body()],
        })
    }

    /// The command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<Cow<'a, str>> {
        self.entries().get(name)
    }

    /// All headers in order.
    pub fn headers(&self) -> HeaderIter<'_> {
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
        // Safe code has no way to keep the result of the first check of a borrowed head, so a view that is
        // turned into a frame has its head checked again; the decoder does not take this way.
        let head = ByteString::try_from(share(slab, self.head.as_bytes()))
            .unwrap_or_else(|_| ByteString::from(self.head));
        let headers = Headers::shared(head, self.index.clone(), self.escaped);
        Frame::from_parts(self.command, headers, share(slab, self.body))
    }

    fn entries(&self) -> Entries<'a, '_> {
        Entries { text: self.head, index: &self.index, escaped: self.escaped }
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
