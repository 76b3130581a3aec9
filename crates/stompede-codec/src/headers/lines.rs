//! The header lines of a head, found anew whenever they are asked for.
//!
//! An index of them would make every frame larger or cost an allocation, and moving it costs more than looking through a
//! head of a few hundred octets, 64 at a time, for the few headers that are ever asked for.

use memchr::memchr;

use super::escape::is_plain;
use crate::block::{View, WIDTH};

/// Where one header line stands: `name:value`, without the line end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) colon: usize,
    pub(super) end: usize,
}

/// The header lines of a head that was checked, in order.
#[derive(Clone)]
pub(super) struct Lines<'t> {
    text: &'t [u8],
    /// Where the next line begins.
    start: usize,
    /// What stands from there on is no header line.
    end: usize,
    left: usize,
}

impl<'t> Lines<'t> {
    /// The `count` lines from `start` on, all of them before `end`.
    #[inline(always)]
    pub(super) fn new(text: &'t [u8], start: usize, end: usize, count: usize) -> Self {
        Self { text, start, end, left: count }
    }

    /// The first line from the next one on whose name stands there to the letter.
    #[inline(always)] // With a name that the compiler knows it is a few comparisons.
    pub(super) fn find(&self, name: &str) -> Option<Line> {
        if !is_plain(name) {
            return self.find_among_many(name.as_bytes());
        }
        // Often there is but one, or it is the first that is looked for.
        match self.first_if_named(name.as_bytes()) {
            None if self.left > 1 => self.find_among_many(name.as_bytes()),
            first => first,
        }
    }

    /// The next line, if it has this name, which is plain: what it begins like is its name if a colon follows.
    #[inline(always)]
    fn first_if_named(&self, name: &[u8]) -> Option<Line> {
        let rest = self.text.get(self.start..self.end)?;
        let behind = rest.strip_prefix(name).filter(|behind| behind.first() == Some(&b':'))?;
        let (colon, len) = (self.start + name.len(), memchr(b'\n', behind)?);
        (self.left > 0).then(|| self.line(self.start, colon, colon + len))
    }

    /// Not one line after the other: of all lines in a block, those are looked at whose colon is in the right place.
    #[inline(never)]
    fn find_among_many(&self, name: &[u8]) -> Option<Line> {
        if name.len() >= WIDTH {
            return self.find_long(name);
        }
        // What the block before says of this one: whether a line begins with it, and which octets are as far behind the
        // beginning of a line as the name is long. Its own colons and line feeds.
        let (mut start, mut behind_name, mut marks_before) = (1, 0, 0);
        let mut at = self.start;
        while at < self.end {
            let view = View::at(self.text, at);
            let (ends, colons) = (view.equal_to(b'\n'), view.equal_to(b':'));
            let marks = ends | colons;
            let starts = ends << 1 | start;
            let mut named = colons & (starts << name.len() | behind_name);
            while named != 0 {
                let place = named.trailing_zeros() as usize;
                let colon = at + place;
                if colon < self.end && self.text[colon - name.len()..colon] == *name {
                    // What has a colon or a line feed in it may stand at the beginning of a line, but is no name.
                    let around = u128::from(marks) << WIDTH | u128::from(marks_before);
                    if (around >> (WIDTH + place - name.len())) as u64 & !(u64::MAX << name.len()) != 0 {
                        return None;
                    }
                    let len = match ends >> place {
                        0 => memchr(b'\n', &self.text[colon..])?,
                        ends => ends.trailing_zeros() as usize,
                    };
                    return Some(self.line(colon - name.len(), colon, colon + len));
                }
                named &= named - 1;
            }
            start = ends >> (WIDTH - 1);
            behind_name = starts >> (WIDTH - 1 - name.len()) >> 1;
            marks_before = marks;
            at += WIDTH;
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn find_long(&self, name: &[u8]) -> Option<Line> {
        Iterator::find(&mut self.clone(), |line| self.text[line.start..line.colon] == *name)
    }

    #[inline(always)]
    fn line(&self, start: usize, colon: usize, line_feed: usize) -> Line {
        let ends_in_cr = self.text.get(line_feed - 1) == Some(&b'\r');
        Line { start, colon, end: line_feed - usize::from(ends_in_cr) }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        self.left = self.left.checked_sub(1)?;
        let start = self.start;
        let rest = self.text.get(start..)?;
        let view = View::at(self.text, start);
        let place = |octet| match view.equal_to(octet) {
            0 => memchr(octet, rest),
            bits => Some(bits.trailing_zeros() as usize),
        };
        let (colon, line_feed) = (start + place(b':')?, start + place(b'\n')?);
        self.start = line_feed + 1;
        Some(self.line(start, colon, line_feed))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};
    use crate::block::WIDTH;

    /// Lines around the width of a block, with names that begin alike, and what comes behind them.
    fn text(len: usize) -> Vec<u8> {
        let long = "v".repeat(len);
        format!("SEND\nab:1\r\nabc:{long}\n{long}a:\nab:2:3\n\n:x\nno:header\n").into_bytes()
    }

    #[test]
    fn lines_are_found_wherever_a_block_ends() {
        for len in 1..3 * WIDTH {
            let text = text(len);
            let end = text.len() - "\n:x\nno:header\n".len();
            let lines = Lines::new(&text, 5, end, 4);
            let found: Vec<(&[u8], &[u8])> = lines
                .clone()
                .map(|line| (&text[line.start..line.colon], &text[line.colon + 1..line.end]))
                .collect();
            let long = "v".repeat(len);
            let name = format!("{long}a");
            let expected: [(&str, &str); 4] = [("ab", "1"), ("abc", &long), (&name, ""), ("ab", "2:3")];
            assert_eq!(found, expected.map(|(name, value)| (name.as_bytes(), value.as_bytes())));

            let value =
                |name: &str| lines.find(name).map(|Line { colon, end, .. }| text[colon + 1..end].to_vec());
            assert_eq!(value("ab"), Some(b"1".to_vec()));
            assert_eq!(value("abc"), Some(long.clone().into_bytes()));
            assert_eq!(value(&name), Some(Vec::new()));
            for absent in ["a", "b", "", "abcd", "no", "header", "1", "ab:2", "ab:1\r\nabc"] {
                assert_eq!(value(absent), None, "{absent:?}");
            }
        }
    }
}
