//! A plain copy of every chunk, as the read from a socket does it.

use std::hint::black_box;

use crate::corpus::CHUNK;

/// Copies each chunk into the same buffer.
pub(crate) fn copy(wire: &[u8], buffer: &mut Vec<u8>) {
    buffer.resize(CHUNK, 0);
    for chunk in wire.chunks(CHUNK) {
        buffer[..chunk.len()].copy_from_slice(chunk);
        black_box(&mut *buffer);
    }
}
