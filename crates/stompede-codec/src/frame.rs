//! An owned frame.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;
use core::str::Utf8Error;

use bytes::Bytes;

pub(crate) use crate::show::{Abbreviated, display};
use crate::{Command, Headers};

/// One STOMP frame: a command, headers and a body.
///
/// A decoded frame shares the bytes it was read from: cloning it copies no body and no long head, and as long as it
/// lives, so does the whole chunk it came in. [`Frame::detach`] cuts it loose. Header lines of up to 84 octets are copied
/// instead; with those and no body, a RECEIPT for example, a frame shares nothing.
///
/// `Display` writes one line: the headers, of long values the beginning, and the first octets of the body. `Debug` has the
/// same parts. Neither shows the value of a header that carries a secret, by its name such as `passcode` or
/// `x-auth-token`, or by its value such as `Bearer …`.
///
/// ```
/// use stompede_codec::{Command, Frame};
///
/// let frame = Frame::new(Command::Send).with_header("destination", "/queue/a").with_body("hello");
/// assert_eq!(frame.header("destination").as_deref(), Some("/queue/a"));
/// assert_eq!(frame.body_text(), Ok("hello"));
/// assert_eq!(frame.to_string(), r#"SEND destination="/queue/a" body=5 B "hello""#);
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    command: Command,
    headers: Headers,
    /// Never empty: most frames that are no message have no body, and there is nothing to drop then.
    body: Option<Bytes>,
}

/// What a frame without a body shows.
static NO_BODY: Bytes = Bytes::new();

impl Frame {
    /// A frame without headers and without a body.
    pub const fn new(command: Command) -> Self {
        Self { command, headers: Headers::new(), body: None }
    }

    pub(crate) fn from_parts(command: Command, headers: Headers, body: Bytes) -> Self {
        Self { command, headers, body: Some(body).filter(|body| !body.is_empty()) }
    }

    /// As [`from_parts`](Frame::from_parts), for a body that is known not to be empty.
    #[inline(always)]
    pub(crate) const fn from_read(command: Command, headers: Headers, body: Option<Bytes>) -> Self {
        Self { command, headers, body }
    }

    /// Adds a header behind the others, whether or not the name exists already.
    #[inline]
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.set_body(body);
        self
    }

    /// Sets the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = Some(body.into()).filter(|body| !body.is_empty());
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The command.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.get(name)
    }

    /// The body; empty if the frame has none. Cloning it shares it.
    pub fn body(&self) -> &Bytes {
        self.body.as_ref().unwrap_or(&NO_BODY)
    }

    /// The body as UTF-8.
    ///
    /// # Errors
    /// If the body is not UTF-8; the error says where.
    pub fn body_text(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.body())
    }

    /// The body as UTF-8, with U+FFFD in the place of what is not.
    pub fn body_text_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body())
    }

    /// Takes the frame apart.
    pub fn into_parts(self) -> (Command, Headers, Bytes) {
        (self.command, self.headers, self.body.unwrap_or_default())
    }

    /// A copy that shares no bytes with anything.
    ///
    /// A decoded frame of 100 octets keeps the whole chunk alive that it was read in, which may be 64 KiB;
    /// detach what is small and has to wait.
    #[must_use]
    pub fn detach(self) -> Self {
        Self {
            command: self.command,
            headers: self.headers.copied(),
            body: self.body.map(|body| Bytes::copy_from_slice(&body)),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("command", &self.command)
            .field("headers", &self.headers)
            .field("body", &Abbreviated(self.body()))
            .finish()
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.command, self.headers.iter(), self.body(), f)
    }
}
