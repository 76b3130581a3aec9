//! Who gets what: subscriptions, topics, queues, and what is received but not settled.
//!
//! Everything here happens under one short lock; nothing here waits or writes to a socket.

mod message;
mod queue;
mod settle;
mod subscriber;

use std::collections::HashMap;
use std::sync::Arc;

use stompede_codec::{Frame, Version};

pub(crate) use self::message::Stored;
use self::queue::{Queue, Queued};
pub(crate) use self::subscriber::{Ack, ConnectionId, SubscriberId};
use self::subscriber::{Connection, Subscriber};
use crate::BrokerLimits;
use crate::outbox::Outbox;
use crate::stats::{Counters, count};

/// Why a request was refused: the `message` and the body of an ERROR.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) message: &'static str,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(message: &'static str, text: impl Into<String>) -> Self {
        Self { message, text: text.into() }
    }

    /// The frame lacks a header that it needs.
    pub(crate) fn missing(frame: &Frame, name: &str) -> Self {
        Self::new("missing header", format!("{} needs the header {name}", frame.command()))
    }
}

/// Where a destination leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Topic,
    Queue,
}

#[derive(Debug)]
pub(crate) struct Router {
    limits: Arc<BrokerLimits>,
    counters: Arc<Counters>,
    next_connection: u64,
    next_subscriber: u64,
    next_message: u64,
    connections: HashMap<ConnectionId, Connection>,
    subscribers: HashMap<SubscriberId, Subscriber>,
    topics: HashMap<Arc<str>, Vec<SubscriberId>>,
    queues: HashMap<Arc<str>, Queue>,
}

