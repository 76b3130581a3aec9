//! The header lines of a head, found anew whenever they are asked for.
//!
//! An index of them would make every frame larger or cost an allocation, and moving it costs more than looking through a
//! head of a few hundred octets, 64 at a time, for the few headers that are ever asked for.

use memchr::memchr;

use crate::block::{Block, WIDTH};

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
    left: usize,
}

impl<'t> Lines<'t> {
    /// The `count` lines from `start` on.
    pub(super) fn new(text: &'t [u8], start: usize, count: usize) -> Self {
        Self { text, start, left: count }
    }

    /// The first line from the next one on whose name stands there to the letter.
    pub(super) fn find(&self, name: &[u8]) -> Option<Line> {
        let mut start = self.start;
        let mut at = start;
        let mut left = self.left;
        let mut line_feeds = 0;
        while left > 0 {
            let line = self.text.get(start..)?;
            if line.get(name.len()) == Some(&b':') && line.starts_with(name) {
                let len = memchr(b'\n', line)?;
                return Some(self.line(start, start + name.len(), start + len));
            }
            // Behind the next line feed, in this block or a later one.
            while line_feeds == 0 {
                line_feeds =
                    Block::first_of(self.text.get(at..).filter(|rest| !rest.is_empty())?).equal_to(b'\n');
                at += WIDTH;
            }
            start = at - WIDTH + line_feeds.trailing_zeros() as usize + 1;
            line_feeds &= line_feeds - 1;
            left -= 1;
        }
        None
    }

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
        let block = Block::first_of(rest);
        let place = |octet| match block.equal_to(octet) {
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
            let lines = Lines::new(&text, 5, 4);
            let found: Vec<(&[u8], &[u8])> = lines
                .clone()
                .map(|line| (&text[line.start..line.colon], &text[line.colon + 1..line.end]))
                .collect();
            let long = "v".repeat(len);
            let name = format!("{long}a");
            let expected: [(&str, &str); 4] = [("ab", "1"), ("abc", &long), (&name, ""), ("ab", "2:3")];
            assert_eq!(found, expected.map(|(name, value)| (name.as_bytes(), value.as_bytes())));

            let value = |name: &str| {
                lines.find(name.as_bytes()).map(|Line { colon, end, .. }| text[colon + 1..end].to_vec())
            };
            assert_eq!(value("ab"), Some(b"1".to_vec()));
            assert_eq!(value("abc"), Some(long.clone().into_bytes()));
            assert_eq!(value(&name), Some(Vec::new()));
            for absent in ["a", "b", "", "abcd", "no", "header", "1"] {
                assert_eq!(value(absent), None, "{absent:?}");
            }
        }
    }
}
