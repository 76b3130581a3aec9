use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use stompede_transport::{CloseReason, Outbound, Transport, TransportError};

/// Breaks the connection when a number of bytes was sent, in the middle of a frame if that is where it is.
pub(crate) struct Fault<T> {
    /// None when it is broken: dropping it closed it.
    inner: Option<T>,
    left: usize,
    /// Who waits for something to come, which never will.
    reader: Option<Waker>,
}

impl<T: Transport> Fault<T> {
    pub(crate) fn after_bytes_sent(inner: T, bytes: usize) -> Self {
        Self { inner: Some(inner), left: bytes, reader: None }
    }

    pub(crate) fn never(inner: T) -> Self {
        Self::after_bytes_sent(inner, usize::MAX)
    }

    fn inner(&mut self) -> Result<&mut T, TransportError> {
        self.inner.as_mut().ok_or_else(super::on_purpose)
    }

    /// Sends what is left to send, and then nothing more, ever.
    fn break_off(&mut self, mut item: Outbound) -> Result<(), TransportError> {
        let part = item.copy_to_bytes(self.left);
        let inner = self.inner()?;
        inner.start_send(Outbound::whole(part))?;
        // If it does not go out at once, less went out; that is how connections break.
        let _ = inner.poll_flush(&mut Context::from_waker(Waker::noop()));
        self.inner = None;
        self.reader.take().into_iter().for_each(Waker::wake);
        Err(super::on_purpose())
    }
}

impl<T: Transport> Transport for Fault<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Some(Err(super::on_purpose())));
        };
        let received = inner.poll_recv(cx);
        self.reader = received.is_pending().then(|| cx.waker().clone());
        received
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner()?.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        if item.remaining() > self.left {
            return self.break_off(item);
        }
        self.left -= item.remaining();
        self.inner()?.start_send(item)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner()?.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner()?.poll_close(cx)
    }

    fn written(&self) -> Option<u64> {
        self.inner.as_ref().and_then(Transport::written)
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        self.inner.as_ref().and_then(Transport::close_reason)
    }

    fn set_goodbye(&mut self, goodbye: CloseReason) {
        if let Some(inner) = &mut self.inner {
            inner.set_goodbye(goodbye);
        }
    }
}