impl Router {
    pub(crate) fn new(limits: Arc<BrokerLimits>, counters: Arc<Counters>) -> Self {
        Self {
            limits,
            counters,
            next_connection: 0,
            next_subscriber: 0,
            next_message: 0,
            connections: HashMap::new(),
            subscribers: HashMap::new(),
            topics: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    /// Takes in a connection that has said CONNECT.
    pub(crate) fn connect(&mut self, version: Version, outbox: Arc<Outbox>) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections.insert(id, Connection::new(version, outbox));
        id
    }

    /// Forgets a connection; what it has not settled goes back where it came from.
    pub(crate) fn disconnect(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        let subscribers: Vec<_> =
            self.subscribers.iter().filter(|(_, s)| s.connection == id).map(|(key, _)| *key).collect();
        for subscriber in subscribers {
            self.forget_subscriber(subscriber);
        }
        self.put_back(connection.unsettled.into());
    }

    /// Takes in a message and hands it on.
    pub(crate) fn send(&mut self, destination: &str, mut message: Stored) -> Result<(), Refusal> {
        let kind = kind_of(destination)?;
        self.next_message += 1;
        message.number = self.next_message;
        let message = Arc::new(message);
        match kind {
            Kind::Topic => self.publish(destination, &message),
            Kind::Queue => self.enqueue(destination, message)?,
        }
        count(&self.counters.received);
        Ok(())
    }

    pub(crate) fn subscribe(
        &mut self,
        connection: ConnectionId,
        wire_id: Option<&str>,
        destination: &str,
        ack: Ack,
        prefetch: Option<usize>,
    ) -> Result<(), Refusal> {
        let kind = kind_of(destination)?;
        let of_connection: Vec<_> =
            self.subscribers.values().filter(|s| s.connection == connection).collect();
        if of_connection.len() >= self.limits.max_subscriptions {
            let text = format!("a connection may have {} subscriptions", self.limits.max_subscriptions);
            return Err(Refusal::new("too many subscriptions", text));
        }
        if of_connection.iter().any(|s| s.is(wire_id, destination)) {
            let name = wire_id.unwrap_or(destination);
            return Err(Refusal::new(
                "subscription id in use",
                format!("there is a subscription {name:?} already"),
            ));
        }
        self.check_room(kind, destination)?;
        let id = SubscriberId(self.next_subscriber);
        self.next_subscriber += 1;
        let destination: Arc<str> = destination.into();
        let wire_id = wire_id.map(Box::from);
        let prefetch = prefetch.unwrap_or(self.limits.max_unsettled);
        let subscriber =
            Subscriber { connection, wire_id, destination: destination.clone(), ack, prefetch, held: 0 };
        self.subscribers.insert(id, subscriber);
        match kind {
            Kind::Topic => self.topics.entry(destination).or_default().push(id),
            Kind::Queue => {
                self.queues.entry(destination.clone()).or_default().join(id);
                self.serve(&destination);
            }
        }
        Ok(())
    }

    /// Ends a subscription, named by its id or, in STOMP 1.0, by its destination.
    pub(crate) fn unsubscribe(
        &mut self,
        connection: ConnectionId,
        wire_id: Option<&str>,
        destination: &str,
    ) -> Result<(), Refusal> {
        let found = self
            .subscribers
            .iter()
            .find(|(_, s)| s.connection == connection && s.is(wire_id, destination))
            .map(|(id, _)| *id);
        let Some(id) = found else {
            let name = wire_id.unwrap_or(destination);
            return Err(Refusal::new(
                "no such subscription",
                format!("there is no subscription {name:?} to end"),
            ));
        };
        self.forget_subscriber(id);
        Ok(())
    }

    /// A connection has room again: the queues it subscribes to may have more for it.
    pub(crate) fn feed(&mut self, connection: ConnectionId) {
        let waiting: Vec<_> = self
            .subscribers
            .values()
            .filter(|s| s.connection == connection && self.queues.contains_key(&s.destination))
            .map(|s| s.destination.clone())
            .collect();
        for destination in waiting {
            self.serve(&destination);
        }
    }

    fn publish(&mut self, destination: &str, message: &Arc<Stored>) {
        let Some(listeners) = self.topics.get(destination) else { return };
        for id in listeners.clone() {
            let Some(outbox) = self.outbox_of(id) else { continue };
            if outbox.bytes() >= self.limits.max_outbox_bytes || !self.has_window(id) {
                self.give_up(id);
                continue;
            }
            self.deliver(id, Queued::new(message.clone()));
        }
    }

    fn enqueue(&mut self, destination: &str, message: Arc<Stored>) -> Result<(), Refusal> {
        self.check_room(Kind::Queue, destination)?;
        let limits = self.limits.clone();
        let name: Arc<str> = match self.queues.get_key_value(destination) {
            Some((name, _)) => name.clone(),
            None => destination.into(),
        };
        let queue = self.queues.entry(name.clone()).or_default();
        if queue.len() >= limits.max_queue_messages
            || queue.bytes() + message.body.len() > limits.max_queue_bytes
        {
            let text = format!(
                "{destination} holds {} messages; the limits are {} messages and {} bytes",
                queue.len(),
                limits.max_queue_messages,
                limits.max_queue_bytes
            );
            return Err(Refusal::new("queue is full", text));
        }
        queue.push(Queued::new(message));
        self.serve(&name);
        Ok(())
    }

    /// Hands out what a queue holds, to one subscriber after the other, as long as somebody has room.
    fn serve(&mut self, name: &Arc<str>) {
        loop {
            let Some(queue) = self.queues.get(name) else { return };
            if queue.is_empty() {
                break;
            }
            let Some(id) = queue.turn().find(|id| self.can_take(*id)) else { break };
            let Some(queue) = self.queues.get_mut(name) else { return };
            let Some(message) = queue.pop_for(id) else { break };
            self.deliver(id, message);
        }
        self.drop_if_unused(name);
    }

    fn can_take(&self, id: SubscriberId) -> bool {
        let Some(outbox) = self.outbox_of(id) else { return false };
        let has_room = outbox.bytes() < self.limits.max_outbox_bytes;
        if !has_room {
            outbox.starve();
        }
        has_room && !outbox.is_ending() && self.has_window(id)
    }

    /// Whether the subscriber may have one more message that it has not settled.
    fn has_window(&self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.subscribers.get(&id) else { return false };
        let unsettled = self.connections.get(&subscriber.connection).map_or(0, |c| c.unsettled.len());
        subscriber.ack == Ack::Auto
            || subscriber.held < subscriber.prefetch && unsettled < self.limits.max_unsettled
    }

    fn deliver(&mut self, id: SubscriberId, message: Queued) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let Some(connection) = self.connections.get_mut(&subscriber.connection) else { return };
        let ack_id = connection.next_ack();
        let frame = message.frame(connection.version, subscriber, ack_id);
        // A header that this subscriber's version cannot carry has been left out, so the frame can be written.
        if let Err(error) = connection.outbox.push(connection.version, &frame) {
            tracing::warn!(%error, "a message cannot be written for a subscriber and is not delivered");
            return;
        }
        count(&self.counters.delivered);
        if subscriber.ack != Ack::Auto {
            subscriber.held += 1;
            let destination = subscriber.destination.clone();
            connection.unsettled.push_back(settle::Unsettled {
                ack_id,
                subscriber: id,
                destination,
                message,
            });
        }
    }

