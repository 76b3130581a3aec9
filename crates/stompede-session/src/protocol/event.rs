use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Frame;
use stompede_transport::Endpoint;

use super::{Connected, ReceiptName, SubscriptionId};
use crate::Error;

/// Something that happened in a session, in the order in which it happened.
///
/// After each [`Connected`](Self::Connected) comes exactly one [`Disconnected`](Self::Disconnected), if the session goes
/// on, or [`Closed`](Self::Closed), if it does not. `Closed` is the last event, and there is always one.
/// [`Reconnecting`](Self::Reconnecting) comes only where there is no connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt to connect to this place begins. Told by the driver.
    Connecting(Endpoint),
    /// CONNECTED has arrived: frames can be sent.
    Connected(Arc<Connected>),
    /// The connection is gone, for this reason, and the session goes on without it.
    Disconnected(Error),
    /// The next attempt to connect comes later.
    Reconnecting {
        /// Why the connection was lost, or why the attempt before failed.
        cause: Error,
        /// Its number, counted from 1 since the last stable connection.
        attempt: u32,
        /// How long it is until then.
        next_in: Duration,
    },
    /// A subscription has been made again on a new connection: what was sent to a topic in between is missing, and
    /// what was delivered before and not acknowledged may come again. Its queue has a [gap](super::Gap) in this place.
    Gap(SubscriptionId),
    /// Messages have been put into the queue of a subscription; see [`Inbox`](super::Inbox).
    Delivered {
        /// Whose messages they are.
        subscription: SubscriptionId,
        /// How many.
        messages: usize,
    },
    /// Messages were dropped because the queue of their subscription was full, as it was asked for.
    Dropped {
        /// Whose messages they were.
        subscription: SubscriptionId,
        /// How many.
        messages: u64,
    },
    /// A subscription has ended for a reason of its own, while the session goes on: the broker will not have it, or
    /// not any more, or its queue was full.
    SubscriptionEnded {
        /// Which one.
        subscription: SubscriptionId,
        /// Why.
        cause: Error,
    },
    /// Messages that should have been acknowledged or rejected were dropped without. The broker will deliver them again,
    /// to whomever, at the latest when this connection has ended; in ack mode client unless the ACK of a later one covers
    /// them.
    Unsettled {
        /// Whose messages they were.
        subscription: SubscriptionId,
        /// How many.
        messages: usize,
    },
    /// Nothing more is read, because consumers do not take their messages and nothing more can be held. Heart-beats,
    /// acknowledgements and commands are still sent; a silence of the broker is not held against it. Who waits for
    /// something unread for longer than the `stall_timeout` gets [`Stalled`](crate::ErrorKind::Stalled).
    Stalled {
        /// Whose consumer holds most of it up.
        subscription: SubscriptionId,
        /// Bytes that are held beyond the queues.
        bytes: usize,
    },
    /// Reading goes on.
    Resumed {
        /// How long it had stopped.
        after: Duration,
    },
    /// A MESSAGE that belongs to no subscription: late after UNSUBSCRIBE, or a reply to a temporary queue. Or the ERROR that
    /// RabbitMQ sends in the place of a late one, see [`late_message_error`](crate::BrokerProfile::late_message_error), and those
    /// about a subscription that is gone, see [`cancellation`](crate::BrokerProfile::cancellation).
    Unrouted(Frame),
    /// A RECEIPT, by its `receipt-id`.
    Receipt(ReceiptName),
    /// An ERROR. The connection ends with it. One that ends a single subscription is told of by
    /// [`SubscriptionEnded`](Self::SubscriptionEnded).
    Error(Frame),
    /// Line ends on their own: the broker's heart-beat. The line end that many brokers send behind a frame is none.
    HeartBeat {
        /// How long nothing had arrived before it.
        gap: Duration,
    },
    /// Bytes arrived, later than the broker promised in the heart-beat negotiation but in time to be let pass.
    HeartBeatLate {
        /// How long nothing had arrived before them.
        gap: Duration,
    },
    /// A frame of ours is on its way. Told only if [asked for](super::Machine::tell_sends).
    Sent(Frame),
    /// Somebody has asked for an orderly end.
    Disconnecting,
    /// A heart-beat of ours is on its way.
    HeartBeatSent,
    /// Nothing arrived for too long: the connection ends with [`HeartBeatMissed`](crate::ErrorKind::HeartBeatMissed).
    HeartBeatTimeout {
        /// How long nothing had arrived.
        silent_for: Duration,
    },
    /// The session is over: cleanly, or for this reason.
    Closed(Option<Error>),
}
