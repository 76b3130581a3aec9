//! Who waits for room in the queue of frames, in the order in which they came.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Shared;
use super::shared::{AWAITED_BYTES, QUEUE_BYTES};
use crate::protocol::Machine;
use crate::{Error, ErrorKind, rt};

/// A place in the line for room; dropped, it is given up.
pub(crate) struct Room<'a> {
    shared: &'a Shared,
    /// About how many bytes are going to be queued.
    bytes: usize,
    within: Duration,
    /// How much may be queued already where nobody else waits.
    limit: usize,
    wait: Option<Wait>,
}

/// A place in a line.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) place: u64,
    /// `None`: as long as it takes.
    until: Option<Instant>,
}

impl<'a> Room<'a> {
    /// `within` is how long the wait may take.
    pub(crate) fn new(shared: &'a Shared, bytes: usize, within: Duration) -> Self {
        Self { shared, bytes, within, limit: QUEUE_BYTES, wait: None }
    }

    /// For a frame whose sender awaits its RECEIPT. Until then he has it in memory anyway and sends no other, so it may as
    /// well wait in the queue, unless others wait for room.
    pub(crate) fn for_awaited(mut self) -> Self {
        self.limit = AWAITED_BYTES;
        self
    }

    pub(crate) fn shared(&self) -> &'a Shared {
        self.shared
    }

    /// How long the wait may take.
    pub(crate) fn within(&self) -> Duration {
        self.within
    }

    /// Runs `act` once there is room, or at once if the session cannot send anyway.
    ///
    /// # Errors
    /// There was no room in time, or what `act` says.
    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Machine, &mut Context<'_>) -> Result<R, Error>,
    ) -> Poll<Result<R, Error>> {
        let mut core = self.shared.lock();
        let limit = if core.line.is_empty() { self.limit } else { QUEUE_BYTES };
        if core.machine.connected().is_none() || core.machine.queued_bytes() < limit {
            if let Some(wait) = self.wait.take() {
                core.line.leave(wait.place);
            }
            return Poll::Ready(self.shared.finish(core, |core| act(&mut core.machine, cx)));
        }
        let Some(soonest) = core.line.wait(&mut self.wait, self.bytes, self.within, cx.waker()) else {
            let text = format!("the connection took no more bytes within {:?}", self.within);
            return Poll::Ready(Err(Error::new(ErrorKind::WriteTimedOut, text)));
        };
        // The driver watches the clock for the whole line.
        let driver = if soonest { core.driver.take() } else { None };
        drop(core);
        driver.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let Some(Wait { place, .. }) = self.wait else { return };
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

/// Everybody who waits, for room or for a flush. Places are numbered in order, so one is found without looking at all.
#[derive(Default)]
pub(super) struct Line {
    last: u64,
    places: VecDeque<Place>,
    /// Nobody's time is over before. One timer, the driver's, serves all.
    soonest: Option<Instant>,
}

struct Place {
    number: u64,
    bytes: usize,
    until: Option<Instant>,
    /// `None` once it has been given up.
    waker: Option<Waker>,
}

impl Line {
    /// Waits on at the place that there is, or else at the end. `true` if nobody's time is over before, so that the driver has to
    /// look at the clock anew; `None` if the time is over.
    pub(super) fn wait(
        &mut self,
        wait: &mut Option<Wait>,
        bytes: usize,
        within: Duration,
        waker: &Waker,
    ) -> Option<bool> {
        if let Some(wait) = wait
            && self.keep(wait.place, waker)
        {
            return Some(false);
        }
        // It comes for the first time, or was woken in vain. Only now is there a clock to look at.
        let until = wait.map_or_else(|| rt::now().checked_add(within), |wait| wait.until);
        if wait.take().is_some() && until.is_some_and(|until| until <= rt::now()) {
            return None;
        }
        let (place, soonest) = self.join(bytes, until, waker);
        *wait = Some(Wait { place, until });
        Some(soonest)
    }

    /// Waits at the end. Gives the place, and whether its time is over before everybody else's.
    fn join(&mut self, bytes: usize, until: Option<Instant>, waker: &Waker) -> (u64, bool) {
        self.last += 1;
        self.places.push_back(Place { number: self.last, bytes, until, waker: Some(waker.clone()) });
        let is_soonest = until.is_some_and(|until| self.soonest.is_none_or(|soonest| until < soonest));
        if is_soonest {
            self.soonest = until;
        }
        (self.last, is_soonest)
    }

    /// Waits on at this place; `false` if there is none any more.
    fn keep(&mut self, number: u64, waker: &Waker) -> bool {
        let Some(place) = self.find(number) else { return false };
        match &mut place.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        true
    }

    /// Gives a place up; `false` if it had been woken already.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let left = self.find(number).is_some_and(|place| place.waker.take().is_some());
        // Who only ever tries must not make the line longer.
        let is_empty = |place: &Place| place.waker.is_none();
        while self.places.back().is_some_and(is_empty) {
            self.places.pop_back();
        }
        while self.places.front().is_some_and(is_empty) {
            self.places.pop_front();
        }
        self.forget_time();
        left
    }

    /// Wakes the first ones, as many as so many bytes have room for.
    pub(super) fn wake(&mut self, mut room: usize, woken: &mut Vec<Waker>) {
        while room > 0 {
            let Some(place) = self.places.pop_front() else { break };
            if let Some(waker) = place.waker {
                room = room.saturating_sub(place.bytes.max(1));
                woken.push(waker);
            }
        }
        self.forget_time();
    }

    /// Whether nobody waits, as far as can be seen.
    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// When to call [`expire`](Self::expire).
    pub(super) fn soonest(&self) -> Option<Instant> {
        self.soonest
    }

    /// Wakes those whose time is over; their places are gone.
    pub(super) fn expire(&mut self, now: Instant, woken: &mut Vec<Waker>) {
        if self.soonest.is_none_or(|soonest| soonest > now) {
            return;
        }
        self.places.retain_mut(|place| {
            let stays = place.until.is_none_or(|until| until > now);
            if !stays {
                woken.extend(place.waker.take());
            }
            stays
        });
        self.soonest = self.places.iter().filter_map(|place| place.until).min();
    }

    /// Where nobody waits there is nothing to watch.
    fn forget_time(&mut self) {
        if self.places.is_empty() {
            self.soonest = None;
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

    impl Line {
        fn places<const N: usize>(&mut self, until: [Option<Instant>; N]) -> [u64; N] {
            until.map(|until| self.join(100, until, Waker::noop()).0)
        }
    }

    #[test]
    fn as_many_are_woken_as_there_is_room_for_and_none_is_passed_over() {
        let (mut line, mut woken) = (Line::default(), Vec::new());
        let places = line.places([None; 10]);
        assert!(line.leave(places[0]), "it had not been woken");
        assert!(!line.leave(places[0]));
        line.wake(250, &mut woken);
        assert_eq!(woken.len(), 3);
        assert!(!line.leave(places[3]), "the second to the fourth were");
        assert!(line.leave(places[4]));
        assert!(line.keep(places[5], Waker::noop()), "keeps its place");
        assert!(!line.keep(places[1], Waker::noop()), "begins again");
        assert!(line.join(100, None, Waker::noop()).0 > places[9]);
        line.wake(usize::MAX, &mut woken);
        assert_eq!(woken.len(), 3 + 6);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn who_comes_and_goes_leaves_no_place_behind() {
        let mut line = Line::default();
        let [first, second] = line.places([Some(Instant::now()), None]);
        for _ in 0..1000 {
            let [one, other] = line.places([None, None]);
            assert!(line.leave(one) && line.leave(other));
        }
        assert_eq!(line.places.len(), 2);
        assert!(line.leave(first));
        assert_eq!(line.places.len(), 1);
        assert!(line.keep(second, Waker::noop()) && line.leave(second));
        assert!(line.is_empty() && line.soonest().is_none());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any start will do")]
    fn whose_time_is_over_is_woken_and_no_one_else() {
        let start = Instant::now();
        let after = |seconds| Some(start + Duration::from_secs(seconds));
        let (mut line, mut woken) = (Line::default(), Vec::new());
        assert!(line.join(100, after(5), Waker::noop()).1, "the first one sets the clock");
        assert!(!line.join(100, after(6), Waker::noop()).1);
        assert!(line.join(100, after(3), Waker::noop()).1, "and so does one that is in more of a hurry");
        let [patient, gone] = line.places([None, after(2)]);
        assert!(line.leave(gone));
        line.expire(start + Duration::from_secs(3), &mut woken);
        assert_eq!((woken.len(), line.soonest()), (1, after(5)), "who has left is not woken");
        line.expire(start + Duration::from_secs(4), &mut woken);
        assert_eq!(woken.len(), 1);
        line.expire(start + Duration::from_secs(60), &mut woken);
        assert_eq!((woken.len(), line.soonest()), (3, None));
        assert!(line.keep(patient, Waker::noop()));
        line.places([after(70)]);
        line.wake(usize::MAX, &mut woken);
        assert_eq!((woken.len(), line.soonest()), (5, None), "nobody waits, so there is nothing to watch");
    }
}
