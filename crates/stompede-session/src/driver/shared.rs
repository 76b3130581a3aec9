//! What the driver and the handles share: the protocol behind one short lock, and who wants to be woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;

use super::Observer;
use super::activity::Activity;
use super::room::Line;
use crate::protocol::{Inbox, Machine, Outcome, ReceiptId, SubscriptionId};
use crate::{Error, ErrorKind, SessionState};

pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(super) state: watch::Sender<SessionState>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// How long a RECEIPT is awaited unless a call says otherwise.
    pub(crate) receipt_timeout: Duration,
    pub(crate) activity: Activity,
}

/// The protocol, and what the driver knows besides.
pub(super) struct Core {
    pub(super) machine: Machine,
    /// The driver's waker while it sleeps.
    pub(super) driver: Option<Waker>,
    /// Tasks that wait for a flush.
    flushers: Vec<Waker>,
    /// Tasks that wait for room in the queue.
    pub(super) line: Line,
    /// Every frame up to this number has been flushed.
    flushed: u64,
}

impl Shared {
    pub(super) fn new(
        machine: Machine,
        observer: Option<Arc<dyn Observer>>,
        receipt_timeout: Duration,
    ) -> Self {
        let core = Core { machine, driver: None, flushers: Vec::new(), line: Line::default(), flushed: 0 };
        Self {
            core: Mutex::new(core),
            state: watch::Sender::new(SessionState::Connecting),
            observer,
            receipt_timeout,
            activity: Activity::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing under this lock leaves the core half-changed, so a panic elsewhere does not spoil it.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the protocol, then wakes whoever has to know.
    pub(crate) fn command<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        self.finish(self.lock(), |core| act(&mut core.machine))
    }

    /// Acts under the lock, then wakes without it.
    pub(super) fn finish<R>(&self, mut core: MutexGuard<'_, Core>, act: impl FnOnce(&mut Core) -> R) -> R {
        let result = act(&mut core);
        let driver = core.driver.take();
        let mut wakers = Vec::new();
        if core.machine.has_wakers() {
            core.machine.drain_wakers(&mut wakers);
        }
        drop(core);
        if let Some(driver) = driver {
            driver.wake();
        }
        if !wakers.is_empty() {
            wakers.into_iter().for_each(Waker::wake);
        }
        result
    }

    /// Makes a subscription and gives its queue with it.
    pub(crate) fn subscribe<R>(
        &self,
        act: impl FnOnce(&mut Machine) -> Result<(SubscriptionId, R), Error>,
    ) -> Result<(Arc<Inbox>, R), Error> {
        self.command(|machine| {
            let (id, extra) = act(machine)?;
            // It was made under this very lock.
            let inbox = machine.inbox(id).ok_or_else(Error::closed)?;
            Ok((inbox, extra))
        })
    }

    /// Waits until the frame with this number, and all before it, have been flushed to the connection `epoch`.
    ///
    /// What had not been written when that connection was lost is never flushed on it.
    pub(crate) fn poll_flushed(
        &self,
        cx: &mut Context<'_>,
        (number, epoch): (u64, u64),
    ) -> Poll<Result<(), Error>> {
        let mut core = self.lock();
        if core.flushed >= number && core.machine.epoch() == epoch {
            return Poll::Ready(core.machine.take_refusal(number).map_or(Ok(()), Err));
        }
        if let Some(cause) = core.machine.closed() {
            return Poll::Ready(Err(cause.cloned().unwrap_or_else(Error::closed)));
        }
        if core.machine.is_offline() || core.machine.epoch() != epoch {
            let text = "there is no connection, or it was lost before everything was written";
            return Poll::Ready(Err(Error::new(ErrorKind::ConnectionLost, text)));
        }
        core.await_flush(cx);
        Poll::Pending
    }

    /// Takes the outcome of a receipt, or has the task woken when there is one.
    pub(crate) fn poll_receipt(&self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.lock().machine.poll_receipt(id, cx)
    }

    /// A consumer has taken messages: reading may go on.
    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.take();
        driver.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn state(&self) -> &watch::Sender<SessionState> {
        &self.state
    }
}

impl Core {
    fn await_flush(&mut self, cx: &Context<'_>) {
        if !self.flushers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.flushers.push(cx.waker().clone());
        }
    }

    /// Everything taken has been flushed: whoever waits for that, or for the room that it made, goes on.
    pub(super) fn on_flushed(&mut self, wakers: &mut Vec<Waker>) {
        self.flushed = self.machine.transmitted();
        wakers.append(&mut self.flushers);
        self.line.wake(QUEUE_BYTES.saturating_sub(self.machine.queued_bytes()), wakers);
    }

    /// Nobody waits beyond the end of the connection.
    pub(super) fn on_lost(&mut self, wakers: &mut Vec<Waker>) {
        wakers.append(&mut self.flushers);
        self.line.wake(usize::MAX, wakers);
    }
}

/// Encoded bytes that may wait for the connection before `send().await` waits for room. A larger frame still fits.
///
/// Less would cost throughput, more only adds latency.
pub(super) const QUEUE_BYTES: usize = 256 * 1024;

/// The same for frames whose senders await a RECEIPT, as long as nobody waits: some 5,000 small ones. To wait for room, to be
/// woken and to look again takes as long as a sixth of all else that is done for one.
pub(super) const AWAITED_BYTES: usize = 1024 * 1024;
