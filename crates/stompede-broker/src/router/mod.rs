//! Who gets what: subscriptions, topics, queues, and what is received but not settled.
//!
//! Everything here happens under one short lock; nothing here waits or writes to a socket.

mod deliver;
mod destination;
mod inspect;
mod ledger;
mod message;
mod queue;
mod reply;
mod room;
mod settle;
mod subscriber;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use stompede_codec::Version;

pub(crate) use self::destination::{Destination, MAX_NAME};
pub(crate) use self::ledger::Named;
pub(crate) use self::message::Stored;
use self::queue::{Queue, Queued};
pub(crate) use self::settle::Operation;
pub(crate) use self::subscriber::{Ack, ConnectionId, Name, SubscriberId, Wish};
use self::subscriber::{Connection, Subscriber};
use self::topics::Topics;
use crate::event::BrokerEvent;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::personality::Personality;
use crate::refusal::Refusal;
use crate::stats::count;
use crate::{BrokerLimits, Limit};

#[derive(Debug)]
pub(crate) struct Router {
    limits: Arc<BrokerLimits>,
    hub: Arc<Hub>,
    /// A client must not give an id twice.
    refuse_second_ids: bool,
    next_subscriber: u64,
    next_message: u64,
    connections: HashMap<ConnectionId, Connection>,
    subscribers: HashMap<SubscriberId, Subscriber>,
    topics: Topics,
    queues: HashMap<Arc<str>, Queue>,
    /// Empty between calls; kept so that a message needs no new one.
    listeners: Vec<SubscriberId>,
}

impl Router {
    pub(crate) fn new(limits: Arc<BrokerLimits>, hub: Arc<Hub>, habits: &Personality) -> Self {
        Self {
            limits,
            hub,
            refuse_second_ids: habits.errors.refuse_second_ids,
            next_subscriber: 0,
            next_message: 0,
            connections: HashMap::new(),
            subscribers: HashMap::new(),
            topics: Topics::new(),
            queues: HashMap::new(),
            listeners: Vec::new(),
        }
    }

    /// Takes in a connection that has said CONNECT.
    pub(crate) fn connect(&mut self, id: ConnectionId, version: Version, outbox: Arc<Outbox>) {
        self.connections.insert(id, Connection::new(version, outbox));
    }

