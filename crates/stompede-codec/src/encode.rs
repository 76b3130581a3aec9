//! Writing frames.

use alloc::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::headers::escape::{Part, Rules, Unwritable, unescape};
use crate::headers::{GivenLength, name};
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
        if self.put_usual_head(frame, out) { Ok(()) } else { self.encode_head_and(frame, None, out) }
    }

    /// Appends the head of a message in which nothing is to be escaped, refused or looked for, as nearly all are; whether
    /// it did.
    fn put_usual_head(&self, frame: &Frame, out: &mut BytesMut) -> bool {
        let (command, body) = (frame.command(), frame.body());
        let has_length =
            self.content_length == ContentLength::Auto && command.may_have_body() && !body.is_empty();
        let Some(text) = frame.headers().plain_text().filter(|_| has_length) else { return false };
        let line = command.line();
        out.reserve(line.len() + text.len() + LENGTH_LINE);
        out.put_slice(line);
        out.put_slice(text);
        put_length_and_blank_line(body.len(), out);
        true
    }

    /// As [`encode_head`](Self::encode_head), with one more header, which the frame does not have.
    ///
    /// For what concerns the connection and not the message, such as `receipt`.
    ///
    /// # Errors
    /// If the version cannot carry the frame, its body included, or the header; `out` is as before then.
    pub fn encode_head_with(
        &self,
        frame: &Frame,
        (header, value): (&str, &str),
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        self.encode_head_and(frame, Some((header, value)), out)
    }

    fn encode_head_and(
        &self,
        frame: &Frame,
        more: Option<(&str, &str)>,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let before = out.len();
        self.write_head(frame, more, out).inspect_err(|_| out.truncate(before))
    }

    fn write_head(
        &self,
        frame: &Frame,
        more: Option<(&str, &str)>,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let command = frame.command();
        let length = self.length_to_write(frame, more)?;
        let rules = Rules::for_writing(command, self.version);
        out.reserve(head_len(frame));
        out.put_slice(command.line());
        match self.text_as_it_is(frame, rules) {
            Some(text) => out.put_slice(text),
            None => self.write_headers(frame, rules, out)?,
        }
        if let Some((header, value)) = more.filter(|more| !self.omits(more.0)) {
            self.write_header(command, rules, (header, value), out)?;
        }
        match length {
            Some(length) => put_length_and_blank_line(length, out),
            None => out.put_u8(b'\n'),
        }
        Ok(())
    }

    /// All header lines, if they stand in memory as they are to be written.
    fn text_as_it_is<'f>(&self, frame: &'f Frame, rules: Rules) -> Option<&'f [u8]> {
        let headers = frame.headers();
        let (text, escaped) = headers.written()?;
        let as_given =
            self.content_length == ContentLength::Auto || headers.content_length() == GivenLength::None;
        (as_given && (!escaped || rules == Rules::V1_2)).then_some(text)
    }

    fn omits(&self, header: &str) -> bool {
        self.content_length == ContentLength::Omit && header == name::CONTENT_LENGTH
    }

    fn write_headers(&self, frame: &Frame, rules: Rules, out: &mut BytesMut) -> Result<(), EncodeError> {
        let command = frame.command();
        let entries = frame.headers().entries();
        let write = if entries.escaped { Rules::write_again } else { Rules::write };
        for (header, value) in entries.raw() {
            if self.omits(header) {
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

    fn write_header(
        &self,
        command: Command,
        rules: Rules,
        (header, value): (&str, &str),
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if header.is_empty() {
            return Err(self.error(EncodeErrorKind::EmptyHeaderName, command));
        }
        let written = rules.write(Part::Name, header, out).and_then(|()| {
            out.put_u8(b':');
            rules.write(Part::Value, value, out)
        });
        written.map_err(|unwritable| self.error(unwritable.into(), command).with_header(header))?;
        out.put_u8(b'\n');
        Ok(())
    }

    /// Checks command and body; the `content-length` to be added, if one is.
    fn length_to_write(
        &self,
        frame: &Frame,
        more: Option<(&str, &str)>,
    ) -> Result<Option<usize>, EncodeError> {
        let command = frame.command();
        let body = frame.body();
        let early = self.version == Version::V1_0;
        if !command.exists_in(self.version) {
            return Err(self.error(EncodeErrorKind::CommandNotInVersion, command));
        }
        if !early && !body.is_empty() && !command.may_have_body() {
            return Err(self.error(EncodeErrorKind::BodyNotAllowed, command));
        }
        let auto = self.content_length == ContentLength::Auto;
        if auto {
            let given = match (frame.headers().content_length(), more) {
                (GivenLength::None, Some((name::CONTENT_LENGTH, value))) => GivenLength::read(value),
                (given, _) => given,
            };
            match given {
                GivenLength::None => {}
                GivenLength::Octets(given) if given == body.len() => return Ok(None),
                GivenLength::Octets(_) | GivenLength::Nonsense => {
                    let error = self.error(EncodeErrorKind::ContentLengthMismatch, command);
                    return Err(error.with_header(name::CONTENT_LENGTH));
                }
            }
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
    frame.command().line().len() + frame.headers().text_len() + LENGTH_LINE
}

/// Appends the line with the length of the body, and the blank line.
fn put_length_and_blank_line(length: usize, out: &mut BytesMut) {
    // Put together and appended at once: each part alone would cost as much as the whole.
    match length {
        0..10 => put_line::<1>(length, out),
        10..100 => put_line::<2>(length, out),
        100..1_000 => put_line::<3>(length, out),
        1_000..10_000 => put_line::<4>(length, out),
        _ => {
            let digits = length.checked_ilog10().unwrap_or(0) as usize + 1;
            let (line, end) = length_line(length, digits);
            out.put_slice(&line[..end]);
        }
    }
}

/// The same for so many digits: the compiler knows how much there is to do.
#[inline(always)]
fn put_line<const DIGITS: usize>(length: usize, out: &mut BytesMut) {
    let (line, end) = length_line(length, DIGITS);
    out.put_slice(&line[..end]);
}

#[inline(always)]
fn length_line(mut length: usize, digits: usize) -> ([u8; LENGTH_LINE], usize) {
    const NAME: &[u8] = name::CONTENT_LENGTH_COLON.as_bytes();
    let mut line = [b'\n'; LENGTH_LINE];
    line[..NAME.len()].copy_from_slice(NAME);
    for digit in line[NAME.len()..NAME.len() + digits].iter_mut().rev() {
        *digit = b'0' + (length % 10) as u8;
        length /= 10;
    }
    (line, NAME.len() + digits + 2)
}

/// Octets for the longest length with its name and two line feeds.
const LENGTH_LINE: usize = name::CONTENT_LENGTH_COLON.len() + 20 + 2;
