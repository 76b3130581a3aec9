use std::sync::Arc;
use std::time::Instant;

use super::Connected;

/// Where a connection stands. `until: None` stands for a deadline too far away for the clock.
#[derive(Debug)]
pub(in crate::protocol) enum State {
    /// CONNECT is on its way, CONNECTED is awaited.
    Handshaking { until: Option<Instant> },
    /// Frames flow.
    Open { peer: Arc<Connected>, goodbye: Goodbye },
}

/// How far an orderly end has come.
#[derive(Debug)]
pub(in crate::protocol) enum Goodbye {
    /// Nobody asked for one.
    Unsaid,
    /// Receipts that are still awaited go first: a broker may close without sending them once it has read DISCONNECT.
    Waiting { until: Option<Instant> },
    /// DISCONNECT is on its way; its RECEIPT, or an orderly close, is the end.
    Said { receipt: Box<str>, until: Option<Instant> },
}
