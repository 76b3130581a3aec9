//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::{Buf, BufMut, BytesMut};
use stompede_codec::{ContentLength, EncodeError, Encoder, Frame, Version};
use stompede_transport::Outbound;

use crate::personality::Frames;

/// Filled by whoever has something for the connection, emptied by the connection's task.
#[derive(Debug)]
pub(crate) struct Outbox {
    style: Frames,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Outbound>,
    bytes: usize,
    /// The connection's task while it sleeps.
    sleeper: Option<Sleeper>,
    /// Nothing more is taken, and the connection is to end behind what is queued.
    ending: bool,
    /// The queues had more for this connection than would fit.
    starved: bool,
    /// The task was to be woken, and was not asleep.
    nudged: bool,
}

#[derive(Debug)]
struct Sleeper {
    waker: Waker,
    /// It waits until it can write, and does not care for more to be written.
    blocked: bool,
}

impl Outbox {
    pub(crate) fn new(style: Frames) -> Self {
        Self { style, inner: Mutex::default() }
    }

    /// Queues a frame in the form of `version`.
    pub(crate) fn push(&self, version: Version, frame: &Frame) -> Result<(), EncodeError> {
        self.queue(self.encode(version, frame)?);
        Ok(())
    }

    /// Queues a frame before those that have come since there were `at` of them. Only for the connection's own task, which
    /// takes none out in the meantime.
    pub(crate) fn push_at(&self, at: usize, version: Version, frame: &Frame) -> Result<(), EncodeError> {
        let item = self.encode(version, frame)?;
        let mut inner = self.lock();
        if !inner.ending {
            inner.bytes += item.remaining();
            let at = at.min(inner.queue.len());
            inner.queue.insert(at, item);
        }
        Ok(())
    }

    /// How many frames and heart-beats wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().queue.len()
    }

    /// The version whose form frames have, where this one was agreed on.
    pub(crate) fn form(&self, version: Version) -> Version {
        if self.style.always_escaped { Version::V1_2 } else { version }
    }

    /// Queues a heart-beat.
    pub(crate) fn beat(&self) {
        self.queue(Outbound::heart_beat());
    }

    fn encode(&self, version: Version, frame: &Frame) -> Result<Outbound, EncodeError> {
        let Frames { newline_behind, length_as_sent, .. } = self.style;
        let mut encoder = Encoder::new(self.form(version));
        if length_as_sent && !frame.headers().contains("content-length") && !frame.body().contains(&0) {
            encoder = encoder.content_length(ContentLength::Omit);
        }
        let mut bytes = BytesMut::new();
        if frame.body().len() > LARGE_BODY && !newline_behind {
            encoder.encode_head(frame, &mut bytes)?;
            return Ok(Outbound::split(bytes.freeze(), frame.body().clone()));
        }
        encoder.encode(frame, &mut bytes)?;
        if newline_behind {
            bytes.put_u8(b'\n');
        }
        Ok(Outbound::whole(bytes.freeze()))
    }

    fn queue(&self, item: Outbound) {
        let mut inner = self.lock();
        if !inner.ending {
            inner.bytes += item.remaining();
            inner.queue.push_back(item);
        }
        let waker = inner.sleeper.take_if(|sleeper| !sleeper.blocked);
        drop(inner);
        waker.into_iter().for_each(|sleeper| sleeper.waker.wake());
    }

    /// Lets the connection end once what is queued has been written.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.ending = true;
        drop(inner);
        self.wake();
    }

    /// Wakes the connection's task: something else than a frame is new.
    pub(crate) fn wake(&self) {
        let mut inner = self.lock();
        inner.nudged = true;
        let waker = inner.sleeper.take();
        drop(inner);
        waker.into_iter().for_each(|sleeper| sleeper.waker.wake());
    }

    /// The bytes that wait, and whether the connection is ending.
    pub(crate) fn load(&self) -> (usize, bool) {
        let inner = self.lock();
        (inner.bytes, inner.ending)
    }

    /// Whether a queue may give the connection more; if not for lack of room, its task tells when there is.
    pub(crate) fn takes_more(&self, max_bytes: usize) -> bool {
        let mut inner = self.lock();
        // Under the same lock as the look at the bytes: what is full now will be emptied, and then this is seen.
        inner.starved |= inner.bytes >= max_bytes;
        inner.bytes < max_bytes && !inner.ending
    }

    /// A queue has more for the connection, and wants to be asked for it.
    pub(crate) fn feed_again(&self) {
        self.lock().starved = true;
        self.wake();
    }

    /// Takes the next frame.
    pub(crate) fn pop(&self) -> Option<Outbound> {
        let mut inner = self.lock();
        let item = inner.queue.pop_front()?;
        inner.bytes -= item.remaining();
        Some(item)
    }

    /// Whether there is something new for the connection's task to do; arranges for a wake-up if not.
    ///
    /// With `blocked`, frames are nothing new: they could not be written. The end of the connection is.
    pub(crate) fn poll_news(&self, cx: &Context<'_>, blocked: bool) -> bool {
        let mut inner = self.lock();
        let nudged = std::mem::take(&mut inner.nudged);
        if nudged || inner.ending || !blocked && !inner.queue.is_empty() {
            return true;
        }
        inner.sleeper = Some(Sleeper { waker: cx.waker().clone(), blocked });
        false
    }

    /// Whether the connection has room again for what the queues had more; tells so once.
    pub(crate) fn is_fed_again(&self, max_bytes: usize) -> bool {
        let mut inner = self.lock();
        let again = inner.starved && inner.bytes < max_bytes / 2;
        inner.starved &= !again;
        again
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bodies above this many bytes are shared with the message they came in instead of being copied.
const LARGE_BODY: usize = 4 * 1024;
