//! How messages get from topics and queues to subscribers.

use std::sync::Arc;

use super::ledger::Unsettled;
use super::queue::{Queue, Queued};
use super::{Ack, Router, Stored, SubscriberId};
use crate::Limit;
use crate::event::BrokerEvent;
use crate::outbox::Outbox;
use crate::refusal::Refusal;
use crate::stats::count;

impl Router {
    /// Hands a message to everybody who listens to its topic.
    pub(super) fn publish(&mut self, name: &Arc<str>, message: &Arc<Stored>) {
        let mut listeners = std::mem::take(&mut self.listeners);
        self.topics.find(name, &mut listeners);
        for id in listeners.drain(..) {
            self.pass_on(id, Queued::new(message.clone()));
        }
        self.listeners = listeners;
    }

    /// Gives a subscriber what a topic has for it, or ends it: there is nowhere to keep that.
    pub(super) fn pass_on(&mut self, id: SubscriberId, message: Queued) {
        let Some(outbox) = self.outbox_of(id) else { return };
        let (bytes, is_ending) = outbox.load();
        if is_ending {
            return;
        }
        if bytes >= self.limits.max_outbox_bytes {
            let limit = self.limits.max_outbox_bytes;
            let text = format!("{bytes} of {limit} bytes wait to be read, and a topic keeps nothing");
            return self.give_up(id, &Refusal::slow_consumer(text));
        }
        // A prefetch is no limit of ours: it says how much of a queue to hand out.
        if !self.may_hold_more(id) {
            let limit = self.limits.max_unsettled;
            let text = format!("{limit} messages wait to be acknowledged, and a topic keeps nothing");
            return self
                .give_up(id, &Refusal::limit(Limit::Unsettled, "too many unacknowledged messages", text));
        }
        self.deliver(id, message);
    }

    pub(super) fn serve_all(&mut self, mut queues: Vec<Arc<str>>) {
        queues.sort_unstable();
        queues.dedup();
        for name in queues {
            self.serve(&name);
        }
    }

    /// Hands out what a queue holds, to one subscriber after the other, as long as somebody has room; but no more than
    /// a turn's worth, because everybody waits for the lock. The rest follows when the subscribers' tasks ask for it.
    pub(super) fn serve(&mut self, name: &Arc<str>) {
        let mut left = SERVED;
        while let Some(id) = self.queues.get_mut(name).and_then(Queue::in_turn) {
            if left == 0 {
                self.outbox_of(id).into_iter().for_each(|outbox| outbox.feed_again());
            }
            let can_take = left > 0 && self.can_take(id);
            let Some(queue) = self.queues.get_mut(name) else { return };
            if can_take {
                let Some(message) = queue.pop() else { break };
                self.deliver(id, message);
                left -= 1;
            } else {
                queue.park();
                // The queue keeps the rest, so nobody is ended for it; a prefetch is the client's own wish.
                if !self.may_hold_more(id) {
                    self.hub.counters.hit(Limit::Unsettled);
                }
                let Some(subscriber) = self.subscribers.get_mut(&id) else { continue };
                subscriber.parked = true;
                if let Some(connection) = self.connections.get_mut(&subscriber.connection) {
                    connection.parked.push(id);
                }
            }
        }
        self.drop_if_unused(name);
    }

    pub(super) fn can_take(&self, id: SubscriberId) -> bool {
        let Some(outbox) = self.outbox_of(id) else { return false };
        outbox.takes_more(self.limits.max_outbox_bytes) && self.has_window(id)
    }

    /// Whether the subscriber may have one more message of a queue that it has not settled.
    fn has_window(&self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscribers.get(&id) else { return false };
        let Some(connection) = self.connections.get(&subscriber.connection) else { return false };
        subscriber.ack == Ack::Auto
            || connection.ledger.held_by(id) < subscriber.prefetch && self.may_hold_more(id)
    }

    /// Whether the limit leaves room for one more message that is not settled.
    fn may_hold_more(&self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscribers.get(&id) else { return false };
        let Some(connection) = self.connections.get(&subscriber.connection) else { return false };
        subscriber.ack == Ack::Auto || connection.ledger.len() < self.limits.max_unsettled
    }

    fn deliver(&mut self, id: SubscriberId, message: Queued) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let Some(connection) = self.connections.get_mut(&subscriber.connection) else { return };
        let key = connection.ledger.next_key();
        let frame =
            message.frame(connection.version, connection.outbox.form(connection.version), subscriber, key);
        // A header that this subscriber's version cannot carry has been left out, so the frame can be written.
        if let Err(error) = connection.outbox.push(connection.version, &frame) {
            tracing::warn!(%error, "a message cannot be written for a subscriber and is not delivered");
            return;
        }
        count(&self.hub.counters.delivered);
        self.hub.tell(|| BrokerEvent::Delivered {
            connection: subscriber.connection.0,
            destination: message.message.destination.text().to_string(),
            message_id: message.message.number.to_string(),
            redelivered: message.redelivered,
        });
        if subscriber.ack != Ack::Auto {
            let entry = Unsettled { subscriber: id, message };
            connection.ledger.enter(key, subscriber.name.id(), subscriber.ack, entry);
        }
    }

    /// Ends the connection of a subscriber that does not take what its topics have for it.
    fn give_up(&mut self, id: SubscriberId, refusal: &Refusal) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let Some(connection) = self.connections.get(&subscriber.connection) else { return };
        self.hub.refused(subscriber.connection.0, refusal);
        // It has no room for messages; one short ERROR is the last thing it gets.
        let _ = connection.outbox.push(connection.version, &refusal.frame(None));
        connection.outbox.end();
    }

    fn outbox_of(&self, id: SubscriberId) -> Option<&Arc<Outbox>> {
        let subscriber = self.subscribers.get(&id)?;
        self.connections.get(&subscriber.connection).map(|connection| &connection.outbox)
    }
}

/// Messages that a queue hands out at a time: a fraction of a millisecond.
const SERVED: usize = 256;
