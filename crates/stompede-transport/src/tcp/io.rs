use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::sides::{Received, Sending};
use crate::stall::Stall;
use crate::{Outbound, OutboundFrames, Transport, TransportError};

/// What is read into at most, and split into chunks.
///
/// A chunk that is held keeps its whole block in memory, so the block must not be much larger than what a reader holds
/// at a time; a block per read would cost an allocation each.
const READ_BLOCK: usize = 64 * 1024;

/// What is read into at first, and what an idle connection keeps.
///
/// Thousands of connections that have nothing to say must not hold 64 KiB each. Each block that was used up is followed
/// by one of twice its size, so a connection that receives much has its large ones soon.
const FIRST_BLOCK: usize = 8 * 1024;

/// The most that one read takes: a quarter of a block, so that a flood hands over control four times a block.
const READ_MAX: usize = 16 * 1024;

/// With less than this part of a block left, a new one is begun: reading into the last few bytes costs a system call
/// each.
const READ_MIN_PART: usize = 8;

/// Above this, nothing more is taken until some was written.
///
/// A socket's send buffer takes about this much at once; more would only wait longer.
const HIGH_WATER: usize = 128 * 1024;

/// Items of at most this size are copied together: a system call takes longer over many slices than over one.
const COPY_MAX: usize = 1024;

/// How many pieces one vectored write takes: more than 20 items at up to three pieces each.
const SLICES: usize = 64;

/// Makes a transport of any byte stream, for use in a [`Connector`](crate::Connector) of one's own.
///
/// What stands ready in buffers of `io` when the transport is dropped is lost; [`Transport::poll_close`] flushes first.
///
/// ```
/// use stompede_transport::{Connector, Endpoint, from_io};
/// use tokio::net::TcpStream;
///
/// fn assert_connector(_: impl Connector) {}
///
/// assert_connector(|endpoint: Endpoint| async move {
///     Ok(from_io(TcpStream::connect(endpoint.authority()).await?))
/// });
/// ```
pub fn from_io<IO: AsyncRead + AsyncWrite + Unpin>(io: IO) -> IoTransport<IO> {
    IoTransport {
        io,
        block: BytesMut::new(),
        block_len: FIRST_BLOCK,
        received: Received::Open,
        queue: VecDeque::new(),
        small: BytesMut::new(),
        queued: 0,
        sending: Sending::Open,
        written: 0,
        stall: Stall::new(None),
    }
}

/// A [`Transport`] over a byte stream.
///
/// The end of the stream is an orderly close. Frames are written as they are, bodies uncopied; frames of up to 1 KiB
/// are put together first. At most 128 KiB and one frame wait to be written.
#[derive(Debug)]
pub struct IoTransport<IO> {
    io: IO,
    block: BytesMut,
    /// What the block had, or the first one will have.
    block_len: usize,
    received: Received,
    /// What waits to be written, before what is in `small`.
    queue: VecDeque<Outbound>,
    /// Small items copied together.
    small: BytesMut,
    /// What `queue` and `small` take, overhead included.
    queued: usize,
    sending: Sending,
    /// All bytes that were ever written, modulo 2⁶⁴: tells progress from none.
    written: u64,
    stall: Stall,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> IoTransport<IO> {
    /// The stream below.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    /// How long the peer may read nothing at all while something waits to be written; then sending fails with
    /// [`TimedOut`](crate::TransportErrorKind::TimedOut). No limit unless set; one needs a tokio runtime with time
    /// enabled.
    #[must_use]
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.stall = Stall::new(limit.into());
        self
    }

    /// Keeps a failure of the sending side.
    fn sent(&mut self, outcome: Result<(), TransportError>) -> Result<(), TransportError> {
        let Err(error) = outcome else { return Ok(()) };
        self.sending = Sending::Failed(error.clone());
        self.queue = VecDeque::new();
        self.small = BytesMut::new();
        Err(error)
    }

    /// Makes sure that there is something to read into.
    fn make_room(&mut self) {
        // If all chunks have been dropped, the next is read to where the last one was, which is still in the cache.
        let is_free = self.block.try_reclaim(self.block_len);
        if !is_free && self.block.capacity() < self.block_len / READ_MIN_PART {
            self.block.reserve(self.block_len);
        }
    }

    /// Takes out what was read.
    fn take_read(&mut self) -> Bytes {
        let chunk = self.block.split().freeze();
        if self.block.capacity() < self.block_len / READ_MIN_PART {
            self.block_len = (2 * self.block_len).min(READ_BLOCK);
        }
        chunk
    }

    /// Keeps no more than a small block while there is nothing to read.
    fn let_go(&mut self) {
        if self.block.capacity() > FIRST_BLOCK {
            self.block = BytesMut::new();
            self.block_len = FIRST_BLOCK;
        }
    }

