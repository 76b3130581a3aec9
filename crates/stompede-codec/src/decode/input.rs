//! What has arrived and was not handed out yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};

use super::scan::Whole;
use crate::Frame;

/// The octets of a stream from the frame at hand on.
///
/// The frame at hand lies at the beginning of `chunk`, as long as that has all of it that has arrived; a frame that
/// spans chunks is in `joined`, and its rest is to come from `chunk`.
#[derive(Default)]
pub(super) struct Input {
    /// The beginning of a frame whose end is in no one chunk, or nothing.
    pub(super) joined: Vec<u8>,
    /// What is being read.
    pub(super) chunk: Bytes,
    /// What comes after it.
    waiting: VecDeque<Bytes>,
    waiting_len: usize,
    /// Octets of the frame that was handed out last and is still there; they are dropped when the next one is asked for.
    lent: usize,
}

impl Input {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.is_read_up() {
            self.chunk = chunk;
        } else {
            self.waiting_len += chunk.len();
            self.waiting.push_back(chunk);
        }
    }

    /// Whether there is nothing behind what was joined.
    pub(super) fn is_read_up(&self) -> bool {
        self.chunk.is_empty() && self.waiting.is_empty()
    }

    /// Octets held that were not handed out.
    pub(super) fn len(&self) -> usize {
        self.joined.len() + self.chunk.len() + self.waiting_len - self.lent
    }

    /// Makes sure that there is something unread in the chunk; `false` if there is nothing.
    #[inline]
    pub(super) fn fill(&mut self) -> bool {
        !self.chunk.is_empty() || self.next_chunk()
    }

    fn next_chunk(&mut self) -> bool {
        // An empty slice of a chunk would keep all of it alive.
        self.chunk = self.waiting.pop_front().unwrap_or_default();
        self.waiting_len -= self.chunk.len();
        if self.waiting.is_empty() && self.waiting.capacity() > WAITING_KEPT {
            self.waiting = VecDeque::new();
        }
        !self.chunk.is_empty()
    }

    /// What is unread of the chunk, of which there is some, if nothing was joined.
    #[inline(always)]
    pub(super) fn unread(&mut self) -> Option<&[u8]> {
        if !self.joined.is_empty() {
            return None;
        }
        let lent = mem::take(&mut self.lent);
        if lent >= self.chunk.len() {
            self.chunk = Bytes::new();
            return None;
        }
        self.chunk.advance(lent);
        Some(&self.chunk)
    }

    /// Joins so many octets of the chunk to the frame at hand; see [`join_slice`](Input::join_slice).
    pub(super) fn join(&mut self, len: usize, ahead: usize) {
        append(&mut self.joined, &self.chunk[..len], ahead);
        self.skip(len);
    }

    /// Joins octets that are in no chunk; if there is no room for them, room is made for `ahead` more.
    pub(super) fn join_slice(&mut self, part: &[u8], ahead: usize) {
        append(&mut self.joined, part, ahead);
    }

    /// Leaves out octets of the chunk.
    pub(super) fn skip(&mut self, len: usize) {
        if len < self.chunk.len() {
            self.chunk.advance(len);
        } else {
            self.chunk = Bytes::new();
        }
    }

    /// The octets from the beginning of the frame at hand.
    #[inline]
    pub(super) fn frame(&self) -> &[u8] {
        if self.joined.is_empty() { &self.chunk } else { &self.joined }
    }

    /// Takes the frame at hand out.
    pub(super) fn take(&mut self, whole: &Whole) -> Frame {
        if self.joined.is_empty() {
            self.lend(whole.len);
            whole.frame(&self.chunk)
        } else {
            whole.frame(&Bytes::from(mem::take(&mut self.joined)))
        }
    }

    /// Notes that the frame at hand, of so many octets, was handed out.
    pub(super) fn lend(&mut self, len: usize) {
        self.lent = len;
    }

    /// Drops the frame that was handed out last, if it is still there.
    #[inline(always)]
    pub(super) fn release(&mut self) {
        let lent = mem::take(&mut self.lent);
        if lent == 0 {
            return;
        }
        if self.joined.is_empty() {
            self.skip(lent);
        } else if self.joined.capacity() <= JOINED_KEPT {
            self.joined.clear();
        } else {
            // Making it smaller instead would have the next large frame grow from a place where it does not fit.
            self.joined = Vec::new();
        }
    }
}

fn append(joined: &mut Vec<u8>, part: &[u8], ahead: usize) {
    if joined.capacity() - joined.len() < part.len() {
        joined.reserve_exact(part.len() + ahead);
    }
    joined.extend_from_slice(part);
}

/// Octets of a buffer that are kept for the next frame that spans chunks and is only lent out.
const JOINED_KEPT: usize = 64 * 1024;

/// Places for chunks that are kept once no chunk waits any more, 2 KiB of them.
const WAITING_KEPT: usize = 64;
