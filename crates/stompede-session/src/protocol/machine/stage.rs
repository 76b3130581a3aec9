//! Messages that have been decoded and not been handed over; and places for those that are alone.
//!
//! With thousands of subscriptions a message mostly finds its queue empty, and is taken before the next one comes. In a
//! buffer of that queue's own it would come to memory that was used thousands of messages ago, which is in no cache any
//! more. So it comes to a place that another such message has just left, whichever queue that was in, and is not moved
//! until it is taken out.

use std::sync::Mutex;

use super::SubscriptionId;
use super::queue::{Arrival, Chunk};

/// Messages of one subscription.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// Not empty; then there are no others.
    alone: Option<Place>,
    /// It fits into an empty queue and does not fill it.
    fits: bool,
    /// The number in the id that they name.
    number: Option<u64>,
    together: Vec<Arrival>,
    /// Empty ones.
    places: Vec<Place>,
}

/// Where a message is that is alone.
#[derive(Debug, Default)]
pub(crate) struct Place(Box<Content>);

#[derive(Debug, Default)]
struct Content {
    arrival: Option<Arrival>,
    /// What it came in.
    chunk: Chunk,
}

/// Places that messages have been taken out of.
#[derive(Debug, Default)]
pub(super) struct GivenBack(Mutex<Vec<Place>>);

impl Stage {
    /// Adds a message, which belongs to the same subscription as the others.
    #[inline]
    pub(super) fn push(&mut self, arrival: Arrival, number: Option<u64>, fits: bool, given_back: &GivenBack) {
        (self.number, self.fits) = (number, fits);
        if self.is_empty() {
            let empty = self.empty_place(given_back);
            self.alone.insert(empty).0.arrival = Some(arrival);
            return;
        }
        self.join();
        self.together.push(arrival);
    }

    /// Whose messages they are, if there are any.
    pub(super) fn subscription(&self) -> Option<SubscriptionId> {
        let alone = self.alone.as_ref().and_then(Place::arrival);
        alone.or(self.together.first()).map(|arrival| arrival.ticket.subscription)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.alone.is_none() && self.together.is_empty()
    }

    /// The number in the id that they name.
    pub(super) fn number(&self) -> Option<u64> {
        self.number
    }

    /// Whether there is only one, which fits into an empty queue and does not fill it.
    pub(super) fn fits(&self) -> bool {
        self.fits && self.alone.is_some()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.alone.is_some()) + self.together.len()
    }

    /// Gives it out, with what it came in.
    pub(super) fn take_alone(&mut self, chunk: Chunk) -> Option<Place> {
        let mut place = self.alone.take()?;
        place.0.chunk = chunk;
        Some(place)
    }

    /// All of them, to be taken out.
    pub(super) fn join(&mut self) -> &mut Vec<Arrival> {
        if let Some(mut place) = self.alone.take() {
            self.together.extend(place.take());
            self.places.push(place);
        }
        &mut self.together
    }

    pub(super) fn clear(&mut self) {
        self.join().clear();
    }

    fn empty_place(&mut self, given_back: &GivenBack) -> Place {
        if self.places.is_empty() {
            given_back.swap(&mut self.places);
        }
        self.places.pop().unwrap_or_default()
    }
}

impl Place {
    /// The message, which leaves the place.
    pub(crate) fn take(&mut self) -> Option<Arrival> {
        self.0.arrival.take()
    }

    pub(super) fn chunk(&self) -> Chunk {
        self.0.chunk
    }

    fn arrival(&self) -> Option<&Arrival> {
        self.0.arrival.as_ref()
    }
}

impl GivenBack {
    /// Keeps an empty place, unless there are enough.
    pub(super) fn put(&self, place: Place) {
        // A new one costs less than waiting for somebody.
        if let Ok(mut places) = self.0.try_lock()
            && places.len() < MOST
        {
            places.push(place);
        }
    }

    fn swap(&self, none: &mut Vec<Place>) {
        if let Ok(mut places) = self.0.try_lock() {
            std::mem::swap(&mut *places, none);
        }
    }
}

/// Places that are kept for later: as many as there are small messages in what is read in one turn, and some more.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use stompede_codec::{Command, Frame};

    use super::*;
    use crate::Config;
    use crate::protocol::{Machine, SubscribeRequest, Ticket};

    fn arrival(subscription: SubscriptionId, number: u64) -> Arrival {
        let ticket = Ticket { subscription, epoch: 1, number, cost: 100 };
        Arrival { frame: Frame::new(Command::Message), ticket }
    }

    fn subscription() -> SubscriptionId {
        let mut machine = Machine::new(Config::for_url("tcp://broker.example").unwrap()).unwrap();
        machine.subscribe(SubscribeRequest::new("/topic/a")).unwrap()
    }

    #[test]
    fn one_message_stays_where_it_is_and_others_join_it() {
        let (id, given_back) = (subscription(), GivenBack::default());
        let mut stage = Stage::default();
        assert!(stage.is_empty() && stage.subscription().is_none() && !stage.fits());
        stage.push(arrival(id, 1), Some(7), true, &given_back);
        assert_eq!((stage.subscription(), stage.number(), stage.len()), (Some(id), Some(7), 1));
        assert!(stage.fits());
        let chunk = Chunk { number: 3, len: 5000 };
        let mut place = stage.take_alone(chunk).unwrap();
        assert_eq!(place.take().unwrap().ticket.number, 1);
        assert_eq!(place.chunk().number, 3);
        assert!(stage.is_empty());

        for number in 1..4 {
            stage.push(arrival(id, number), Some(7), true, &given_back);
        }
        assert_eq!((stage.subscription(), stage.len(), stage.fits()), (Some(id), 3, false));
        let numbers: Vec<_> = stage.join().drain(..).map(|arrival| arrival.ticket.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        stage.push(arrival(id, 4), None, false, &given_back);
        assert!(!stage.fits(), "the queue has to decide");
        stage.clear();
        assert!(stage.is_empty());
    }

    #[test]
    fn places_are_used_again_the_last_one_first_and_no_more_are_kept_than_that() {
        let (id, given_back) = (subscription(), GivenBack::default());
        let mut stage = Stage::default();
        let fill = |stage: &mut Stage| {
            stage.push(arrival(id, 1), None, true, &given_back);
            let mut place = stage.take_alone(Chunk::default()).unwrap();
            assert!(place.take().is_some() && place.take().is_none());
            place
        };
        let places: Vec<_> = (0..MOST + 10).map(|_| fill(&mut stage)).collect();
        let last = std::ptr::from_ref(&*places[MOST - 1].0);
        places.into_iter().for_each(|place| given_back.put(place));
        assert_eq!(given_back.0.lock().unwrap().len(), MOST);
        let place = fill(&mut stage);
        assert!(std::ptr::eq(&*place.0, last));
        assert_eq!(stage.places.len(), MOST - 1);
    }
}
