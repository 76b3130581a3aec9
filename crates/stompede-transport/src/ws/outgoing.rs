use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;
use tungstenite::protocol::Role;

use super::config::Split;
use super::frame::{Masks, any_bits, mask_from, write_header};
use super::opcode::{CONTINUATION, FIN, PING, TEXT};
use crate::Outbound;
use crate::outbound::is_text;

/// With this many encoded bytes waiting, nothing more is taken until some were written.
///
/// A socket takes about this much at once; more would only wait longer.
pub(super) const HIGH_WATER: usize = 64 * 1024;

/// Up to here answers to pings may wait as well. Further answers are dropped, as RFC 6455 allows: a peer that sends
/// pings and reads nothing must not fill the memory.
const CONTROL_WATER: usize = 2 * HIGH_WATER;

/// What is copied and masked at a time: it is still in the fastest cache when it is masked.
const PART: usize = 16 * 1024;

/// A buffer of this size is kept while nothing waits; a larger one is given back.
const KEPT: usize = 4 * 1024;

/// Encoded WebSocket frames on their way to the socket.
///
/// It takes the place of tungstenite's write buffer, which has to hold the largest frame as a whole, copies a frame
/// once more to get there, moves all that is left after each write, and never becomes smaller. Here a large frame is
/// encoded as the socket takes it. What tungstenite writes itself (answers to pings and closes) goes between frames.
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    /// How much of `buffer` has been written.
    written: usize,
    /// What of an item is not encoded yet; nothing may come between.
    rest: Option<Rest>,
    /// A client masks.
    masks: Option<Masks>,
    /// What `buffer` grew to the last time, so that it need not grow step by step again.
    expected: usize,
    /// All bytes that were ever written, modulo 2⁶⁴: tells progress from none.
    total: u64,
}

/// What a message is sent as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opcode {
    Known(u8),
    /// As text if it is UTF-8, otherwise as this, if as anything.
    Text {
        otherwise: Option<u8>,
    },
}

/// An item is no text, and nothing else is to be sent.
#[derive(Debug)]
pub(super) struct NotText;

/// An item that is being encoded.
struct Rest {
    item: Outbound,
    split: Split,
    /// What the next frame begins with.
    opcode: u8,
    /// Payload bytes of the current frame that are still to come.
    in_frame: usize,
    mask: Option<[u8; 4]>,
}

impl Outgoing {
    pub(super) fn new(role: Role) -> Self {
        let masks = match role {
            Role::Client => Some(Masks::new()),
            Role::Server => None,
        };
        Self { buffer: Vec::new(), written: 0, rest: None, masks, expected: 0, total: 0 }
    }

    /// Whether one more item may be pushed.
    pub(super) fn has_room(&self) -> bool {
        self.rest.is_none() && self.waiting() < HIGH_WATER
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_none() && self.waiting() == 0
    }

    /// How often it has got on.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Takes one item as one message, or as `split` says; only while there is room.
    pub(super) fn push(&mut self, item: Outbound, opcode: Opcode, split: Split) -> Result<(), NotText> {
        if item.remaining() <= PART.min(split.limit()) {
            return self.push_small(item.parts(), opcode);
        }
        self.make_room();
        let opcode = opcode.of(|| item.is_text())?;
        self.rest = Some(Rest { item, split, opcode, in_frame: 0, mask: None });
        self.encode();
        Ok(())
    }

    /// The same for a frame that lies in one piece, if it is small; whether it was.
    #[inline]
    pub(super) fn push_piece(&mut self, frame: &[u8], opcode: Opcode, split: Split) -> Result<bool, NotText> {
        if frame.len() > PART.min(split.limit()) {
            return Ok(false);
        }
        self.push_small([frame], opcode).map(|()| true)
    }

