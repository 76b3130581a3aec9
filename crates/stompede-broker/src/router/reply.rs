//! Queues for replies: `/temp-queue/NAME`, which each client has for itself.

use std::sync::Arc;

use super::queue::Queue;
use super::{Ack, ConnectionId, Destination, Name, Router, Wish};
use crate::refusal::Refusal;

impl Router {
    /// Makes a client's own queue if it is not there yet.
    pub(crate) fn open_reply_queue(&mut self, id: ConnectionId, name: &Arc<str>) -> Result<(), Refusal> {
        if self.queues.contains_key(name) {
            return Ok(());
        }
        self.check_destinations(1)?;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.reply_queues.push(name.clone());
            self.queues.insert(name.clone(), Queue::owned());
        }
        Ok(())
    }

    /// A client names its own queue in `reply-to`, which it calls `own_name`: who has not subscribed to it, as
    /// ActiveMQ wants it, gets replies all the same, as RabbitMQ does it.
    pub(crate) fn expect_reply(
        &mut self,
        id: ConnectionId,
        name: &Arc<str>,
        own_name: &str,
    ) -> Result<(), Refusal> {
        self.open_reply_queue(id, name)?;
        if self.queues.get(name).is_some_and(|queue| queue.consumers() > 0) {
            return Ok(());
        }
        let destination = Destination::Reply(name.clone(), id);
        let name = Name::Implied(own_name.into());
        self.subscribe(id, Wish { name, destination, ack: Ack::Auto, prefetch: None })
    }

    /// A client subscribes to its own queue: what the broker did for it is not needed any more.
    pub(super) fn end_implied(&mut self, id: ConnectionId, queue: &Arc<str>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let subscribers = &self.subscribers;
        let implied = connection.subscriptions.iter().find(|(name, id)| {
            matches!(name, Name::Implied(_))
                && subscribers.get(*id).is_some_and(|s| s.destination.text() == queue)
        });
        if let Some((name, id)) = implied.map(|(name, id)| (name.clone(), *id)) {
            connection.subscriptions.remove(&name);
            self.forget(id);
        }
    }
}
