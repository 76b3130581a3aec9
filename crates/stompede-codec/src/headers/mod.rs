//! The header list of a frame.

mod entries;
pub(crate) mod escape;
mod index;
pub(crate) mod name;

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use bytestring::ByteString;

pub use entries::HeaderIter;
pub(crate) use entries::{Entries, Text};
pub(crate) use index::{Index, Line, Lines};

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
#[derive(Clone)]
pub struct Headers {
    text: Storage,
    index: Index,
}

/// The octets of all names and values.
#[derive(Clone)]
enum Storage {
    /// As read, from the command on; `escaped` if there is a backslash that may begin an escape.
    Shared { head: ByteString, first: u8, escaped: bool },
    /// Our own copy, each entry `name:value` and a line feed, without escapes: what the wire has, where nothing needs to be
    /// escaped or refused, which is the case if it is `plain`.
    Owned { text: String, plain: bool },
}

impl Headers {
    /// No headers; does not allocate.
    pub const fn new() -> Self {
        Self { text: Storage::Owned { text: String::new(), plain: true }, index: Index::new() }
    }

    /// Headers as read: `index` points into `head`, where the first entry begins at `first`, and the escapes in there have
    /// been checked.
    #[inline]
    pub(crate) fn shared(head: ByteString, first: u8, index: Index, escaped: bool) -> Self {
        if index.len() == 0 {
            // A head without headers would keep the whole chunk alive for nothing.
            return Self::new();
        }
        Self { text: Storage::Shared { head, first, escaped }, index }
    }

    /// Adds an entry behind the others, whether or not the name exists already.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        if let Storage::Shared { .. } = self.text {
            *self = self.copied();
        }
        if let Storage::Owned { text, plain } = &mut self.text {
            let (name, value) = (name.as_ref(), value.as_ref());
            *plain = *plain && !name.is_empty() && escape::is_plain(name) && escape::is_plain(value);
            text.reserve(name.len() + value.len() + 2);
            text.push_str(name);
            let colon = text.len();
            text.push(':');
            text.push_str(value);
            self.index.push(colon, text.len());
            text.push('\n');
        }
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
        self.entries().all(name)
    }

    /// Whether there is an entry of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries().contains(name)
    }

    /// All entries in order.
    pub fn iter(&self) -> HeaderIter<'_> {
        HeaderIter::new(self.entries())
    }

    /// How many entries there are, repeated ones included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// The same headers, sharing no bytes with anything.
    pub(crate) fn copied(&self) -> Self {
        let text = String::with_capacity(self.text_len());
        let mut copy = Self { text: Storage::Owned { text, plain: true }, index: Index::new() };
        copy.extend(self);
        copy
    }

    /// About how many octets the entries take on the wire.
    pub(crate) fn text_len(&self) -> usize {
        match &self.text {
            Storage::Shared { head, first, .. } => head.len() - usize::from(*first),
            Storage::Owned { text, .. } => text.len(),
        }
    }

    /// All entries as the wire has them, if nothing in them needs to be escaped or refused in any version.
    pub(crate) fn plain(&self) -> Option<&str> {
        match &self.text {
            Storage::Owned { text, plain: true } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> Entries<'_, '_> {
        let (text, first, escaped) = match &self.text {
            Storage::Shared { head, first, escaped } => (&**head, usize::from(*first), *escaped),
            Storage::Owned { text, .. } => (text.as_str(), 0, false),
        };
        Entries { text: Text::Str(text), lines: self.index.lines(), first, escaped }
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self::new()
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
