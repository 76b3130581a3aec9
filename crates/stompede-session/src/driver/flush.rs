//! Who waits until everything has been written.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Shared;
use super::room::Wait;
use crate::{Error, ErrorKind};

/// Waits until the frame with a number, and all before it, have been flushed to the connection that they are for. Dropped,
/// nobody waits.
///
/// The driver keeps the time, so that the caller may be in any runtime, or in none.
pub(crate) struct Flush<'a> {
    shared: &'a Shared,
    mark: (u64, u64),
    wait: Option<Wait>,
}

impl<'a> Flush<'a> {
    pub(crate) fn new(shared: &'a Shared, mark: (u64, u64)) -> Self {
        Self { shared, mark, wait: None }
    }
}

impl Future for Flush<'_> {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let within = this.shared.receipt_timeout;
        let mut core = this.shared.lock();
        if let Some(outcome) = core.flush_outcome(this.mark) {
            return Poll::Ready(outcome);
        }
        let Some(soonest) = core.flushers.wait(&mut this.wait, 0, within, cx.waker()) else {
            let text = format!("the connection did not take everything within {within:?}");
            return Poll::Ready(Err(Error::new(ErrorKind::WriteTimedOut, text)));
        };
        let driver = if soonest { core.driver.take() } else { None };
        drop(core);
        driver.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        if let Some(wait) = self.wait {
            self.shared.lock().flushers.leave(wait.place);
        }
    }
}
