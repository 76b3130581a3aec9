//! Bodies as text in the charset that `content-type` names (feature `encoding`).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, mem};

use crate::Frame;
use crate::headers::name::CONTENT_TYPE;

/// Text in the charset of `content-type` (feature `encoding`).
///
/// The charset is the parameter `charset` of the first `content-type` header; without one it is UTF-8, as the specification
/// says for `text/*` and as JSON and XML want it. `us-ascii`, `iso-8859-1` and `utf-16` mean what their registrations say,
/// since peers in Java read and write them so; all other labels mean what the Encoding Standard of the
/// WHATWG says.
///
/// A byte order mark of UTF-8 or UTF-16 at the beginning is not part of the text; it never changes the charset. `utf-16`
/// alone is read in the order of its mark, big-endian without one, and written big-endian with one.
impl Frame {
    /// The body as text; borrowed where the octets are the text already.
    ///
    /// [`body_text`](Frame::body_text) is for bodies that are known to be UTF-8, whatever their `content-type` says.
    ///
    /// ```
    /// use stompede_codec::{Command, Frame};
    ///
    /// let frame = Frame::new(Command::Message)
    ///     .with_header("content-type", "text/plain;charset=ISO-8859-15")
    ///     .with_body(&b"10 \xa4"[..]);
    /// assert_eq!(frame.decode_text().as_deref(), Ok("10 €"));
    /// ```
    ///
    /// # Errors
    /// If the charset is not known, or the body is malformed in it.
    pub fn decode_text(&self) -> Result<Cow<'_, str>, CharsetError> {
        self.charset()?.decode(self.body())
    }

    /// The body as text, with U+FFFD in the place of what is malformed.
    ///
    /// # Errors
    /// If the charset is not known: nothing of the text could be told then.
    pub fn decode_text_lossy(&self) -> Result<Cow<'_, str>, CharsetError> {
        Ok(self.charset()?.decode_lossy(self.body()))
    }

    /// Sets the header `content-type` to `content_type` and the body to `text` in the charset that it names.
    ///
    /// ```
    /// use stompede_codec::{Command, Frame};
    ///
    /// let frame = Frame::new(Command::Send).with_text("text/plain;charset=windows-1251", "да")?;
    /// assert_eq!(&frame.body()[..], b"\xe4\xe0");
    /// # Ok::<(), stompede_codec::CharsetError>(())
    /// ```
    ///
    /// # Errors
    /// As [`set_text`](Frame::set_text).
    pub fn with_text(mut self, content_type: &str, text: &str) -> Result<Self, CharsetError> {
        self.set_text(content_type, text)?;
        Ok(self)
    }

    /// As [`with_text`](Frame::with_text), in place.
    ///
    /// # Errors
    /// If the charset is not known, or has not all characters of the text; the frame is as before then.
    pub fn set_text(&mut self, content_type: &str, text: &str) -> Result<(), CharsetError> {
        let body = Charset::of(content_type)?.encode(text)?;
        self.headers_mut().insert(CONTENT_TYPE, content_type);
        self.set_body(body);
        Ok(())
    }

    fn charset(&self) -> Result<Charset, CharsetError> {
        self.header(CONTENT_TYPE).map_or(Ok(Charset::Standard(UTF_8)), |text| Charset::of(&text))
    }
}

/// A body that is not text in its charset, or a text that cannot be written in one.
///
/// It shows the label of the charset and nothing of the text.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CharsetError {
    /// `content-type` names a charset that is not known.
    #[error("charset {label:?} is not known; the body can still be read as octets")]
    Unknown {
        /// The label, its first 40 characters at most.
        label: Box<str>,
    },
    /// The body has octets that mean nothing in its charset.
    #[error("the body is not {charset}: octet {at} of it means nothing there")]
    Malformed {
        /// The charset.
        charset: &'static str,
        /// Where, in octets from the beginning of the body.
        at: usize,
    },
    /// The text has a character that the charset does not have.
    #[error("{charset} does not have the character at octet {at} of the text; UTF-8 has them all")]
    Unmappable {
        /// The charset.
        charset: &'static str,
        /// Where, in octets from the beginning of the text.
        at: usize,
    },
}

