//! One queue: messages in the order in which they were sent, and whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Stored, SubscriberId};

/// A message in a queue, or on its way out of it.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) message: Arc<Stored>,
    pub(super) redelivered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Queued>,
    bytes: usize,
    /// The next one in turn is in front.
    consumers: VecDeque<SubscriberId>,
}

impl Queued {
    pub(super) fn new(message: Arc<Stored>) -> Self {
        Self { message, redelivered: false }
    }
}

impl Queue {
    pub(super) fn push(&mut self, message: Queued) {
        self.bytes += message.message.body.len();
        self.messages.push_back(message);
    }

    /// Puts a message where it stood: before everything that was sent later.
    pub(super) fn put_back(&mut self, message: Queued) {
        let number = message.message.number;
        let at = self.messages.partition_point(|other| other.message.number < number);
        self.bytes += message.message.body.len();
        self.messages.insert(at, message);
    }

    pub(super) fn join(&mut self, id: SubscriberId) {
        self.consumers.push_back(id);
    }

    pub(super) fn leave(&mut self, id: SubscriberId) {
        self.consumers.retain(|other| *other != id);
    }

    /// The subscribers, the one whose turn it is first.
    pub(super) fn turn(&self) -> impl Iterator<Item = SubscriberId> {
        self.consumers.iter().copied()
    }

    /// Takes the next message for this subscriber, whose turn then comes last.
    pub(super) fn pop_for(&mut self, id: SubscriberId) -> Option<Queued> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.message.body.len();
        self.leave(id);
        self.join(id);
        Some(message)
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.messages.is_empty() && self.consumers.is_empty()
    }
}
