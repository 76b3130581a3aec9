//! The escapes of header names and values: the one place that knows which version has which.

use alloc::borrow::Cow;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use crate::{Command, Strictness, Version, block};

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
    pub(crate) fn for_reading(command: Command, version: Option<Version>, strictness: Strictness) -> Self {
        match (command, version) {
            (Command::Connect | Command::Connected, _) | (_, Some(Version::V1_0)) => Self::Literal,
            _ if strictness == Strictness::Lenient => Self::Lenient,
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
        Self::for_reading(command, Some(version), Strictness::Strict)
    }

    /// Whether a backslash that begins no escape is an error.
    pub(crate) fn are_strict(self) -> bool {
        matches!(self, Self::V1_1 | Self::V1_2)
    }

    /// What may stand behind a backslash.
    pub(crate) fn escape_letters(self) -> [u8; 4] {
        match self {
            Self::V1_2 | Self::Lenient => *b"ncr\\",
            Self::V1_1 | Self::Literal => *b"nc\\\\",
        }
    }

    /// Appends a name or a value, escaped.
    pub(crate) fn write(self, part: Part, text: &str, out: &mut BytesMut) -> Result<(), Unwritable> {
        let mut rest = text.as_bytes();
        if !is_plain(text) {
            while let Some(at) = rest.iter().position(|&octet| is_special(octet)) {
                out.put_slice(&rest[..at]);
                self.write_special(part, rest[at], out)?;
                rest = &rest[at + 1..];
            }
        }
        out.put_slice(rest);
        Ok(())
    }

    /// As [`write`](Rules::write), for text that was read and still has its escapes, of whatever version.
    pub(crate) fn write_again(self, part: Part, raw: &str, out: &mut BytesMut) -> Result<(), Unwritable> {
        let mut rest = raw;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            self.write(part, &rest[..at], out)?;
            let (octet, len) = resolve(&rest.as_bytes()[at..]);
            self.write_special(part, octet, out)?;
            rest = &rest[at + len..];
        }
        self.write(part, rest, out)
    }

    fn write_special(self, part: Part, octet: u8, out: &mut BytesMut) -> Result<(), Unwritable> {
        let written = match (octet, self) {
            (b'\\', Self::Literal) => Some("\\"),
            (b':', Self::Literal) if part == Part::Value => Some(":"),
            (_, Self::Literal) | (b'\r', Self::V1_1) => None,
            _ => escape(octet),
        };
        out.put_slice(written.ok_or(Unwritable(octet))?.as_bytes());
        Ok(())
    }
}

/// The two parts of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Name,
    Value,
}

/// Whether there is nothing in a text that any version escapes or refuses; `false` for other control characters as well.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    let octets = text.as_bytes();
    // Names and values are short: looking at some octets twice is cheaper than at the last ones each on its own.
    if let (Some(first), Some(last)) = (octets.first_chunk::<16>(), octets.last_chunk::<16>()) {
        let (pieces, _) = octets.as_chunks::<16>();
        let between = pieces.get(1..).unwrap_or_default();
        return is_plain_piece(*first)
            && is_plain_piece(*last)
            && between.iter().all(|piece| is_plain_piece(*piece));
    }
    if let (Some(first), Some(last)) = (octets.first_chunk::<8>(), octets.last_chunk::<8>()) {
        return block::is_plain([u64::from_le_bytes(*first), u64::from_le_bytes(*last)]);
    }
    if let (Some(first), Some(last)) = (octets.first_chunk::<4>(), octets.last_chunk::<4>()) {
        let [first, last] = [*first, *last].map(|octets| u64::from(u32::from_le_bytes(octets)));
        return block::is_plain([first | last << 32; 2]);
    }
    !octets.iter().any(|&octet| is_special(octet))
}

#[inline(always)]
fn is_plain_piece(octets: [u8; 16]) -> bool {
    let both = u128::from_le_bytes(octets);
    block::is_plain([both as u64, (both >> 64) as u64])
}

/// Appends a text escaped as 1.2 does it, NUL as it is; whether there was anything to escape.
pub(crate) fn push(text: &str, out: &mut String) -> bool {
    let before = out.len();
    let mut rest = text;
    let find = |text: &str| text.bytes().enumerate().find_map(|(at, octet)| Some((at, escape(octet)?)));
    while let Some((at, escape)) = find(rest) {
        out.push_str(&rest[..at]);
        out.push_str(escape);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.len() - before > text.len()
}

/// The escape that 1.2 has for an octet.
fn escape(octet: u8) -> Option<&'static str> {
    match octet {
        b'\\' => Some("\\\\"),
        b':' => Some("\\c"),
        b'\n' => Some("\\n"),
        b'\r' => Some("\\r"),
        _ => None,
    }
}

fn is_special(octet: u8) -> bool {
    matches!(octet, b'\\' | b':' | b'\n' | b'\r' | 0)
}

/// What a backslash at the beginning of `text` stands for, and how many octets that takes.
fn resolve(text: &[u8]) -> (u8, usize) {
    match text.get(1) {
        Some(b'n') => (b'\n', 2),
        Some(b'c') => (b':', 2),
        Some(b'r') => (b'\r', 2),
        Some(b'\\') => (b'\\', 2),
        // It was let pass when it was read, and stands for itself.
        _ => (b'\\', 1),
    }
}

/// Resolves the escapes of a text that was checked when it was read; what is no escape stays as it is.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(mut at) = memchr::memchr(b'\\', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        out.push_str(&rest[..at]);
        let (octet, len) = resolve(&rest.as_bytes()[at..]);
        out.push(char::from(octet));
        rest = &rest[at + len..];
        match memchr::memchr(b'\\', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{is_plain, is_special};

    #[test]
    fn what_is_special_is_found_wherever_it_stands() {
        for len in 0..40 {
            let plain = "ä~ /;[\u{e}]\u{7f}".chars().cycle().take(len).collect::<String>();
            assert!(is_plain(&plain), "{plain:?}");
            for at in 0..=plain.len() {
                for octet in (0..0x80_u8).filter(|_| plain.is_char_boundary(at)) {
                    let mut text = plain.clone();
                    text.insert(at, char::from(octet));
                    let other_control = octet < b'\r' && text.len() >= 4;
                    assert_eq!(is_plain(&text), !(is_special(octet) || other_control), "{text:?}");
                }
            }
        }
    }
}
