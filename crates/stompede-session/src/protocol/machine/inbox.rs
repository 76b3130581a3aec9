//! The queue between the machine and the one consumer of a subscription.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use stompede_codec::Frame;

use super::flow::Flow;
use super::{SubscriptionId, Ticket};
use crate::{Error, ErrorKind};

/// What a consumer takes out of an [`Inbox`].
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is a message, or there is none where there might have been"
)]
pub enum Delivery {
    /// A message.
    Message {
        /// The MESSAGE frame.
        frame: Frame,
        /// The right to acknowledge it.
        ticket: Ticket,
    },
    /// Messages are missing here.
    Gap(Gap),
}

/// Messages are missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Gap {
    /// How many, if that is known: they were dropped because the queue was full. `None`: the connection was lost in
    /// between and the subscription made again, so some may be missing, and others may come twice.
    pub messages: Option<u64>,
}

/// Why no more messages come.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "an end is in order or it is not")]
pub enum End {
    /// Unsubscribed, or the session ended in order.
    Clean,
    /// The session failed.
    Failed(Error),
    /// The subscription ended for a reason of its own, while the session went on: the broker will not have it, or its
    /// queue was full.
    Alone(Error),
}

/// What a full queue does with the next message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits in what all subscriptions share, and reading stops when that is full too. Nothing is lost.
    #[default]
    Overflow,
    /// The oldest message in the queue is dropped. Only in ack mode auto. Messages that the consumer has taken out
    /// together with others are out of reach.
    DropOldest,
    /// The message is dropped. Only in ack mode auto.
    DropNewest,
    /// The subscription ends with [`ErrorKind::Overflowed`].
    End,
}

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// One subscription's messages on their way to its consumer; made by subscribing, see [`Machine::inbox`](super::Machine::inbox).
#[derive(Debug)]
pub struct Inbox {
    subscription: SubscriptionId,
    bounds: Bounds,
    when_full: WhenFull,
    /// Whether its messages have to be acknowledged.
    settles: bool,
    flow: Arc<Flow>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ready: VecDeque<Delivery>,
    count: usize,
    bytes: usize,
    /// What the messages in `ready` keep alive of read buffers, beyond their own bytes.
    pinned: usize,
    /// The chunk that was pinned last.
    pinned_chunk: u64,
    /// What does not fit into `ready`. Empty unless the consumer is slow.
    overflow: VecDeque<Delivery>,
    overflow_bytes: usize,
    /// The queue has been full since somebody took messages last.
    filled: bool,
    reader: Option<Waker>,
    end: Option<End>,
}

/// A message to be queued.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) frame: Frame,
    pub(super) ticket: Ticket,
}

/// What a message came in: one input of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    /// Counts chunks, from one on.
    pub(super) number: u64,
    pub(super) len: usize,
}

/// What came of queueing messages.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    /// The consumer, to be woken once no lock is held.
    pub(super) waker: Option<Waker>,
    /// The queue has just become full.
    pub(super) filled: bool,
    pub(super) dropped: u64,
    /// Messages that came after the end.
    pub(super) refused: usize,
    /// The subscription has ended because its queue was full.
    pub(super) overflowed: Option<Error>,
}

impl Inbox {
    pub(super) fn new(
        subscription: SubscriptionId,
        bounds: Bounds,
        when_full: WhenFull,
        settles: bool,
        flow: Arc<Flow>,
    ) -> Self {
        Self { subscription, bounds, when_full, settles, flow, inner: Mutex::default() }
    }

    /// Whose messages these are.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Moves what is ready into `into`, or has the task woken when there is something. `true` if reading had stopped and
    /// may go on: then report [`Input::Taken`](crate::protocol::Input::Taken).
    ///
    /// Cheapest if `into` is empty: then nothing is moved but the queue itself.
    ///
    /// # Errors
    /// No more messages will come, for this reason; what had arrived has been given out before.
    pub fn poll_take(&self, cx: &mut Context<'_>, into: &mut VecDeque<Delivery>) -> Poll<Result<bool, End>> {
        self.poll_take_from(&mut self.lock(), cx, into)
    }

