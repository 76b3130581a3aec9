//! The header list of a frame.

mod entries;
pub(crate) mod escape;
mod lines;
pub(crate) mod name;

use alloc::borrow::Cow;
use alloc::string::String;
use core::ops::Range;
use core::{fmt, str};

use bytes::Bytes;

pub use entries::HeaderIter;
pub(crate) use entries::{Entries, Text};

/// The headers of a frame, in order.
///
/// A name may occur more than once; the first entry counts and the later ones are kept, as the specification
/// wants it. Names are case sensitive. Names and values are given and returned as plain text: escapes exist
/// only on the wire.
///
/// Headers that were decoded share the bytes they were read from, unless there are but 84 octets of them; changing them
/// copies the text first.
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
pub struct Headers(Storage);

/// Where names and values are: lines of `name:value`, `len` of them.
#[derive(Clone)]
enum Storage {
    /// As read, known to be UTF-8; the lines begin at `first`.
    Shared { head: Bytes, first: u8, len: usize, escaped: bool },
    /// As read, a copy of the few lines that there are: it is quicker than to share the chunk, and does not keep it alive.
    /// Or our `own`, and nothing in it that any version escapes or refuses, nor a `content-length`: most frames that are made
    /// need no more, and no memory is asked for. The first `text_len` octets are known to be UTF-8.
    Small { text: Aligned, text_len: u8, len: u8, escaped: bool, own: bool },
    /// Our own, escaped as 1.2 does it: what the wire has, unless there is something `odd` that no version can write.
    Owned(Own),
}

#[derive(Clone)]
struct Own {
    text: String,
    len: usize,
    /// Whether a backslash may begin an escape.
    escaped: bool,
    odd: bool,
    length: GivenLength,
}

/// What the first `content-length` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GivenLength {
    None,
    Octets(usize),
    /// It is no decimal number.
    Nonsense,
}

impl GivenLength {
    #[cold] // The encoder adds the length; hardly anybody sets it.
    pub(crate) fn read(value: &str) -> Self {
        // `parse` alone would take a sign, which no peer has to understand.
        let digits = value.bytes().all(|octet| octet.is_ascii_digit());
        value.parse().ok().filter(|_| digits).map_or(Self::Nonsense, Self::Octets)
    }
}

/// A few header lines, and something behind them.
pub(crate) type FewLines = [u8; FEW_LINES];

/// In a place from where it is moved by words.
#[derive(Clone, Copy)]
#[repr(align(4))]
struct Aligned(FewLines);

/// Octets of header lines that are copied rather than shared: so many that a frame takes 128 octets, the most that are
/// moved without the call of a function.
pub(crate) const FEW_LINES: usize = 84;

/// Octets that are reserved for the first header that is added: most frames need no more, and growing from nothing would ask
/// for memory four times on the way.
const FIRST: usize = 128;

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<crate::Frame>() == 128);

impl Headers {
    /// No headers; does not allocate.
    pub const fn new() -> Self {
        Self(Storage::Owned(Own::NONE))
    }

    /// Headers as read: `len` lines, which begin at `first` of the head that stands there in `octets` and was checked.
    pub(crate) fn read(octets: &Bytes, head: Range<usize>, first: u8, len: usize, escaped: bool) -> Self {
        if len == 0 {
            // A head without headers would keep the whole chunk alive for nothing.
            return Self::new();
        }
        let lines = &octets[head.start + usize::from(first)..head.end];
        if lines.len() > FEW_LINES {
            return Self::shared(octets.slice(head), first, len, escaped);
        }
        let mut text = [0; FEW_LINES];
        text[..lines.len()].copy_from_slice(lines);
        Self::few(&text, lines.len(), len, escaped)
    }

    /// Headers as read: `len` lines from `first` on of the whole of this head, which was checked.
    #[inline(always)]
    pub(crate) fn shared(head: Bytes, first: u8, len: usize, escaped: bool) -> Self {
        Self(Storage::Shared { head, first, len, escaped })
    }

    /// Headers as read: `len` lines, which take the first `text_len` of these octets and were checked.
    #[inline(always)]
    pub(crate) fn few(lines: &FewLines, text_len: usize, len: usize, escaped: bool) -> Self {
        let (text_len, len) = (text_len as u8, len as u8);
        Self(Storage::Small { text: Aligned(*lines), text_len, len, escaped, own: false })
    }

