use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::Role;

use super::ahead::{Ahead, First};
use super::config::Split;
use super::gather::{Gather, SMALL};
use super::opcode::TextToBinary;
use super::outgoing::{NotText, Opcode, Outgoing};
use crate::stall::Stall;
use crate::{Outbound, TransportError};

/// What is read and forgotten at most: four times the largest message by default. Whoever sends more does not listen.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// How many reads are forgotten before others get their turn.
const DISCARDED_AT_ONCE: usize = 32;

/// The byte stream below tungstenite, and what is done to its bytes.
///
/// What is to be sent does not go through tungstenite, except for control frames: see [`Outgoing`].
#[derive(Debug)]
pub(super) struct Pipe<IO> {
    io: IO,
    /// On a client, what is read passes through here, but for the greater part of large messages; on a server, what came
    /// together with the head of the upgrade.
    ahead: Ahead,
    /// What reading failed with; tungstenite is to hear of it.
    read_error: Option<io::Error>,
    /// Only where the peer's frames are unmasked, that is on a client.
    opcodes: Option<TextToBinary>,
    outgoing: Outgoing,
    stall: Stall,
    /// Why nothing can be written any more; what is written from then on is thrown away.
    ///
    /// tungstenite answers pings while it reads, and would end the reading if that failed. But a broker that hangs up
    /// often says why in its last frame, which then would never be read.
    write_error: Option<TransportError>,
    /// How much has been read since tungstenite's buffer was new.
    read: usize,
    /// How much has been read and forgotten.
    discarded: usize,
    /// Who waits for a write, so that a write from the reading side does not take its place.
    writer: Option<Waker>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Pipe<IO> {
    /// `leftover` came together with the head of the upgrade, `read_size` bytes are read at a time, and `patience` is how
    /// long a peer may read nothing while something waits for it.
    pub(super) fn new(
        io: IO,
        leftover: &Bytes,
        role: Role,
        read_size: usize,
        patience: Option<Duration>,
    ) -> Self {
        Self {
            io,
            ahead: Ahead::new(leftover, read_size),
            read_error: None,
            opcodes: (role == Role::Client).then(TextToBinary::new),
            outgoing: Outgoing::new(role),
            stall: Stall::new(patience),
            write_error: None,
            read: 0,
            discarded: 0,
            writer: None,
        }
    }

    /// For reading, and what tungstenite writes while it reads.
    pub(super) fn reading<'a, 'w>(&'a mut self, cx: &'a mut Context<'w>) -> Polled<'a, 'w, IO> {
        Polled { pipe: self, cx, reading: true }
    }

    /// For writing.
    pub(super) fn writing<'a, 'w>(&'a mut self, cx: &'a mut Context<'w>) -> Polled<'a, 'w, IO> {
        Polled { pipe: self, cx, reading: false }
    }

    /// Whether one more item may be started.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.has_room()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Starts an item; only while there is room.
    pub(super) fn push(&mut self, item: Outbound, opcode: Opcode, split: Split) -> Result<(), NotText> {
        self.outgoing.push(item, opcode, split)
    }

    /// The same for a frame that lies in one piece, if it is small; whether it was.
    #[inline]
    pub(super) fn push_piece(&mut self, frame: &[u8], opcode: Opcode, split: Split) -> Result<bool, NotText> {
        self.outgoing.push_piece(frame, opcode, split)
    }

    /// Starts a ping, if there is room for one.
    pub(super) fn push_ping(&mut self) {
        self.outgoing.push_ping();
    }

    /// Gathers the next message, if it comes in one piece with a payload of at most `limit` bytes. `false` if what comes next
    /// is for tungstenite to read.
    pub(super) fn poll_gather(
        &mut self,
        limit: usize,
        gather: &mut Gather,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        // Of a server's side nothing is known: a client's frames are masked.
        if !self.opcodes.is_some_and(|opcodes| opcodes.is_between_messages()) {
            return Poll::Ready(false);
        }
        loop {
            match self.ahead.first(SMALL, limit) {
                First::Small(payload) => {
                    gather.push_small(payload);
                    return Poll::Ready(true);
                }
                First::Large(payload) => {
                    gather.push(payload);
                    return Poll::Ready(true);
                }
                First::Other => return Poll::Ready(false),
                First::Part => {}
            }
            match ready!(self.ahead.poll_read(&mut self.io, cx)) {
                Ok(0) => return Poll::Ready(false),
                Ok(_) => {}
                Err(error) => {
                    self.read_error = Some(error);
                    return Poll::Ready(false);
                }
            }
        }
    }

    /// Keeps as little as can be while there is nothing to read.
    pub(super) fn let_go(&mut self) {
        self.ahead.let_go();
    }

    /// What tungstenite is to read next, of one frame at most on a client: what comes behind may not be for it.
    fn poll_read(&mut self, buf: &mut [u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(error) = self.read_error.take() {
            return Poll::Ready(Err(error));
        }
        if self.ahead.unread().is_empty() {
            // A payload that has begun is read to where it is to be.
            let payload = self.opcodes.map_or(u64::MAX, |opcodes| opcodes.payload());
            if payload > 0 {
                let len = usize::try_from(payload).unwrap_or(usize::MAX).min(buf.len());
                let mut buf = ReadBuf::new(&mut buf[..len]);
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
                return Poll::Ready(Ok(self.walk(buf.filled_mut())));
            }
            if ready!(self.ahead.poll_read(&mut self.io, cx))? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
        let unread = self.ahead.unread();
        let len = unread.len().min(buf.len());
        buf[..len].copy_from_slice(&unread[..len]);
        let len = self.walk(&mut buf[..len]);
        self.ahead.skip(len);
        Poll::Ready(Ok(len))
    }

    fn walk(&mut self, bytes: &mut [u8]) -> usize {
        self.opcodes.as_mut().map_or(bytes.len(), |opcodes| opcodes.walk(bytes))
    }

    /// Whether tungstenite has read more than `size` bytes since it was new, and holds nothing of a message.
    ///
    /// Said of clients only: nobody walks along a server's stream, whose frames are masked.
    pub(super) fn is_between_messages(&self, size: usize) -> bool {
        self.read > size && self.opcodes.is_some_and(|opcodes| opcodes.is_between_messages())
    }

    #[cfg(test)]
    pub(super) fn is_new(&self) -> bool {
        self.read == 0
    }

    /// tungstenite is new.
    pub(super) fn forget_read(&mut self) {
        self.read = 0;
    }

    /// What a write failed with; from then on writes go nowhere.
    pub(super) fn write_error(&self) -> Option<&TransportError> {
        self.write_error.as_ref()
    }

    /// Writes until nothing waits, for whoever wants to write; a failure shows as [`write_error`](Self::write_error).
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let drained = self.poll_written(cx);
        self.writer = drained.is_pending().then(|| cx.waker().clone());
        drained
    }

    /// Writes until nothing waits, and flushes the stream.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.poll_drain(cx));
        match self.writing(cx).flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// All bytes that were ever written, modulo 2⁶⁴.
    pub(super) fn written(&self) -> u64 {
        self.outgoing.total()
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.write_error.is_some() {
            return Poll::Ready(());
        }
        let before = self.outgoing.total();
        let outcome = self.outgoing.poll_write(&mut self.io, cx);
        let got_on = self.outgoing.total() != before;
        if let Err(error) = ready!(self.stall.watch(outcome, got_on, cx)) {
            self.fail_writing(error);
        }
        Poll::Ready(())
    }

    fn fail_writing(&mut self, error: TransportError) {
        self.write_error = Some(error);
        self.outgoing.clear();
        self.stall.end();
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Reads and forgets what still comes, to its end.
    ///
    /// Where something was not read, hanging up resets the connection, and the peer may never see what was sent last.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [MaybeUninit::uninit(); 8 * 1024];
        for _ in 0..DISCARDED_AT_ONCE {
            let mut buf = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
            self.discarded += buf.filled().len();
            if read.is_err() || buf.filled().is_empty() || self.discarded > MAX_DISCARDED {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn io(&self) -> &IO {
        &self.io
    }
}

/// A pipe as tungstenite wants it, for the length of one poll: `WouldBlock` for pending.
pub(super) struct Polled<'a, 'w, IO> {
    pipe: &'a mut Pipe<IO>,
    cx: &'a mut Context<'w>,
    reading: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Read for Polled<'_, '_, IO> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let pipe = &mut *self.pipe;
        let read = would_block(pipe.poll_read(buf, self.cx))?;
        pipe.read = pipe.read.saturating_add(read);
        Ok(read)
    }
}

/// What tungstenite writes are control frames: answers to pings, and closes.
impl<IO: AsyncRead + AsyncWrite + Unpin> Write for Polled<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.pipe.write_error.is_some() || self.pipe.outgoing.push_control(buf) {
            return Ok(buf.len());
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        let pipe = &mut *self.pipe;
        let writer = pipe.writer.clone();
        let mut cx = match &writer {
            Some(writer) if self.reading => Context::from_waker(writer),
            _ => Context::from_waker(self.cx.waker()),
        };
        would_block(pipe.poll_written(&mut cx).map(Ok))?;
        if pipe.write_error.is_some() {
            return Ok(());
        }
        let outcome = Pin::new(&mut pipe.io).poll_flush(&mut cx);
        match pipe.stall.watch(outcome, false, &mut cx) {
            Poll::Ready(Ok(())) => pipe.stall.end(),
            Poll::Ready(Err(error)) => pipe.fail_writing(error),
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(())
    }
}

fn would_block<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
    match outcome {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
