//! What is sent. All of it is ASCII, so that a transport that is told to send text only can be checked as well.

use bytes::{Buf, Bytes};

use crate::Outbound;

/// Letters in an order that repeats itself late, so that what is lost, doubled or moved shows.
fn letters(seed: u32, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        b'a' + (state % 26) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A frame in two parts.
pub(super) fn split(seed: u32, body: usize) -> Outbound {
    let head = format!("SEND\ndestination:/queue/conformance\nseed:{seed}\ncontent-length:{body}\n\n");
    Outbound::split(head.into(), letters(seed, body))
}

/// A frame in one part.
pub(super) fn whole(seed: u32, body: usize) -> Outbound {
    Outbound::whole(split(seed, body).into_bytes())
}

/// One item of each kind and of sizes around usual buffers.
pub(super) fn assorted() -> Vec<Outbound> {
    vec![
        whole(1, 0),
        Outbound::heart_beat(),
        split(2, 0),
        split(3, 1),
        whole(4, 125),
        split(5, 1024),
        Outbound::heart_beat(),
        Outbound::heart_beat(),
        whole(6, 5000),
        split(7, 9000),
        split(8, 70_000),
        whole(9, 66_000),
        Outbound::heart_beat(),
    ]
}

/// The bytes of items, one after the other.
pub(super) fn bytes_of(items: &[Outbound]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.iter().map(Buf::remaining).sum());
    items.iter().for_each(|item| bytes.extend_from_slice(&item.clone().into_bytes()));
    bytes
}

/// Cuts bytes into pieces of these sizes in turn.
pub(super) fn cut(bytes: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        pieces.push(rest.split_to((*size).min(rest.len())));
    }
    pieces
}
