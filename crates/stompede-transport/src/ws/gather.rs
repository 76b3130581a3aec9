use bytes::{Bytes, BytesMut};

/// Payloads up to this size are copied together; larger ones are handed on as they are.
///
/// A payload is a slice of a read buffer. As long as one is alive, the buffer cannot be used again; tungstenite then takes
/// a new one, for a small frame as large as that frame, and from then on reads a few hundred bytes at a time. Copying up to
/// here was measured to cost less than that; a larger payload is worth a buffer of its own.
pub(super) const SMALL: usize = 8 * 1024;

/// What small payloads are copied into. Up to four chunks share a block; a chunk that is held keeps all of it.
const BLOCK: usize = 64 * 1024;

/// What they are copied into at first, and what an idle connection keeps at most. Each block that was used up is
/// followed by one of twice its size.
const FIRST_BLOCK: usize = SMALL;

/// A chunk is handed on when it has grown to this: decoding one of this size takes as long as reading the next.
const CHUNK: usize = 16 * 1024;

/// Gathers the payloads of messages into chunks.
#[derive(Debug)]
pub(super) struct Gather {
    block: BytesMut,
    /// What the block had when it was new; 0 before the first.
    block_len: usize,
    /// A large payload whose turn is after what is in `block`.
    large: Option<Bytes>,
}

impl Gather {
    pub(super) fn new() -> Self {
        Self { block: BytesMut::new(), block_len: 0, large: None }
    }

    /// Takes a payload; if that completes a chunk, [`take`](Self::take) has to be called before the next one.
    pub(super) fn push(&mut self, payload: Bytes) {
        if payload.len() > SMALL {
            self.large = Some(payload);
        } else {
            self.push_small(&payload);
        }
    }

    /// The same for one of at most [`SMALL`] bytes.
    pub(super) fn push_small(&mut self, payload: &[u8]) {
        if self.block.capacity() - self.block.len() < payload.len() {
            self.block_len = (2 * self.block_len).clamp(FIRST_BLOCK, BLOCK);
            // Takes the old block again if all of its chunks have been dropped and it is large enough.
            if !self.block.try_reclaim(self.block_len) {
                // Not `reserve`, which might take twice as much.
                let rest = std::mem::replace(&mut self.block, BytesMut::with_capacity(self.block_len));
                self.block.extend_from_slice(&rest);
            }
        }
        self.block.extend_from_slice(payload);
    }

    /// Whether there is a chunk that is worth handing on at once.
    pub(super) fn is_full(&self) -> bool {
        self.large.is_some() || self.block.len() >= CHUNK
    }

    /// The next chunk, be it full or not.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.block.is_empty() { self.large.take() } else { Some(self.block.split().freeze()) }
    }

    /// Keeps no more than a small block while there is nothing to read.
    pub(super) fn let_go(&mut self) {
        // Of a large block, even the last few free bytes would keep all of it.
        if self.block.is_empty() && self.block_len > FIRST_BLOCK {
            self.block = BytesMut::new();
            self.block_len = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_large_payloads_are_not_copied() {
        let mut gather = Gather::new();
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
        let mut gather = Gather::new();
        let payload = Bytes::from(vec![0; SMALL]);
        while !gather.is_full() {
            gather.push(payload.clone());
        }
        assert_eq!(gather.take().unwrap().len(), CHUNK);
    }

    #[test]
    fn a_busy_connection_gets_large_blocks_and_an_idle_one_keeps_a_small_one() {
        let mut gather = Gather::new();
        let mut held = Vec::new();
        for _ in 0..1000 {
            gather.push(Bytes::from(vec![0; 1000]));
            held.extend(gather.take());
        }
        assert_eq!(gather.block_len, BLOCK);
        gather.let_go();
        assert_eq!(gather.block.capacity(), 0);
        gather.push(Bytes::from_static(b"one"));
        assert_eq!(gather.block.capacity(), FIRST_BLOCK);
        gather.take();
        gather.let_go();
        assert_ne!(gather.block.capacity(), 0, "a small block is kept");
    }

    #[test]
    fn a_block_is_used_again_when_its_chunks_are_gone() {
        let mut gather = Gather::new();
        let mut places = std::collections::HashSet::new();
        for round in 0..200 {
            gather.push(Bytes::from(vec![0; SMALL]));
            let place = gather.take().unwrap().as_ptr();
            if round >= 100 {
                places.insert(place);
            }
        }
        assert!(places.len() <= BLOCK / SMALL, "{}", places.len());
    }
}
