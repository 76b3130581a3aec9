use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Outbound;

/// Encoded frames that go out one after the other; they lie in one piece of memory.
///
/// It yields them one by one. What has been taken out is gone from it.
///
/// ```
/// use bytes::Bytes;
/// use stompede_transport::OutboundFrames;
///
/// let frames = [&b"SEND\ndestination:/queue/a\n\n\0"[..], b"SEND\ndestination:/queue/b\n\n\0"];
/// let mut frames: OutboundFrames = frames.into_iter().collect();
/// assert_eq!(frames.next().unwrap().into_bytes(), "SEND\ndestination:/queue/a\n\n\0");
/// assert_eq!(frames.first().unwrap(), b"SEND\ndestination:/queue/b\n\n\0");
/// assert_eq!(frames.len(), 1);
/// ```
#[derive(Default)]
pub struct OutboundFrames {
    /// What is left.
    bytes: Bytes,
    /// Of all of them, those that have been taken out included.
    lens: Vec<u32>,
    taken: usize,
}

impl OutboundFrames {
    /// Puts other frames in the place of what is left: of these lengths, and next to each other in `bytes`. Uses the memory
    /// again that there is.
    ///
    /// What `bytes` has beyond them is left out, and a length that it has no bytes for is cut short.
    pub fn refill(&mut self, bytes: Bytes, lens: impl IntoIterator<Item = u32>) {
        self.bytes = bytes;
        self.lens.clear();
        self.lens.extend(lens);
        self.taken = 0;
    }

    /// The first one.
    #[inline]
    pub fn first(&self) -> Option<&[u8]> {
        let len = *self.lens.get(self.taken)? as usize;
        self.bytes.get(..len).or(Some(&self.bytes))
    }

    /// Takes the first one out, and leaves it at that.
    #[inline]
    pub fn skip_first(&mut self) {
        let Some(len) = self.lens.get(self.taken) else { return };
        self.bytes.advance((*len as usize).min(self.bytes.len()));
        self.taken += 1;
        self.let_go();
    }

    /// Takes all of them out, in one piece.
    pub fn take_all(&mut self) -> Bytes {
        self.taken = self.lens.len();
        std::mem::take(&mut self.bytes)
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.lens.len() - self.taken
    }

    /// Whether none is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.taken == self.lens.len()
    }

    /// Keeps no memory alive that nothing is left in.
    #[inline]
    fn let_go(&mut self) {
        if self.is_empty() {
            self.bytes = Bytes::new();
        }
    }
}

impl Iterator for OutboundFrames {
    type Item = Outbound;

    fn next(&mut self) -> Option<Outbound> {
        let len = *self.lens.get(self.taken)? as usize;
        let frame = self.bytes.split_to(len.min(self.bytes.len()));
        self.taken += 1;
        self.let_go();
        Some(Outbound::whole(frame))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

/// Copies them next to each other. A frame of more than 4 GiB is cut short.
impl<F: AsRef<[u8]>> FromIterator<F> for OutboundFrames {
    fn from_iter<T: IntoIterator<Item = F>>(frames: T) -> Self {
        let (mut bytes, mut lens) = (BytesMut::new(), Vec::new());
        for frame in frames {
            let len = u32::try_from(frame.as_ref().len()).unwrap_or(u32::MAX);
            bytes.put_slice(frame.as_ref().get(..len as usize).unwrap_or_default());
            lens.push(len);
        }
        Self { bytes: bytes.freeze(), lens, taken: 0 }
    }
}

/// Lengths only: what is sent may be secret.
impl fmt::Debug for OutboundFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundFrames")
            .field("frames", &self.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> OutboundFrames {
        ["one", "", "three"].into_iter().collect()
    }

    #[test]
    fn each_is_taken_out_once_however_that_is_done() {
        for skipped in 0..=3 {
            let mut frames = frames();
            for expected in ["one", "", "three"].into_iter().take(skipped) {
                assert_eq!(frames.first(), Some(expected.as_bytes()));
                frames.skip_first();
            }
            assert_eq!((frames.len(), frames.is_empty()), (3 - skipped, skipped == 3));
            let rest: Vec<_> = frames.by_ref().map(Outbound::into_bytes).collect();
            assert_eq!(rest, ["one", "", "three"][skipped..]);
            assert!(frames.is_empty() && frames.first().is_none() && frames.next().is_none());
            frames.skip_first();
            assert_eq!(frames.take_all(), "");
        }
        let mut frames = frames();
        frames.skip_first();
        assert_eq!(frames.take_all(), "three");
        assert!(frames.is_empty() && frames.next().is_none());
    }

    #[test]
    fn lengths_that_are_wrong_harm_nobody() {
        let mut frames = OutboundFrames::default();
        frames.refill(Bytes::from_static(b"abc"), [2, 7, 1]);
        assert_eq!(frames.next().unwrap().into_bytes(), "ab");
        assert_eq!(frames.first(), Some(&b"c"[..]));
        frames.skip_first();
        assert_eq!(frames.first(), Some(&b""[..]));
        frames.refill(Bytes::from_static(b"abc"), [1]);
        assert_eq!(frames.next().unwrap().into_bytes(), "a");
        assert!(frames.is_empty());
    }
}
