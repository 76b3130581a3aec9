use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::{TransportError, TransportErrorKind};

/// Measures for how long a peer has read nothing of what waits for it.
#[derive(Debug)]
pub(crate) struct Stall {
    patience: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// `None` waits for ever.
    pub(crate) fn new(patience: Option<Duration>) -> Self {
        Self { patience, timer: None }
    }

    /// For when a write is pending; `got_on` says whether anything was written since the last call. Ready when the
    /// patience is at its end.
    pub(crate) fn poll(&mut self, got_on: bool, cx: &mut Context<'_>) -> Poll<TransportError> {
        let Some(patience) = self.patience else { return Poll::Pending };
        if got_on {
            self.timer = None;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(patience)));
        timer.as_mut().poll(cx).map(|()| {
            TransportError::new(
                TransportErrorKind::TimedOut,
                format!(
                    "the peer has read nothing for {patience:?} while something was being sent; is it overloaded, or \
                     has it blocked those who send (a memory or disk alarm)?"
                ),
            )
        })
    }

    /// For when nothing waits any more.
    pub(crate) fn end(&mut self) {
        self.timer = None;
    }
}
