//! Whether there is room for more.

use super::{Destination, Router};
use crate::Limit;
use crate::refusal::Refusal;

impl Router {
    /// How many more are in use with this destination.
    pub(super) fn growth(&self, destination: &Destination) -> usize {
        match destination {
            Destination::Topic(name) => self.topics.growth(name),
            Destination::Queue(name) => usize::from(!self.queues.contains_key(name)),
            // Its owner has opened it, or it will not be opened.
            Destination::Reply(..) => 0,
        }
    }

    /// Whether this many destinations more may be in use.
    pub(super) fn check_destinations(&self, more: usize) -> Result<(), Refusal> {
        if more == 0 || self.topics.len() + self.queues.len() + more <= self.limits.max_destinations {
            return Ok(());
        }
        let text = format!("{} destinations may be in use", self.limits.max_destinations);
        Err(Refusal::limit(Limit::Destinations, "too many destinations", text))
    }

    /// Whether a queue has room for this much more.
    pub(super) fn check_depth(&self, name: &str, messages: usize, bytes: usize) -> Result<(), Refusal> {
        let (held, held_bytes) = self.queues.get(name).map_or((0, 0), |queue| (queue.len(), queue.bytes()));
        let limits = &self.limits;
        if held + messages <= limits.max_queue_messages && held_bytes + bytes <= limits.max_queue_bytes {
            return Ok(());
        }
        let text = format!(
            "{name} holds {held} messages; the limits are {} messages and {} bytes",
            limits.max_queue_messages, limits.max_queue_bytes
        );
        Err(Refusal::limit(Limit::QueueDepth, "queue is full", text))
    }
}
