use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Frame;
use stompede_transport::Endpoint;

use super::{Connected, SubscriptionId};
use crate::Error;

/// Something that happened in a session, in the order in which it happened.
///
/// For each connection there is one [`Connected`](Self::Connected) at most, and after it exactly one
/// [`Closed`](Self::Closed), which is the last event. A session that never connected has only `Closed`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An attempt to connect to this place begins. Told by the driver.
    Connecting(Endpoint),
    /// CONNECTED has arrived: frames can be sent.
    Connected(Arc<Connected>),
    /// A MESSAGE for a subscription.
    Message {
        /// Whose message it is.
        subscription: SubscriptionId,
        /// The MESSAGE frame.
        frame: Frame,
    },
    /// A MESSAGE that belongs to no subscription: late after UNSUBSCRIBE, or a reply to a temporary queue.
    Unrouted(Frame),
    /// A RECEIPT; the text is its `receipt-id`.
    Receipt(Box<str>),
    /// An ERROR. The connection ends with it.
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
