//! Frames for people and logs: one line, no secrets, nothing endless.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::Command;
use crate::headers::name;

/// Writes a frame on one line.
pub(crate) fn display<'a>(
    command: Command,
    headers: impl ExactSizeIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    body: &[u8],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str(command.as_str())?;
    let beyond = headers.len().saturating_sub(HEADERS_SHOWN);
    for (name, value) in headers.take(HEADERS_SHOWN) {
        write!(f, " {}={:?}", Name(&name), Value { name: &name, value: &value })?;
    }
    if beyond > 0 {
        write!(f, " … {beyond} more headers")?;
    }
    if body.is_empty() { Ok(()) } else { write!(f, " body={:?}", Abbreviated(body)) }
}

/// A header name without quotes where it can be told from what is around it.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'=' | b'"' | b'\\');
        if (1..=TEXT_SHOWN).contains(&self.0.len()) && self.0.bytes().all(is_plain) {
            f.write_str(self.0)
        } else {
            fmt::Debug::fmt(&Text(self.0), f)
        }
    }
}

/// The value of a header, unless it is a secret.
pub(crate) struct Value<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if name::is_secret(self.name) || name::is_credential(self.value) {
            f.write_str(MASK)
        } else {
            fmt::Debug::fmt(&Text(self.value), f)
        }
    }
}

/// A text in quotes; of a long one the length and the beginning.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted and escaped: a line feed must not start a new line in a log.
        if self.0.len() <= TEXT_SHOWN {
            return write!(f, "{:?}", self.0);
        }
        let mut end = TEXT_SHOWN;
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        write!(f, "{} B {:?}…", self.0.len(), &self.0[..end])
    }
}

/// A body as its length and its first octets.
pub(crate) struct Abbreviated<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Abbreviated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(BODY_SHOWN)];
        let cut = shown.len() < self.0.len();
        write!(f, "{} B ", self.0.len())?;
        match core::str::from_utf8(shown) {
            Ok(text) => write!(f, "{text:?}")?,
            // The last character is only cut off.
            Err(error) if cut && error.error_len().is_none() => {
                let text = String::from_utf8_lossy(&shown[..error.valid_up_to()]);
                write!(f, "{text:?}")?;
            }
            Err(_) => write!(f, "\"{}\"", shown.escape_ascii())?,
        }
        f.write_str(if cut { "…" } else { "" })
    }
}

/// What stands in the place of a secret.
const MASK: &str = "\"***\"";

/// Octets of a body that are shown: enough to recognise a message, short enough for one line of a log.
const BODY_SHOWN: usize = 64;

/// Octets of a header's name or value that are shown: ids, destinations and the reasons of brokers fit; a stack trace or a
/// document does not.
const TEXT_SHOWN: usize = 200;

/// Headers that are shown on one line; brokers and applications seldom use more than twenty.
const HEADERS_SHOWN: usize = 32;
