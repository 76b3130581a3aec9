//! Looking inside a running broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::{Frame, Version};

use crate::Broker;
use crate::place::Entry;
use crate::requests::lock;
use crate::router::ConnectionId;

/// What is known of one connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Counts connections from 1; the `session` header of CONNECTED contains it.
    pub id: u64,
    /// The URL that it came to; `memory:` for one within the process.
    pub url: String,
    /// Where it came from.
    pub peer: Option<SocketAddr>,
    /// What CONNECT came to; `None` before it.
    pub session: Option<SessionInfo>,
    /// Bytes that wait to be written to it.
    pub waiting_bytes: usize,
}

/// What is known of a client that has said CONNECT.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The version that was agreed on.
    pub version: Version,
    /// The `login` header.
    pub login: Option<String>,
    /// The virtual host; `/` where the broker has none.
    pub virtual_host: String,
    /// How often the broker sends at least, if it promised to.
    pub heart_beat_sent: Option<Duration>,
    /// How often the client sends at least, if it promised to.
    pub heart_beat_received: Option<Duration>,
    /// Its subscriptions, in no order.
    pub subscriptions: Vec<SubscriptionInfo>,
    /// Messages that it has received and not settled.
    pub unsettled: usize,
}

/// What is known of one subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// The `id` header; in STOMP 1.0 the destination, if there was none.
    pub id: String,
    /// What it subscribes to; `/temp-queue/NAME` under the name that others use.
    pub destination: String,
    /// The ack mode, as SUBSCRIBE writes it.
    pub ack: &'static str,
    /// Messages that it has received and not settled.
    pub unsettled: usize,
}

impl Broker {
    /// All connections that are open now, the oldest first.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let entries: Vec<Arc<Entry>> = self.shared().places.lock().values().cloned().collect();
        entries.iter().map(|entry| self.describe(entry)).collect()
    }

    /// What a queue holds, the next one to be delivered first; not what has been delivered and waits to be settled.
    ///
    /// Each is a MESSAGE without the headers that only a subscriber makes it have. A topic holds nothing.
    pub fn messages(&self, destination: &str) -> Vec<Frame> {
        self.messages_of(None, destination)
    }

    /// What a queue of a virtual host holds; see [`messages`](Self::messages).
    pub fn messages_on(&self, virtual_host: &str, destination: &str) -> Vec<Frame> {
        self.messages_of(Some(virtual_host), destination)
    }

    fn messages_of(&self, host: Option<&str>, destination: &str) -> Vec<Frame> {
        let host = self.shared().hosts.find(host);
        host.map_or_else(Vec::new, |host| lock(&host.router).messages(destination))
    }

    fn describe(&self, entry: &Entry) -> ConnectionInfo {
        let session = entry.greeted.get().map(|greeted| {
            let host = self.shared().hosts.find(Some(&greeted.host));
            let (subscriptions, unsettled) =
                host.map(|host| lock(&host.router).describe(ConnectionId(entry.id))).unwrap_or_default();
            SessionInfo {
                version: greeted.version,
                login: greeted.login.as_deref().map(String::from),
                virtual_host: greeted.host.to_string(),
                heart_beat_sent: greeted.beats.send,
                heart_beat_received: greeted.beats.receive,
                subscriptions,
                unsettled,
            }
        });
        ConnectionInfo {
            id: entry.id,
            url: entry.url.to_string(),
            peer: entry.peer,
            session,
            waiting_bytes: entry.outbox.load().0,
        }
    }
}
