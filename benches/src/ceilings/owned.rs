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
    plain: Option<Box<[u8]>>,
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

/// Copies names and values without their escapes.
fn unescaped(head: &[u8], index: &[Span]) -> (Box<[u8]>, Box<[Span]>) {
    let mut plain = Vec::with_capacity(head.len());
    let mut part = |from: u32, to: u32| {
        let raw = &head[from as usize..to as usize];
        let mut copied = 0;
        let mut second = usize::MAX;
        for at in memchr_iter(b'\\', raw) {
            if at == second {
                continue;
            }
            plain.extend_from_slice(&raw[copied..at]);
            plain.push(match raw.get(at + 1) {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'c') => b':',
                _ => b'\\',
            });
            copied = (at + 2).min(raw.len());
            second = at + 1;
        }
        plain.extend_from_slice(&raw[copied..]);
        plain.push(b':');
        plain.len() as u32 - 1
    };
    let mut start = 0;
    let index = index
        .iter()
        .map(|span| {
            let colon = part(span.start, span.colon);
            let end = part(span.colon + 1, span.end);
            let found = Span { start, colon, end };
            start = end + 1;
            found
        })
        .collect();
    (plain.into_boxed_slice(), index)
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
    pub(crate) fn read(&mut self, wire: &[u8], mut take: impl FnMut(Owned)) {
        self.buffer.clear();
        for chunk in wire.chunks(CHUNK) {
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
    state.read(wire, |frame| {
        let frame = black_box(frame);
        tally.frame(frame.command(), frame.index.len(), frame.body());
    });
    tally
}
