use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use stompede_transport::{CloseReason, Outbound, Transport, TransportError};

/// Writes down what passes, and changes nothing.
pub(crate) struct Record<T> {
    inner: T,
    log: Log,
}

/// What has passed; a clone shows the same.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        super::locked(&self.0).clone()
    }

    /// Only the first line and the length: the headers of CONNECT hold a passcode.
    fn note(&self, what: &str, bytes: &[u8], len: usize) {
        let first: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != b'\n').take(40).collect();
        let line = format!("{what} {len:>5} bytes: {}", String::from_utf8_lossy(&first).escape_debug());
        super::locked(&self.0).push(line);
    }
}

impl<T: Transport> Record<T> {
    pub(crate) fn new(inner: T, log: Log) -> Self {
        Self { inner, log }
    }
}

impl<T: Transport> Transport for Record<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let received = self.inner.poll_recv(cx);
        match &received {
            Poll::Ready(Some(Ok(chunk))) => self.log.note("received", chunk, chunk.len()),
            Poll::Ready(Some(Err(error))) => self.log.note("failed", error.to_string().as_bytes(), 0),
            Poll::Ready(None) => self.log.note("ended", b"", 0),
            Poll::Pending => {}
        }
        received
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.log.note("sent    ", item.chunk(), item.remaining());
        self.inner.start_send(item)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_close(cx)
    }

    fn written(&self) -> Option<u64> {
        self.inner.written()
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        self.inner.close_reason()
    }

    fn set_goodbye(&mut self, goodbye: CloseReason) {
        self.inner.set_goodbye(goodbye);
    }
}
