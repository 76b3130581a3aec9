//! Where the entries of a header list stand in their text.

use alloc::vec::Vec;

/// Where one entry stands: `name:value` and the end of the line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) colon: usize,
    pub(crate) end: usize,
}

/// Where the first colon and the line feed of an entry stand.
///
/// Where it begins is not kept: behind the line feed of the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line<T = usize> {
    pub(crate) colon: T,
    pub(crate) line_feed: T,
}

/// Where all entries stand, in order.
#[derive(Clone, Debug)]
pub(crate) enum Index {
    /// A few entries that end within 64 KiB, which is nearly every frame: 4 octets each and no allocation.
    Short {
        len: u8,
        lines: [Line<u16>; SHORT],
    },
    Long(Vec<Line>),
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self::Short { len: 0, lines: [Line { colon: 0, line_feed: 0 }; SHORT] }
    }

    /// The same lines in as little room as they need.
    #[inline]
    pub(crate) fn of(lines: &[Line]) -> Self {
        if lines.len() > SHORT || lines.last().is_some_and(|last| last.line_feed > usize::from(u16::MAX)) {
            return Self::Long(lines.to_vec());
        }
        let mut short = [Line::default(); SHORT];
        for (short, line) in short.iter_mut().zip(lines) {
            *short = Line { colon: line.colon as u16, line_feed: line.line_feed as u16 };
        }
        Self::Short { len: lines.len() as u8, lines: short }
    }

    pub(crate) fn push(&mut self, colon: usize, line_feed: usize) {
        match self {
            Self::Short { len, lines } => {
                if let Some(line) = lines.get_mut(usize::from(*len))
                    && let Ok(short) = u16::try_from(line_feed)
                {
                    *line = Line { colon: colon as u16, line_feed: short };
                    *len += 1;
                } else {
                    let mut lines = Vec::with_capacity(2 * SHORT);
                    lines.extend(self.lines().iter());
                    lines.push(Line { colon, line_feed });
                    *self = Self::Long(lines);
                }
            }
            Self::Long(lines) => lines.push(Line { colon, line_feed }),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Short { len, .. } => usize::from(*len),
            Self::Long(lines) => lines.len(),
        }
    }

    #[inline]
    pub(crate) fn lines(&self) -> Lines<'_> {
        match self {
            Self::Short { len, lines } => Lines::Short(lines.get(..usize::from(*len)).unwrap_or_default()),
            Self::Long(lines) => Lines::Long(lines),
        }
    }
}

/// The lines of an index, or of a frame that has none yet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines<'i> {
    Short(&'i [Line<u16>]),
    Long(&'i [Line]),
}

impl<'i> Lines<'i> {
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Short(lines) => lines.len(),
            Self::Long(lines) => lines.len(),
        }
    }

    #[inline]
    fn get(self, at: usize) -> Option<Line> {
        match self {
            Self::Short(lines) => {
                let Line { colon, line_feed } = *lines.get(at)?;
                Some(Line { colon: usize::from(colon), line_feed: usize::from(line_feed) })
            }
            Self::Long(lines) => lines.get(at).copied(),
        }
    }

    fn iter(self) -> impl Iterator<Item = Line> + use<'i> {
        (0..self.len()).filter_map(move |at| self.get(at))
    }

    /// The entries in `text`, of which the first begins at `first`.
    #[inline]
    pub(crate) fn spans(self, text: &'i [u8], first: usize) -> Spans<'i> {
        Spans { lines: self, text, at: 0, start: first, as_read: first > 0 }
    }
}

/// The entries of a header list, in order.
#[derive(Clone)]
pub(crate) struct Spans<'i> {
    lines: Lines<'i>,
    text: &'i [u8],
    at: usize,
    start: usize,
    /// Whether the text has a command line, and lines that may end in CR LF. A text of our own has neither.
    as_read: bool,
}

impl Iterator for Spans<'_> {
    type Item = Span;

    #[inline]
    fn next(&mut self) -> Option<Span> {
        let Line { colon, line_feed } = self.lines.get(self.at)?;
        let start = core::mem::replace(&mut self.start, line_feed + 1);
        let ends_in_cr = self.as_read && self.text.get(line_feed - 1) == Some(&b'\r');
        self.at += 1;
        Some(Span { start, colon, end: line_feed - usize::from(ends_in_cr) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.lines.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Spans<'_> {}

/// Entries that take no allocation: brokers send about ten, and each makes a frame 4 octets heavier to move.
pub(crate) const SHORT: usize = 12;

#[cfg(test)]
mod tests {
    use super::{Index, Line, SHORT, Span};

    /// A text of lines that are all `k:v`, the last of them `len` octets long, and where they stand.
    fn lines_of(count: usize, len: usize) -> (Vec<Line>, Vec<u8>) {
        let mut lines = Vec::new();
        let mut text = b"SEND\n".to_vec();
        for n in 0..count {
            let start = text.len();
            let len = if n + 1 == count { len } else { 3 };
            text.extend_from_slice(b"k:");
            text.resize(start + len, b'v');
            text.extend_from_slice(if n % 2 == 0 { b"\n" } else { b"\r\n" });
            lines.push(Line { colon: start + 1, line_feed: text.len() - 1 });
        }
        (lines, text)
    }

    #[test]
    fn entries_are_found_however_many_there_are_and_wherever_they_end() {
        for (count, len) in
            [(0, 0), (1, 3), (SHORT, 3), (SHORT + 1, 3), (300, 3), (2, 70_000), (1, 65_530), (1, 65_531)]
        {
            let (lines, text) = lines_of(count, len);
            let mut pushed = Index::new();
            lines.iter().for_each(|line| pushed.push(line.colon, line.line_feed));
            for index in [Index::of(&lines), pushed] {
                assert_eq!(index.len(), count);
                let spans: Vec<Span> = index.lines().spans(&text, 5).collect();
                assert_eq!(spans.len(), count);
                let found = |span: &Span| text[span.start..].starts_with(b"k:") && text[span.end - 1] == b'v';
                assert!(spans.iter().all(|span| found(span) && text[span.end] != b'v'), "{count}, {len}");
            }
        }
    }
}
