use std::fmt;

use crate::{BoxTransport, Transport};

/// The other end of a connection under test: a transport that is known to work.
///
/// What the suite wants from it: that it hands on what arrives, sends what it is given when it is flushed, and says
/// goodbye on [`poll_close`](Transport::poll_close). What it sends are any bytes, cut anywhere, and not always whole
/// frames; a message transport sends each piece as a message.
pub struct Peer {
    pub(super) transport: BoxTransport,
    pub(super) reset: Option<Box<dyn FnOnce() + Send>>,
}

impl Peer {
    /// A peer that cannot end abruptly; the checks of abrupt ends are skipped then.
    pub fn new(transport: impl Transport + Send + 'static) -> Self {
        Self { transport: Box::new(transport), reset: None }
    }

    /// Says that dropping the transport is an abrupt end, once `prepare` was called.
    ///
    /// For TCP, it sets a linger time of zero on a handle of the same socket, so that dropping resets the connection.
    /// Where dropping is abrupt anyway, as with the pair in memory or a WebSocket, it has nothing to do.
    #[must_use]
    pub fn on_reset(mut self, prepare: impl FnOnce() + Send + 'static) -> Self {
        self.reset = Some(Box::new(prepare));
        self
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("can_reset", &self.reset.is_some()).finish_non_exhaustive()
    }
}