    /// Nearly all frames are small: they go into the buffer at once, and nothing is kept. They are nearly all ASCII as well,
    /// which is seen while they are masked.
    #[inline]
    fn push_small<const N: usize>(&mut self, parts: [&[u8]; N], opcode: Opcode) -> Result<(), NotText> {
        self.make_room();
        let (before, mask) = (self.buffer.len(), self.masks.as_mut().map(Masks::next));
        let len = parts.iter().map(|part| part.len()).sum();
        write_header(&mut self.buffer, opcode.if_text() | FIN, len, mask);
        let at = self.buffer.len();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            self.buffer.extend_from_slice(part);
        }
        let any = match mask {
            Some(mask) => mask_from(&mut self.buffer, at, mask),
            None => any_bits(&self.buffer[at..]),
        };
        if any < 0x80 {
            return Ok(());
        }
        let decided = opcode.of(|| is_text(parts));
        match &decided {
            Ok(opcode) => self.buffer[before] = opcode | FIN,
            Err(NotText) => self.buffer.truncate(before),
        }
        decided.map(|_| ())
    }

    /// Takes frames that are encoded already, all of them or none; whether it did.
    pub(super) fn push_control(&mut self, frames: &[u8]) -> bool {
        if self.rest.is_some() || self.waiting() + frames.len() > CONTROL_WATER {
            return false;
        }
        self.buffer.extend_from_slice(frames);
        true
    }

    /// Takes a ping without words, if there is room.
    pub(super) fn push_ping(&mut self) {
        let mask = self.masks.as_mut().map(Masks::next);
        let mut frame = Vec::with_capacity(6);
        write_header(&mut frame, FIN | PING, 0, mask);
        let _ = self.push_control(&frame);
    }

    /// Forgets all that waits.
    pub(super) fn clear(&mut self) {
        self.buffer = Vec::new();
        self.written = 0;
        self.rest = None;
    }

    /// Writes until nothing waits.
    pub(super) fn poll_write<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.buffer.len() {
                match ready!(Pin::new(&mut *io).poll_write(cx, &self.buffer[self.written..]))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => {
                        self.written += written;
                        self.total = self.total.wrapping_add(written as u64);
                    }
                }
            }
            if !self.buffer.is_empty() {
                self.expected = self.buffer.len();
            }
            self.buffer.clear();
            self.written = 0;
            if self.rest.is_none() {
                self.buffer.shrink_to(KEPT);
                return Poll::Ready(Ok(()));
            }
            self.encode();
        }
    }

    fn waiting(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Moves what waits to the front when more than half has been written, so that the buffer does not grow for that.
    fn make_room(&mut self) {
        if self.written > self.buffer.len() / 2 {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(self.expected.min(HIGH_WATER));
        }
    }

    /// Encodes of `rest` as much as may wait.
    fn encode(&mut self) {
        while let Some(rest) = &mut self.rest {
            if rest.in_frame == 0 {
                rest.begin_frame(&mut self.buffer, self.masks.as_mut());
            }
            rest.encode_part(&mut self.buffer);
            if rest.in_frame == 0 && !rest.item.has_remaining() {
                self.rest = None;
            } else if self.waiting() >= HIGH_WATER {
                return;
            }
        }
    }
}

impl Opcode {
    fn of(self, is_text: impl FnOnce() -> bool) -> Result<u8, NotText> {
        match self {
            Self::Known(opcode) => Ok(opcode),
            Self::Text { .. } if is_text() => Ok(TEXT),
            Self::Text { otherwise } => otherwise.ok_or(NotText),
        }
    }

    fn if_text(self) -> u8 {
        match self {
            Self::Known(opcode) => opcode,
            Self::Text { .. } => TEXT,
        }
    }
}

impl Rest {
    fn begin_frame(&mut self, buffer: &mut Vec<u8>, masks: Option<&mut Masks>) {
        let remaining = self.item.remaining();
        let len = match self.split {
            Split::Messages(max) | Split::Fragments(max) if remaining > max => self.piece(max),
            _ => remaining,
        };
        let is_last = len == remaining || matches!(self.split, Split::Messages(_));
        self.mask = masks.map(Masks::next);
        write_header(buffer, self.opcode | if is_last { FIN } else { 0 }, len, self.mask);
        if !is_last {
            self.opcode = CONTINUATION;
        }
        self.in_frame = len;
    }

