//! What the driver and the handles share: the protocol behind one short lock, and who wants to be woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Observer;
use super::activity::Activity;
use super::room::Line;
use crate::protocol::{Event, Inbox, Machine, Outcome, ReceiptId, SubscriptionId};
use crate::{Error, ErrorKind, SessionState, rt};

pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(super) state: watch::Sender<SessionState>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// How long a RECEIPT is awaited unless a call says otherwise.
    pub(crate) receipt_timeout: Duration,
    pub(crate) activity: Activity,
    /// Where its task runs.
    pub(crate) runtime: rt::Runtime,
}

/// The protocol, and what the driver knows besides.
pub(super) struct Core {
    pub(super) machine: Machine,
    /// The driver's waker while it sleeps.
    pub(super) driver: Option<Waker>,
    /// Tasks that wait for a flush.
    pub(super) flushers: Line,
    /// Tasks that wait for room in the queue.
    pub(super) line: Line,
    /// Every frame up to this number has been flushed.
    flushed: u64,
    /// Where the session stood after the last event.
    stood: SessionState,
}

impl Shared {
    pub(super) fn new(
        machine: Machine,
        observer: Option<Arc<dyn Observer>>,
        receipt_timeout: Duration,
        runtime: rt::Runtime,
    ) -> Self {
        let (flushers, line, stood) = (Line::default(), Line::default(), SessionState::Connecting);
        let core = Core { machine, driver: None, flushers, line, flushed: 0, stood };
        Self {
            core: Mutex::new(core),
            state: watch::Sender::new(SessionState::Connecting),
            observer,
            receipt_timeout,
            activity: Activity::default(),
            runtime,
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

    /// Takes the outcome of a receipt, or has the task woken when there is one.
    pub(crate) fn poll_receipt(&self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.lock().machine.poll_receipt(id, cx)
    }

    /// A consumer has taken messages: reading may go on.
    pub(crate) fn wake_driver(&self) {
        let driver = self.lock().driver.take();
        driver.into_iter().for_each(Waker::wake);
    }

    /// Where the session stands. The value to [watch](Self::state_changes) follows with the driver's turn.
    pub(crate) fn state(&self) -> SessionState {
        let core = self.lock();
        match (core.machine.closed(), &core.stood) {
            (Some(cause), _) => SessionState::Closed(cause.cloned()),
            (None, SessionState::Connected(peer)) if core.machine.is_parting() => {
                SessionState::Disconnecting(peer.clone())
            }
            (None, stood) => stood.clone(),
        }
    }

    pub(crate) fn state_changes(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }
}

impl Core {
    /// Whether the frame with this number, and all before it, have been flushed to the connection `epoch`, or why they
    /// never will be; `None` if that is still open.
    ///
    /// What had not been written when that connection was lost is never flushed on it.
    pub(super) fn flush_outcome(&mut self, (number, epoch): (u64, u64)) -> Option<Result<(), Error>> {
        if self.flushed >= number && self.machine.epoch() == epoch {
            return Some(self.machine.take_refusal(number).map_or(Ok(()), Err));
        }
        if let Some(cause) = self.machine.closed() {
            return Some(Err(cause.cloned().unwrap_or_else(Error::closed)));
        }
        if self.machine.is_offline() || self.machine.epoch() != epoch {
            let text = "there is no connection, or it was lost before everything was written";
            return Some(Err(Error::new(ErrorKind::ConnectionLost, text)));
        }
        None
    }

    /// When somebody has waited for long enough.
    pub(super) fn soonest(&self) -> Option<Instant> {
        [self.line.soonest(), self.flushers.soonest()].into_iter().flatten().min()
    }

    /// Wakes those who have waited for long enough.
    pub(super) fn expire(&mut self, now: Instant, wakers: &mut Vec<Waker>) {
        self.line.expire(now, wakers);
        self.flushers.expire(now, wakers);
    }

    /// Whether frames have left the queue since [`on_flushed`](Self::on_flushed) was called last.
    pub(super) fn is_behind(&self) -> bool {
        self.flushed < self.machine.transmitted()
    }

    /// Everything taken has been flushed: whoever waits for that, or for the room that it made, goes on.
    pub(super) fn on_flushed(&mut self, wakers: &mut Vec<Waker>) {
        self.flushed = self.machine.transmitted();
        self.flushers.wake(usize::MAX, wakers);
        self.line.wake(QUEUE_BYTES.saturating_sub(self.machine.queued_bytes()), wakers);
    }

    /// Notes where the session stands after this. Nobody waits beyond the end of a connection.
    pub(super) fn on_event(&mut self, event: &Event, wakers: &mut Vec<Waker>) {
        if let Some(next) = self.stood.after(event) {
            self.stood = next;
        }
        if let Event::Disconnected(_) | Event::Closed(_) = event {
            self.flushers.wake(usize::MAX, wakers);
            self.line.wake(usize::MAX, wakers);
        }
    }
}

/// Encoded bytes that may wait for the connection before `send().await` waits for room. A larger frame still fits.
///
/// Less would cost throughput, more only adds latency.
pub(super) const QUEUE_BYTES: usize = 256 * 1024;

/// The same for frames whose senders await a RECEIPT, as long as nobody waits: some 5,000 small ones. To wait for room, to be
/// woken and to look again takes as long as a sixth of all else that is done for one.
pub(super) const AWAITED_BYTES: usize = 1024 * 1024;
