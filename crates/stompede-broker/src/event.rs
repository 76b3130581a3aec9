use stompede_codec::Version;
use tokio::sync::broadcast;

/// Something that happened in a broker.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BrokerEvent {
    /// A client was let in.
    Connected {
        /// Counts connections from 1.
        connection: u64,
        /// The `login` header.
        login: Option<String>,
        /// The version that was agreed on.
        version: Version,
    },
    /// A connection is over, whoever ended it, whether there was a CONNECT or not.
    Disconnected {
        /// Counts connections from 1.
        connection: u64,
    },
    /// A client has subscribed.
    Subscribed {
        /// Counts connections from 1.
        connection: u64,
        /// The `id` header; in STOMP 1.0 the destination, if there was none.
        id: String,
        /// What it subscribes to.
        destination: String,
    },
    /// A subscription has ended, with its connection or before.
    Unsubscribed {
        /// Counts connections from 1.
        connection: u64,
        /// The `id` header; in STOMP 1.0 the destination, if there was none.
        id: String,
        /// What it subscribed to.
        destination: String,
    },
    /// A message was taken in.
    Received {
        /// Where it was sent.
        destination: String,
        /// The `message-id` header that subscribers see.
        message_id: String,
    },
    /// A message was handed to a subscriber.
    Delivered {
        /// Counts connections from 1.
        connection: u64,
        /// Where it was sent.
        destination: String,
        /// The `message-id` header.
        message_id: String,
        /// Whether it had been delivered before.
        redelivered: bool,
    },
    /// A message was acknowledged, or refused with NACK.
    Settled {
        /// Counts connections from 1.
        connection: u64,
        /// Where it was sent.
        destination: String,
        /// The `message-id` header.
        message_id: String,
        /// ACK, and not NACK.
        accepted: bool,
    },
    /// An ERROR was sent.
    Refused {
        /// Counts connections from 1.
        connection: u64,
        /// The `message` header.
        message: String,
    },
    /// This many events were lost, because they came faster than they were read.
    Lagged(u64),
}

/// What happens in a broker, from when this was made on; made by [`Broker::events`](crate::Broker::events).
///
/// It holds the last 1,024 events. Who reads more slowly than they come learns how many were lost.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<BrokerEvent>);

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<BrokerEvent>) -> Self {
        Self(receiver)
    }

    /// The next event; `None` once the broker is gone.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<BrokerEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(BrokerEvent::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