    fn poll_take_from(
        &self,
        inner: &mut Inner,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Delivery>,
    ) -> Poll<Result<bool, End>> {
        if inner.ready.is_empty() {
            if let (Some(end), true) = (&inner.end, inner.overflow.is_empty()) {
                return Poll::Ready(Err(end.clone()));
            }
            match &mut inner.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                reader => *reader = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if into.is_empty() {
            std::mem::swap(&mut inner.ready, into);
        } else {
            into.append(&mut inner.ready);
        }
        Poll::Ready(Ok(self.on_taken(inner)))
    }

    /// All that was ready has been taken. `true` if reading had stopped and may go on.
    fn on_taken(&self, inner: &mut Inner) -> bool {
        (inner.count, inner.bytes, inner.pinned, inner.pinned_chunk) = (0, 0, 0, 0);
        let released = std::mem::take(&mut inner.filled) && self.flow.release();
        let moved = self.refill(inner);
        let resumed = moved > 0 && self.flow.remove(moved);
        released || resumed
    }

    /// Takes the first delivery out, and moves the others into `rest`, which is empty; or has the task woken when there is
    /// something. Otherwise as [`poll_take`](Self::poll_take).
    ///
    /// # Errors
    /// As [`poll_take`](Self::poll_take).
    pub fn poll_next(
        &self,
        cx: &mut Context<'_>,
        rest: &mut VecDeque<Delivery>,
    ) -> Poll<Result<(Delivery, bool), End>> {
        let mut inner = self.lock();
        if inner.ready.len() == 1
            && let Some(only) = inner.ready.pop_front()
        {
            // The next one goes to the same place. Swapped with the reader's own queue, messages that come one by one would
            // go through all places of both, which do not stay in the cache where there are thousands of subscriptions.
            inner.ready.clear();
            return Poll::Ready(Ok((only, self.on_taken(&mut inner))));
        }
        loop {
            let resumed = ready!(self.poll_take_from(&mut inner, cx, rest))?;
            if let Some(first) = rest.pop_front() {
                return Poll::Ready(Ok((first, resumed)));
            }
        }
    }

    /// Throws away what is queued, and takes nothing more. Gives how many messages that were, and whether reading had
    /// stopped and may go on.
    pub fn discard(&self) -> (usize, bool) {
        let mut inner = self.lock();
        inner.end.get_or_insert(End::Clean);
        let (ready, overflow) = (std::mem::take(&mut inner.ready), std::mem::take(&mut inner.overflow));
        let bytes = std::mem::take(&mut inner.overflow_bytes);
        let released = std::mem::take(&mut inner.filled) && self.flow.release();
        let resumed = bytes > 0 && self.flow.remove(bytes);
        (inner.count, inner.bytes) = (0, 0);
        drop(inner);
        let queued = ready.iter().chain(&overflow);
        let messages = queued.filter(|delivery| matches!(delivery, Delivery::Message { .. })).count();
        (messages, released || resumed)
    }

    /// Queues messages that came in one chunk.
    pub(super) fn push(&self, arrivals: &mut Vec<Arrival>, chunk: Chunk) -> Pushed {
        let mut pushed = Pushed::default();
        let mut inner = self.lock();
        self.place_together(&mut inner, arrivals, chunk);
        for arrival in arrivals.drain(..) {
            if inner.end.is_some() {
                pushed.refused += 1;
                continue;
            }
            self.place(&mut inner, arrival, chunk, &mut pushed);
        }
        if self.when_full == WhenFull::Overflow && !inner.filled && inner.is_full(self.bounds) {
            inner.filled = true;
            pushed.filled = true;
            self.flow.hold();
        }
        pushed.waker = inner.reader.take();
        pushed
    }

    /// No more messages will come. The first reason counts; what is queued can still be taken.
    pub(super) fn end(&self, end: End) -> Option<Waker> {
        let mut inner = self.lock();
        inner.end.get_or_insert(end);
        // Nothing can be acknowledged any more, so nothing waits for that.
        let moved = self.refill(&mut inner);
        self.flow.remove(moved);
        inner.reader.take()
    }

    /// Acknowledgements have been written: what waits for room for more may be handed out.
    pub(super) fn acks_flow(&self) -> Option<Waker> {
        let mut inner = self.lock();
        let moved = self.refill(&mut inner);
        self.flow.remove(moved);
        if inner.ready.is_empty() { None } else { inner.reader.take() }
    }

    /// Messages may be missing behind what is queued: the subscription is made again on a new connection.
    pub(super) fn mark_gap(&self) -> Option<Waker> {
        let mut inner = self.lock();
        if inner.end.is_some() {
            return None;
        }
        let gap = Gap { messages: None };
        if inner.overflow.is_empty() {
            put_last(&mut inner.ready, gap)
        } else {
            put_last(&mut inner.overflow, gap)
        }
        inner.reader.take()
    }

    /// What waits in the overflow.
    pub(super) fn overflow_bytes(&self) -> usize {
        self.lock().overflow_bytes
    }

    /// Queues all of them if nothing has to be decided about any one: there is room, and none has to be copied.
    fn place_together(&self, inner: &mut Inner, arrivals: &mut Vec<Arrival>, chunk: Chunk) {
        let slack = if self.when_full == WhenFull::Overflow && !inner.filled { SLACK } else { NO_SLACK };
        let bytes: usize = arrivals.iter().map(|arrival| arrival.ticket.cost()).sum();
        let fits = inner.count + arrivals.len() <= self.bounds.messages.saturating_add(slack.messages)
            && inner.bytes.saturating_add(bytes) <= self.bounds.bytes.saturating_add(slack.bytes);
        let open =
            inner.end.is_none() && inner.overflow.is_empty() && !(self.settles && self.flow.acks_full());
        let (pins, fresh) = (inner.would_pin(chunk), inner.pinned_chunk != chunk.number);
        if !fits || !open || fresh && inner.pinned + pins > self.bounds.bytes {
            return;
        }
        if fresh && arrivals.iter().any(|arrival| !arrival.is_most_of(chunk)) {
            inner.pinned += pins;
            inner.pinned_chunk = chunk.number;
        }
        inner.count += arrivals.len();
        inner.bytes += bytes;
        let deliveries =
            arrivals.drain(..).map(|Arrival { frame, ticket }| Delivery::Message { frame, ticket });
        inner.ready.extend(deliveries);
    }

    fn place(&self, inner: &mut Inner, arrival: Arrival, chunk: Chunk, pushed: &mut Pushed) {
        let cost = arrival.ticket.cost();
        match self.when_full {
            WhenFull::Overflow => {
                // While the consumer has not let the queue fill, the rest of a chunk that has been read already may go in:
                // it is in memory anyhow.
                let slack = if inner.filled { NO_SLACK } else { SLACK };
                let open = inner.overflow.is_empty() && !(self.settles && self.flow.acks_full());
                if open && inner.has_room(self.bounds, slack, cost) {
                    return inner.push_ready(arrival, cost, chunk, self.bounds);
                }
                // A message that waits here may wait long.
                let (delivery, _) = arrival.held(chunk, true);
                inner.overflow.push_back(delivery);
                inner.overflow_bytes += cost;
                self.flow.add(cost);
            }
            WhenFull::DropOldest => {
                let mut missing = None;
                while !inner.has_room(self.bounds, NO_SLACK, cost) {
                    let gap = inner.drop_front(&mut pushed.dropped);
                    missing = Gap::join(missing, gap);
                }
                inner.put_gap_first(missing);
                inner.push_ready(arrival, cost, chunk, self.bounds);
            }
            WhenFull::DropNewest if !inner.has_room(self.bounds, NO_SLACK, cost) => {
                pushed.dropped += 1;
                put_last(&mut inner.ready, Gap { messages: Some(1) });
            }
            WhenFull::End if !inner.has_room(self.bounds, NO_SLACK, cost) => {
                let text = format!(
                    "the consumer fell {} messages ({} bytes) behind, more than this subscription allows",
                    inner.count, inner.bytes
                );
                let error = Error::new(ErrorKind::Overflowed, text);
                inner.end = Some(End::Alone(error.clone()));
                pushed.overflowed = Some(error);
            }
            WhenFull::DropNewest | WhenFull::End => inner.push_ready(arrival, cost, chunk, self.bounds),
        }
    }

    /// Moves from the overflow what fits; gives its bytes, which have left the overflow.
    fn refill(&self, inner: &mut Inner) -> usize {
        let mut moved = 0;
        while let Some(delivery) = inner.overflow.front() {
            let (cost, ended) = (delivery.cost(), inner.end.is_some());
            let blocked = self.settles && self.flow.acks_full() && !ended;
            if blocked || !(ended && inner.ready.is_empty() || inner.has_room(self.bounds, NO_SLACK, cost)) {
                break;
            }
            if let Some(delivery) = inner.overflow.pop_front() {
                moved += cost;
                inner.count += usize::from(matches!(delivery, Delivery::Message { .. }));
                inner.bytes += cost;
                inner.ready.push_back(delivery);
            }
        }
        inner.overflow_bytes -= moved;
        moved
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    fn cost(&self) -> usize {
        match self {
            Self::Message { ticket, .. } => ticket.cost(),
            Self::Gap(_) => 0,
        }
    }
}

impl Inner {
    fn has_room(&self, bounds: Bounds, slack: Bounds, cost: usize) -> bool {
        self.count == 0
            || (self.count < bounds.messages.saturating_add(slack.messages)
                && self.bytes.saturating_add(cost) <= bounds.bytes.saturating_add(slack.bytes))
    }

    fn is_full(&self, bounds: Bounds) -> bool {
        self.count >= bounds.messages || self.bytes >= bounds.bytes
    }

    fn push_ready(&mut self, arrival: Arrival, cost: usize, chunk: Chunk, bounds: Bounds) {
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
    fn would_pin(&self, chunk: Chunk) -> usize {
        // Chunks that follow each other are cut from one block; the first one keeps the whole block.
        let follows = self.pinned_chunk != 0 && chunk.number == self.pinned_chunk + 1;
        if follows { chunk.len } else { chunk.len.max(BLOCK) }
    }

    /// Drops what is first and counts it, if it is a message; gives what is missing in its place.
    fn drop_front(&mut self, dropped: &mut u64) -> Option<Gap> {
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

    fn put_gap_first(&mut self, missing: Option<Gap>) {
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
fn put_last(queue: &mut VecDeque<Delivery>, gap: Gap) {
    match queue.back_mut() {
        Some(Delivery::Gap(last)) => *last = Gap::join(Some(*last), Some(gap)).unwrap_or(gap),
        _ => queue.push_back(Delivery::Gap(gap)),
    }
}

impl Arrival {
    fn is_most_of(&self, chunk: Chunk) -> bool {
        self.ticket.cost() * 2 >= chunk.len
    }

    /// The message as it waits, and whether it shares its chunk. One that is most of its chunk always does: copying it
    /// would cost more than it saves.
    fn held(self, chunk: Chunk, detach: bool) -> (Delivery, bool) {
        let most = self.is_most_of(chunk);
        let frame = if detach && !most { self.frame.detach() } else { self.frame };
        (Delivery::Message { frame, ticket: self.ticket }, !detach && !most)
    }
}

/// What a read buffer is counted with at least: transports read into blocks of this size.
const BLOCK: usize = 64 * 1024;

const NO_SLACK: Bounds = Bounds { messages: 0, bytes: 0 };

/// What may go into a queue beyond its bounds once: the small messages of about one chunk.
const SLACK: Bounds = Bounds { messages: 512, bytes: 64 * 1024 };
