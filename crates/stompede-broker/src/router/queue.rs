//! One queue: messages in the order in which they were sent, and whose turn it is.

use std::collections::{HashSet, VecDeque};
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
    /// Those that take messages, the next one in front. Who cannot take one is parked elsewhere.
    turn: VecDeque<SubscriberId>,
    /// Those among them that have left. Taken out many at a time: a crowd that leaves must not be searched for each.
    left: HashSet<SubscriberId>,
    /// All subscribers, the parked ones included.
    consumers: usize,
    /// It belongs to a connection, and stays when it is empty.
    owned: bool,
}

impl Queued {
    pub(super) fn new(message: Arc<Stored>) -> Self {
        Self { message, redelivered: false }
    }
}

impl Queue {
    /// A queue that stays until its owner goes.
    pub(super) fn owned() -> Self {
        Self { owned: true, ..Self::default() }
    }

    pub(super) fn push(&mut self, message: Queued) {
        self.bytes += message.message.len();
        self.messages.push_back(message);
    }

    /// Puts a message where it stood: before everything that was sent later.
    pub(super) fn put_back(&mut self, message: Queued) {
        let number = message.message.number;
        let at = self.messages.partition_point(|other| other.message.number < number);
        self.bytes += message.message.len();
        self.messages.insert(at, message);
    }

    pub(super) fn join(&mut self, id: SubscriberId) {
        self.consumers += 1;
        self.turn.push_back(id);
    }

    pub(super) fn leave(&mut self, id: SubscriberId, parked: bool) {
        self.consumers -= 1;
        if !parked {
            self.left.insert(id);
        }
        if self.left.len() > self.turn.len() / 2 {
            self.turn.retain(|other| !self.left.contains(other));
            self.left = HashSet::new();
        }
    }

    /// Whose turn it is, if there is something to take.
    pub(super) fn in_turn(&mut self) -> Option<SubscriberId> {
        if self.messages.is_empty() {
            return None;
        }
        while !self.left.is_empty() && self.turn.front().is_some_and(|front| self.left.remove(front)) {
            self.turn.pop_front();
        }
        self.turn.front().copied()
    }

    /// Takes the next message for the one in turn, who then comes last.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.message.len();
        self.turn.rotate_left(self.turn.len().min(1));
        Some(message)
    }

    /// Passes over the one in turn until it comes back.
    pub(super) fn park(&mut self) {
        self.turn.pop_front();
    }

    pub(super) fn unpark(&mut self, id: SubscriberId) {
        self.turn.push_back(id);
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Queued> {
        self.messages.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn consumers(&self) -> usize {
        self.consumers
    }

    pub(super) fn is_unused(&self) -> bool {
        self.messages.is_empty() && self.consumers == 0 && !self.owned
    }
}
