//! Finds the parts of a frame by three searches and nothing else: no check of the text, no limits, no escapes.

use memchr::{memchr, memchr_iter};

/// Where a header stands in its frame: `start..colon` is the name, `colon + 1..end` the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) colon: u32,
    pub(crate) end: u32,
}

/// Where the parts of a whole frame stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Octets of the command.
    pub(crate) command: usize,
    /// Octets up to the body.
    pub(crate) head: usize,
    /// Octets of the body.
    pub(crate) body: usize,
}

impl Extent {
    /// Octets with the NUL.
    pub(crate) fn len(&self) -> usize {
        self.head + self.body + 1
    }
}

/// The search for the end of the frame at hand; no octet of a body is searched twice.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The headers of the last frame that was found.
    pub(crate) index: Vec<Span>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    Head,
    /// The NUL stands behind `body` octets.
    Counted { command: usize, head: usize, body: usize },
    /// There is no NUL before `seen`.
    UntilNul { command: usize, head: usize, seen: usize },
}

impl Splitter {
    /// The frame at the beginning of `octets`; `None` if it is not whole.
    // Left to itself, the compiler changes its mind about this with every caller that is added or goes.
    #[inline(always)]
    pub(crate) fn next(&mut self, octets: &[u8]) -> Option<Extent> {
        if let Phase::Head = self.phase {
            self.phase = self.head(octets)?;
        }
        match self.phase {
            Phase::Head => None,
            Phase::Counted { command, head, body } => {
                // Who finds something else than NUL there has lost the thread; a look at it is nearly free.
                if *octets.get(head + body)? != 0 {
                    return None;
                }
                self.phase = Phase::Head;
                Some(Extent { command, head, body })
            }
            Phase::UntilNul { command, head, seen } => {
                let Some(at) = memchr(0, &octets[seen..]) else {
                    self.phase = Phase::UntilNul { command, head, seen: octets.len() };
                    return None;
                };
                self.phase = Phase::Head;
                Some(Extent { command, head, body: seen + at - head })
            }
        }
    }

    /// How many octets the frame has, once that is known.
    pub(crate) fn known_len(&self) -> Option<usize> {
        match self.phase {
            Phase::Counted { head, body, .. } => Some(head + body + 1),
            Phase::Head | Phase::UntilNul { .. } => None,
        }
    }

    /// Reads the head; a head that is not whole is read again when there is more, which is once a chunk at most.
    #[inline(always)]
    fn head(&mut self, octets: &[u8]) -> Option<Phase> {
        self.index.clear();
        let mut line_feeds = memchr_iter(b'\n', octets);
        let command = line_feeds.next()?;
        let mut start = command + 1;
        let mut length = None;
        loop {
            let end = line_feeds.next()?;
            if end == start {
                let head = start + 1;
                return Some(match length {
                    Some(body) => Phase::Counted { command, head, body },
                    None => Phase::UntilNul { command, head, seen: head },
                });
            }
            let line = &octets[start..end];
            let colon = first_colon(line)?;
            if length.is_none() && line[..colon] == *b"content-length" {
                length = Some(decimal(&line[colon + 1..]));
            }
            self.index.push(Span { start: start as u32, colon: (start + colon) as u32, end: end as u32 });
            start = end + 1;
        }
    }
}

/// Eight octets at a time: names are too short for the call of `memchr` to pay.
#[inline]
fn first_colon(line: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let mut at = 0;
    while let Some(&word) = line.get(at..).and_then(<[u8]>::first_chunk) {
        // The lowest bit that is set marks the first octet that became zero; those above it may be wrong.
        let word = u64::from_le_bytes(word) ^ u64::from_le_bytes([b':'; 8]);
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    line[at..].iter().position(|&octet| octet == b':').map(|found| at + found)
}

fn decimal(digits: &[u8]) -> usize {
    digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}
