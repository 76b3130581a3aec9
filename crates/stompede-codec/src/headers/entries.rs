//! A view of header entries, wherever their text lives.

use alloc::borrow::Cow;
use core::{fmt, str};

use super::escape;
use super::lines::{Line, Lines};
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
    pub(super) fn octets(self) -> &'t [u8] {
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

/// Header entries in order: lines of `name:value`, escaped as 1.2 does it or not at all.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'t> {
    pub(crate) text: Text<'t>,
    /// Where the first entry begins.
    pub(crate) first: usize,
    /// Where they have ended: what stands from there on is something else.
    pub(crate) end: usize,
    /// How many there are.
    pub(crate) len: usize,
    /// Whether a backslash may begin an escape.
    pub(crate) escaped: bool,
}

impl<'t> Entries<'t> {
    /// The value of the first entry of that name.
    #[inline]
    pub(crate) fn get(self, name: &str) -> Option<Cow<'t, str>> {
        self.find(name).map(|line| self.value(&line))
    }

    /// The value of the first entry of that name as it stands in the text.
    #[inline]
    pub(crate) fn get_raw(self, name: &str) -> Option<&'t [u8]> {
        self.find(name).and_then(|line| self.text.octets().get(line.colon + 1..line.end))
    }

    /// The values of all entries of that name.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'t, str>> + use<'t, '_> {
        let to_the_letter = self.stands_to_the_letter(name);
        self.lines()
            .filter(move |line| self.is_named(line, name, to_the_letter))
            .map(move |line| self.value(&line))
    }

    /// Whether there is an entry of that name.
    #[inline]
    pub(crate) fn contains(self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Names and values as they stand in the text, escapes and all.
    pub(crate) fn raw(self) -> impl Iterator<Item = (&'t str, &'t str)> + use<'t> {
        self.lines().map(move |line| {
            (self.text.part(line.start, line.colon), self.text.part(line.colon + 1, line.end))
        })
    }

    #[inline(always)]
    fn find(self, name: &str) -> Option<Line> {
        if self.stands_to_the_letter(name) { self.lines().find(name) } else { self.find_special(name) }
    }

    #[cold]
    #[inline(never)]
    fn find_special(self, name: &str) -> Option<Line> {
        Iterator::find(&mut self.lines(), |line| self.name(line) == name)
    }

    /// Whether this name is there to the letter or not at all. What escapes stand for is never plain.
    #[inline(always)]
    fn stands_to_the_letter(self, name: &str) -> bool {
        !self.escaped || escape::is_plain(name)
    }

    fn is_named(self, line: &Line, name: &str, to_the_letter: bool) -> bool {
        if to_the_letter {
            self.text.octets()[line.start..line.colon] == *name.as_bytes()
        } else {
            self.name(line) == name
        }
    }

    fn lines(self) -> Lines<'t> {
        Lines::new(self.text.octets(), self.first, self.end, self.len)
    }

    fn name(self, line: &Line) -> Cow<'t, str> {
        self.plain(self.text.part(line.start, line.colon))
    }

    fn value(self, line: &Line) -> Cow<'t, str> {
        self.plain(self.text.part(line.colon + 1, line.end))
    }

    fn plain(self, raw: &'t str) -> Cow<'t, str> {
        if self.escaped { escape::unescape(raw) } else { Cow::Borrowed(raw) }
    }
}

impl fmt::Debug for Entries<'_> {
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
    entries: Entries<'a>,
    lines: Lines<'a>,
}

impl<'a> HeaderIter<'a> {
    pub(crate) fn new(entries: Entries<'a>) -> Self {
        Self { entries, lines: entries.lines() }
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some((self.entries.name(&line), self.entries.value(&line)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lines.size_hint()
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

impl fmt::Debug for HeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}
