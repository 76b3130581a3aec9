//! The queue between the machine and the one consumer of a subscription.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use stompede_codec::Frame;

use super::flow::Flow;
use super::queue::{Arrival, BLOCK, Bounds, Chunk, NO_SLACK, Queue, SLACK, put_last};
use super::stage::{Place, Stage};
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

/// One subscription's messages on their way to its consumer; made by subscribing, see [`Machine::inbox`](super::Machine::inbox).
// What a message needs that is alone comes first and is one line of the cache, as in an `Entry` of `Subscriptions`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Inbox {
    flow: Arc<Flow>,
    queue_bytes: usize,
    /// No more than fit into memory.
    window: u32,
    when_full: WhenFull,
    /// Whether its messages have to be acknowledged.
    settles: bool,
    inner: Mutex<Inner>,
    subscription: SubscriptionId,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Inner {
    /// A message that came alone while nothing was queued, and nothing has come since.
    alone: Option<Place>,
    reader: Option<Waker>,
    /// There may be something in `queue`. If not, there need not be a look.
    in_use: bool,
    queue: Queue,
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
        let window = u32::try_from(bounds.messages).unwrap_or(u32::MAX);
        let (queue_bytes, inner) = (bounds.bytes, Mutex::default());
        Self { flow, queue_bytes, window, when_full, settles, inner, subscription }
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
        let (alone, resumed) = ready!(self.poll_place(cx, into))?;
        if let Some(mut place) = alone {
            into.extend(place.take().map(Delivery::from));
            self.give_back(place);
        }
        Poll::Ready(Ok(resumed))
    }

    /// As [`poll_take`](Self::poll_take), but a message that is alone is not moved: its place is to be
    /// [given back](Self::give_back).
    ///
    /// # Errors
    /// As [`poll_take`](Self::poll_take).
    pub(crate) fn poll_place(
        &self,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Delivery>,
    ) -> Poll<Result<(Option<Place>, bool), End>> {
        let mut inner = self.lock();
        if inner.in_use {
            return self.poll_queue(&mut inner, cx, into).map_ok(|resumed| (None, resumed));
        }
        let alone = inner.alone.take();
        if alone.is_none() {
            inner.await_message(cx);
            return Poll::Pending;
        }
        Poll::Ready(Ok((alone, false)))
    }

    /// The message has been taken out.
    pub(crate) fn give_back(&self, place: Place) {
        self.flow.given_back.put(place);
    }

    fn poll_queue(
        &self,
        inner: &mut Inner,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Delivery>,
    ) -> Poll<Result<bool, End>> {
        let queue = &mut inner.queue;
        if queue.ready.is_empty() {
            if let (Some(end), true) = (&queue.end, queue.overflow.is_empty()) {
                return Poll::Ready(Err(end.clone()));
            }
            inner.in_use = queue.is_used();
            inner.await_message(cx);
            return Poll::Pending;
        }
        if into.is_empty() {
            std::mem::swap(&mut queue.ready, into);
        } else {
            into.append(&mut queue.ready);
        }
        // All that was ready has been taken.
        (queue.count, queue.bytes, queue.pinned, queue.pinned_chunk) = (0, 0, 0, 0);
        let released = std::mem::take(&mut queue.filled) && self.flow.release();
        let moved = self.refill(queue);
        let resumed = moved > 0 && self.flow.remove(moved);
        inner.in_use = queue.is_used();
        Poll::Ready(Ok(released || resumed))
    }

    /// Throws away what is queued, and takes nothing more. Gives how many messages that were, and whether reading had
    /// stopped and may go on.
    pub fn discard(&self) -> (usize, bool) {
        let mut inner = self.lock();
        let queue = self.gather(&mut inner);
        queue.end.get_or_insert(End::Clean);
        let (ready, overflow) = (std::mem::take(&mut queue.ready), std::mem::take(&mut queue.overflow));
        let bytes = std::mem::take(&mut queue.overflow_bytes);
        let released = std::mem::take(&mut queue.filled) && self.flow.release();
        let resumed = bytes > 0 && self.flow.remove(bytes);
        (queue.count, queue.bytes) = (0, 0);
        drop(inner);
        let queued = ready.iter().chain(&overflow);
        let messages = queued.filter(|delivery| matches!(delivery, Delivery::Message { .. })).count();
        (messages, released || resumed)
    }

    /// Queues messages that came in one chunk.
    #[inline]
    pub(super) fn push(&self, stage: &mut Stage, chunk: Chunk) -> Pushed {
        let mut pushed = Pushed::default();
        let mut inner = self.lock();
        if stage.fits() && self.is_idle(&inner) {
            inner.alone = stage.take_alone(chunk);
        } else {
            self.push_behind(self.gather(&mut inner), stage.join(), chunk, &mut pushed);
        }
        pushed.waker = inner.reader.take();
        pushed
    }

    fn push_behind(&self, queue: &mut Queue, arrivals: &mut Vec<Arrival>, chunk: Chunk, pushed: &mut Pushed) {
        self.place_together(queue, arrivals, chunk);
        for arrival in arrivals.drain(..) {
            if queue.end.is_some() {
                pushed.refused += 1;
                continue;
            }
            self.place(queue, arrival, chunk, pushed);
        }
        if self.when_full == WhenFull::Overflow && !queue.filled && queue.is_full(self.bounds()) {
            queue.filled = true;
            pushed.filled = true;
            self.flow.hold();
        }
    }

    /// Whether a message fits into the queue while that is empty, and does not fill it. Takes no lock.
    pub(super) fn fits_alone(&self, ticket: &Ticket, chunk: Chunk) -> bool {
        let leaves_room = self.window > 1 && ticket.cost() < self.queue_bytes;
        leaves_room && (chunk.len.max(BLOCK) <= self.queue_bytes || ticket.is_most_of(chunk))
    }

    /// Whether nothing is queued and a message may be.
    fn is_idle(&self, inner: &Inner) -> bool {
        !inner.in_use && inner.alone.is_none() && !(self.settles && self.flow.acks_full())
    }

    /// No more messages will come. The first reason counts; what is queued can still be taken.
    pub(super) fn end(&self, end: End) -> Option<Waker> {
        let mut inner = self.lock();
        let queue = self.gather(&mut inner);
        queue.end.get_or_insert(end);
        // Nothing can be acknowledged any more, so nothing waits for that.
        let moved = self.refill(queue);
        self.flow.remove(moved);
        inner.reader.take()
    }

    /// Acknowledgements have been written: what waits for room for more may be handed out.
    pub(super) fn acks_flow(&self) -> Option<Waker> {
        let mut inner = self.lock();
        let queue = self.gather(&mut inner);
        let moved = self.refill(queue);
        self.flow.remove(moved);
        if queue.ready.is_empty() { None } else { inner.reader.take() }
    }

    /// Messages may be missing behind what is queued: the subscription is made again on a new connection.
    pub(super) fn mark_gap(&self) -> Option<Waker> {
        let mut inner = self.lock();
        let queue = self.gather(&mut inner);
        if queue.end.is_some() {
            return None;
        }
        let gap = Gap { messages: None };
        if queue.overflow.is_empty() {
            put_last(&mut queue.ready, gap)
        } else {
            put_last(&mut queue.overflow, gap)
        }
        inner.reader.take()
    }

    /// What waits in the overflow.
    pub(super) fn overflow_bytes(&self) -> usize {
        self.lock().queue.overflow_bytes
    }

    /// Queues all of them if nothing has to be decided about any one: there is room, and none has to be copied.
    fn place_together(&self, queue: &mut Queue, arrivals: &mut Vec<Arrival>, chunk: Chunk) {
        let slack = if self.when_full == WhenFull::Overflow && !queue.filled { SLACK } else { NO_SLACK };
        let bytes: usize = arrivals.iter().map(|arrival| arrival.ticket.cost()).sum();
        let fits = queue.count + arrivals.len() <= self.bounds().messages.saturating_add(slack.messages)
            && queue.bytes.saturating_add(bytes) <= self.bounds().bytes.saturating_add(slack.bytes);
        let open =
            queue.end.is_none() && queue.overflow.is_empty() && !(self.settles && self.flow.acks_full());
        let (pins, fresh) = (queue.would_pin(chunk), queue.pinned_chunk != chunk.number);
        if !fits || !open || fresh && queue.pinned + pins > self.bounds().bytes {
            return;
        }
        if fresh && arrivals.iter().any(|arrival| !arrival.ticket.is_most_of(chunk)) {
            queue.pinned += pins;
            queue.pinned_chunk = chunk.number;
        }
        queue.count += arrivals.len();
        queue.bytes += bytes;
        let deliveries =
            arrivals.drain(..).map(|Arrival { frame, ticket }| Delivery::Message { frame, ticket });
        queue.ready.extend(deliveries);
    }

    fn place(&self, queue: &mut Queue, arrival: Arrival, chunk: Chunk, pushed: &mut Pushed) {
        let cost = arrival.ticket.cost();
        match self.when_full {
            WhenFull::Overflow => {
                // While the consumer has not let the queue fill, the rest of a chunk that has been read already may go in:
                // it is in memory anyhow.
                let slack = if queue.filled { NO_SLACK } else { SLACK };
                let open = queue.overflow.is_empty() && !(self.settles && self.flow.acks_full());
                if open && queue.has_room(self.bounds(), slack, cost) {
                    return queue.push_ready(arrival, cost, chunk, self.bounds());
                }
                // A message that waits here may wait long.
                let (delivery, _) = arrival.held(chunk, true);
                queue.overflow.push_back(delivery);
                queue.overflow_bytes += cost;
                self.flow.add(cost);
            }
            WhenFull::DropOldest => {
                let mut missing = None;
                while !queue.has_room(self.bounds(), NO_SLACK, cost) {
                    let gap = queue.drop_front(&mut pushed.dropped);
                    missing = Gap::join(missing, gap);
                }
                queue.put_gap_first(missing);
                queue.push_ready(arrival, cost, chunk, self.bounds());
            }
            WhenFull::DropNewest if !queue.has_room(self.bounds(), NO_SLACK, cost) => {
                pushed.dropped += 1;
                put_last(&mut queue.ready, Gap { messages: Some(1) });
            }
            WhenFull::End if !queue.has_room(self.bounds(), NO_SLACK, cost) => {
                let text = format!(
                    "the consumer fell {} messages ({} bytes) behind, more than this subscription allows",
                    queue.count, queue.bytes
                );
                let error = Error::new(ErrorKind::Overflowed, text);
                queue.end = Some(End::Alone(error.clone()));
                pushed.overflowed = Some(error);
            }
            WhenFull::DropNewest | WhenFull::End => queue.push_ready(arrival, cost, chunk, self.bounds()),
        }
    }

    /// Moves from the overflow what fits; gives its bytes, which have left the overflow.
    fn refill(&self, queue: &mut Queue) -> usize {
        let mut moved = 0;
        while let Some(delivery) = queue.overflow.front() {
            let (cost, ended) = (delivery.cost(), queue.end.is_some());
            let blocked = self.settles && self.flow.acks_full() && !ended;
            if blocked || !(ended && queue.ready.is_empty() || queue.has_room(self.bounds(), NO_SLACK, cost))
            {
                break;
            }
            if let Some(delivery) = queue.overflow.pop_front() {
                moved += cost;
                queue.count += usize::from(matches!(delivery, Delivery::Message { .. }));
                queue.bytes += cost;
                queue.ready.push_back(delivery);
            }
        }
        queue.overflow_bytes -= moved;
        moved
    }

    /// The queue, with a message behind the others that was alone.
    fn gather<'i>(&self, inner: &'i mut Inner) -> &'i mut Queue {
        inner.in_use = true;
        if let Some(mut place) = inner.alone.take() {
            if let Some(arrival) = place.take() {
                let cost = arrival.ticket.cost();
                inner.queue.push_ready(arrival, cost, place.chunk(), self.bounds());
            }
            self.give_back(place);
        }
        &mut inner.queue
    }

    fn bounds(&self) -> Bounds {
        Bounds { messages: self.window as usize, bytes: self.queue_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn await_message(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            reader => *reader = Some(cx.waker().clone()),
        }
    }
}
