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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    #[test]
    fn every_part_is_found() {
        let messages = Corpus::NoLen.messages(200_000);
        let mut wire = Vec::new();
        messages.iter().for_each(|message| message.write(&mut wire));
        let mut expected = messages.iter();
        Borrowing::default().read(&wire, |view| {
            let message = expected.next().expect("no more frames than messages");
            assert_eq!(view.command, message.command.as_str().as_bytes());
            assert_eq!(view.body, message.body);
            assert_eq!(view.index.len(), message.headers.len());
            for (span, (name, value)) in view.index.iter().zip(&message.headers) {
                let (start, colon, end) = (span.start as usize, span.colon as usize, span.end as usize);
                assert_eq!(&view.octets[start..colon], name.as_bytes());
                assert_eq!(&view.octets[colon + 1..end], value.as_bytes());
            }
        });
        assert!(expected.next().is_none());
    }
}
