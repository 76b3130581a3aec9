//! The header list of a frame.

pub(crate) mod escape;
pub(crate) mod name;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytestring::ByteString;

use crate::show::{Text as Shown, Value};

/// The headers of a frame, in order.
///
/// A name may occur more than once; the first entry counts and the later ones are kept, as the specification
/// wants it. Names are case sensitive. Names and values are given and returned as plain text: escapes exist
/// only on the wire.
///
/// Headers that were decoded share the bytes they were read from; changing them copies the text first.
/// `Debug` leaves out the values of headers that carry secrets, such as `passcode` and `authorization`, and shows of long
/// ones the beginning.
///
/// ```
/// use stompede_codec::Headers;
///
/// let mut headers = Headers::from_iter([("destination", "/queue/a"), ("hop", "1")]);
/// headers.push("hop", "2");
/// assert_eq!(headers.get("hop").as_deref(), Some("1"));
/// assert_eq!(headers.get_all("hop").count(), 2);
///
/// headers.insert("hop", "3");
/// assert_eq!(headers.get_all("hop").count(), 1);
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    text: Text,
    index: Vec<Span>,
}

/// The octets of all names and values.
#[derive(Clone)]
enum Text {
    /// As read, each entry `name:value`; `escaped` if there is a backslash that may begin an escape.
    Shared { head: ByteString, escaped: bool },
    /// Our own copy, each entry `name:value` without escapes and without line ends.
    Owned(String),
}

/// Where one entry stands in the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) colon: usize,
    pub(crate) end: usize,
}

impl Headers {
    /// No headers; does not allocate.
    pub const fn new() -> Self {
        Self { text: Text::Owned(String::new()), index: Vec::new() }
    }

    /// Headers as read: `index` points into `head`, and the escapes in there have been checked.
    pub(crate) fn shared(head: ByteString, index: Vec<Span>, escaped: bool) -> Self {
        if index.is_empty() {
            // A head without headers would keep the whole chunk alive for nothing.
            return Self::new();
        }
        Self { text: Text::Shared { head, escaped }, index }
    }

    /// Adds an entry behind the others, whether or not the name exists already.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        let (mut text, mut index) = mem::take(self).into_owned();
        index.push(append(&mut text, name, value));
        *self = Self { text: Text::Owned(text), index };
    }

    /// Sets a header: replaces all entries of that name by one, where the first of them stood.
    pub fn insert(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !self.contains(name) {
            return self.push(name, value);
        }
        let mut replaced = Self::new();
        let mut placed = false;
        for (old_name, old_value) in &*self {
            if old_name != name {
                replaced.push(old_name, old_value);
            } else if !placed {
                replaced.push(name, value);
                placed = true;
            }
        }
        *self = replaced;
    }

    /// Removes all entries of that name; whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let found = self.contains(name);
        if found {
            *self = self.iter().filter(|(other, _)| other != name).collect();
        }
        found
    }

    /// The value of the first entry of that name.
    ///
    /// Borrowed, unless the value was read with an escape in it.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get_all(name).next()
    }

    /// The values of all entries of that name, the one that counts first.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let entries = self.entries();
        entries
            .index
            .iter()
            .filter(move |span| entries.name(span) == name)
            .map(move |span| entries.value(span))
    }

    /// Whether there is an entry of that name.
    pub fn contains(&self, name: &str) -> bool {
        let entries = self.entries();
        entries.index.iter().any(|span| entries.name(span) == name)
    }

    /// All entries in order.
    pub fn iter(&self) -> HeaderIter<'_> {
        HeaderIter { entries: self.entries(), at: 0 }
    }

    /// How many entries there are, repeated ones included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The same headers, sharing no bytes with anything.
    pub(crate) fn detached(self) -> Self {
        let (text, index) = self.into_owned();
        Self { text: Text::Owned(text), index }
    }

    /// Text and index of our own; copies what is shared.
    fn into_owned(self) -> (String, Vec<Span>) {
        if let Text::Owned(text) = self.text {
            return (text, self.index);
        }
        let mut text = String::with_capacity(self.text_len());
        let index = self.iter().map(|(name, value)| append(&mut text, &name, &value)).collect();
        (text, index)
    }

    /// About how many octets the entries take on the wire.
    pub(crate) fn text_len(&self) -> usize {
        self.index.iter().map(|span| span.end - span.start + 1).sum()
    }

    fn entries(&self) -> Entries<'_, '_> {
        let (text, escaped) = match &self.text {
            Text::Shared { head, escaped } => (&**head, *escaped),
            Text::Owned(text) => (text.as_str(), false),
        };
        Entries { text, index: &self.index, escaped }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Owned(String::new())
    }
}

impl PartialEq for Headers {
    /// Compares names and values in order, as the text they stand for.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries().fmt(f)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Headers {
    fn extend<T: IntoIterator<Item = (N, V)>>(&mut self, entries: T) {
        for (name, value) in entries {
            self.push(name, value);
        }
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(entries: T) -> Self {
        let mut headers = Self::new();
        headers.extend(entries);
        headers
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (Cow<'a, str>, Cow<'a, str>);
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The entries of [`Headers`] or of a [`FrameRef`](crate::FrameRef), in order.
#[derive(Clone)]
pub struct HeaderIter<'a> {
    entries: Entries<'a, 'a>,
    at: usize,
}

impl<'a> HeaderIter<'a> {
    pub(crate) fn new(entries: Entries<'a, 'a>) -> Self {
        Self { entries, at: 0 }
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.entries.index.get(self.at)?;
        self.at += 1;
        Some((self.entries.name(span), self.entries.value(span)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.index.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

impl fmt::Debug for HeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

/// A view of header entries, wherever their text lives.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'t, 'i> {
    pub(crate) text: &'t str,
    pub(crate) index: &'i [Span],
    pub(crate) escaped: bool,
}

impl<'t> Entries<'t, '_> {
    /// The value of the first entry of that name.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'t, str>> {
        self.index.iter().find(|span| self.name(span) == name).map(|span| self.value(span))
    }

    fn name(self, span: &Span) -> Cow<'t, str> {
        self.plain(&self.text[span.start..span.colon])
    }

    fn value(self, span: &Span) -> Cow<'t, str> {
        self.plain(&self.text[span.colon + 1..span.end])
    }

    fn plain(self, raw: &'t str) -> Cow<'t, str> {
        if self.escaped { escape::unescape(raw) } else { Cow::Borrowed(raw) }
    }
}

impl fmt::Debug for Entries<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in (HeaderIter { entries: *self, at: 0 }) {
            map.entry(&Shown(&name), &Value { name: &name, value: &value });
        }
        map.finish()
    }
}

/// Appends an entry to a text of our own.
fn append(text: &mut String, name: &str, value: &str) -> Span {
    let start = text.len();
    text.push_str(name);
    let colon = text.len();
    text.push(':');
    text.push_str(value);
    Span { start, colon, end: text.len() }
}
