//! Places for messages that are alone in their queues.
//!
//! With thousands of subscriptions a message mostly finds its queue empty, and is taken before the next one comes. In a
//! buffer of that queue's own it would come to memory that was used thousands of messages ago, which is in no cache any
//! more. So it is put into a place that another such message has just left, whichever queue that was in.

use std::sync::Mutex;

use super::queue::{Arrival, Chunk};

/// A place for one message.
#[derive(Debug, Default)]
pub(super) struct Place(Box<Option<Lone>>);

/// A message, and what it came in.
#[derive(Debug)]
pub(super) struct Lone {
    pub(super) arrival: Arrival,
    pub(super) chunk: Chunk,
}

/// Places that consumers have given back.
#[derive(Debug, Default)]
pub(super) struct GivenBack(Mutex<Vec<Place>>);

/// Places for the messages to come.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Place {
    /// What it holds. It can be used again.
    pub(super) fn take(&mut self) -> Option<Lone> {
        self.0.take()
    }
}

impl Places {
    /// Puts a message into the place that was given back last.
    pub(super) fn fill(&mut self, lone: Lone, given_back: &GivenBack) -> Place {
        if self.0.is_empty() {
            given_back.swap(&mut self.0);
        }
        let mut place = self.0.pop().unwrap_or_default();
        *place.0 = Some(lone);
        place
    }
}

impl GivenBack {
    /// Keeps a place, unless there are enough.
    pub(super) fn put(&self, place: Place) {
        // A new one costs less than waiting for somebody.
        if let Ok(mut places) = self.0.try_lock()
            && places.len() < MOST
        {
            places.push(place);
        }
    }

    fn swap(&self, empty: &mut Vec<Place>) {
        if let Ok(mut places) = self.0.try_lock() {
            std::mem::swap(&mut *places, empty);
        }
    }
}

/// Places that are kept for later: as many as there are small messages in what is read in one turn, and some more.
const MOST: usize = 256;
