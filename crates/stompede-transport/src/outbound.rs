use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// One encoded frame, or one heart-beat, on its way out.
///
/// Its bytes are read through [`Buf`]: in order, in up to three pieces (head, body, and the NUL that ends a frame
/// whose body was kept apart), so that a large body goes to a vectored write without being copied.
///
/// ```
/// use bytes::{Buf, Bytes};
/// use stompede_transport::Outbound;
///
/// let mut item = Outbound::split(Bytes::from_static(b"SEND\ndestination:/queue/a\n\n"), Bytes::from_static(b"hi"));
/// assert_eq!(item.copy_to_bytes(item.remaining()), "SEND\ndestination:/queue/a\n\nhi\0");
/// ```
#[derive(Clone, Debug)]
pub struct Outbound {
    head: Bytes,
    body: Bytes,
    /// What is left of the NUL behind a body that was kept apart.
    tail: &'static [u8],
    heart_beat: bool,
}

impl Outbound {
    /// A frame whose bytes, the final NUL included, are all in `frame`.
    pub fn whole(frame: Bytes) -> Self {
        Self { head: frame, body: Bytes::new(), tail: b"", heart_beat: false }
    }

    /// A frame in two parts; the NUL that ends it is added when the bytes are read.
    ///
    /// `head` is everything up to and with the blank line.
    pub fn split(head: Bytes, body: Bytes) -> Self {
        Self { head, body, tail: b"\0", heart_beat: false }
    }

    /// A heart-beat: one line feed.
    pub fn heart_beat() -> Self {
        Self { head: Bytes::from_static(b"\n"), body: Bytes::new(), tail: b"", heart_beat: true }
    }

    /// Whether this is a heart-beat and no frame.
    pub fn is_heart_beat(&self) -> bool {
        self.heart_beat
    }

    /// The bytes as one piece: for free if they already are, else copied once.
    pub fn into_bytes(mut self) -> Bytes {
        if self.body.is_empty() && self.tail.is_empty() {
            return self.head;
        }
        self.copy_to_bytes(self.remaining())
    }
}

impl Buf for Outbound {
    fn remaining(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        [self.head.chunk(), self.body.chunk()].into_iter().find(|part| !part.is_empty()).unwrap_or(self.tail)
    }

    fn advance(&mut self, cnt: usize) {
        let from_head = cnt.min(self.head.len());
        self.head.advance(from_head);
        let from_body = (cnt - from_head).min(self.body.len());
        self.body.advance(from_body);
        self.tail = &self.tail[cnt - from_head - from_body..];
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let parts = [self.head.chunk(), self.body.chunk(), self.tail];
        for (slot, part) in dst.iter_mut().zip(parts.into_iter().filter(|part| !part.is_empty())) {
            *slot = IoSlice::new(part);
            filled += 1;
        }
        filled
    }
}