/// What a label stands for.
#[derive(Clone, Copy)]
enum Charset {
    /// Seven bits; the Encoding Standard would take windows-1252 for it.
    Ascii,
    /// The first 256 characters of Unicode; the Encoding Standard would take windows-1252 for it.
    Latin1,
    /// In the order of the byte order mark; the Encoding Standard would take the little-endian one.
    Utf16,
    /// By the Encoding Standard.
    Standard(&'static Encoding),
}

impl Charset {
    /// The charset of a media type.
    fn of(content_type: &str) -> Result<Self, CharsetError> {
        let Some(label) = charset_parameter(content_type) else { return Ok(Self::Standard(UTF_8)) };
        let Some(encoding) = Encoding::for_label_no_replacement(label.as_bytes()) else {
            return Err(CharsetError::Unknown { label: label.chars().take(LABEL_SHOWN).collect() });
        };
        let is_one_of = |labels: &[&str]| labels.iter().any(|one| label.eq_ignore_ascii_case(one));
        Ok(if encoding == WINDOWS_1252 && is_one_of(&["us-ascii", "ascii", "ansi_x3.4-1968"]) {
            Self::Ascii
        } else if encoding == WINDOWS_1252 && !is_one_of(&["windows-1252", "cp1252", "x-cp1252"]) {
            Self::Latin1
        } else if is_one_of(&["utf-16"]) {
            Self::Utf16
        } else {
            Self::Standard(encoding)
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ascii => "US-ASCII",
            Self::Latin1 => "ISO-8859-1",
            Self::Utf16 => "UTF-16",
            Self::Standard(encoding) => encoding.name(),
        }
    }

    fn decode(self, body: &[u8]) -> Result<Cow<'_, str>, CharsetError> {
        let malformed = |at| CharsetError::Malformed { charset: self.name(), at };
        match self {
            Self::Latin1 => Ok(mem::decode_latin1(body)),
            Self::Ascii => match body.iter().position(|octet| !octet.is_ascii()) {
                None => Ok(mem::decode_latin1(body)),
                Some(at) => Err(malformed(at)),
            },
            Self::Utf16 | Self::Standard(_) => {
                let (encoding, text) = self.without_mark(body);
                encoding
                    .decode_without_bom_handling_and_without_replacement(text)
                    .ok_or_else(|| malformed(body.len() - text.len() + first_malformed(encoding, text)))
            }
        }
    }

    fn decode_lossy(self, body: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Latin1 => mem::decode_latin1(body),
            Self::Ascii if body.is_ascii() => mem::decode_latin1(body),
            Self::Ascii => {
                let shown = |&octet: &u8| if octet.is_ascii() { char::from(octet) } else { '\u{fffd}' };
                body.iter().map(shown).collect::<String>().into()
            }
            Self::Utf16 | Self::Standard(_) => {
                let (encoding, text) = self.without_mark(body);
                encoding.decode_without_bom_handling(text).0
            }
        }
    }

    /// The encoding to decode with, and the body without its byte order mark.
    fn without_mark(self, body: &[u8]) -> (&'static Encoding, &[u8]) {
        let encoding = match self {
            Self::Standard(encoding) => encoding,
            _ if body.starts_with(b"\xff\xfe") => UTF_16LE,
            _ => UTF_16BE,
        };
        match Encoding::for_bom(body) {
            Some((marked, len)) if marked == encoding => (encoding, &body[len..]),
            _ => (encoding, body),
        }
    }

