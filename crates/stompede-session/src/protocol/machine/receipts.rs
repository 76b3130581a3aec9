//! Receipts that are awaited: a slab of slots, each with a generation, so that an id never means two things.

use std::collections::BTreeSet;
use std::fmt;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::Error;

/// Names one awaited receipt of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReceiptId {
    index: u32,
    generation: u32,
}

/// How an awaited receipt ended.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the four truths about a frame; there is no fifth")]
pub enum Outcome {
    /// The RECEIPT came.
    Confirmed,
    /// The broker answered with an ERROR for this very frame.
    Rejected(Error),
    /// The frame was never written.
    NotSent(Error),
    /// The frame was written, and what became of it cannot be known.
    Unknown(Error),
}

#[derive(Debug, Default)]
pub(super) struct Receipts {
    slots: Vec<Slot>,
    free: Vec<u32>,
    awaited: usize,
    deadlines: BTreeSet<(Instant, ReceiptId)>,
    /// Who has to be woken once the caller has let go of its locks.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    Free,
    Awaited { written: bool, deadline: Option<Instant>, waker: Option<Waker> },
    Ended(Outcome),
}

impl Receipts {
    /// Reserves a slot. `deadline: None` waits as long as the connection lives.
    pub(super) fn open(&mut self, deadline: Option<Instant>) -> ReceiptId {
        let state = SlotState::Awaited { written: false, deadline, waker: None };
        let id = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.state = state;
                ReceiptId { index, generation: slot.generation }
            }
            None => {
                // Four billion receipts awaited at once do not fit into memory, so the index always fits.
                let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.slots.push(Slot { generation: 0, state });
                ReceiptId { index, generation: 0 }
            }
        };
        self.awaited += 1;
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        id
    }

    /// Notes that the frame is on its way: from now on nobody can promise that it was not sent.
    pub(super) fn mark_written(&mut self, id: ReceiptId) {
        if let Some(Slot { state: SlotState::Awaited { written, .. }, .. }) = self.slot(id) {
            *written = true;
        }
    }

    /// Ends the wait for `id`, if somebody still waits.
    pub(super) fn resolve(&mut self, id: ReceiptId, outcome: Outcome) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let SlotState::Awaited { deadline, waker, .. } = &mut slot.state else { return false };
        let (deadline, waker) = (*deadline, waker.take());
        slot.state = SlotState::Ended(outcome);
        self.awaited -= 1;
        self.wakers.extend(waker);
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, id));
        }
        true
    }

    /// Ends every wait because the connection has ended, except those that go on with the next one.
    pub(super) fn resolve_all(&mut self, cause: &Error, goes_on: impl Fn(ReceiptId) -> bool) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let SlotState::Awaited { written, .. } = slot.state else { continue };
            let id = ReceiptId { index: index as u32, generation: slot.generation };
            if goes_on(id) {
                continue;
            }
            let outcome =
                if written { Outcome::Unknown(cause.clone()) } else { Outcome::NotSent(cause.clone()) };
            self.resolve(id, outcome);
        }
    }

    /// The next receipt whose time is over, and whether its frame was written.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(ReceiptId, bool)> {
        let (deadline, id) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.pop_first();
        match self.slot(id) {
            Some(Slot { state: SlotState::Awaited { written, .. }, .. }) => Some((id, *written)),
            _ => None,
        }
    }

    /// Takes the outcome of `id`, or arranges for a wake-up. The slot is free again after `Ready`.
    pub(super) fn poll(&mut self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let Some(slot) = self.slot(id) else { return Poll::Ready(None) };
        if let SlotState::Awaited { waker, .. } = &mut slot.state {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        match self.release(id) {
            Some(SlotState::Ended(outcome)) => Poll::Ready(Some(outcome)),
            _ => Poll::Ready(None),
        }
    }

    /// Nobody waits for `id` any more.
    pub(super) fn forget(&mut self, id: ReceiptId) {
        if let Some(SlotState::Awaited { deadline, .. }) = self.release(id) {
            self.awaited -= 1;
            if let Some(deadline) = deadline {
                self.deadlines.remove(&(deadline, id));
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn awaited(&self) -> usize {
        self.awaited
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    fn release(&mut self, id: ReceiptId) -> Option<SlotState> {
        let slot = self.slot(id)?;
        slot.generation = slot.generation.wrapping_add(1);
        let state = std::mem::replace(&mut slot.state, SlotState::Free);
        self.free.push(id.index);
        Some(state)
    }

    fn slot(&mut self, id: ReceiptId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index as usize)?;
        (slot.generation == id.generation && !matches!(slot.state, SlotState::Free)).then_some(slot)
    }
}

/// The id as it stands in a `receipt` header.
impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r-{}-{}", self.index, self.generation)
    }
}

impl ReceiptId {
    /// Reads what [`Display`](fmt::Display) wrote; anything else is no id of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (index, generation) = text.strip_prefix("r-")?.split_once('-')?;
        let id = Self { index: index.parse().ok()?, generation: generation.parse().ok()? };
        // "r-01-0" and "r-+1-0" parse as numbers; they are not what was sent.
        (id.to_string() == text).then_some(id)
    }
}
