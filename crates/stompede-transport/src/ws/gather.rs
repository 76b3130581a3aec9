use bytes::{Bytes, BytesMut};

/// Payloads up to this size are copied together; larger ones are handed on as they are.
///
/// A payload is a slice of tungstenite's read buffer. As long as one is alive, tungstenite cannot use the buffer again
/// and takes a new one, for a small frame as large as that frame; from then on it reads a few hundred bytes at a time.
/// Copying up to here was measured to cost less than that; a larger payload is worth a buffer of its own.
const SMALL: usize = 8 * 1024;

/// What small payloads are copied into. Up to four chunks share a block; a chunk that is held keeps all of it.
const BLOCK: usize = 64 * 1024;

/// A chunk is handed on when it has grown to this: decoding one of this size takes as long as reading the next.
const CHUNK: usize = 16 * 1024;

/// Gathers the payloads of messages into chunks.
#[derive(Debug, Default)]
pub(super) struct Gather {
    block: BytesMut,
    /// A large payload whose turn is after what is in `block`.
    large: Option<Bytes>,
}

impl Gather {
    /// Takes a payload; if that completes a chunk, [`take`](Self::take) has to be called before the next one.
    pub(super) fn push(&mut self, payload: Bytes) {
        if payload.len() > SMALL {
            self.large = Some(payload);
            return;
        }
        if self.block.capacity() - self.block.len() < payload.len() {
            // Takes the old block again if all of its chunks have been dropped.
            self.block.reserve(BLOCK);
        }
        self.block.extend_from_slice(&payload);
    }

    /// Whether there is a chunk that is worth handing on at once.
    pub(super) fn is_full(&self) -> bool {
        self.large.is_some() || self.block.len() >= CHUNK
    }

    /// The next chunk, be it full or not.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.block.is_empty() { self.large.take() } else { Some(self.block.split().freeze()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_large_payloads_are_not_copied() {
        let mut gather = Gather::default();
        let large = Bytes::from(vec![b'l'; SMALL + 1]);
        gather.push(Bytes::from_static(b"one "));
        gather.push(Bytes::from_static(b"two"));
        assert!(!gather.is_full());
        gather.push(large.clone());
        assert!(gather.is_full());
        assert_eq!(gather.take().unwrap(), "one two");
        assert!(gather.is_full());
        assert_eq!(gather.take().unwrap().as_ptr(), large.as_ptr());
        assert_eq!(gather.take(), None);
    }

    #[test]
    fn a_chunk_stays_below_its_size_and_one_small_payload() {
        let mut gather = Gather::default();
        let payload = Bytes::from(vec![0; SMALL]);
        while !gather.is_full() {
            gather.push(payload.clone());
        }
        assert_eq!(gather.take().unwrap().len(), CHUNK);
    }

    #[test]
    fn a_block_is_used_again_when_its_chunks_are_gone() {
        let mut gather = Gather::default();
        gather.push(Bytes::from_static(b"first"));
        let first = gather.take().unwrap().as_ptr();
        let mut seen_again = false;
        for _ in 0..100 {
            gather.push(Bytes::from(vec![0; SMALL]));
            seen_again |= gather.take().unwrap().as_ptr() == first;
        }
        assert!(seen_again);
    }
}
