//! Who waits for room in the queue of frames, in the order in which they came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Shared;
use super::shared::QUEUE_BYTES;
use crate::protocol::Machine;

/// A place in the line for room; dropped, it is given up.
pub(crate) struct Room {
    shared: Arc<Shared>,
    /// About how many bytes are going to be queued.
    bytes: usize,
    place: Option<u64>,
}

impl Room {
    pub(crate) fn new(shared: Arc<Shared>, bytes: usize) -> Self {
        Self { shared, bytes, place: None }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs `act` once there is room, or at once if the session cannot send anyway.
    pub(crate) fn poll<R>(&mut self, cx: &mut Context<'_>, act: impl FnOnce(&mut Machine) -> R) -> Poll<R> {
        let mut core = self.shared.lock();
        if core.machine.connected().is_some() && core.machine.queued_bytes() >= QUEUE_BYTES {
            self.place = Some(core.line.wait(self.place, self.bytes, cx.waker()));
            return Poll::Pending;
        }
        if let Some(place) = self.place.take() {
            core.line.leave(place);
        }
        Poll::Ready(self.shared.finish(core, |core| act(&mut core.machine)))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut woken = Vec::new();
        let mut core = self.shared.lock();
        if !core.line.leave(place) {
            // It was woken and has not used its room: the next one may.
            core.line.wake(1, &mut woken);
        }
        drop(core);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Everybody who waits. Places are numbered in order, so one is found without looking at all.
#[derive(Default)]
pub(super) struct Line {
    last: u64,
    places: VecDeque<Place>,
}

struct Place {
    number: u64,
    bytes: usize,
    /// `None` once it has been given up.
    waker: Option<Waker>,
}

impl Line {
    /// Waits at this place, or at the end if there is none any more.
    fn wait(&mut self, number: Option<u64>, bytes: usize, waker: &Waker) -> u64 {
        if let Some(place) = number.and_then(|number| self.find(number)) {
            match &mut place.waker {
                Some(known) => known.clone_from(waker),
                unknown => *unknown = Some(waker.clone()),
            }
            return place.number;
        }
        self.last += 1;
        self.places.push_back(Place { number: self.last, bytes, waker: Some(waker.clone()) });
        self.last
    }

    /// Gives a place up; `false` if it had been woken already.
    fn leave(&mut self, number: u64) -> bool {
        self.find(number).is_some_and(|place| place.waker.take().is_some())
    }

    /// Wakes the first ones, as many as so many bytes have room for.
    pub(super) fn wake(&mut self, mut room: usize, woken: &mut Vec<Waker>) {
        while room > 0 {
            let Some(place) = self.places.pop_front() else { return };
            if let Some(waker) = place.waker {
                room = room.saturating_sub(place.bytes.max(1));
                woken.push(waker);
            }
        }
    }

    fn find(&mut self, number: u64) -> Option<&mut Place> {
        let at = self.places.binary_search_by_key(&number, |place| place.number).ok()?;
        self.places.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_woken_as_there_is_room_for_and_none_is_passed_over() {
        let (mut line, mut woken) = (Line::default(), Vec::new());
        let places: Vec<_> = (0..10).map(|_| line.wait(None, 100, Waker::noop())).collect();
        assert!(line.leave(places[0]), "it had not been woken");
        assert!(!line.leave(places[0]));
        line.wake(250, &mut woken);
        assert_eq!(woken.len(), 3);
        assert!(!line.leave(places[3]), "the second to the fourth were");
        assert!(line.leave(places[4]));
        assert_eq!(line.wait(Some(places[5]), 100, Waker::noop()), places[5], "keeps its place");
        assert!(line.wait(Some(places[1]), 100, Waker::noop()) > places[9], "begins again");
        line.wake(usize::MAX, &mut woken);
        assert_eq!(woken.len(), 3 + 6);
    }
}
