//! The owned splitter: frames that share the block they were read into and outlive the search.

use std::hint::black_box;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{Memchr, memchr, memchr_iter};

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
    #[inline(always)]
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
    let mut backslashes = memchr_iter(b'\\', head);
    let next = backslashes.next();
    let plain = Vec::with_capacity(head.len());
    let mut resolver = Resolver { head, backslashes, next, plain, copied: 0, removed: 0 };
    for span in &mut index {
        span.start -= resolver.removed;
        span.colon -= resolver.resolve_before(span.colon);
        span.end -= resolver.resolve_before(span.end);
    }
    let Resolver { mut plain, copied, .. } = resolver;
    plain.extend_from_slice(&head[copied..]);
    (plain, index)
}

/// Goes through a head once, from backslash to backslash.
struct Resolver<'a> {
    head: &'a [u8],
    backslashes: Memchr<'a>,
    next: Option<usize>,
    plain: Vec<u8>,
    /// How much of the head was looked at.
    copied: usize,
    /// How many octets shorter the plain text is up to here.
    removed: u32,
}

impl Resolver<'_> {
    /// Resolves what stands before a place; how far the place has moved.
    #[inline(always)]
    fn resolve_before(&mut self, place: u32) -> u32 {
        while let Some(at) = self.next.filter(|&at| at < place as usize) {
            self.next = self.backslashes.next();
            if at < self.copied {
                continue; // the second half of an escaped backslash
            }
            self.plain.extend_from_slice(&self.head[self.copied..at]);
            self.plain.push(match self.head.get(at + 1) {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'c') => b':',
                _ => b'\\',
            });
            self.copied = at + 2;
            self.removed += 1;
        }
        self.removed
    }
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
        black_box(&frame);
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
