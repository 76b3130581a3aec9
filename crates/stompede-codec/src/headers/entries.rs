//! A view of header entries, wherever their text lives.

use alloc::borrow::Cow;
use core::{fmt, str};

use super::escape;
use super::index::{Lines, Span, Spans};
use crate::show::{Text as Shown, Value};

/// The text that spans point into.
#[derive(Clone, Copy)]
pub(crate) enum Text<'t> {
    Str(&'t str),
    /// Known to be UTF-8, but safe code has no way to say so without looking again: only what is asked for
    /// is looked at.
    Octets(&'t [u8]),
}

impl<'t> Text<'t> {
    fn octets(self) -> &'t [u8] {
        match self {
            Self::Str(text) => text.as_bytes(),
            Self::Octets(octets) => octets,
        }
    }

    fn part(self, start: usize, end: usize) -> &'t str {
        match self {
            Self::Str(text) => &text[start..end],
            Self::Octets(octets) => str::from_utf8(&octets[start..end]).unwrap_or_default(),
        }
    }
}

/// Header entries in order.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'t, 'i> {
    pub(crate) text: Text<'t>,
    pub(crate) lines: Lines<'i>,
    /// Where the first entry begins; 0 in a text of our own, which has no command in front.
    pub(crate) first: usize,
    /// Whether there is a backslash that may begin an escape.
    pub(crate) escaped: bool,
}

impl<'t: 'i, 'i> Entries<'t, 'i> {
    /// The value of the first entry of that name.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'t, str>> {
        self.all(name).next()
    }

    /// The values of all entries of that name.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'t, str>> + use<'t, 'i, '_> {
        self.spans().filter(move |span| self.is(span, name)).map(move |span| self.value(&span))
    }

    /// Whether there is an entry of that name.
    pub(crate) fn contains(self, name: &str) -> bool {
        self.spans().any(|span| self.is(&span, name))
    }

    /// Names and values as they stand in the text, escapes and all.
    pub(crate) fn raw(self) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t, 'i> {
        self.spans().map(move |span| {
            (self.text.part(span.start, span.colon), self.text.part(span.colon + 1, span.end))
        })
    }

    fn spans(self) -> Spans<'i> {
        self.lines.spans(self.text.octets(), self.first)
    }

    fn name(self, span: &Span) -> Cow<'t, str> {
        self.plain(self.text.part(span.start, span.colon))
    }

    fn value(self, span: &Span) -> Cow<'t, str> {
        self.plain(self.text.part(span.colon + 1, span.end))
    }

    fn plain(self, raw: &'t str) -> Cow<'t, str> {
        if self.escaped { escape::unescape(raw) } else { Cow::Borrowed(raw) }
    }

    fn is(self, span: &Span, name: &str) -> bool {
        let raw = &self.text.octets()[span.start..span.colon];
        if self.escaped && raw.contains(&b'\\') { self.name(span) == name } else { raw == name.as_bytes() }
    }
}

impl fmt::Debug for Entries<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in HeaderIter::new(*self) {
            map.entry(&Shown(&name), &Value { name: &name, value: &value });
        }
        map.finish()
    }
}

/// The entries of [`Headers`](crate::Headers) or of a [`FrameRef`](crate::FrameRef), in order.
#[derive(Clone)]
pub struct HeaderIter<'a> {
    entries: Entries<'a, 'a>,
    spans: Spans<'a>,
}

impl<'a> HeaderIter<'a> {
    pub(crate) fn new(entries: Entries<'a, 'a>) -> Self {
        Self { entries, spans: entries.spans() }
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let span = self.spans.next()?;
        Some((self.entries.name(&span), self.entries.value(&span)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

impl fmt::Debug for HeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}
