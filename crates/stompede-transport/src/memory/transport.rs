use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::direction::{Direction, End};
use crate::{Outbound, Transport, TransportError};

/// One end of a [`pair`](super::pair).
pub struct MemoryTransport {
    outgoing: Arc<Direction>,
    incoming: Arc<Direction>,
}

impl MemoryTransport {
    pub(super) fn new(outgoing: Arc<Direction>, incoming: Arc<Direction>) -> Self {
        Self { outgoing, incoming }
    }
}

impl Transport for MemoryTransport {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.incoming.poll_recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.outgoing.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.outgoing.send(item)
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        // What was started is already on its way to the peer.
        Poll::Ready(self.outgoing.check_reachable())
    }

    fn written(&self) -> Option<u64> {
        Some(self.outgoing.taken())
    }

    fn poll_close(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(self.outgoing.end_sending(End::Closed))
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        // Nobody is there to be told that the pair was cut before.
        let _ = self.outgoing.end_sending(End::Gone);
        self.incoming.end_receiving();
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One lock at a time: the peer may be formatting its end.
        f.debug_struct("MemoryTransport")
            .field("outgoing", &self.outgoing.waiting())
            .field("incoming", &self.incoming.waiting())
            .finish()
    }
}