    fn encode(self, text: &str) -> Result<Vec<u8>, CharsetError> {
        let unmappable = |at| CharsetError::Unmappable { charset: self.name(), at };
        let beyond = |last| text.char_indices().find(move |&(_, c)| c > last).map(|(at, _)| at);
        match self {
            Self::Ascii => beyond('\x7f').map_or_else(|| Ok(text.into()), |at| Err(unmappable(at))),
            Self::Latin1 => match beyond('\u{ff}') {
                None => Ok(mem::encode_latin1_lossy(text).into_owned()),
                Some(at) => Err(unmappable(at)),
            },
            Self::Utf16 => {
                Ok(utf16("\u{feff}", u16::to_be_bytes).chain(utf16(text, u16::to_be_bytes)).collect())
            }
            // The Encoding Standard only reads UTF-16.
            Self::Standard(encoding) if encoding == UTF_16BE => Ok(utf16(text, u16::to_be_bytes).collect()),
            Self::Standard(encoding) if encoding == UTF_16LE => Ok(utf16(text, u16::to_le_bytes).collect()),
            Self::Standard(encoding) => match encode_exactly(encoding, text) {
                Some(octets) => Ok(octets.into_owned()),
                None => {
                    let lost = |&(_, c): &(usize, char)| {
                        encode_exactly(encoding, c.encode_utf8(&mut [0; 4])).is_none()
                    };
                    // One character at least is lost, or the text as a whole would not be.
                    Err(unmappable(text.char_indices().find(lost).map_or(0, |(at, _)| at)))
                }
            },
        }
    }
}

/// The text in a charset, unless it would be read back as another one.
///
/// Some charsets have a place for a similar character: Shift_JIS writes a yen sign as a backslash.
fn encode_exactly<'a>(encoding: &'static Encoding, text: &'a str) -> Option<Cow<'a, [u8]>> {
    let (octets, _, lossy) = encoding.encode(text);
    if lossy {
        return None;
    }
    let same = encoding == UTF_8
        || encoding
            .decode_without_bom_handling_and_without_replacement(&octets)
            .is_some_and(|read| read == text);
    same.then_some(octets)
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> impl Iterator<Item = u8> {
    text.encode_utf16().flat_map(order)
}

/// Where a text that does not decode goes wrong.
fn first_malformed(encoding: &'static Encoding, text: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = [0; 1024];
    let mut seen = 0;
    loop {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(&text[seen..], &mut scratch, true);
        seen += read;
        match result {
            DecoderResult::OutputFull => {}
            DecoderResult::InputEmpty => return seen,
            // As many octets were malformed, and as many were read behind them.
            DecoderResult::Malformed(bad, behind) => {
                return seen.saturating_sub(usize::from(bad) + usize::from(behind));
            }
        }
    }
}

/// The parameter `charset` of a media type, such as `text/plain; charset="utf-8"`; the first one if there are several.
fn charset_parameter(content_type: &str) -> Option<Cow<'_, str>> {
    let (_, mut rest) = content_type.split_once(';')?;
    loop {
        let end = rest.find(['=', ';'])?;
        let name = rest[..end].trim();
        let is_parameter = rest[end..].starts_with('=');
        rest = &rest[end + 1..];
        if !is_parameter {
            continue;
        }
        let value = parameter_value(&mut rest);
        if name.eq_ignore_ascii_case("charset") {
            return Some(value);
        }
    }
}

/// Takes the value of a parameter and the semicolon behind it.
fn parameter_value<'a>(rest: &mut &'a str) -> Cow<'a, str> {
    let value = match rest.trim_start().strip_prefix('"') {
        None => None,
        Some(quoted) => {
            let mut text = String::new();
            let mut chars = quoted.chars();
            // A quote that is never closed goes on to the end.
            while let Some(c) = chars.next().filter(|&c| c != '"') {
                text.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            *rest = chars.as_str();
            Some(text)
        }
    };
    let (before, after) = rest.split_once(';').unwrap_or((rest, ""));
    *rest = after;
    value.map_or(Cow::Borrowed(before.trim()), Cow::Owned)
}

/// Characters of an unknown label that an error shows; the longest label that is known has 19.
const LABEL_SHOWN: usize = 40;
