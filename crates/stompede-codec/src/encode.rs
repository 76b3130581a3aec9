//! Writing frames.

use alloc::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::headers::escape::{Part, Rules, Unwritable, unescape};
use crate::headers::name;
use crate::{Command, EncodeError, EncodeErrorKind, Frame, Version};

/// Writes frames in the form of one version.
///
/// What the version cannot carry is refused, so a header value can never inject a header or a frame. Lines end
/// in LF, which every version reads.
///
/// ```
/// use bytes::BytesMut;
/// use stompede_codec::{Command, Encoder, Frame, Version};
///
/// let frame = Frame::new(Command::Send).with_header("destination", "/queue/a").with_body("hello");
/// let mut out = BytesMut::new();
/// Encoder::new(Version::V1_2).encode(&frame, &mut out)?;
/// assert_eq!(&out[..], b"SEND\ndestination:/queue/a\ncontent-length:5\n\nhello\0");
/// # Ok::<(), stompede_codec::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encoder {
    version: Version,
    content_length: ContentLength,
}

/// Whether the encoder writes `content-length`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ContentLength {
    /// On SEND, MESSAGE and ERROR with a body, unless the frame has the header already.
    #[default]
    Auto,
    /// Never, not even if the frame has the header; then no body may contain NUL.
    ///
    /// ActiveMQ turns a SEND without it into a text message, one with it into a bytes message.
    Omit,
}

impl Encoder {
    /// An encoder that writes `content-length` as needed.
    ///
    /// A client takes its newest version for CONNECT, which looks the same in all of them, and the negotiated one
    /// from CONNECTED on.
    pub const fn new(version: Version) -> Self {
        Self { version, content_length: ContentLength::Auto }
    }

    /// Chooses whether `content-length` is written.
    #[must_use]
    pub const fn content_length(mut self, content_length: ContentLength) -> Self {
        self.content_length = content_length;
        self
    }

    /// Sets the version whose form is written from the next frame on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// The version whose form is written.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Appends the whole frame with its NUL to `out`.
    ///
    /// # Errors
    /// If the version cannot carry the frame; `out` is as before then.
    pub fn encode(&self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.reserve(head_len(frame) + frame.body().len() + 1);
        self.encode_head(frame, out)?;
        out.put_slice(frame.body());
        out.put_u8(0);
        Ok(())
    }

    /// Appends the command, the headers and the blank line to `out`; the caller sends the body and one NUL behind it.
    ///
    /// For writing a large body from where it is instead of copying it.
    ///
    /// # Errors
    /// If the version cannot carry the frame, its body included; `out` is as before then.
    pub fn encode_head(&self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        let before = out.len();
        self.write_head(frame, out).inspect_err(|_| out.truncate(before))
    }

    fn write_head(&self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        let command = frame.command();
        let length = self.length_to_write(frame)?;
        out.reserve(head_len(frame));
        out.put_slice(command.as_str().as_bytes());
        out.put_u8(b'\n');
        let rules = Rules::for_writing(command, self.version);
        match frame.headers().written() {
            Some((text, escaped))
                if self.content_length == ContentLength::Auto && (!escaped || rules == Rules::V1_2) =>
            {
                out.put_slice(text.as_bytes());
            }
            _ => self.write_headers(frame, rules, out)?,
        }
        if let Some(length) = length {
            out.put_slice(name::CONTENT_LENGTH.as_bytes());
            out.put_u8(b':');
            put_decimal(length, out);
            out.put_u8(b'\n');
        }
        out.put_u8(b'\n');
        Ok(())
    }

    fn write_headers(&self, frame: &Frame, rules: Rules, out: &mut BytesMut) -> Result<(), EncodeError> {
        let command = frame.command();
        let entries = frame.headers().entries();
        let write = if entries.escaped { Rules::write_again } else { Rules::write };
        for (header, value) in entries.raw() {
            if self.content_length == ContentLength::Omit && header == name::CONTENT_LENGTH {
                continue;
            }
            if header.is_empty() {
                return Err(self.error(EncodeErrorKind::EmptyHeaderName, command));
            }
            let written = write(rules, Part::Name, header, out).and_then(|()| {
                out.put_u8(b':');
                write(rules, Part::Value, value, out)
            });
            if let Err(unwritable) = written {
                let header = if entries.escaped { unescape(header) } else { Cow::Borrowed(header) };
                return Err(self.error(unwritable.into(), command).with_header(&header));
            }
            out.put_u8(b'\n');
        }
        Ok(())
    }

    /// Checks command and body; the `content-length` to be added, if one is.
    fn length_to_write(&self, frame: &Frame) -> Result<Option<usize>, EncodeError> {
        let command = frame.command();
        let body = frame.body();
        let early = self.version == Version::V1_0;
        if early && matches!(command, Command::Nack | Command::Stomp) {
            return Err(self.error(EncodeErrorKind::CommandNotInVersion, command));
        }
        if !early && !body.is_empty() && !command.may_have_body() {
            return Err(self.error(EncodeErrorKind::BodyNotAllowed, command));
        }
        let auto = self.content_length == ContentLength::Auto;
        if auto && let Some(given) = frame.header(name::CONTENT_LENGTH) {
            if decimal(&given) != Some(body.len()) {
                let error = self.error(EncodeErrorKind::ContentLengthMismatch, command);
                return Err(error.with_header(name::CONTENT_LENGTH));
            }
            return Ok(None);
        }
        if auto && command.may_have_body() && !body.is_empty() {
            return Ok(Some(body.len()));
        }
        if memchr::memchr(0, body).is_some() {
            return Err(self.error(EncodeErrorKind::NulInBody, command));
        }
        Ok(None)
    }

    fn error(&self, kind: EncodeErrorKind, command: Command) -> EncodeError {
        EncodeError::new(kind, command, self.version)
    }
}

impl From<Unwritable> for EncodeErrorKind {
    fn from(Unwritable(octet): Unwritable) -> Self {
        match octet {
            0 => Self::NulInHeader,
            b':' => Self::ColonInHeaderName,
            _ => Self::LineBreakInHeader,
        }
    }
}

/// About how long the head will be; escapes come on top.
fn head_len(frame: &Frame) -> usize {
    frame.command().as_str().len() + frame.headers().text_len() + LENGTH_LINE
}

fn decimal(text: &str) -> Option<usize> {
    // `parse` alone would take a sign, which no peer has to understand.
    if text.bytes().all(|octet| octet.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn put_decimal(mut number: usize, out: &mut BytesMut) {
    let mut digits = [0; MAX_DIGITS];
    let mut from = MAX_DIGITS;
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(&digits[from..]);
}

/// Digits of the longest length.
const MAX_DIGITS: usize = 20;

/// Octets for `content-length` with its value, and the line feeds of the command and the blank line.
const LENGTH_LINE: usize = name::CONTENT_LENGTH.len() + MAX_DIGITS + 4;
