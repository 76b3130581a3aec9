//! A pair of connected transports in memory, for tests and for a broker in the same process.
//!
//! It needs no runtime. Nothing is copied: what one end sends is what the other receives. [`Outbound`] items arrive
//! as one to three chunks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

use crate::{Outbound, Transport, TransportError, TransportErrorKind};

/// Two transports, each of which receives what the other sends.
///
/// Each direction is ready for more while fewer than `capacity_bytes` wait in it, so it holds at most that and one
/// item; a capacity of 0 counts as 1.
///
/// Closing an end lets its peer read what was sent and then `None`. Dropping an end that was not closed is no orderly
/// goodbye: the peer reads what was sent and then a [`Lost`](TransportErrorKind::Lost) error.
///
/// ```
/// # use std::task::{Context, Poll, Waker};
/// use stompede_transport::{Outbound, Transport, memory};
///
/// let (mut client, mut server) = memory::pair(64 * 1024);
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(client.poll_ready(&mut cx).is_ready());
/// client.start_send(Outbound::heart_beat())?;
/// let Poll::Ready(Some(Ok(chunk))) = server.poll_recv(&mut cx) else { unreachable!() };
/// assert_eq!(chunk, "\n");
/// # Ok::<(), stompede_transport::TransportError>(())
/// ```
pub fn pair(capacity_bytes: usize) -> (MemoryTransport, MemoryTransport) {
    let [there, back] = [(); 2].map(|()| Arc::new(Direction::new(capacity_bytes.max(1))));
    let left = MemoryTransport { outgoing: there.clone(), incoming: back.clone() };
    (left, MemoryTransport { outgoing: back, incoming: there })
}

/// One end of a [`pair`].
pub struct MemoryTransport {
    outgoing: Arc<Direction>,
    incoming: Arc<Direction>,
}

/// What flows one way.
struct Direction {
    capacity: usize,
    state: Mutex<State>,
}

struct State {
    chunks: VecDeque<Bytes>,
    /// The bytes in `chunks`.
    waiting: usize,
    sender: Sender,
    receiver_gone: bool,
    /// Whoever waits for a chunk.
    receiver_waker: Option<Waker>,
    /// Whoever waits for room.
    sender_waker: Option<Waker>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Sender {
    Open,
    Closed,
    /// Dropped without having closed.
    Gone,
}

impl Direction {
    fn new(capacity: usize) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            waiting: 0,
            sender: Sender::Open,
            receiver_gone: false,
            receiver_waker: None,
            sender_waker: None,
        };
        Self { capacity, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics; and if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_sending(&self, how: Sender) {
        let waker = {
            let mut state = self.lock();
            if state.sender == Sender::Open {
                state.sender = how;
            }
            state.receiver_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn end_receiving(&self) {
        let (waker, _unread) = {
            let mut state = self.lock();
            state.receiver_gone = true;
            state.waiting = 0;
            (state.sender_waker.take(), std::mem::take(&mut state.chunks))
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Whether something sent now would reach anybody.
    fn check_sendable(&self) -> Result<(), TransportError> {
        match (self.sender, self.receiver_gone) {
            (Sender::Open, false) => Ok(()),
            (Sender::Open, true) => Err(lost("the other end of the in-memory pair is gone")),
            (Sender::Closed | Sender::Gone, _) => Err(lost("this end of the in-memory pair has been closed")),
        }
    }
}

impl Transport for MemoryTransport {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let (chunk, waker) = {
            let mut state = self.incoming.lock();
            let Some(chunk) = state.chunks.pop_front() else {
                return match state.sender {
                    Sender::Open => {
                        state.receiver_waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                    Sender::Closed => Poll::Ready(None),
                    Sender::Gone => Poll::Ready(Some(Err(lost(
                        "the other end of the in-memory pair was dropped without closing",
                    )))),
                };
            };
            state.waiting -= chunk.len();
            let has_room = state.waiting < self.incoming.capacity;
            (chunk, if has_room { state.sender_waker.take() } else { None })
        };
        waker.into_iter().for_each(Waker::wake);
        Poll::Ready(Some(Ok(chunk)))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let mut state = self.outgoing.lock();
        state.check_sendable()?;
        if state.waiting < self.outgoing.capacity {
            return Poll::Ready(Ok(()));
        }
        state.sender_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn start_send(&mut self, mut item: Outbound) -> Result<(), TransportError> {
        let waker = {
            let mut state = self.outgoing.lock();
            state.check_sendable()?;
            while item.has_remaining() {
                let chunk = item.copy_to_bytes(item.chunk().len());
                state.waiting += chunk.len();
                state.chunks.push_back(chunk);
            }
            state.receiver_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        // What was started is already where the peer reads it.
        Poll::Ready(match self.outgoing.lock().receiver_gone {
            true => Err(lost("the other end of the in-memory pair is gone")),
            false => Ok(()),
        })
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.outgoing.end_sending(Sender::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.outgoing.end_sending(Sender::Gone);
        self.incoming.end_receiving();
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One lock at a time: the peer may be formatting its end.
        let outgoing = self.outgoing.lock().waiting;
        let incoming = self.incoming.lock().waiting;
        f.debug_struct("MemoryTransport")
            .field("capacity", &self.outgoing.capacity)
            .field("outgoing", &outgoing)
            .field("incoming", &incoming)
            .finish()
    }
}

fn lost(what: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Lost, what)
}