    /// Ends the connection of a subscriber that does not take what its topics have for it.
    fn give_up(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let Some(connection) = self.connections.get(&subscriber.connection) else { return };
        let refusal = Refusal::new("too slow", "messages came faster than they were read or acknowledged");
        count(&self.counters.errors);
        // It has no room for messages; one short ERROR is the last thing it gets.
        let _ = connection.outbox.push(connection.version, &error_frame(&refusal, None));
        connection.outbox.end();
    }

    fn forget_subscriber(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.remove(&id) else { return };
        if let Some(listeners) = self.topics.get_mut(&subscriber.destination) {
            listeners.retain(|other| *other != id);
            if listeners.is_empty() {
                self.topics.remove(&subscriber.destination);
            }
        }
        if let Some(queue) = self.queues.get_mut(&subscriber.destination) {
            queue.leave(id);
            self.drop_if_unused(&subscriber.destination);
        }
    }

    /// Puts messages back in their old places, marks them as redelivered, and hands them out again.
    fn put_back(&mut self, unsettled: Vec<settle::Unsettled>) {
        let mut names: Vec<Arc<str>> = Vec::new();
        for settle::Unsettled { destination, mut message, .. } in unsettled {
            if kind_of(&destination).is_ok_and(|kind| kind == Kind::Queue) {
                message.redelivered = true;
                self.queues.entry(destination.clone()).or_default().put_back(message);
                names.push(destination);
            }
        }
        names.sort();
        names.dedup();
        for name in names {
            self.serve(&name);
        }
    }

    fn check_room(&self, kind: Kind, destination: &str) -> Result<(), Refusal> {
        let known = match kind {
            Kind::Topic => self.topics.contains_key(destination),
            Kind::Queue => self.queues.contains_key(destination),
        };
        if known || self.topics.len() + self.queues.len() < self.limits.max_destinations {
            return Ok(());
        }
        let text = format!("{} destinations are in use already", self.limits.max_destinations);
        Err(Refusal::new("too many destinations", text))
    }

    fn drop_if_unused(&mut self, name: &Arc<str>) {
        if self.queues.get(name).is_some_and(Queue::is_unused) {
            self.queues.remove(name);
        }
    }

    fn outbox_of(&self, id: SubscriberId) -> Option<&Arc<Outbox>> {
        let subscriber = self.subscribers.get(&id)?;
        self.connections.get(&subscriber.connection).map(|connection| &connection.outbox)
    }
}

fn kind_of(destination: &str) -> Result<Kind, Refusal> {
    let known = [("/topic/", Kind::Topic), ("/queue/", Kind::Queue)];
    let found =
        known.iter().find(|(prefix, _)| destination.len() > prefix.len() && destination.starts_with(prefix));
    found.map(|(_, kind)| *kind).ok_or_else(|| {
        let text = format!("{destination:?} is neither /topic/NAME nor /queue/NAME");
        Refusal::new("unknown destination", text)
    })
}

/// An ERROR that says what was wrong.
pub(crate) fn error_frame(refusal: &Refusal, receipt: Option<&str>) -> Frame {
    let mut frame = Frame::new(stompede_codec::Command::Error).with_header("message", refusal.message);
    if let Some(receipt) = receipt {
        frame = frame.with_header("receipt-id", receipt);
    }
    frame.with_header("content-type", "text/plain").with_body(refusal.text.clone())
}
