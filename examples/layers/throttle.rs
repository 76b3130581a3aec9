use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use stompede_transport::{CloseReason, Outbound, Transport, TransportError};
use tokio::time::{Sleep, sleep};

/// Sends no more than so many bytes a second. It says so where the contract has a place for it: it is not ready.
pub(crate) struct Throttle<T> {
    inner: T,
    bytes_a_second: u32,
    /// What was sent since the last pause.
    owed: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Pauses shorter than this are put together: timers are no more exact.
const SHORTEST: Duration = Duration::from_millis(5);

impl<T: Transport> Throttle<T> {
    pub(crate) fn new(inner: T, bytes_a_second: u32) -> Self {
        Self { inner, bytes_a_second: bytes_a_second.max(1), owed: 0, pause: None }
    }
}

impl<T: Transport> Transport for Throttle<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.inner.poll_recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.inner.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.owed += item.remaining();
        let due = Duration::from_secs_f64(self.owed as f64 / f64::from(self.bytes_a_second));
        if due >= SHORTEST {
            self.owed = 0;
            self.pause = Some(Box::pin(sleep(due)));
        }
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
