//! How much may wait for consumers before reading stops, and what happens then.
//!
//! Shared between the machine and the queues of its subscriptions, so that a consumer that takes messages touches
//! nothing but its own queue and these numbers.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stage::GivenBack;

/// What all subscriptions of a session hold together beyond their own queues, and whether reading goes on.
#[derive(Debug)]
pub(super) struct Flow {
    overflow: AtomicUsize,
    limit: usize,
    /// So many acknowledgements wait to be written that nothing more is handed out that needs one.
    acks_full: AtomicBool,
    reading: AtomicU8,
    pub(super) given_back: GivenBack,
}

/// Reading goes on.
const READING: u8 = 0;
/// A queue has just filled; its consumer is given a moment.
const HELD: u8 = 1;
/// The overflow is full.
const STALLED: u8 = 2;

impl Flow {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            overflow: AtomicUsize::new(0),
            limit,
            acks_full: AtomicBool::new(false),
            reading: AtomicU8::new(READING),
            given_back: GivenBack::default(),
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Acquire) == READING
    }

    pub(super) fn is_held(&self) -> bool {
        self.reading.load(Ordering::Acquire) == HELD
    }

    /// Stops reading for a moment. Called under the lock of the queue that has filled.
    pub(super) fn hold(&self) {
        let _ = self.reading.compare_exchange(READING, HELD, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The queue that reading was held for has been emptied, or its moment is over; `true` if reading goes on.
    pub(super) fn release(&self) -> bool {
        self.reading.compare_exchange(HELD, READING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Reading goes on, whatever is held: with a new connection it has hardly begun.
    pub(super) fn read_on(&self) {
        self.reading.store(READING, Ordering::Release);
    }

    /// Stops reading if the overflow is full; `true` if it has been stopped.
    pub(super) fn stall_if_full(&self) -> bool {
        if self.overflow.load(Ordering::Acquire) < self.limit {
            return false;
        }
        self.reading.store(STALLED, Ordering::Release);
        // A consumer may have taken all of it in between and have found nothing to resume.
        !self.resume_if_room()
    }

    pub(super) fn add(&self, bytes: usize) {
        self.overflow.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Bytes have left the overflow; `true` if reading may go on that had stopped.
    pub(super) fn remove(&self, bytes: usize) -> bool {
        self.overflow.fetch_sub(bytes, Ordering::AcqRel);
        self.resume_if_room()
    }

    pub(super) fn overflow(&self) -> usize {
        self.overflow.load(Ordering::Acquire)
    }

    pub(super) fn acks_full(&self) -> bool {
        self.acks_full.load(Ordering::Acquire)
    }

    pub(super) fn set_acks_full(&self, full: bool) {
        self.acks_full.store(full, Ordering::Release);
    }

    fn resume_if_room(&self) -> bool {
        // Not at the very limit: reading would stop again with the next chunk.
        self.overflow.load(Ordering::Acquire) <= self.limit / 4 * 3
            && self.reading.compare_exchange(STALLED, READING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Reading has stopped because of a consumer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    pub(super) since: Instant,
    /// When whoever waits for something unread is told so.
    pub(super) judge_at: Option<Instant>,
}

/// How long reading is held when a queue has filled, for its consumer to take what is there.
///
/// A consumer at work comes back within microseconds, and its messages need not be copied to the overflow. One that is
/// busy with something else delays the others by this much, once each time that its queue fills.
pub(super) const HOLD: Duration = Duration::from_millis(1);

/// Bytes of acknowledgements that may wait to be written before nothing more is handed out that needs one.
///
/// Each delivery has its place reserved beyond this, so an acknowledgement never waits for room.
pub(super) const ACK_BYTES: usize = 1024 * 1024;
