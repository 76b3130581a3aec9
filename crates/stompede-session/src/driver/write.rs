//! Writing: frames go to the transport as long as it has room, and are flushed once there are no more.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use stompede_transport::{Transport, TransportError, TransportErrorKind};

use super::{Driver, Link};
use crate::protocol::Input;
use crate::rt;

/// How starting frames ended.
enum Started {
    /// There are no more.
    All,
    /// Others want their turn.
    Enough,
    /// The transport has no room.
    Blocked,
}

impl Driver {
    /// Writes while the transport has room, up to a budget; `true` if the budget was what ended it.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        match self.try_write(cx) {
            Ok(busy) => busy,
            Err(error) => {
                // The broker's last words may have arrived before it hung up: an ERROR says more than a broken pipe.
                while let Link::Up { transport, .. } = &mut self.link {
                    match transport.poll_recv(cx) {
                        Poll::Ready(Some(Ok(bytes))) => self.feed(Input::Received { now: rt::now(), bytes }),
                        _ => break,
                    }
                }
                // Which may have ended the connection already, and begun another.
                if let Link::Up { .. } = self.link {
                    self.on_cut(Some(error));
                }
                false
            }
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>) -> Result<bool, TransportError> {
        let now = rt::now();
        let started = self.start_frames(cx, now);
        if !self.batch.is_empty() {
            self.shared.lock().machine.give_back(&mut self.batch);
        }
        let busy = match started? {
            Started::All => false,
            Started::Enough => true,
            Started::Blocked => {
                let machine = &mut self.shared.lock().machine;
                if machine.wants_to_write() {
                    machine.handle_input(Input::Blocked { now });
                }
                false
            }
        };
        let Link::Up { transport, closing, unflushed, written } = &mut self.link else { return Ok(false) };
        if *unflushed && transport.poll_flush(cx)?.is_pending() {
            let before = std::mem::replace(written, transport.written());
            if *written != before {
                self.shared.lock().machine.handle_input(Input::Written { now });
            }
        } else if *unflushed || std::mem::take(&mut self.turn.behind) {
            let mut core = self.shared.lock();
            if std::mem::take(unflushed) {
                core.machine.handle_input(Input::Flushed { now });
            }
            core.on_flushed(&mut self.turn.wakers);
            drop(core);
            self.turn.wakers.drain(..).for_each(Waker::wake);
        }
        if *closing && !*unflushed {
            // Ready or not: how long to wait for the peer's own close is the protocol's timer.
            let _ = transport.poll_close(cx)?;
        }
        Ok(busy)
    }

    /// Starts frames while the transport has room. What is left in the batch then has not been started.
    fn start_frames(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Started, TransportError> {
        let Link::Up { transport, unflushed, .. } = &mut self.link else { return Ok(Started::All) };
        let mut budget = WRITE_BUDGET;
        while budget > 0 {
            if transport.poll_ready(cx)?.is_pending() {
                return Ok(Started::Blocked);
            }
            let batch = &mut self.batch;
            if batch.is_empty() {
                self.shared.lock().machine.take_batch(now, batch);
            }
            let started = if let Some(frame) = batch.next_alone() {
                budget -= 1;
                Poll::Ready(transport.start_send(frame))
            } else if batch.is_empty() {
                return Ok(Started::All);
            } else {
                let before = batch.frames().len();
                let started = transport.poll_start_frames(cx, batch.frames());
                let len = before - batch.frames().len();
                // Those before one that was refused have been started.
                *unflushed |= len > usize::from(matches!(started, Poll::Ready(Err(_))));
                budget = budget.saturating_sub(len);
                started
            };
            match started {
                Poll::Pending => return Ok(Started::Blocked),
                Poll::Ready(Ok(())) => *unflushed = true,
                // These two refuse the frame and leave the connection as it was; see the contract of `Transport`.
                Poll::Ready(Err(error))
                    if matches!(error.kind(), TransportErrorKind::TooLarge | TransportErrorKind::NotText) =>
                {
                    tracing::warn!(%error, "a frame was not sent");
                    self.shared.command(|machine| {
                        machine.give_back(batch);
                        machine.transmit_refused(error);
                    });
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(Started::Enough)
    }
}

/// Frames written in one turn.
const WRITE_BUDGET: usize = 256;
