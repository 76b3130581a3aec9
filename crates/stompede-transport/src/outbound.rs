use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// One encoded frame, or one heart-beat, on its way out.
///
/// Its bytes are read through [`Buf`]: in order, in up to three pieces (head, body, and the NUL that ends a frame
/// whose body was kept apart), so that a large body goes to a vectored write without being copied.
///
/// ```
/// use bytes::{Buf, BufMut, Bytes, BytesMut};
/// use stompede_transport::Outbound;
///
/// let mut item = Outbound::split(Bytes::from_static(b"SEND\ndestination:/queue/a\n\n"), Bytes::from_static(b"hi"));
/// assert_eq!(item.copy_to_bytes(item.remaining()), "SEND\ndestination:/queue/a\n\nhi\0");
/// ```
#[derive(Clone)]
pub struct Outbound {
    head: Bytes,
    body: Bytes,
    /// Whether there is still the NUL behind a body that was kept apart.
    nul: bool,
    heart_beat: bool,
}

impl Outbound {
    /// A frame whose bytes, the final NUL included, are all in `frame`.
    pub fn whole(frame: Bytes) -> Self {
        Self { head: frame, body: Bytes::new(), nul: false, heart_beat: false }
    }

    /// A frame in two parts; the NUL that ends it is added when the bytes are read.
    ///
    /// `head` is everything up to and with the blank line.
    pub fn split(head: Bytes, body: Bytes) -> Self {
        Self { head, body, nul: true, heart_beat: false }
    }

    /// A heart-beat: one line feed.
    pub fn heart_beat() -> Self {
        Self { head: Bytes::from_static(b"\n"), body: Bytes::new(), nul: false, heart_beat: true }
    }

    /// Whether this is a heart-beat and no frame.
    pub fn is_heart_beat(&self) -> bool {
        self.heart_beat
    }

    /// What remains, in order; some of it may be empty.
    pub(crate) fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.body, self.tail()]
    }

    fn tail(&self) -> &'static [u8] {
        if self.nul { b"\0" } else { b"" }
    }

    /// The byte at a place of what remains.
    #[cfg(feature = "ws")]
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        let mut before = 0;
        for part in self.parts() {
            if let Some(&byte) = part.get(at - before) {
                return Some(byte);
            }
            before += part.len();
        }
        None
    }

    #[cfg(feature = "ws")]
    pub(crate) fn is_text(&self) -> bool {
        is_text(self.parts())
    }

    /// The bytes as one piece: for free if they already are, else copied once.
    pub fn into_bytes(mut self) -> Bytes {
        if self.body.is_empty() && !self.nul {
            return self.head;
        }
        self.copy_to_bytes(self.remaining())
    }
}

/// Whether each part is UTF-8. A head ends with a line feed, so no character lies across.
#[cfg(feature = "ws")]
pub(crate) fn is_text<const N: usize>(parts: [&[u8]; N]) -> bool {
    #[cfg(test)]
    TEXT_CHECKS.set(TEXT_CHECKS.get() + 1);
    // Nearly all of it is ASCII, which is found out several times faster.
    parts.iter().all(|part| is_ascii(part) || std::str::from_utf8(part).is_ok())
}

/// As the standard library's, for a few hundred bytes in half the time: whole pieces without an early end, so that the
/// compiler looks at many bytes at a time.
#[cfg(feature = "ws")]
fn is_ascii(bytes: &[u8]) -> bool {
    bytes.chunks(256).all(|piece| piece.iter().fold(0, |all, byte| all | byte) < 0x80)
}

/// Lengths only: CONNECT travels in here, and with it a passcode.
impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("head", &self.head.len())
            .field("body", &self.body.len())
            .field("nul", &self.nul)
            .field("heart_beat", &self.heart_beat)
            .finish()
    }
}

impl Buf for Outbound {
    fn remaining(&self) -> usize {
        self.head.len() + self.body.len() + usize::from(self.nul)
    }

    fn chunk(&self) -> &[u8] {
        [&self.head, &self.body].into_iter().find(|part| !part.is_empty()).map_or(self.tail(), |part| part)
    }

    fn advance(&mut self, cnt: usize) {
        let from_head = cnt.min(self.head.len());
        self.head.advance(from_head);
        let from_body = (cnt - from_head).min(self.body.len());
        self.body.advance(from_body);
        let from_tail = cnt - from_head - from_body;
        assert!(from_tail <= usize::from(self.nul), "advanced by {cnt}, past the end");
        self.nul &= from_tail == 0;
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, part) in dst.iter_mut().zip(self.parts().into_iter().filter(|part| !part.is_empty())) {
            *slot = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        // Within one part nothing needs to be copied.
        if len <= self.head.len() {
            return self.head.split_to(len);
        }
        if self.head.is_empty() && len <= self.body.len() {
            return self.body.split_to(len);
        }
        let mut joined = BytesMut::with_capacity(len);
        joined.put(self.take(len));
        joined.freeze()
    }
}

#[cfg(all(test, feature = "ws"))]
std::thread_local! {
    /// How often this thread has looked whether an item is text.
    pub(crate) static TEXT_CHECKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Outbound {
        Outbound::split(Bytes::from_static(b"head"), Bytes::from_static(b"body"))
    }

    fn slices(item: &Outbound) -> Vec<Vec<u8>> {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = item.chunks_vectored(&mut slices);
        slices[..filled].iter().map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn a_split_frame_reads_as_head_body_and_nul_however_it_is_advanced() {
        for at in 0..=9 {
            let mut item = split();
            item.advance(at);
            assert_eq!(item.remaining(), 9 - at);
            assert_eq!(slices(&item).concat(), b"headbody\0"[at..]);
            assert_eq!(item.clone().into_bytes(), b"headbody\0"[at..]);
            for taken in 0..=item.remaining() {
                let mut item = item.clone();
                assert_eq!(item.copy_to_bytes(taken), b"headbody\0"[at..at + taken]);
                assert_eq!(item.into_bytes(), b"headbody\0"[at + taken..]);
            }
        }
    }

    #[test]
    fn the_body_is_shared_not_copied() {
        let body = Bytes::from(vec![7; 100_000]);
        let mut item = Outbound::split(Bytes::from_static(b"head"), body.clone());
        item.advance(4);
        assert_eq!(item.chunk().as_ptr(), body.as_ptr());
        assert_eq!(item.copy_to_bytes(body.len()).as_ptr(), body.as_ptr());
        assert_eq!(item.into_bytes(), "\0");
    }

    #[test]
    fn a_whole_frame_comes_back_as_the_same_bytes() {
        let frame = Bytes::from(b"RECEIPT\n\n\0".to_vec());
        assert_eq!(Outbound::whole(frame.clone()).into_bytes().as_ptr(), frame.as_ptr());
        assert!(!Outbound::whole(frame).is_heart_beat());
        assert!(Outbound::heart_beat().is_heart_beat());
    }
}