    /// Adds an entry behind the others, whether or not the name exists already.
    #[inline]
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        self.push_line(name.as_ref(), value.as_ref());
    }

    fn push_line(&mut self, name: &str, value: &str) {
        if self.push_small(name, value) {
            return;
        }
        if !matches!(self.0, Storage::Owned(_)) {
            self.0 = Storage::Owned(self.to_own());
        }
        if let Storage::Owned(own) = &mut self.0 {
            own.push(name, value);
        }
    }

    /// Adds a line to few others, if it fits there and there is nothing to think about; whether it did.
    fn push_small(&mut self, name: &str, value: &str) -> bool {
        if name.is_empty()
            || name.len() > FEW_LINES
            || value.len() > FEW_LINES
            || name == name::CONTENT_LENGTH
        {
            return false;
        }
        if let Storage::Owned(Own { text, .. }) = &self.0
            && text.capacity() == 0
        {
            let text = Aligned([0; FEW_LINES]);
            self.0 = Storage::Small { text, text_len: 0, len: 0, escaped: false, own: true };
        }
        let Storage::Small { text, text_len, len, own: true, .. } = &mut self.0 else { return false };
        let start = usize::from(*text_len);
        let line = text.0.get_mut(start..start + name.len() + value.len() + 2);
        let Some(line) = line.filter(|_| escape::is_plain(name) && escape::is_plain(value)) else {
            return false;
        };
        *text_len += line.len() as u8;
        *len += 1;
        let (name_part, rest) = line.split_at_mut(name.len());
        name_part.copy_from_slice(name.as_bytes());
        if let [colon, value_part @ .., end] = rest {
            (*colon, *end) = (b':', b'\n');
            value_part.copy_from_slice(value.as_bytes());
        }
        true
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
        self.entries().get(name)
    }

    /// The value of the first entry of that name as it stands in memory: with the escapes of STOMP 1.1 and 1.2 if it was read
    /// with any, or if it was pushed with what they are for.
    ///
    /// Looks at no more than it has to. Quicker than [`get`](Self::get) for comparing a value with one that needs no escapes.
    ///
    /// ```
    /// # use stompede_codec::Headers;
    /// let headers = Headers::from_iter([("receipt-id", "r-1"), ("path", "a:b")]);
    /// assert_eq!(headers.get_raw("receipt-id"), Some(&b"r-1"[..]));
    /// assert_eq!(headers.get_raw("path"), Some(&b"a\\cb"[..]));
    /// ```
    #[inline]
    pub fn get_raw(&self, name: &str) -> Option<&[u8]> {
        self.entries().get_raw(name)
    }

    /// The values of all entries of that name, the one that counts first.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.entries().all(name)
    }

    /// Whether there is an entry of that name.
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        self.entries().contains(name)
    }

    /// All entries in order.
    pub fn iter(&self) -> HeaderIter<'_> {
        HeaderIter::new(self.entries())
    }

    /// How many entries there are, repeated ones included.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Storage::Shared { len, .. } | Storage::Owned(Own { len, .. }) => *len,
            Storage::Small { len, .. } => usize::from(*len),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same headers, sharing no bytes with anything.
    pub(crate) fn copied(&self) -> Self {
        match &self.0 {
            Storage::Small { .. } => self.clone(),
            Storage::Shared { .. } | Storage::Owned(_) => Self(Storage::Owned(self.to_own())),
        }
    }

    /// The same headers as our own, with room for more.
    fn to_own(&self) -> Own {
        let text = String::with_capacity((2 * self.text_len()).max(FIRST));
        let mut own = Own { text, ..Own::NONE };
        match &self.0 {
            Storage::Small { text, text_len, len, own: true, .. } => {
                own.text.push_str(str::from_utf8(&text.0[..usize::from(*text_len)]).unwrap_or_default());
                own.len = usize::from(*len);
            }
            _ => self.iter().for_each(|(name, value)| own.push(&name, &value)),
        }
        own
    }

    /// About how many octets the entries take on the wire.
    pub(crate) fn text_len(&self) -> usize {
        let Entries { first, end, .. } = self.entries();
        end - first
    }

    /// All entries as the wire has them, if 1.2 can carry them, and whether any of them has an escape.
    pub(crate) fn written(&self) -> Option<(&[u8], bool)> {
        match &self.0 {
            Storage::Small { text, text_len, own: true, .. } => {
                Some((text.0.get(..usize::from(*text_len))?, false))
            }
            Storage::Owned(Own { text, escaped, odd: false, .. }) => Some((text.as_bytes(), *escaped)),
            _ => None,
        }
    }

    /// All entries as the wire has them in every version, if there is nothing to escape in them and no `content-length`.
    pub(crate) fn plain_text(&self) -> Option<&[u8]> {
        match &self.0 {
            Storage::Small { text, text_len, own: true, .. } => text.0.get(..usize::from(*text_len)),
            Storage::Owned(Own { text, escaped: false, odd: false, length: GivenLength::None, .. }) => {
                Some(text.as_bytes())
            }
            _ => None,
        }
    }

    /// What the first `content-length` says.
    pub(crate) fn content_length(&self) -> GivenLength {
        match &self.0 {
            Storage::Small { own: true, .. } => GivenLength::None,
            Storage::Shared { .. } | Storage::Small { .. } => {
                self.get(name::CONTENT_LENGTH).map_or(GivenLength::None, |value| GivenLength::read(&value))
            }
            Storage::Owned(own) => own.length,
        }
    }

    #[inline]
    pub(crate) fn entries(&self) -> Entries<'_> {
        match &self.0 {
            Storage::Shared { head, first, len, escaped } => {
                let (text, end) = (Text::Octets(head), head.len());
                Entries { text, first: usize::from(*first), end, len: *len, escaped: *escaped }
            }
            Storage::Small { text, text_len, len, escaped, .. } => {
                let (text, end) = (Text::Octets(&text.0), usize::from(*text_len));
                Entries { text, first: 0, end, len: usize::from(*len), escaped: *escaped }
            }
            Storage::Owned(Own { text, len, escaped, .. }) => {
                Entries { text: Text::Str(text), first: 0, end: text.len(), len: *len, escaped: *escaped }
            }
        }
    }
}

impl Own {
    /// No headers; does not allocate.
    const NONE: Self =
        Self { text: String::new(), len: 0, escaped: false, odd: false, length: GivenLength::None };

    fn push(&mut self, name: &str, value: &str) {
        if self.length == GivenLength::None && name == name::CONTENT_LENGTH {
            self.length = GivenLength::read(value);
        }
        self.odd |= name.is_empty();
        let len = name.len() + value.len() + 2;
        if self.text.capacity() == 0 {
            self.text = String::with_capacity(len.max(FIRST));
        } else {
            self.text.reserve(len);
        }
        self.push_part(name);
        self.text.push(':');
        self.push_part(value);
        self.text.push('\n');
        self.len += 1;
    }

    #[inline(always)]
    fn push_part(&mut self, part: &str) {
        if escape::is_plain(part) {
            self.text.push_str(part);
        } else {
            self.odd |= part.contains('\0');
            self.escaped |= escape::push(part, &mut self.text);
        }
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
