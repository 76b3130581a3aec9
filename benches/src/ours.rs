//! The decoder of stompede-codec. Its results are looked at where they are, as those of all others: see docs/performance.md.

use std::hint::black_box;

use stompede_codec::{DecodeError, Decoder, Item, ItemRef, Limits, Version};

use crate::corpus::CHUNK;
use crate::tally::Tally;

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(Version::V1_2);
    decoder
}

/// Counts the frames of a stream, each as an owned [`stompede_codec::Frame`].
pub(crate) fn owned(wire: &[u8]) -> Tally {
    let mut decoder = decoder();
    let mut tally = Tally::default();
    for chunk in wire.chunks(CHUNK) {
        decoder.push_slice(chunk);
        loop {
            match &decoder.next() {
                Ok(Some(item)) => {
                    if let Item::Frame(frame) = black_box(item) {
                        tally.frame(frame.command().as_str().as_bytes(), frame.headers().len(), frame.body());
                    }
                }
                Ok(None) => break,
                Err(error) => stumbled(error),
            }
        }
    }
    tally
}

/// The same, and every header is looked at: escapes are resolved when a header is asked for.
pub(crate) fn owned_read(wire: &[u8]) -> Tally {
    let mut decoder = decoder();
    let mut tally = Tally::default();
    for chunk in wire.chunks(CHUNK) {
        decoder.push_slice(chunk);
        loop {
            match &decoder.next() {
                Ok(Some(Item::Frame(frame))) => {
                    let headers = frame.headers().iter().map(black_box).count();
                    tally.frame(frame.command().as_str().as_bytes(), headers, frame.body());
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => stumbled(error),
            }
        }
    }
    tally
}

/// Counts the frames of a stream, each as a [`stompede_codec::FrameRef`].
pub(crate) fn borrowed(wire: &[u8]) -> Tally {
    let mut decoder = decoder();
    let mut tally = Tally::default();
    for chunk in wire.chunks(CHUNK) {
        decoder.push_slice(chunk);
        loop {
            match &decoder.next_ref() {
                Ok(Some(item)) => {
                    if let ItemRef::Frame(frame) = black_box(item) {
                        tally.frame(frame.command().as_str().as_bytes(), frame.headers().len(), frame.body());
                    }
                }
                Ok(None) => break,
                Err(error) => stumbled(error),
            }
        }
    }
    tally
}

#[cold]
fn stumbled(error: &DecodeError) -> ! {
    unreachable!("a stream without mistakes: {error}")
}
