use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::{TransportError, TransportErrorKind};

/// How long a peer may read nothing of what waits for it, unless set.
///
/// Longer than the 30 seconds of a session, which knows more and gives its own reason; it is for whoever uses a transport
/// by itself. A broker that blocks those who send, under a memory or disk alarm, may well take longer.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

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

    /// What writing or flushing comes to, unless the patience ends before; `got_on` says whether anything was written
    /// since the last call.
    pub(crate) fn watch(
        &mut self,
        outcome: Poll<io::Result<()>>,
        got_on: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TransportError>> {
        if got_on {
            self.timer = None;
        }
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(
                outcome.map_err(|error| TransportError::from_io(error, "the connection broke while sending")),
            ),
            Poll::Pending => self.poll(cx).map(Err),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TransportError> {
        let Some(patience) = self.patience else { return Poll::Pending };
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

    /// For when all is flushed.
    pub(crate) fn end(&mut self) {
        self.timer = None;
    }
}