    /// Forgets a connection; what it has not settled goes back where it came from.
    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        for subscriber in connection.subscriptions.into_values() {
            self.forget(subscriber);
        }
        for name in connection.reply_queues {
            self.queues.remove(&name);
        }
        let queues = self.put_back(connection.ledger.into_entries().map(|entry| entry.message));
        self.serve_all(queues);
    }

    /// Takes in a message and hands it on.
    pub(crate) fn send(&mut self, message: Stored) -> Result<(), Refusal> {
        if let Some(name) = message.destination.queue() {
            self.check_destinations(self.growth(&message.destination))?;
            self.check_depth(name, 1, message.len())?;
        }
        if let Some(queue) = self.take_in(message) {
            self.serve(&queue);
        }
        Ok(())
    }

    /// Empties every queue.
    pub(crate) fn forget_queues(&mut self) {
        self.queues.retain(|_, queue| {
            queue.clear();
            !queue.is_unused()
        });
    }

    pub(crate) fn subscribe(&mut self, id: ConnectionId, wish: Wish) -> Result<(), Refusal> {
        // Only a connection that is being taken down is not there.
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        if connection.subscriptions.len() >= self.limits.max_subscriptions {
            let text = format!("a connection may have {} subscriptions", self.limits.max_subscriptions);
            return Err(Refusal::limit(Limit::Subscriptions, "too many subscriptions", text));
        }
        if connection.subscriptions.contains_key(&wish.name) && self.refuse_second_ids {
            let text = format!("there is a subscription {:?} already", wish.name.text());
            return Err(Refusal::new("subscription id in use", text));
        }
        if let Destination::Reply(name, owner) = &wish.destination {
            if *owner != id {
                return Err(Refusal::new("not your queue", format!("{name} belongs to another connection")));
            }
            self.open_reply_queue(id, name)?;
            if matches!(wish.name, Name::Id(_) | Name::Destination(_)) {
                self.end_implied(id, name);
            }
        }
        self.check_destinations(self.growth(&wish.destination))?;
        self.enter(id, wish);
        Ok(())
    }

    fn enter(&mut self, connection: ConnectionId, wish: Wish) {
        let Wish { name, destination, ack, prefetch } = wish;
        let id = SubscriberId(self.next_subscriber);
        self.next_subscriber += 1;
        if let Some(connection) = self.connections.get_mut(&connection)
            && let Some(before) = connection.subscriptions.insert(name.clone(), id)
        {
            connection.subscriptions.insert(Name::Eclipsed(before), before);
        }
        let prefetch = prefetch.unwrap_or(self.limits.max_unsettled);
        let subscriber =
            Subscriber { connection, name, destination: destination.clone(), ack, prefetch, parked: false };
        self.subscribers.insert(id, subscriber);
        self.hub.counters.subscriptions.fetch_add(1, Ordering::Relaxed);
        self.tell_of(id, |connection, id, destination| BrokerEvent::Subscribed {
            connection,
            id,
            destination,
        });
        match destination {
            Destination::Topic(name) => self.topics.join(&name, id),
            Destination::Queue(name) | Destination::Reply(name, _) => {
                self.queues.entry(name.clone()).or_default().join(id);
                self.serve(&name);
            }
        }
    }

    /// Ends a subscription. What it has not settled stays with the connection, which may still settle it.
    pub(crate) fn unsubscribe(&mut self, connection: ConnectionId, name: &Name) -> Result<(), Refusal> {
        let found = self.connections.get_mut(&connection).and_then(|c| c.subscriptions.remove(name));
        let Some(id) = found else {
            let text = format!("there is no subscription {:?} to end", name.text());
            return Err(Refusal::new("no such subscription", text));
        };
        self.forget(id);
        Ok(())
    }

    /// A connection has room again: its queues may have more for it.
    pub(crate) fn feed(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.parked.is_empty() {
            return;
        }
        let mut queues = Vec::new();
        for id in std::mem::take(&mut connection.parked) {
            let can_take = self.can_take(id);
            let Some(subscriber) = self.subscribers.get_mut(&id) else { continue };
            if !can_take {
                if let Some(connection) = self.connections.get_mut(&subscriber.connection) {
                    connection.parked.push(id);
                }
                continue;
            }
            subscriber.parked = false;
            if let Some(queue) = self.queues.get_mut(subscriber.destination.text()) {
                queue.unpark(id);
            }
            queues.push(subscriber.destination.text().clone());
        }
        self.serve_all(queues);
    }

    /// Takes in a message that nothing speaks against. Gives the queue that has one more now.
    fn take_in(&mut self, mut message: Stored) -> Option<Arc<str>> {
        self.next_message += 1;
        message.number = self.next_message;
        count(&self.hub.counters.received);
        let message = Arc::new(message);
        let taken_in = self.keep_or_publish(message.clone());
        self.hub.tell(|| BrokerEvent::Received {
            destination: message.destination.text().to_string(),
            message_id: message.number.to_string(),
        });
        taken_in
    }

    fn keep_or_publish(&mut self, message: Arc<Stored>) -> Option<Arc<str>> {
        match &message.destination {
            Destination::Topic(name) => {
                self.publish(name, &message);
                None
            }
            Destination::Reply(name, _) if !self.queues.contains_key(name) => {
                // Who asked has gone. That is no mistake of who answers.
                count(&self.hub.counters.dropped);
                None
            }
            Destination::Queue(name) | Destination::Reply(name, _) => {
                let name = self.queues.get_key_value(name).map_or(name, |(known, _)| known).clone();
                self.queues.entry(name.clone()).or_default().push(Queued::new(message));
                Some(name)
            }
        }
    }

    /// Takes a subscriber that its connection does not list any more out of everything else.
    fn forget(&mut self, id: SubscriberId) {
        self.tell_of(id, |connection, id, destination| BrokerEvent::Unsubscribed {
            connection,
            id,
            destination,
        });
        let Some(subscriber) = self.subscribers.remove(&id) else { return };
        self.hub.counters.subscriptions.fetch_sub(1, Ordering::Relaxed);
        if let Some(connection) =
            self.connections.get_mut(&subscriber.connection).filter(|_| subscriber.parked)
        {
            connection.parked.retain(|other| *other != id);
        }
        match &subscriber.destination {
            Destination::Topic(name) => self.topics.leave(name, id),
            Destination::Queue(name) | Destination::Reply(name, _) => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.leave(id, subscriber.parked);
                }
                self.drop_if_unused(name);
            }
        }
    }

    /// Puts messages back in their old places and marks them as redelivered. Gives the queues that they came from.
    fn put_back(&mut self, messages: impl IntoIterator<Item = Queued>) -> Vec<Arc<str>> {
        let mut queues = Vec::new();
        for mut message in messages {
            let destination = &message.message.destination;
            let is_there = match destination {
                Destination::Topic(_) => false,
                Destination::Queue(_) => true,
                Destination::Reply(name, _) => self.queues.contains_key(name),
            };
            if let Some(name) = destination.queue().filter(|_| is_there).cloned() {
                message.redelivered = true;
                self.queues.entry(name.clone()).or_default().put_back(message);
                queues.push(name);
            }
        }
        queues
    }

    fn drop_if_unused(&mut self, name: &Arc<str>) {
        if self.queues.get(name).is_some_and(Queue::is_unused) {
            self.queues.remove(name);
        }
    }

    fn tell_of(&self, id: SubscriberId, event: impl FnOnce(u64, String, String) -> BrokerEvent) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let Subscriber { connection, name, destination, .. } = subscriber;
        self.hub.tell(|| event(connection.0, name.text().to_owned(), destination.text().to_string()));
    }
}
