//! The escapes of header names and values: the one place that knows which version has which.

use alloc::borrow::Cow;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use crate::{Command, Version};

/// How the backslash is read and written in one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rules {
    /// Nothing is escaped: STOMP 1.0, and CONNECT and CONNECTED in every version.
    Literal,
    /// `\n`, `\c` and `\\`; anything else is an error.
    V1_1,
    /// `\r` as well; anything else is an error.
    V1_2,
    /// As 1.2, but what is no escape stands for itself.
    Lenient,
}

/// An octet that the rules have no way to write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unwritable(pub(crate) u8);

impl Rules {
    /// The rules for a frame that was received; `version` is `None` as long as none was negotiated.
    pub(crate) fn for_reading(command: Command, version: Option<Version>) -> Self {
        match (command, version) {
            (Command::Connect | Command::Connected, _) | (_, Some(Version::V1_0)) => Self::Literal,
            (_, Some(Version::V1_1)) => Self::V1_1,
            (_, Some(Version::V1_2)) => Self::V1_2,
            // It answers CONNECT and comes from a server of any version: losing the only explanation
            // over its escaping would help nobody.
            (Command::Error, None) => Self::Lenient,
            (_, None) => Self::V1_2,
        }
    }

    /// The rules for a frame that is to be sent.
    pub(crate) fn for_writing(command: Command, version: Version) -> Self {
        Self::for_reading(command, Some(version))
    }

    /// Whether an octet after a backslash makes an escape.
    fn knows(self, octet: u8) -> bool {
        match octet {
            b'n' | b'c' | b'\\' => self != Self::Literal,
            b'r' => matches!(self, Self::V1_2 | Self::Lenient),
            _ => false,
        }
    }

    /// Where the first backslash stands that begins no escape; `None` if all are fine.
    pub(crate) fn first_undefined(self, text: &[u8]) -> Option<usize> {
        if matches!(self, Self::Literal | Self::Lenient) {
            return None;
        }
        let mut from = 0;
        while let Some(found) = memchr::memchr(b'\\', &text[from..]) {
            let at = from + found;
            match text.get(at + 1) {
                Some(&octet) if self.knows(octet) => from = at + 2,
                _ => return Some(at),
            }
        }
        None
    }

    /// Appends a header value, escaped.
    pub(crate) fn write_value(self, value: &str, out: &mut BytesMut) -> Result<(), Unwritable> {
        let mut rest = value.as_bytes();
        while let Some(at) = rest.iter().position(|&octet| matches!(octet, b'\\' | b':' | b'\n' | b'\r' | 0))
        {
            out.put_slice(&rest[..at]);
            self.write_special(rest[at], out)?;
            rest = &rest[at + 1..];
        }
        out.put_slice(rest);
        Ok(())
    }

    /// Appends a header name, escaped.
    pub(crate) fn write_name(self, name: &str, out: &mut BytesMut) -> Result<(), Unwritable> {
        if self == Self::Literal && name.contains(':') {
            return Err(Unwritable(b':'));
        }
        self.write_value(name, out)
    }

    fn write_special(self, octet: u8, out: &mut BytesMut) -> Result<(), Unwritable> {
        let escape: &[u8] = match (octet, self) {
            (b'\\', Self::Literal) => b"\\",
            (b':', Self::Literal) => b":",
            (b'\\', _) => b"\\\\",
            (b':', _) => b"\\c",
            (b'\n', Self::V1_1 | Self::V1_2 | Self::Lenient) => b"\\n",
            (b'\r', Self::V1_2 | Self::Lenient) => b"\\r",
            _ => return Err(Unwritable(octet)),
        };
        out.put_slice(escape);
        Ok(())
    }
}

/// Resolves the escapes of a text that was checked when it was read; what is no escape stays as it is.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut chars = text[first..].chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let resolved = match chars.as_str().as_bytes().first() {
            Some(b'n') => '\n',
            Some(b'c') => ':',
            Some(b'r') => '\r',
            Some(b'\\') => '\\',
            _ => {
                out.push('\\');
                continue;
            }
        };
        out.push(resolved);
        chars.next();
    }
    Cow::Owned(out)
}
