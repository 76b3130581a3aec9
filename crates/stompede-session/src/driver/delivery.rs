//! The queue between the driver and the one consumer of a subscription.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::{Error, Message};

/// One subscription's messages on their way to its consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    inner: Mutex<Inner>,
    overflow: Arc<Overflow>,
}

/// What all subscriptions of a session together hold beyond their own bounds.
#[derive(Debug, Default)]
pub(crate) struct Overflow {
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Message>,
    ready_bytes: usize,
    /// What does not fit into `ready`. Empty unless the consumer is slow.
    overflow: VecDeque<Message>,
    reader: Option<Waker>,
    end: Option<End>,
}

/// Why no more messages come.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// Unsubscribed, or the session ended in order.
    Clean,
    Failed(Error),
}

impl Overflow {
    /// Whether reading has to stop until somebody takes messages.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= MAX_OVERFLOW_BYTES
    }
}

impl Delivery {
    pub(crate) fn new(overflow: Arc<Overflow>) -> Self {
        Self { inner: Mutex::default(), overflow }
    }

    /// Queues a message; gives back the consumer's waker, to be woken once no lock is held.
    pub(crate) fn push(&self, message: Message) -> Option<Waker> {
        let mut inner = self.lock();
        if inner.end.is_some() {
            return None;
        }
        let bytes = message.cost();
        if inner.overflow.is_empty() && inner.has_room(bytes) {
            inner.ready_bytes += bytes;
            inner.ready.push_back(message);
        } else {
            // A message that waits here may wait long: it must not keep a whole read buffer alive.
            self.overflow.bytes.fetch_add(bytes, Ordering::AcqRel);
            inner.overflow.push_back(message.for_long_wait());
        }
        inner.reader.take()
    }

    /// No more messages will come. The first reason counts; what is queued can still be taken.
    pub(crate) fn end(&self, end: End) -> Option<Waker> {
        let mut inner = self.lock();
        inner.end.get_or_insert(end);
        inner.reader.take()
    }

    /// Swaps everything that is ready into `into`, which must be empty; `true` if reading may have to be resumed.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Message>,
    ) -> Poll<Result<bool, End>> {
        let mut inner = self.lock();
        if inner.ready.is_empty() {
            if let Some(end) = &inner.end {
                return Poll::Ready(Err(end.clone()));
            }
            inner.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut inner.ready, into);
        inner.ready_bytes = 0;
        let moved = inner.refill();
        let was_full = self.overflow.is_full();
        self.overflow.bytes.fetch_sub(moved, Ordering::AcqRel);
        Poll::Ready(Ok(was_full && !self.overflow.is_full()))
    }

    /// Throws away what is queued; `true` if reading may have to be resumed.
    pub(crate) fn discard(&self) -> bool {
        let mut inner = self.lock();
        inner.end.get_or_insert(End::Clean);
        let overflow = std::mem::take(&mut inner.overflow);
        let bytes = overflow.iter().map(Message::cost).sum();
        let (was_full, ready) = (self.overflow.is_full(), std::mem::take(&mut inner.ready));
        self.overflow.bytes.fetch_sub(bytes, Ordering::AcqRel);
        drop(inner);
        drop((ready, overflow));
        was_full
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self, bytes: usize) -> bool {
        self.ready.is_empty()
            || (self.ready.len() < QUEUE_MESSAGES && self.ready_bytes + bytes <= QUEUE_BYTES)
    }

    fn refill(&mut self) -> usize {
        let mut moved = 0;
        while let Some(message) = self.overflow.front() {
            let bytes = message.cost();
            if !self.has_room(bytes) {
                break;
            }
            moved += bytes;
            self.ready_bytes += bytes;
            self.ready.extend(self.overflow.pop_front());
        }
        moved
    }
}

/// Messages in the queue of one subscription. More bring no speed, they only make memory grow.
const QUEUE_MESSAGES: usize = 256;

/// Bytes in the queue of one subscription; a single larger message fits all the same.
const QUEUE_BYTES: usize = 256 * 1024;

/// Bytes that all subscriptions of a session together may hold beyond their queues before reading stops.
///
/// Enough for a consumer to stumble while receipts and the other subscriptions flow on; a consumer that never comes
/// back must not take the process's memory.
const MAX_OVERFLOW_BYTES: usize = 16 * 1024 * 1024;
