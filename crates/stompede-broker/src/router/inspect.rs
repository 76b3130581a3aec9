//! What there is, for whoever looks from outside.

use stompede_codec::Frame;

use super::queue::Queue;
use super::{ConnectionId, Router};
use crate::SubscriptionInfo;

impl Router {
    /// The subscriptions of a connection, and how many messages it has not settled.
    pub(crate) fn describe(&self, id: ConnectionId) -> (Vec<SubscriptionInfo>, usize) {
        let Some(connection) = self.connections.get(&id) else { return Default::default() };
        let subscribers =
            connection.subscriptions.values().filter_map(|id| Some((*id, self.subscribers.get(id)?)));
        let subscriptions = subscribers.map(|(id, subscriber)| SubscriptionInfo {
            id: subscriber.name.text().to_owned(),
            destination: subscriber.destination.text().to_string(),
            ack: subscriber.ack.as_str(),
            unsettled: connection.ledger.held_by(id),
        });
        (subscriptions.collect(), connection.ledger.len())
    }

    /// What a queue holds.
    pub(crate) fn messages(&self, queue: &str) -> Vec<Frame> {
        let messages = self.queues.get(queue).map(|queue| queue.messages());
        messages.into_iter().flatten().map(|message| message.plain_frame()).collect()
    }

    /// How many messages a queue holds.
    pub(crate) fn messages_in(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, Queue::len)
    }

    /// How many subscriptions there are to this destination, as it was written.
    pub(crate) fn subscriptions_to(&self, destination: &str) -> usize {
        let consumers = self.queues.get(destination).map_or(0, Queue::consumers);
        self.topics.count(destination) + consumers
    }
}