    /// At most `max` bytes, and no part of a character.
    fn piece(&self, max: usize) -> usize {
        let is_cut = |len: &usize| self.item.byte(*len).is_some_and(|byte| byte & 0xc0 == 0x80);
        // A character has at most three bytes behind its first; where there are more, it is none.
        (max.saturating_sub(3)..=max).rev().find(|len| *len > 0 && !is_cut(len)).unwrap_or(max)
    }

    fn encode_part(&mut self, buffer: &mut Vec<u8>) {
        let mut left = self.in_frame.min(PART);
        while left > 0 {
            let chunk = self.item.chunk();
            let len = chunk.len().min(left);
            let at = buffer.len();
            buffer.extend_from_slice(&chunk[..len]);
            self.item.advance(len);
            if let Some(mask) = &mut self.mask {
                mask_from(buffer, at, *mask);
                mask.rotate_left(len % 4);
            }
            left -= len;
            self.in_frame -= len;
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("waiting", &self.waiting())
            .field("rest", &self.rest.as_ref().map(|rest| rest.item.remaining()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
    use tungstenite::{Message, error::Error};

    use super::*;
    use crate::ws::opcode::BINARY;

    const AS_TEXT: Opcode = Opcode::Text { otherwise: None };

    /// A socket that takes at most so many bytes at a time, every other time none.
    struct Slow {
        taken: Vec<u8>,
        at_most: usize,
        refuses: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.refuses = !self.refuses;
            if self.refuses {
                return Poll::Pending;
            }
            let len = buf.len().min(self.at_most);
            self.taken.extend_from_slice(&buf[..len]);
            Poll::Ready(Ok(len))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn item(len: usize) -> Outbound {
        let body: Bytes = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
        Outbound::split(Bytes::from_static(b"SEND\n\n"), body)
    }

    fn nobody() -> Context<'static> {
        Context::from_waker(std::task::Waker::noop())
    }

    fn write_out(outgoing: &mut Outgoing, at_most: usize) -> Vec<u8> {
        let mut slow = Slow { taken: Vec::new(), at_most, refuses: false };
        while outgoing.poll_write(&mut slow, &mut nobody()).is_pending() {}
        assert!(outgoing.is_empty());
        slow.taken
    }

    /// What the other side of tungstenite makes of it.
    fn messages(wire: &[u8], role: Role) -> Vec<Message> {
        struct Wire<'a>(&'a [u8]);
        impl io::Read for Wire<'_> {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.read(buf)
            }
        }
        impl io::Write for Wire<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        let mut context = WebSocketContext::new(other, Some(WebSocketConfig::default()));
        let mut wire = Wire(wire);
        let mut messages = Vec::new();
        loop {
            match context.read(&mut wire) {
                Ok(message) => messages.push(message),
                Err(Error::Protocol(_)) if wire.0.is_empty() => return messages,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn another_implementation_reads_what_was_put_in_however_it_is_written() {
        for role in [Role::Client, Role::Server] {
            for at_most in [1, 7, 4000, 1 << 20] {
                for len in [0, 1, 118, 119, 120, 65_528, 65_529, 65_530, 200_000] {
                    let mut outgoing = Outgoing::new(role);
                    outgoing.push(Outbound::heart_beat(), AS_TEXT, Split::No).unwrap();
                    outgoing.push(item(len), AS_TEXT, Split::No).unwrap();
                    let texts = [&b"\n"[..], &item(len).into_bytes()]
                        .map(|text| Message::text(String::from_utf8(text.to_vec()).unwrap()));
                    assert!(messages(&write_out(&mut outgoing, at_most), role) == texts, "{role:?} {len}");
                }
            }
        }
    }

    #[test]
    fn a_large_item_is_encoded_as_it_is_written_and_the_buffer_is_given_back() {
        let mut outgoing = Outgoing::new(Role::Client);
        outgoing.push(item(16 << 20), AS_TEXT, Split::No).unwrap();
        assert!(!outgoing.has_room());
        assert!(!outgoing.push_control(b"no ping may come between"));
        let wire = write_out(&mut outgoing, 10_000);
        assert_eq!(wire.len(), (16 << 20) + 7 + 14);
        assert!(outgoing.expected <= HIGH_WATER + PART, "{}", outgoing.expected);
        assert!(outgoing.buffer.capacity() <= KEPT, "{}", outgoing.buffer.capacity());
        for _ in 0..1000 {
            let mut slow = Slow { taken: Vec::new(), at_most: 90, refuses: true };
            let _ = outgoing.poll_write(&mut slow, &mut nobody());
            while outgoing.has_room() {
                outgoing.push(item(100), AS_TEXT, Split::No).unwrap();
            }
            assert!(outgoing.buffer.capacity() <= 4 * HIGH_WATER, "{}", outgoing.buffer.capacity());
        }
    }

    #[test]
    fn a_flush_of_nothing_does_not_forget_how_much_the_buffer_will_need() {
        let mut outgoing = Outgoing::new(Role::Client);
        for _ in 0..100 {
            outgoing.push(item(100), AS_TEXT, Split::No).unwrap();
        }
        let len = write_out(&mut outgoing, 1 << 20).len();
        write_out(&mut outgoing, 1 << 20);
        outgoing.push(Outbound::heart_beat(), AS_TEXT, Split::No).unwrap();
        assert!(outgoing.buffer.capacity() >= len, "{} after {len}", outgoing.buffer.capacity());
    }

    #[test]
    fn pieces_have_the_right_size_and_end_between_characters() {
        for text in ["SEND\n\naé漢🦀aé漢🦀🦀🦀🦀\0".repeat(30), "x".repeat(1000), "🦀".repeat(100)]
        {
            for max in [4, 5, 6, 7, 8, 100, 999, 1000, 1001] {
                let bytes = Bytes::from(text.clone());
                let head = text.char_indices().nth(9).unwrap().0;
                let item = Outbound::split(bytes.slice(..head), bytes.slice(head..));
                let whole = format!("{text}\0");
                let mut outgoing = Outgoing::new(Role::Server);
                outgoing.push(item.clone(), AS_TEXT, Split::Messages(max)).unwrap();
                let pieces: Vec<String> = messages(&write_out(&mut outgoing, 1 << 20), Role::Server)
                    .into_iter()
                    .map(|message| message.into_text().expect("each is text by itself").as_str().to_owned())
                    .collect();
                assert_eq!(pieces.concat(), whole);
                assert!(pieces.iter().all(|piece| piece.len() <= max && !piece.is_empty()), "{pieces:?}");
                assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() + 3 >= max), "{pieces:?}");

                outgoing.push(item, AS_TEXT, Split::Fragments(max)).unwrap();
                let wire = write_out(&mut outgoing, 1 << 20);
                assert_eq!(messages(&wire, Role::Server), [Message::text(whole.clone())]);
                assert_eq!(wire[0] & FIN != 0, whole.len() <= max);
            }
        }
    }

    #[test]
    fn what_is_no_text_is_cut_where_the_size_says() {
        let bytes = Bytes::from(vec![0x80; 100]);
        let mut outgoing = Outgoing::new(Role::Server);
        outgoing.push(Outbound::whole(bytes), Opcode::Known(BINARY), Split::Messages(30)).unwrap();
        let lens: Vec<usize> =
            messages(&write_out(&mut outgoing, 7), Role::Server).iter().map(Message::len).collect();
        assert_eq!(lens, [30, 30, 30, 10]);
    }

    #[test]
    fn answers_to_pings_are_bounded_and_come_whole() {
        let mut outgoing = Outgoing::new(Role::Server);
        let mut taken = 0;
        while outgoing.push_control(&[0x8a, 0]) {
            taken += 1;
        }
        assert_eq!(taken, CONTROL_WATER / 2);
        assert!(!outgoing.has_room());
    }
}
