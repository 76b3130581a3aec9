use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::{Outbound, TransportError, TransportErrorKind};

/// What flows one way.
pub(super) struct Direction {
    capacity: usize,
    /// The sizes of chunks in turn; none for as they come.
    chunks: Arc<[usize]>,
    latency: Duration,
    state: Mutex<State>,
}

struct State {
    now: Duration,
    /// What waits, and when it arrives.
    queue: VecDeque<(Duration, Bytes)>,
    /// The bytes in `queue`.
    waiting: usize,
    /// How the sender ended, and when that arrives.
    end: Option<(Duration, End)>,
    cut: bool,
    receiver_gone: bool,
    /// How many chunks of a size of ours were taken.
    taken: usize,
    /// All bytes that were ever taken, modulo 2⁶⁴.
    taken_bytes: u64,
    /// Whoever waits for a chunk.
    receiver: Option<Waker>,
    /// Whoever waits for room.
    sender: Option<Waker>,
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Closed,
    /// Dropped without having closed.
    Gone,
}

impl Direction {
    pub(super) fn new(capacity: usize, chunks: Arc<[usize]>, latency: Duration) -> Self {
        let state = State {
            now: Duration::ZERO,
            queue: VecDeque::new(),
            waiting: 0,
            end: None,
            cut: false,
            receiver_gone: false,
            taken: 0,
            taken_bytes: 0,
            receiver: None,
            sender: None,
        };
        Self { capacity, chunks, latency, state: Mutex::new(state) }
    }

    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let (chunk, waker) = {
            let mut state = self.lock();
            let Some(chunk) = state.take(&self.chunks) else { return state.poll_end(cx) };
            state.waiting -= chunk.len();
            state.taken_bytes = state.taken_bytes.wrapping_add(chunk.len() as u64);
            let has_room = state.waiting < self.capacity;
            (chunk, if has_room { state.sender.take() } else { None })
        };
        waker.into_iter().for_each(Waker::wake);
        Poll::Ready(Some(Ok(chunk)))
    }

    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let mut state = self.lock();
        state.check_sendable()?;
        if state.waiting < self.capacity {
            return Poll::Ready(Ok(()));
        }
        state.sender = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn send(&self, mut item: Outbound) -> Result<(), TransportError> {
        let waker = {
            let mut state = self.lock();
            state.check_sendable()?;
            let due = state.now.saturating_add(self.latency);
            while item.has_remaining() {
                let chunk = item.copy_to_bytes(item.chunk().len());
                state.waiting += chunk.len();
                state.queue.push_back((due, chunk));
            }
            state.arrived_waker()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Why what was sent does not reach anybody, if so.
    pub(super) fn check_reachable(&self) -> Result<(), TransportError> {
        self.lock().check_reachable()
    }

    pub(super) fn end_sending(&self, how: End) -> Result<(), TransportError> {
        let waker = {
            let mut state = self.lock();
            if state.cut {
                return Err(cut());
            }
            let due = state.now.saturating_add(self.latency);
            state.end.get_or_insert((due, how));
            state.arrived_waker()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    pub(super) fn end_receiving(&self) {
        let (waker, _unread) = {
            let mut state = self.lock();
            state.receiver_gone = true;
            state.waiting = 0;
            (state.sender.take(), std::mem::take(&mut state.queue))
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn advance(&self, time: Duration) {
        let waker = {
            let mut state = self.lock();
            state.now = state.now.saturating_add(time);
            state.arrived_waker()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn cut(&self) {
        let (wakers, _lost) = {
            let mut state = self.lock();
            state.cut = true;
            let arrived = state.queue.iter().take_while(|(due, _)| *due <= state.now).count();
            let lost = state.queue.split_off(arrived);
            state.waiting -= lost.iter().map(|(_, chunk)| chunk.len()).sum::<usize>();
            let now = state.now;
            state.end = state.end.filter(|(due, _)| *due <= now);
            ([state.receiver.take(), state.sender.take()], lost)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// All bytes that the receiver ever took, modulo 2⁶⁴.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken_bytes
    }

    /// The bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics; and if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the next chunk that has arrived.
    fn take(&mut self, sizes: &[usize]) -> Option<Bytes> {
        let size = match sizes {
            [] => return self.take_up_to(usize::MAX),
            sizes => sizes[self.taken % sizes.len()].max(1),
        };
        let first = self.take_up_to(size)?;
        self.taken = self.taken.wrapping_add(1);
        let mut joined = BytesMut::from(first);
        while joined.len() < size {
            let Some(more) = self.take_up_to(size - joined.len()) else { break };
            joined.extend_from_slice(&more);
        }
        Some(joined.freeze())
    }

    /// Takes of the first chunk that has arrived.
    fn take_up_to(&mut self, len: usize) -> Option<Bytes> {
        let now = self.now;
        let (_, chunk) = self.queue.front_mut().filter(|(due, _)| *due <= now)?;
        if chunk.len() > len {
            return Some(chunk.split_to(len));
        }
        self.queue.pop_front().map(|(_, chunk)| chunk)
    }

    /// What is to be said when there is nothing to read.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match self.end.filter(|_| self.queue.is_empty()) {
            Some((due, End::Closed)) if due <= self.now => Poll::Ready(None),
            Some((due, End::Gone)) if due <= self.now => Poll::Ready(Some(Err(lost(
                "the other end of the in-memory pair was dropped without closing",
            )))),
            _ if self.cut => Poll::Ready(Some(Err(cut()))),
            _ => {
                self.receiver = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whom to wake if something has arrived.
    fn arrived_waker(&mut self) -> Option<Waker> {
        let chunk = self.queue.front().map(|(due, _)| *due);
        let next = chunk.or(self.end.map(|(due, _)| due));
        if next.is_some_and(|due| due <= self.now) { self.receiver.take() } else { None }
    }

    /// Whether something sent now would reach anybody.
    fn check_sendable(&self) -> Result<(), TransportError> {
        match self.end {
            None => self.check_reachable(),
            Some(_) => Err(lost("this end of the in-memory pair has been closed")),
        }
    }

    fn check_reachable(&self) -> Result<(), TransportError> {
        if self.cut {
            return Err(cut());
        }
        if self.receiver_gone {
            return Err(lost("the other end of the in-memory pair is gone"));
        }
        Ok(())
    }
}

fn cut() -> TransportError {
    lost("the in-memory pair was cut apart")
}

fn lost(what: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Lost, what)
}
