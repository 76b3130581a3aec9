//! What has arrived and was not handed out yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::scan::Whole;
use crate::Frame;

/// The octets of a stream from the frame at hand on.
///
/// The frame at hand lies in `chunk` from `at` on, as long as that has all of it that has arrived; a frame that spans
/// chunks is in `joined`, and its rest is to come from `chunk`.
#[derive(Default)]
pub(super) struct Input {
    /// The beginning of a frame whose end is in no one chunk, or nothing.
    pub(super) joined: Vec<u8>,
    /// What is being read.
    chunk: Bytes,
    /// Octets of it that were read. To move its beginning instead would be more to write for each frame.
    at: usize,
    /// What comes after it.
    waiting: VecDeque<Bytes>,
    waiting_len: usize,
    /// Whether what was joined is a whole frame that was handed out; it is dropped when the next one is asked for.
    lent: bool,
}

impl Input {
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.is_read_up() {
            self.chunk = chunk;
            self.at = 0;
        } else {
            self.waiting_len += chunk.len();
            self.waiting.push_back(chunk);
        }
    }

    /// Adds a copy.
    pub(super) fn push_copy(&mut self, octets: &[u8]) {
        let mut copy = Vec::new();
        append(&mut copy, octets, 0);
        self.push(copy.into());
    }

    /// Whether there is nothing behind what was joined.
    pub(super) fn is_read_up(&self) -> bool {
        self.unread().is_empty() && self.waiting.is_empty()
    }

    /// Octets held that were not handed out.
    pub(super) fn len(&self) -> usize {
        let joined = if self.lent { 0 } else { self.joined.len() };
        joined + self.unread().len() + self.waiting_len
    }

    /// Makes sure that there is something unread in the chunk; `false` if there is nothing.
    #[inline]
    pub(super) fn fill(&mut self) -> bool {
        !self.unread().is_empty() || self.next_chunk()
    }

    fn next_chunk(&mut self) -> bool {
        self.chunk = self.waiting.pop_front().unwrap_or_default();
        self.at = 0;
        self.waiting_len -= self.chunk.len();
        if self.waiting.is_empty() && self.waiting.capacity() > WAITING_KEPT {
            self.waiting = VecDeque::new();
        }
        !self.chunk.is_empty()
    }

    /// What is unread of the chunk.
    #[inline(always)]
    pub(super) fn unread(&self) -> &[u8] {
        &self.chunk[self.at..]
    }

    /// The chunk, and where it is unread from.
    #[inline(always)]
    pub(super) fn chunk(&self) -> (&Bytes, usize) {
        (&self.chunk, self.at)
    }

    /// Joins so many octets of the chunk to the frame at hand; see [`join_slice`](Input::join_slice).
    pub(super) fn join(&mut self, len: usize, ahead: usize) {
        append(&mut self.joined, &self.chunk[self.at..][..len], ahead);
        self.skip(len);
    }

    /// Joins so many octets of the chunk, which stay unread.
    pub(super) fn try_on(&mut self, len: usize) {
        self.joined.extend_from_slice(&self.chunk[self.at..][..len]);
    }

    /// Joins octets that are in no chunk; if there is no room for them, room is made for `ahead` more.
    pub(super) fn join_slice(&mut self, part: &[u8], ahead: usize) {
        append(&mut self.joined, part, ahead);
    }

    /// Takes octets of the chunk, of which there are so many, for read.
    #[inline(always)]
    pub(super) fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Takes the frame at hand out.
    pub(super) fn take(&mut self, whole: &Whole) -> Frame {
        if self.joined.is_empty() {
            let start = self.at;
            self.skip(whole.len);
            whole.frame(&self.chunk, start)
        } else {
            whole.frame(&Bytes::from(mem::take(&mut self.joined)), 0)
        }
    }

    /// Hands out the frame at hand, which has so many octets, and leaves it where it is.
    pub(super) fn lend(&mut self, len: usize) -> &[u8] {
        if self.joined.is_empty() {
            let start = self.at;
            self.skip(len);
            &self.chunk[start..]
        } else {
            self.lent = true;
            &self.joined
        }
    }

    /// Drops what was read, or handed out and left where it was.
    pub(super) fn release(&mut self) {
        if self.unread().is_empty() {
            // An empty slice of a chunk would keep all of it alive.
            self.chunk = Bytes::new();
            self.at = 0;
        }
        if !mem::take(&mut self.lent) {
            return;
        }
        if self.joined.capacity() <= JOINED_KEPT {
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
    let end = joined.as_ptr().addr() + joined.len();
    let is_near = end.wrapping_sub(part.as_ptr().addr()) % PAGE < NEAR;
    if part.len() > PIECE && (is_near || joined.len() >= FAR) {
        part.chunks(PIECE).for_each(|piece| joined.extend_from_slice(piece));
    } else {
        joined.extend_from_slice(part);
    }
}

/// Octets of a page of memory, and how little further into its page than the source a copy may go before the instruction for
/// long copies takes up to seven times as long on some x86-64 processors: they take what was just written for what is read
/// next. A copy in pieces is too short for that instruction.
const PAGE: usize = 4096;
const NEAR: usize = 64;
const PIECE: usize = 1024;

/// Octets of a frame from which on what is joined lies beyond the caches of one core: there short copies are quicker than that
/// instruction, and the more so the larger the frame.
const FAR: usize = 1024 * 1024;

/// Octets of a buffer that are kept for the next frame that spans chunks and is only lent out.
const JOINED_KEPT: usize = 64 * 1024;

/// Places for chunks that are kept once no chunk waits any more, 2 KiB of them.
const WAITING_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::{FAR, PAGE, PIECE, append};

    /// One of these places is near enough to be copied in pieces, and most are not.
    #[test]
    fn what_is_joined_is_the_same_wherever_it_lay() {
        let octets: Vec<u8> = (0..2 * PAGE + 3 * PIECE).map(|n| (n / 7) as u8).collect();
        for from in (0..PAGE).step_by(8) {
            let part = &octets[from..][..PAGE + 2 * PIECE + 1];
            let mut joined = Vec::new();
            append(&mut joined, &octets[..5], 2 * PAGE);
            append(&mut joined, part, 0);
            assert!(joined[..5] == octets[..5] && joined[5..] == *part, "{from}");
        }
    }

    #[test]
    fn what_is_joined_far_from_its_beginning_is_the_same() {
        let octets: Vec<u8> = (0..FAR + 3 * PIECE + 1).map(|n| (n / 7) as u8).collect();
        let mut joined = Vec::new();
        for part in octets.chunks(3 * PIECE - 1) {
            append(&mut joined, part, 0);
        }
        assert!(joined == octets);
    }
}
