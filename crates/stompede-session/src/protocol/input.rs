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
    /// The connection ended.
    Closed {
        /// The time.
        now: Instant,
        /// Why, unless the peer closed in order.
        error: Option<TransportError>,
    },
    /// The time that [`Output::Wait`](super::Output::Wait) named has come. Early or needless ones do no harm.
    Timer {
        /// The time.
        now: Instant,
    },
}
