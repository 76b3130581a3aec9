//! What the driver and the handles share: the protocol behind one short lock, and who wants to be woken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;

use super::Observer;
use super::delivery::{Delivery, End, Overflow};
use crate::protocol::{Machine, Outcome, ReceiptId, SubscriptionId};
use crate::{AckMode, Error, SessionState};

pub(crate) struct Shared {
    core: Mutex<Core>,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) overflow: Arc<Overflow>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// The protocol, and what the driver knows besides.
pub(super) struct Core {
    pub(super) machine: Machine,
    /// The driver's waker while it sleeps.
    pub(super) driver: Option<Waker>,
    /// Tasks that wait for room in the queue, or for a flush.
    pub(super) writers: Vec<Waker>,
    /// Every frame up to this number has been flushed.
    pub(super) flushed: u64,
    pub(super) consumers: HashMap<SubscriptionId, Consumer>,
}

/// Where the messages of one subscription go.
pub(super) struct Consumer {
    pub(super) delivery: Arc<Delivery>,
    /// Whether its messages can be acknowledged.
    pub(super) settles: bool,
}

impl Shared {
    pub(super) fn new(machine: Machine, observer: Option<Arc<dyn Observer>>) -> Self {
        let core = Core { machine, driver: None, writers: Vec::new(), flushed: 0, consumers: HashMap::new() };
        Self {
            core: Mutex::new(core),
            state: watch::Sender::new(SessionState::Connecting),
            overflow: Arc::default(),
            observer,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing under this lock leaves the core half-changed, so a panic elsewhere does not spoil it.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the protocol, then wakes whoever has to know.
    pub(crate) fn command<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        self.with_core(|core| act(&mut core.machine))
    }

    fn with_core<R>(&self, act: impl FnOnce(&mut Core) -> R) -> R {
        let mut core = self.lock();
        let result = act(&mut core);
        let (driver, receipts) = (core.driver.take(), core.machine.take_wakers());
        drop(core);
        driver.into_iter().chain(receipts).for_each(Waker::wake);
        result
    }

    /// Makes a subscription together with its consumer, so that no message can come between the two.
    pub(crate) fn subscribe<R>(
        &self,
        ack: AckMode,
        act: impl FnOnce(&mut Machine) -> Result<(SubscriptionId, R), Error>,
    ) -> Result<(SubscriptionId, Arc<Delivery>, R), Error> {
        self.with_core(|core| {
            let (id, extra) = act(&mut core.machine)?;
            let delivery = Arc::new(Delivery::new(self.overflow.clone()));
            let consumer = Consumer { delivery: delivery.clone(), settles: ack != AckMode::Auto };
            core.consumers.insert(id, consumer);
            Ok((id, delivery, extra))
        })
    }

    /// Ends a subscription on both sides. What is queued for its consumer stays there.
    pub(crate) fn unsubscribe(&self, id: SubscriptionId) -> Result<(), Error> {
        let mut reader = None;
        let told = self.with_core(|core| {
            if let Some(consumer) = core.consumers.remove(&id) {
                reader = consumer.delivery.end(End::Clean);
            }
            core.machine.unsubscribe(id)
        });
        reader.into_iter().for_each(Waker::wake);
        told
    }

    /// Runs `act` once the queue has room, or at once if the session cannot send anyway.
    pub(crate) fn poll_with_room<R>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Machine) -> R,
    ) -> Poll<R> {
        let mut core = self.lock();
        if core.machine.connected().is_some() && core.machine.queued_bytes() >= QUEUE_BYTES {
            core.await_writer(cx);
            return Poll::Pending;
        }
        drop(core);
        Poll::Ready(self.command(act))
    }

    /// Waits until the frame with this number, and all before it, have been flushed.
    pub(crate) fn poll_flushed(&self, cx: &mut Context<'_>, number: u64) -> Poll<Result<(), Error>> {
        let mut core = self.lock();
        if core.flushed >= number {
            return Poll::Ready(Ok(()));
        }
        if let Some(cause) = core.machine.closed() {
            return Poll::Ready(cause.cloned().map_or(Ok(()), Err));
        }
        core.await_writer(cx);
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
    fn await_writer(&mut self, cx: &Context<'_>) {
        if !self.writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.writers.push(cx.waker().clone());
        }
    }
}

/// Encoded bytes that may wait for the connection before `send().await` waits for room. A larger frame still fits.
///
/// Less would cost throughput, more only adds latency.
pub(super) const QUEUE_BYTES: usize = 256 * 1024;
