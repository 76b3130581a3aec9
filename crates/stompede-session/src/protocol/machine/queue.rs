//! What waits for the consumer of one subscription.

use std::collections::VecDeque;

use stompede_codec::Frame;

use super::Ticket;
use super::inbox::{Delivery, End, Gap};

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// What waits, or has waited, for a consumer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) ready: VecDeque<Delivery>,
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// What the messages in `ready` keep alive of read buffers, beyond their own bytes.
    pub(super) pinned: usize,
    /// The chunk that was pinned last.
    pub(super) pinned_chunk: u64,
    /// What does not fit into `ready`. Empty unless the consumer is slow.
    pub(super) overflow: VecDeque<Delivery>,
    pub(super) overflow_bytes: usize,
    /// The queue has been full since somebody took messages last.
    pub(super) filled: bool,
    pub(super) end: Option<End>,
}

/// A message to be queued.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) frame: Frame,
    pub(crate) ticket: Ticket,
}

/// What a message came in: one input of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    /// Counts chunks, from one on.
    pub(super) number: u64,
    pub(super) len: usize,
}

impl Delivery {
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Message { ticket, .. } => ticket.cost(),
            Self::Gap(_) => 0,
        }
    }
}

impl From<Arrival> for Delivery {
    fn from(Arrival { frame, ticket }: Arrival) -> Self {
        Self::Message { frame, ticket }
    }
}

impl Queue {
    /// Whether it matters what is in here.
    pub(super) fn is_used(&self) -> bool {
        !self.ready.is_empty() || !self.overflow.is_empty() || self.filled || self.end.is_some()
    }

    pub(super) fn has_room(&self, bounds: Bounds, slack: Bounds, cost: usize) -> bool {
        self.count == 0
            || (self.count < bounds.messages.saturating_add(slack.messages)
                && self.bytes.saturating_add(cost) <= bounds.bytes.saturating_add(slack.bytes))
    }

    pub(super) fn is_full(&self, bounds: Bounds) -> bool {
        self.count >= bounds.messages || self.bytes >= bounds.bytes
    }

    pub(super) fn push_ready(&mut self, arrival: Arrival, cost: usize, chunk: Chunk, bounds: Bounds) {
        let (pins, fresh) = (self.would_pin(chunk), self.pinned_chunk != chunk.number);
        let detach = fresh && self.pinned + pins > bounds.bytes;
        let (delivery, shares) = arrival.held(chunk, detach);
        if shares && fresh {
            self.pinned += pins;
            self.pinned_chunk = chunk.number;
        }
        self.count += 1;
        self.bytes += cost;
        self.ready.push_back(delivery);
    }

    /// What another message out of this chunk keeps alive.
    pub(super) fn would_pin(&self, chunk: Chunk) -> usize {
        // Chunks that follow each other are cut from one block; the first one keeps the whole block.
        let follows = self.pinned_chunk != 0 && chunk.number == self.pinned_chunk + 1;
        if follows { chunk.len } else { chunk.len.max(BLOCK) }
    }

    /// Drops what is first and counts it, if it is a message; gives what is missing in its place.
    pub(super) fn drop_front(&mut self, dropped: &mut u64) -> Option<Gap> {
        match self.ready.pop_front()? {
            Delivery::Message { ticket, .. } => {
                self.count -= 1;
                self.bytes -= ticket.cost();
                *dropped += 1;
                Some(Gap { messages: Some(1) })
            }
            Delivery::Gap(gap) => Some(gap),
        }
    }

    pub(super) fn put_gap_first(&mut self, missing: Option<Gap>) {
        let missing = match self.ready.front_mut() {
            Some(Delivery::Gap(gap)) => {
                if let Some(joined) = Gap::join(missing, Some(*gap)) {
                    *gap = joined;
                }
                None
            }
            _ => missing,
        };
        if let Some(gap) = missing {
            self.ready.push_front(Delivery::Gap(gap));
        }
    }
}

impl Gap {
    /// Two gaps, one behind the other, as one. How many are missing is known only if it is known of both.
    pub(crate) fn join(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (first, second) else { return first.or(second) };
        Some(Self { messages: one.messages.zip(other.messages).map(|(one, other)| one + other) })
    }
}

/// Puts a gap behind what is queued, as one with a gap that is there already.
pub(super) fn put_last(queue: &mut VecDeque<Delivery>, gap: Gap) {
    match queue.back_mut() {
        Some(Delivery::Gap(last)) => *last = Gap::join(Some(*last), Some(gap)).unwrap_or(gap),
        _ => queue.push_back(Delivery::Gap(gap)),
    }
}

impl Ticket {
    pub(super) fn is_most_of(&self, chunk: Chunk) -> bool {
        self.cost() * 2 >= chunk.len
    }
}

impl Arrival {
    /// The message as it waits, and whether it shares its chunk. One that is most of its chunk always does: copying it
    /// would cost more than it saves.
    pub(super) fn held(self, chunk: Chunk, detach: bool) -> (Delivery, bool) {
        let most = self.ticket.is_most_of(chunk);
        let frame = if detach && !most { self.frame.detach() } else { self.frame };
        (Delivery::Message { frame, ticket: self.ticket }, !detach && !most)
    }
}

/// What a read buffer is counted with at least: transports read into blocks of this size.
pub(super) const BLOCK: usize = 64 * 1024;

pub(super) const NO_SLACK: Bounds = Bounds { messages: 0, bytes: 0 };

/// What may go into a queue beyond its bounds once: the small messages of about one chunk.
pub(super) const SLACK: Bounds = Bounds { messages: 512, bytes: 64 * 1024 };
