use std::time::Instant;

use bytes::Bytes;
use stompede_transport::TransportError;

/// What happened outside.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver's whole vocabulary: one that lacks a word is broken")]
pub enum Input {
    /// The connection that [`Output::Dial`](super::Output::Dial) asked for is open.
    Opened {
        /// The time.
        now: Instant,
    },
    /// It could not be opened.
    DialFailed {
        /// The time.
        now: Instant,
        /// Why.
        error: TransportError,
    },
    /// Bytes arrived, cut anywhere.
    Received {
        /// The time.
        now: Instant,
        /// What arrived.
        bytes: Bytes,
    },
    /// Everything that [`Machine::poll_transmit`](super::Machine::poll_transmit) gave so far has been handed to the
    /// operating system.
    Flushed {
        /// The time.
        now: Instant,
    },
    /// Something waits to be written and the connection has no room for it.
    Blocked {
        /// The time.
        now: Instant,
    },
    /// Some of what waits to be written has been handed to the operating system, and not yet all: the peer takes a large
    /// frame piece by piece. Who cannot tell need not report it; then a large frame has to get through in one
    /// [`write_timeout`](crate::Config::write_timeout). From who has told once nothing else counts as progress but this and
    /// [`Flushed`](Self::Flushed): a connection may take more frames than it writes.
    Written {
        /// The time.
        now: Instant,
    },
    /// A consumer has taken messages, and [`Inbox::poll_take`](super::Inbox::poll_take) said that reading may go on.
    Taken {
        /// The time.
        now: Instant,
    },
    /// The connection ended.
    Closed {
        /// The time.
        now: Instant,
        /// Why, unless the peer closed in order. [`Closed`](stompede_transport::TransportErrorKind::Closed) with 1000 or 1001
        /// is in order too, and the peer's words are not lost.
        error: Option<TransportError>,
    },
    /// The time that [`Output::Wait`](super::Output::Wait) named has come. Early or needless ones do no harm.
    ///
    /// Report what has arrived by then first: a silence is judged by it.
    Timer {
        /// The time.
        now: Instant,
    },
}

impl Input {
    /// When it happened.
    pub(super) fn now(&self) -> Instant {
        match self {
            Self::Opened { now }
            | Self::DialFailed { now, .. }
            | Self::Received { now, .. }
            | Self::Flushed { now }
            | Self::Blocked { now }
            | Self::Written { now }
            | Self::Taken { now }
            | Self::Closed { now, .. }
            | Self::Timer { now } => *now,
        }
    }
}
