use std::sync::Arc;

use stompede_codec::Frame;

use super::{Connected, SubscriptionId};
use crate::Error;

/// Something that happened in a session, in the order in which it happened.
///
/// For each connection there is one [`Connected`](Self::Connected) at most, and after it exactly one
/// [`Closed`](Self::Closed), which is the last event. A session that never connected has only `Closed`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
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
    /// One or more line ends between frames.
    HeartBeat,
    /// The session is over: cleanly, or for this reason.
    Closed(Option<Error>),
}
