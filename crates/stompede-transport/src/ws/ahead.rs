use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::gather::SMALL;
use super::opcode::{BINARY, FIN, TEXT};

/// Bytes that were read and not looked at yet.
///
/// Nearly all that a client gets is data in one piece, which is taken from here. tungstenite takes several times as long for
/// a small frame; it gets all others: control frames, fragments, large ones that have come in part, and what is no frame at
/// all.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    /// Those before have been looked at.
    at: usize,
    /// How many are read at a time.
    size: usize,
}

/// What comes first.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum First<'a> {
    /// A whole message: its payload.
    Message(&'a [u8]),
    /// A whole message with a payload of more than [`SMALL`] bytes.
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

    /// Looks at what comes first, and skips it if it is a message with a payload of at most `limit` bytes.
    pub(super) fn first(&mut self, limit: usize) -> First<'_> {
        let unread = &self.bytes[self.at..];
        let (header, len) = match *unread {
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
        match unread.get(header..whole) {
            Some(_) if len > SMALL => First::Large(self.take(header, len)),
            Some(_) => {
                self.at += whole;
                First::Message(&self.bytes[self.at - len..self.at])
            }
            // What is missing is read to where it is to be.
            None if len > SMALL => First::Other,
            None => First::Part,
        }
    }

    /// Hands a payload out where it was read to; what comes behind it moves.
    fn take(&mut self, header: usize, len: usize) -> Bytes {
        let start = std::mem::take(&mut self.at) + header;
        let rest = self.bytes[start + len..].to_vec();
        Bytes::from(std::mem::replace(&mut self.bytes, rest)).slice(start..start + len)
    }

    /// Reads more; 0 at the end of the stream.
    pub(super) fn poll_read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.reserve_exact(self.size.saturating_sub(self.bytes.len()));
        let room = self.size.saturating_sub(self.bytes.len());
        let mut buffer = (&mut self.bytes).limit(room);
        pin!(io.read_buf(&mut buffer)).poll(cx)
    }

    /// Keeps nothing while there is nothing to read.
    pub(super) fn let_go(&mut self) {
        if self.unread().is_empty() {
            self.bytes = Vec::new();
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::opcode::{CONTINUATION, MASKED, PING};
    use super::*;

    const SIZE: usize = 1024;
    const LIMIT: usize = 1000;

    fn frame(first: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match len {
            0..126 => frame.push(len as u8),
            126..65536 => frame.extend([&[126], &(len as u16).to_be_bytes()[..]].concat()),
            _ => frame.extend([&[127], &(len as u64).to_be_bytes()[..]].concat()),
        }
        frame.extend((0..len).map(|at| at as u8));
        frame
    }

    #[test]
    fn messages_are_found_once_they_are_whole() {
        for first in [FIN | TEXT, FIN | BINARY] {
            for len in [1, 2, 125, 126, 127, 255, 256, LIMIT] {
                let wire = [frame(first, len), frame(FIN | PING, 3)].concat();
                let end = wire.len() - 5;
                for cut in 0..end {
                    let mut ahead = Ahead::new(&wire[..cut], SIZE);
                    assert_eq!(ahead.first(LIMIT), First::Part, "{cut} of {len}");
                    assert_eq!(ahead.unread().len(), cut);
                }
                let mut ahead = Ahead::new(&wire, SIZE);
                assert_eq!(ahead.first(LIMIT), First::Message(&wire[end - len..end]));
                assert_eq!(ahead.first(LIMIT), First::Other, "the ping");
                assert_eq!(ahead.unread(), frame(FIN | PING, 3));
            }
        }
    }

    #[test]
    fn a_large_payload_is_handed_out_where_it_is_once_it_is_whole() {
        let large = SMALL + 1;
        let wire = [frame(FIN | TEXT, 3), frame(FIN | TEXT, large), frame(FIN | BINARY, 2)].concat();
        let mut ahead = Ahead::new(&wire[..wire.len() - 5], 2 * SMALL);
        assert!(matches!(ahead.first(usize::MAX), First::Message(_)));
        assert_eq!(ahead.first(usize::MAX), First::Other, "a byte is missing");
        let mut ahead = Ahead::new(&wire, 2 * SMALL);
        assert!(matches!(ahead.first(usize::MAX), First::Message(_)));
        let place = ahead.unread()[4..].as_ptr();
        let First::Large(payload) = ahead.first(usize::MAX) else { unreachable!("it is whole") };
        assert_eq!((payload.as_ptr(), payload.len()), (place, large));
        assert_eq!(payload, frame(FIN | TEXT, large)[4..]);
        assert_eq!(ahead.first(usize::MAX), First::Message(&[0, 1]));
        assert_eq!(ahead.first(usize::MAX), First::Part);
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
            assert_eq!(ahead.first(LIMIT), First::Other, "{:?}", &other[..2]);
            assert_eq!(ahead.unread(), other);
        }
        let mut ahead = Ahead::new(&frame(FIN | TEXT, SIZE), SIZE);
        assert_eq!(ahead.first(usize::MAX), First::Other, "it can never be whole in here");
    }
}
