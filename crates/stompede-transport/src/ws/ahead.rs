use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::opcode::{BINARY, FIN, TEXT};

/// Bytes that were read and not looked at yet.
///
/// Nearly all that a client gets is data in one piece, which is taken from here. tungstenite takes several times as long for
/// a small frame; it gets all others: control frames, fragments, what is larger than one read, and what is no frame at all.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: BytesMut,
    /// Those before have been looked at.
    at: usize,
    /// How many are read at a time.
    size: usize,
}

/// What comes first.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum First<'a> {
    /// A whole message: its payload.
    Small(&'a [u8]),
    /// The same of one that is worth a buffer of its own: where it was read.
    Large(Bytes),
    /// Too little to say.
    Part,
    /// Something for tungstenite.
    Other,
}

impl Ahead {
    /// Reads so many bytes at a time; `bytes` have come already.
    pub(super) fn new(bytes: &[u8], size: usize) -> Self {
        Self { bytes: bytes.into(), at: 0, size }
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn skip(&mut self, len: usize) {
        self.at += len;
    }

    /// Looks at what comes first, and skips it if it is a message with a payload of at most `limit` bytes; one of up to `small`
    /// is small.
    pub(super) fn first(&mut self, small: usize, limit: usize) -> First<'_> {
        let (header, len) = match self.bytes[self.at..] {
            [opcode, ..] if opcode != FIN | TEXT && opcode != FIN | BINARY => return First::Other,
            // An empty one is for tungstenite as well: there might be any number of them.
            [_, 0, ..] => return First::Other,
            [_, len @ 1..126, ..] => (2, usize::from(len)),
            [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
            [] | [_] | [_, 126, ..] => return First::Part,
            // Longer, or masked.
            _ => return First::Other,
        };
        let whole = header + len;
        if len == 0 || len > limit || whole > self.size {
            return First::Other;
        }
        let (from, to) = (self.at + header, self.at + whole);
        if self.bytes.len() < to {
            return First::Part;
        }
        if len <= small {
            self.at = to;
            return First::Small(&self.bytes[from..to]);
        }
        self.at = 0;
        First::Large(self.bytes.split_to(to).freeze().slice(from..))
    }

    /// Reads more; 0 at the end of the stream.
    pub(super) fn poll_read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let at = std::mem::take(&mut self.at);
        self.bytes.copy_within(at.., 0);
        self.bytes.truncate(self.bytes.len() - at);
        let room = self.size.saturating_sub(self.bytes.len());
        // Takes another block if the rest of this one, behind a large message, is too short.
        self.bytes.reserve(room);
        let mut buffer = (&mut self.bytes).limit(room);
        pin!(io.read_buf(&mut buffer)).poll(cx)
    }

    /// Keeps nothing while there is nothing to read.
    pub(super) fn let_go(&mut self) {
        if self.unread().is_empty() {
            self.bytes = BytesMut::new();
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::opcode::tests::unmasked;
    use super::super::opcode::{CONTINUATION, MASKED, PING};
    use super::*;

    const SIZE: usize = 1024;
    const SMALL: usize = 500;
    const LIMIT: usize = 1000;

    fn frame(first: u8, len: usize) -> Vec<u8> {
        unmasked(first, &(0..len).map(|at| at as u8).collect::<Vec<_>>())
    }

    #[test]
    fn messages_are_found_once_they_are_whole() {
        for first in [FIN | TEXT, FIN | BINARY] {
            for len in [1, 2, 125, 126, 127, 255, 256, SMALL] {
                let wire = [frame(first, len), frame(FIN | PING, 3)].concat();
                let end = wire.len() - 5;
                for cut in 0..end {
                    let mut ahead = Ahead::new(&wire[..cut], SIZE);
                    assert_eq!(ahead.first(SMALL, LIMIT), First::Part, "{cut} of {len}");
                    assert_eq!(ahead.unread().len(), cut);
                }
                let mut ahead = Ahead::new(&wire, SIZE);
                assert_eq!(ahead.first(SMALL, LIMIT), First::Small(&wire[end - len..end]));
                assert_eq!(ahead.first(SMALL, LIMIT), First::Other, "the ping");
                assert_eq!(ahead.unread(), frame(FIN | PING, 3));
            }
        }
    }

    #[test]
    fn a_large_message_stays_where_it_was_read() {
        for len in [SMALL + 1, LIMIT] {
            let (small, large) = (frame(FIN | TEXT, 7), frame(FIN | BINARY, len));
            let mut wire = &*[&*small, &*large, &*small].concat();
            let mut ahead = Ahead::new(&[], 2 * SIZE);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(ahead.poll_read(&mut wire, &mut cx).is_ready());
            assert_eq!(ahead.first(SMALL, LIMIT), First::Small(&small[2..]));
            let place = ahead.unread().as_ptr().wrapping_add(4);
            let First::Large(payload) = ahead.first(SMALL, LIMIT) else { panic!("it is whole") };
            assert_eq!(payload, large[4..]);
            assert_eq!(payload.as_ptr(), place);
            assert_eq!(ahead.first(SMALL, LIMIT), First::Small(&small[2..]));
            // The next read is as large as the first.
            let mut more = &*[&*large, &*large, &*small].concat();
            assert!(ahead.poll_read(&mut more, &mut cx).is_ready());
            assert_eq!(ahead.unread().len(), 2 * large.len() + small.len());
        }
    }

    #[test]
    fn all_else_is_left_where_it_is() {
        let masked = [&[FIN | TEXT, MASKED | 1][..], &[0; 5]].concat();
        let too_long = [&[FIN | TEXT, 127][..], &[0xff; 8]].concat();
        let others = [
            frame(TEXT, 5),
            frame(FIN | CONTINUATION, 5),
            frame(FIN | 0x40 | TEXT, 5),
            frame(FIN | 0x08, 2),
            frame(FIN | TEXT, 0),
            frame(FIN | TEXT, LIMIT + 1),
            frame(FIN | TEXT, 70_000),
            masked,
            too_long,
            b"HTTP/1.1 400 Bad Request".to_vec(),
        ];
        for other in others {
            let mut ahead = Ahead::new(&other, SIZE);
            assert_eq!(ahead.first(SMALL, LIMIT), First::Other, "{:?}", &other[..2]);
            assert_eq!(ahead.unread(), other);
        }
        let mut ahead = Ahead::new(&frame(FIN | TEXT, SIZE), SIZE);
        assert_eq!(ahead.first(SMALL, usize::MAX), First::Other, "it can never be whole in here");
    }
}
