use std::time::Duration;

use stompede_codec::Limits;

/// What clients may take. Beyond a limit a client gets an ERROR that names it, and its connection ends.
///
/// Memory is bounded by [`max_stored_bytes`](Self::max_stored_bytes) for messages and, for each connection, by the frame
/// that it is sending (up to 17 MiB), what waits to be written to it (up to `max_outbox_bytes` and one more frame; bodies
/// of more than 4 KiB are shared with the message) and what the system's socket buffers hold. With the defaults 2,048
/// hostile connections could thus hold 100 GiB: where strangers get in, lower `frames`, `max_outbox_bytes` and
/// `max_connections`.
///
/// Besides, each name that a client gives (a destination, the id of a subscription or of a transaction) may have 1,024
/// bytes, and a topic 128 words.
///
/// ```
/// use std::time::Duration;
/// use stompede_broker::BrokerLimits;
///
/// let mut limits = BrokerLimits::default();
/// limits.max_queue_messages = 10;
/// limits.connect_within = Duration::from_secs(1);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BrokerLimits {
    /// Connections at the same time. 2,048: many for a test, few for a process.
    ///
    /// The next 64 get an ERROR each, for which they have what is left of `connect_within` and a second more. What comes
    /// while those 64 are there is closed without a word: an ERROR costs a task and a socket, and a flood must not make
    /// many of them. It is counted all the same.
    pub max_connections: usize,
    /// Time from the accepted connection to CONNECT, TLS handshake and WebSocket upgrade included. 10 s, as RabbitMQ has
    /// it for TCP.
    pub connect_within: Duration,
    /// What a client's frame may measure. 16 MiB of body, 256 KiB of command and headers, 64 KiB a header line, 1,000
    /// headers: the codec's own defaults.
    ///
    /// A WebSocket message that is larger than any frame may be is not kept: it gets its ERROR as soon as it is announced,
    /// and the connection closes with 1009. What still comes is forgotten, for a second at most.
    pub frames: Limits,
    /// Subscriptions of one connection. 1,024: what one program may plausibly want.
    pub max_subscriptions: usize,
    /// Queues, topics and words of patterns that are in use at the same time, on each virtual host; words that several
    /// patterns begin with count once. 10,000.
    pub max_destinations: usize,
    /// Messages in one queue. 100,000: a test that forgets to subscribe should hear of it.
    pub max_queue_messages: usize,
    /// Bytes of bodies in one queue. 64 MiB: a few of the largest messages.
    pub max_queue_bytes: usize,
    /// Bytes of all messages that are kept: in queues, not settled yet, in open transactions; headers and 256 bytes for
    /// each count too. 512 MiB: eight full queues, and a fraction of what a developer's machine has.
    pub max_stored_bytes: usize,
    /// Messages that one connection has received and not settled. 10,000.
    ///
    /// A queue gives it no more until it settles some, which counts as [`Limit::Unsettled`](crate::Limit::Unsettled) and
    /// is no ERROR: nothing is lost by waiting. A topic keeps nothing, and ends it with an ERROR.
    pub max_unsettled: usize,
    /// Frames of one connection's open transactions. 10,000.
    pub max_transaction_frames: usize,
    /// Bytes of bodies in one connection's open transactions. 64 MiB.
    pub max_transaction_bytes: usize,
    /// Bytes that wait for one connection. Beyond it queues give it no more, and nothing more is read from it; a topic
    /// that has more for it ends it. 16 MiB: as large as one frame may be.
    pub max_outbox_bytes: usize,
    /// How long a connection may take nothing of what waits for it. 30 s: whoever is alive has read something. A transport
    /// of one's own that does not tell what it has [`written`](stompede_transport::Transport::written) has this time for
    /// each frame.
    pub stalled_for: Duration,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            max_connections: 2048,
            connect_within: Duration::from_secs(10),
            frames: Limits::default(),
            max_subscriptions: 1024,
            max_destinations: 10_000,
            max_queue_messages: 100_000,
            max_queue_bytes: 64 * 1024 * 1024,
            max_stored_bytes: 512 * 1024 * 1024,
            max_unsettled: 10_000,
            max_transaction_frames: 10_000,
            max_transaction_bytes: 64 * 1024 * 1024,
            max_outbox_bytes: 16 * 1024 * 1024,
            stalled_for: Duration::from_secs(30),
        }
    }
}
