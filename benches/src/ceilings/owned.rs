//! The owned splitter: frames that share the block they were read into and outlive the search.

use std::hint::black_box;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

use super::split::{Extent, Span, Splitter};
use crate::corpus::CHUNK;
use crate::tally::Tally;

/// A frame on its own: one share of the block, one allocation for the index.
#[derive(Debug)]
pub(crate) struct Owned {
    octets: Bytes,
    /// Names and values with their escapes resolved; `None` if there were none.
    #[cfg_attr(not(test), expect(dead_code, reason = "the work of making it is what counts"))]
    plain: Option<Vec<u8>>,
    pub(crate) index: Box<[Span]>,
    extent: Extent,
}

impl Owned {
    fn new(octets: Bytes, extent: Extent, index: &[Span]) -> Option<Self> {
        let head = &octets[..extent.head];
        // Quicker than asking for UTF-8 at once, as nearly every head is ASCII.
        if !head.is_ascii() && str::from_utf8(head).is_err() {
            return None;
        }
        if memchr(b'\\', head).is_none() {
            return Some(Self { plain: None, index: index.into(), extent, octets });
        }
        let (plain, index) = unescaped(head, index);
        Some(Self { plain: Some(plain), index, extent, octets })
    }

    pub(crate) fn command(&self) -> &[u8] {
        &self.octets[..self.extent.command]
    }

    #[cfg(test)]
    pub(crate) fn header(&self, at: usize) -> (&[u8], &[u8]) {
        let text = self.plain.as_deref().unwrap_or(&self.octets);
        let Span { start, colon, end } = self.index[at];
        (&text[start as usize..colon as usize], &text[colon as usize + 1..end as usize])
    }

    pub(crate) fn body(&self) -> &[u8] {
        let body: Range<usize> = self.extent.head..self.extent.head + self.extent.body;
        &self.octets[body]
    }
}

/// The head without its escapes, and where everything stands in there.
fn unescaped(head: &[u8], index: &[Span]) -> (Vec<u8>, Box<[Span]>) {
    let mut index: Box<[Span]> = index.into();
    let mut plain = Vec::with_capacity(head.len());
    let mut backslashes = memchr_iter(b'\\', head);
    let mut next = backslashes.next();
    let (mut copied, mut removed) = (0, 0);
    // Resolves what stands before a place; how far the place has moved.
    let mut before = |place: u32| {
        while let Some(at) = next.filter(|&at| at < place as usize) {
            next = backslashes.next();
            if at < copied {
                continue; // the second half of an escaped backslash
            }
            plain.extend_from_slice(&head[copied..at]);
            plain.push(match head.get(at + 1) {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'c') => b':',
                _ => b'\\',
            });
            copied = at + 2;
            removed += 1;
        }
        removed
    };
    for span in &mut index {
        span.start -= before(span.start);
        span.colon -= before(span.colon);
        span.end -= before(span.end);
    }
    plain.extend_from_slice(&head[copied..]);
    (plain, index)
}

/// The block and the search, which a connection would keep.
#[derive(Debug, Default)]
pub(crate) struct Owning {
    buffer: BytesMut,
    splitter: Splitter,
}

impl Owning {
    /// Hands over each frame of the stream.
    #[inline]
    pub(crate) fn read<'a>(&mut self, chunks: impl Iterator<Item = &'a [u8]>, mut take: impl FnMut(Owned)) {
        self.buffer.clear();
        for chunk in chunks {
            if let Some(len) = self.splitter.known_len() {
                self.buffer.reserve((len - self.buffer.len()).max(chunk.len()));
            }
            self.buffer.extend_from_slice(chunk);
            loop {
                let line_ends = self.buffer.iter().take_while(|&&octet| octet == b'\n').count();
                if line_ends > 0 {
                    self.buffer.advance(line_ends);
                }
                let Some(extent) = self.splitter.next(&self.buffer) else { break };
                let octets = self.buffer.split_to(extent.len()).freeze();
                let Some(frame) = Owned::new(octets, extent, &self.splitter.index) else { break };
                take(frame);
            }
        }
    }
}

/// Counts the frames of a stream.
pub(crate) fn tally(wire: &[u8], state: &mut Owning) -> Tally {
    let mut tally = Tally::default();
    state.read(wire.chunks(CHUNK), |frame| {
        let frame = black_box(frame);
        tally.frame(frame.command(), frame.index.len(), frame.body());
    });
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    #[test]
    fn escapes_are_resolved() {
        for corpus in [Corpus::Headers, Corpus::Small] {
            let messages = corpus.messages(200_000);
            let mut wire = Vec::new();
            messages.iter().for_each(|message| message.write(&mut wire));
            let mut expected = messages.iter();
            Owning::default().read(wire.chunks(CHUNK), |frame| {
                let message = expected.next().expect("no more frames than messages");
                assert_eq!(frame.command(), message.command.as_str().as_bytes());
                assert_eq!(frame.body(), message.body);
                assert_eq!(frame.index.len(), message.headers.len() + 1);
                for (at, (name, value)) in message.headers.iter().enumerate() {
                    assert_eq!(frame.header(at), (name.as_bytes(), value.as_bytes()));
                }
            });
            assert!(expected.next().is_none());
        }
    }
}
