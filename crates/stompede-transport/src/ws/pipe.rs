use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::opcode::TextToBinary;

/// The byte stream below tungstenite, and what is done to its bytes.
#[derive(Debug)]
pub(super) struct Pipe<IO> {
    io: IO,
    /// What came together with the head of the upgrade.
    leftover: Bytes,
    /// Only where the peer's frames are unmasked, that is on a client.
    opcodes: Option<TextToBinary>,
    /// Why nothing can be written any more; what is written from then on is thrown away.
    ///
    /// tungstenite answers pings while it reads, and would end the reading if that failed. But a broker that hangs up
    /// often says why in its last frame, which then would never be read.
    write_error: Option<io::Error>,
    /// Who waits for a write, so that a write from the reading side does not take its place.
    writer: Option<Waker>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Pipe<IO> {
    pub(super) fn new(io: IO, leftover: Bytes, opcodes: Option<TextToBinary>) -> Self {
        Self { io, leftover, opcodes, write_error: None, writer: None }
    }

    /// For reading, and what tungstenite writes while it reads.
    pub(super) fn reading<'a, 'w>(&'a mut self, cx: &'a mut Context<'w>) -> Polled<'a, 'w, IO> {
        Polled { pipe: self, cx, reading: true }
    }

    /// For writing.
    pub(super) fn writing<'a, 'w>(&'a mut self, cx: &'a mut Context<'w>) -> Polled<'a, 'w, IO> {
        Polled { pipe: self, cx, reading: false }
    }

    /// Remembers who waits for a write, or that nobody does.
    pub(super) fn set_writer(&mut self, waker: Option<&Waker>) {
        self.writer = waker.cloned();
    }

    /// What a write failed with; from then on writes go nowhere.
    pub(super) fn write_error(&self) -> Option<&io::Error> {
        self.write_error.as_ref()
    }

    /// Flushes; a failure shows as [`write_error`](Self::write_error).
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.writing(cx).flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
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
        let read = if pipe.leftover.is_empty() {
            let mut buf = ReadBuf::new(buf);
            would_block(Pin::new(&mut pipe.io).poll_read(self.cx, &mut buf))?;
            buf.filled().len()
        } else {
            let len = pipe.leftover.len().min(buf.len());
            pipe.leftover.copy_to_slice(&mut buf[..len]);
            len
        };
        if let Some(opcodes) = &mut pipe.opcodes {
            opcodes.walk(&mut buf[..read]);
        }
        Ok(read)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Polled<'_, '_, IO> {
    fn poll_writing<T>(
        &mut self,
        discarded: T,
        poll: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let pipe = &mut *self.pipe;
        if pipe.write_error.is_some() {
            return Ok(discarded);
        }
        let outcome = match &pipe.writer {
            Some(writer) if self.reading => poll(Pin::new(&mut pipe.io), &mut Context::from_waker(writer)),
            _ => poll(Pin::new(&mut pipe.io), self.cx),
        };
        match outcome {
            Poll::Ready(Err(error)) => {
                pipe.write_error = Some(error);
                Ok(discarded)
            }
            outcome => would_block(outcome),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Write for Polled<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.poll_writing(buf.len(), |io, cx| match io.poll_write(cx, buf) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            outcome => outcome,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.poll_writing((), |io, cx| io.poll_flush(cx))
    }
}

fn would_block<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
    match outcome {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
