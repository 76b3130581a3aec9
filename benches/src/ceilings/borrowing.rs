//! The borrowing splitter: frames as slices of a buffer that is used again and again.

use std::hint::black_box;

use super::split::{Span, Splitter};
use crate::corpus::CHUNK;
use crate::tally::Tally;

/// A frame that lives until the next one is looked for.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) octets: &'a [u8],
    pub(crate) command: &'a [u8],
    pub(crate) index: &'a [Span],
    pub(crate) body: &'a [u8],
}

/// The buffer and the search, which a connection would keep.
#[derive(Debug, Default)]
pub(crate) struct Borrowing {
    buffer: Vec<u8>,
    splitter: Splitter,
}

impl Borrowing {
    /// Shows each frame of the stream.
    #[inline]
    pub(crate) fn read(&mut self, wire: &[u8], mut show: impl FnMut(View<'_>)) {
        self.buffer.clear();
        for chunk in wire.chunks(CHUNK) {
            self.buffer.extend_from_slice(chunk);
            let mut at = 0;
            loop {
                at += self.buffer[at..].iter().take_while(|&&octet| octet == b'\n').count();
                let Some(extent) = self.splitter.next(&self.buffer[at..]) else { break };
                let octets = &self.buffer[at..at + extent.len()];
                show(View {
                    octets,
                    command: &octets[..extent.command],
                    index: &self.splitter.index,
                    body: &octets[extent.head..extent.head + extent.body],
                });
                at += extent.len();
            }
            // What is left is the beginning of one frame.
            self.buffer.drain(..at);
        }
    }
}

/// Counts the frames of a stream.
pub(crate) fn tally(wire: &[u8], state: &mut Borrowing) -> Tally {
    let mut tally = Tally::default();
    state.read(wire, |view| {
        let View { octets, command, index, body } = view;
        black_box((octets, index));
        tally.frame(command, index.len(), body);
    });
    tally
}