    /// Writes until nothing waits, or the peer has read nothing for too long.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let before = self.written;
        let outcome = self.poll_write_queue(cx);
        let outcome = ready!(self.stall.watch(outcome, self.written != before, cx));
        Poll::Ready(self.sent(outcome))
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue_small();
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut filled = 0;
            for item in &self.queue {
                if filled == SLICES {
                    break;
                }
                filled += item.chunks_vectored(&mut slices[filled..]);
            }
            match ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..filled]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.written = self.written.wrapping_add(written as u64);
                    self.forget(written);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes `written` bytes off the queue.
    fn forget(&mut self, mut written: usize) {
        while let Some(item) = self.queue.front_mut() {
            let part = written.min(item.remaining());
            item.advance(part);
            written -= part;
            self.queued -= part;
            if item.has_remaining() {
                return;
            }
            self.queue.pop_front();
            self.queued -= size_of::<Outbound>();
        }
    }

    /// Moves what is in `small` behind what waits already.
    fn queue_small(&mut self) {
        if !self.small.is_empty() {
            let frames = self.small.split().freeze();
            self.queue.push_back(Outbound::whole(frames));
            self.queued += size_of::<Outbound>();
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Transport for IoTransport<IO> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match &self.received {
            Received::Open => {}
            Received::Ended => return Poll::Ready(None),
            Received::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
        }
        self.make_room();
        let mut room = (&mut self.block).limit(READ_MAX);
        let Poll::Ready(outcome) = pin!(self.io.read_buf(&mut room)).poll(cx) else {
            self.let_go();
            return Poll::Pending;
        };
        Poll::Ready(match outcome {
            Ok(0) => {
                self.received = Received::Ended;
                None
            }
            Ok(_) => Some(Ok(self.take_read())),
            Err(error) => {
                let error = TransportError::from_io(error, "the connection broke while receiving");
                self.received = Received::Failed(error.clone());
                Some(Err(error))
            }
        })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.sending.check_open()?;
        if self.queued < HIGH_WATER {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write_out(cx) {
            Poll::Pending if self.queued < HIGH_WATER => Poll::Ready(Ok(())),
            outcome => outcome,
        }
    }

    fn start_send(&mut self, mut item: Outbound) -> Result<(), TransportError> {
        self.sending.check_open()?;
        let len = item.remaining();
        self.queued += len;
        if len <= COPY_MAX {
            while item.has_remaining() {
                self.small.extend_from_slice(item.chunk());
                item.advance(item.chunk().len());
            }
        } else {
            self.queue_small();
            self.queue.push_back(item);
            self.queued += size_of::<Outbound>();
        }
        Ok(())
    }

    /// The boundaries of frames mean nothing here.
    fn poll_start_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut OutboundFrames,
    ) -> Poll<Result<(), TransportError>> {
        while let Some(frame) = frames.first() {
            ready!(self.poll_ready(cx))?;
            if frame.len() > COPY_MAX {
                if let Some(frame) = frames.next() {
                    self.start_send(frame)?;
                }
            } else {
                self.queued += frame.len();
                self.small.extend_from_slice(frame);
                frames.skip_first();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match &self.sending {
            Sending::Open | Sending::Closing => {}
            Sending::Closed => return Poll::Ready(Ok(())),
            Sending::Failed(error) => return Poll::Ready(Err(error.clone())),
        }
        ready!(self.poll_write_out(cx))?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        let flushed = ready!(self.stall.watch(flushed, false, cx));
        if let Sending::Open = self.sending {
            // Otherwise it goes on for the shutdown.
            self.stall.end();
        }
        Poll::Ready(self.sent(flushed))
    }

    fn written(&self) -> Option<u64> {
        Some(self.written)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if let Sending::Open = self.sending {
            self.sending = Sending::Closing;
        }
        ready!(self.poll_flush(cx))?;
        if let Sending::Closing = self.sending {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx).map(|outcome| match outcome {
                // The peer was faster: what we wanted is so already.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                outcome => outcome,
            });
            let shut = ready!(self.stall.watch(shut, false, cx));
            self.sent(shut)?;
            self.sending = Sending::Closed;
            self.stall.end();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt, duplex};

    use super::{FIRST_BLOCK, READ_BLOCK, from_io};
    use crate::Transport;

    #[tokio::test]
    async fn a_busy_connection_gets_large_blocks_and_an_idle_one_keeps_a_small_one() {
        const SENT: usize = 8 * READ_BLOCK;
        let (near, mut far) = duplex(SENT);
        let mut transport = from_io(near);
        for _ in 0..2 {
            far.write_all(&vec![b'x'; SENT]).await.expect("there is room");
            let (mut received, mut chunks) = (0, Vec::new());
            while received < SENT {
                let chunk = poll_fn(|cx| transport.poll_recv(cx)).await.expect("open").expect("sound");
                received += chunk.len();
                chunks.push(chunk);
            }
            assert_eq!(transport.block_len, READ_BLOCK);
            let idle = poll_fn(|cx| std::task::Poll::Ready(transport.poll_recv(cx).is_pending())).await;
            assert!(idle && transport.block.capacity() <= FIRST_BLOCK, "{}", transport.block.capacity());
        }
    }
}
