//! A pair of connected transports in memory, for tests and for a broker in the same process.
//!
//! It needs no runtime. Nothing is copied: what one end sends is what the other receives. [`Outbound`](crate::Outbound)
//! items arrive as one to three chunks, unless they are cut up on purpose: [`Config`] makes a pair that behaves as a
//! network may, and [`Wire`] holds its clock and its scissors.

mod direction;
mod transport;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use direction::Direction;
pub use transport::MemoryTransport;

/// Two transports, each of which receives what the other sends.
///
/// Each direction is ready for more while fewer than `capacity_bytes` wait in it, so it holds at most that and one
/// item; a capacity of 0 counts as 1.
///
/// Closing an end lets its peer read what was sent and then `None`, while the peer may go on sending: each direction
/// closes by itself. Dropping an end that was not closed is no orderly goodbye: the peer reads what was sent and then a
/// [`Lost`](crate::TransportErrorKind::Lost) error.
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
    let (left, right, _) = Config::new().capacity(capacity_bytes).pair();
    (left, right)
}

/// What a pair is like: how much fits, how it is cut up, how long it takes.
///
/// ```
/// # use std::task::{Context, Poll, Waker};
/// # use std::time::Duration;
/// use stompede_transport::{Outbound, Transport, memory};
///
/// let (mut client, mut server, wire) =
///     memory::Config::new().chunks([1, 4]).latency(Duration::from_millis(20)).pair();
/// client.start_send(Outbound::whole("SEND\n\n\0".into()))?;
/// let mut cx = Context::from_waker(Waker::noop());
/// assert!(server.poll_recv(&mut cx).is_pending());
/// wire.advance(Duration::from_millis(20));
/// for expected in ["S", "END\n", "\n", "\0"] {
///     assert!(matches!(server.poll_recv(&mut cx), Poll::Ready(Some(Ok(chunk))) if chunk == expected));
/// }
/// # Ok::<(), stompede_transport::TransportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    capacity: usize,
    chunks: Arc<[usize]>,
    latency: Duration,
}

/// The connection between two ends, for who made the [pair](Config::pair).
#[derive(Clone)]
pub struct Wire {
    directions: [Arc<Direction>; 2],
}

impl Config {
    /// 64 KiB in each direction, chunks as they were sent, no latency.
    pub fn new() -> Self {
        Self { capacity: 64 * 1024, chunks: Arc::new([]), latency: Duration::ZERO }
    }

    /// Each direction is ready for more while fewer bytes than this wait in it; 0 counts as 1.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// What arrives is cut and joined to chunks of these sizes, taken in turn, each direction for itself; 0 counts as 1.
    ///
    /// A chunk is smaller if no more has arrived. Frames begin and end anywhere in it, and its bytes are copied. With no
    /// sizes, chunks stay as they were sent.
    #[must_use]
    pub fn chunks(mut self, sizes: impl IntoIterator<Item = usize>) -> Self {
        self.chunks = sizes.into_iter().collect();
        self
    }

    /// How long everything takes to arrive, the end included, by the clock that [`Wire::advance`] moves.
    ///
    /// There is no other clock, so a test says itself when time passes. What is on its way counts for the capacity.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Two connected ends, and the wire between them.
    pub fn pair(&self) -> (MemoryTransport, MemoryTransport, Wire) {
        let directions = [(); 2]
            .map(|()| Arc::new(Direction::new(self.capacity.max(1), self.chunks.clone(), self.latency)));
        let [there, back] = directions.clone();
        let left = MemoryTransport::new(there.clone(), back.clone());
        let right = MemoryTransport::new(back, there);
        (left, right, Wire { directions })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    /// Lets time pass: what was sent at least a latency ago has arrived then.
    pub fn advance(&self, time: Duration) {
        self.directions.iter().for_each(|direction| direction.advance(time));
    }

    /// Cuts the connection. What has arrived can still be read; what is on its way is lost.
    ///
    /// Then both ends get a [`Lost`](crate::TransportErrorKind::Lost) error, in whichever way they use it.
    pub fn cut(&self) {
        self.directions.iter().for_each(|direction| direction.cut());
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [there, back] = &self.directions;
        f.debug_struct("Wire").field("there", &there.waiting()).field("back", &back.waiting()).finish()
    }
}
