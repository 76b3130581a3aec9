use std::fmt;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::{Outbound, OutboundFrames, TransportError};

/// A transport that its owner does not know by type.
pub type BoxTransport = Box<dyn Transport + Send>;

/// A connected pipe that carries one STOMP connection: chunks of bytes in, whole frames out.
///
/// # The contract
///
/// 1. **Inbound items are non-empty [`Bytes`]; their boundaries mean nothing.** An item may hold part of a
///    frame, several frames, or only line ends.
/// 2. **Each outbound item is exactly one encoded frame or one heart-beat** ([`Outbound`]). A message transport
///    such as WebSocket sends it as one message; a stream transport writes its bytes in order, vectored, without
///    copying the body. Many items may be started before one flush.
/// 3. **`None` is an orderly close; an error is terminal and says why** (close code and reason, the HTTP answer
///    to a refused upgrade, a reset). After either, every further call gives the same kind of answer and none
///    panics. WebSocket ping, pong and close are the transport's own business.
/// 4. **Back-pressure is honest.** [`poll_ready`](Self::poll_ready) is pending above a high-water mark; there is
///    never an unbounded buffer.
/// 5. **Reading goes on while a write is blocked, and after one has failed.** A pending `poll_ready` or `poll_flush`
///    must not keep [`poll_recv`](Self::poll_recv) from yielding what has arrived; nor must a failed one: a broker
///    that hangs up often says why in its last frame.
///
/// All methods are polled from one task. Each method that returns `Pending` has arranged for that task's waker to be
/// woken when the same method may make progress; the reading side and the writing side are woken independently. A
/// transport wakes nobody while nothing happens.
/// Dropping a transport closes it at once, without an orderly goodbye.
///
#[cfg_attr(feature = "conformance", doc = "[`conformance`](crate::conformance) checks all of this.")]
#[cfg_attr(
    not(feature = "conformance"),
    doc = "The feature `conformance` brings a suite that checks all of this."
)]
pub trait Transport {
    /// Takes the next chunk that has arrived.
    ///
    /// `Ready(None)` means that the peer closed in order. What arrived before a close or an error is yielded first.
    ///
    /// # Errors
    /// Terminal: the connection is gone, and the error says why.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>>;

    /// Waits until one more item may be started.
    ///
    /// # Errors
    /// Terminal: nothing more can be sent.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// Starts sending one frame or heart-beat; call it only after [`poll_ready`](Self::poll_ready) said `Ready(Ok)`.
    ///
    /// The bytes may stay in a buffer of the transport until [`poll_flush`](Self::poll_flush).
    ///
    /// # Errors
    /// Terminal, except for [`TooLarge`](crate::TransportErrorKind::TooLarge) and
    /// [`NotText`](crate::TransportErrorKind::NotText): then nothing of the item was sent and the transport goes on.
    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError>;

    /// Starts frames, the first of `frames` first, until none is left: as [`poll_ready`](Self::poll_ready) and
    /// [`start_send`](Self::start_send) for each of them, which is what it does unless a transport knows a quicker way.
    ///
    /// Those that were started have been taken out of `frames`; while it is pending, the others are left.
    ///
    /// # Errors
    /// As with the two. Of a frame that was refused, and taken out, nothing was sent.
    fn poll_start_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut OutboundFrames,
    ) -> Poll<Result<(), TransportError>> {
        while !frames.is_empty() {
            ready!(self.poll_ready(cx))?;
            if let Some(frame) = frames.next() {
                self.start_send(frame)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until everything started has been handed to the operating system (or to the peer, in memory).
    ///
    /// # Errors
    /// Terminal: it is unknown how much of what was started has been sent.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// Flushes, says goodbye where the transport has a word for it, and closes the sending side.
    ///
    /// A WebSocket transport sends its close frame; ready means that it was flushed. The peer's answer shows as the
    /// end of [`poll_recv`](Self::poll_recv). How long to wait for it is the caller's decision.
    ///
    /// # Errors
    /// Terminal, as with [`poll_flush`](Self::poll_flush).
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// How many bytes of what was started have been handed to the operating system (or to the peer, in memory) until now,
    /// modulo 2⁶⁴; `None` if the transport cannot tell.
    ///
    /// While one large item is being written, a change tells a peer that reads slowly from one that reads nothing.
    fn written(&self) -> Option<u64> {
        None
    }

    /// What the peer said when it closed, if the transport has words for that, orderly or not.
    ///
    /// Worth logging after an orderly end too: RabbitMQ ends a failed connection with 1000 and "STOMP died".
    fn close_reason(&self) -> Option<&CloseReason> {
        None
    }

    /// What to say at [`poll_close`](Self::poll_close), if the transport has words for that; else nothing happens.
    ///
    /// A WebSocket says 1000 and no words unless it is told otherwise. Words beyond 123 bytes are cut off, and a code that
    /// a close frame may not carry is not taken. It has no effect once that was said.
    fn set_goodbye(&mut self, goodbye: CloseReason) {
        let _ = goodbye;
    }
}

/// The code and words that a connection was closed with, or is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CloseReason {
    /// The WebSocket close code.
    pub code: u16,
    /// The words, often none. A WebSocket leaves room for 123 bytes.
    pub reason: Box<str>,
    /// Whether this side had asked for it: then it is the answer to our own goodbye.
    pub requested: bool,
}

impl CloseReason {
    /// A code and its words, not asked for.
    pub fn new(code: u16, reason: impl Into<Box<str>>) -> Self {
        Self { code, reason: reason.into(), requested: false }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.reason {
            "" => write!(f, "code {}", self.code),
            reason => write!(f, "code {}: {reason:?}", self.code),
        }
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        (**self).poll_recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        (**self).poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        (**self).start_send(item)
    }

    fn poll_start_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut OutboundFrames,
    ) -> Poll<Result<(), TransportError>> {
        (**self).poll_start_frames(cx, frames)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        (**self).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        (**self).poll_close(cx)
    }

    fn written(&self) -> Option<u64> {
        (**self).written()
    }

    fn close_reason(&self) -> Option<&CloseReason> {
        (**self).close_reason()
    }

    fn set_goodbye(&mut self, goodbye: CloseReason) {
        (**self).set_goodbye(goodbye);
    }
}
