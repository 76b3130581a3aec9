//! The books of one queue: what became of each message, and why one may have come twice.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// What became of every message that is sent to one queue; a message is its place in here.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Books>);

/// The [`Ledger`], for whoever writes in it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Books {
    fates: Vec<Fate>,
    /// Nothing new is sent once so many have been.
    end_at: Option<usize>,
    /// Messages that were confirmed.
    pub confirmed: usize,
    /// Messages that arrived, each counted once.
    pub arrived: usize,
    /// Times that a sender was told that its message may be there or not.
    pub unknown: usize,
    /// Times that a sender was told that its message had not been written.
    pub unsent: usize,
    /// Acknowledgements that were refused because the connection of their message was gone.
    pub stale: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    confirmed: bool,
    arrivals: usize,
    /// Times that a SEND had no RECEIPT when its connection was lost, and was sent again.
    sends_in_doubt: usize,
    /// Times that it had arrived, and no RECEIPT said that the broker knew of its ACK, when the connection was lost.
    acks_in_doubt: usize,
    /// When a RECEIPT said so, for the first time.
    settled: Option<Instant>,
}

/// What the books come to.
///
/// What arrived beyond the first time is counted by what explains it: as many arrivals as there are explanations, and not
/// more.
#[derive(Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Balance {
    /// Confirmed, and never arrived.
    pub lost: Vec<usize>,
    /// The message had been sent again.
    pub sent_again: usize,
    /// Its ACK was not known to have reached the broker.
    pub not_settled: usize,
    /// Its ACK was, and the broker was killed before it had written that down.
    pub forgotten: usize,
    /// When the first of those had been confirmed.
    pub first_forgotten: Option<Instant>,
    /// Messages with arrivals that nothing explains.
    pub unexplained: Vec<usize>,
}

impl Ledger {
    /// Opens the books; nobody else writes in them meanwhile.
    ///
    /// # Panics
    /// If somebody panicked over them.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().expect("unpoisoned")
    }
}

impl Books {
    /// The next message to be sent; `None` once there have been enough.
    pub fn begin(&mut self) -> Option<usize> {
        if self.end_at.is_some_and(|end| self.fates.len() >= end) {
            return None;
        }
        self.fates.push(Fate::default());
        Some(self.fates.len() - 1)
    }

    /// Sends no more than these, or what has been sent already.
    pub fn end_at(&mut self, messages: usize) {
        self.end_at = Some(messages);
    }

    /// Whether there have been enough, all are confirmed, and all have arrived.
    pub fn is_complete(&self) -> bool {
        let all = self.fates.len();
        self.end_at.is_some_and(|end| all >= end) && self.confirmed == all && self.arrived == all
    }

    /// A RECEIPT says that the broker has it.
    pub fn confirm(&mut self, message: usize) {
        self.fates[message].confirmed = true;
        self.confirmed += 1;
    }

    /// It is sent again, because its connection was lost before the RECEIPT, so many times.
    pub fn doubt_send(&mut self, message: usize, times: usize) {
        self.fates[message].sends_in_doubt += times;
    }

    /// It arrives.
    pub fn arrive(&mut self, message: usize) {
        let fate = &mut self.fates[message];
        fate.arrivals += 1;
        self.arrived += usize::from(fate.arrivals == 1);
    }

    /// It has arrived, and its connection is lost before a RECEIPT says that the broker knows of its ACK.
    pub fn doubt_ack(&mut self, message: usize) {
        self.fates[message].acks_in_doubt += 1;
    }

    /// A RECEIPT says that the broker knows of its ACK.
    pub fn settle(&mut self, message: usize, now: Instant) {
        self.fates[message].settled.get_or_insert(now);
    }

    /// Closes the books. What the broker said it had seen of ACKs at such a time it may have forgotten.
    pub fn balance(&self, forgotten: &Range<Instant>) -> Balance {
        let mut balance = Balance::default();
        for (message, fate) in self.fates.iter().enumerate() {
            if fate.confirmed && fate.arrivals == 0 {
                balance.lost.push(message);
            }
            let mut twice = fate.arrivals.saturating_sub(1);
            let mut explain = |times: usize| {
                let explained = twice.min(times);
                twice -= explained;
                explained
            };
            balance.not_settled += explain(fate.acks_in_doubt);
            balance.sent_again += explain(fate.sends_in_doubt);
            if let Some(settled) = fate.settled.filter(|settled| forgotten.contains(settled))
                && explain(1) > 0
            {
                balance.forgotten += 1;
                let first = balance.first_forgotten.get_or_insert(settled);
                *first = settled.min(*first);
            }
            if twice > 0 {
                balance.unexplained.push(message);
            }
        }
        balance
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any start will do")]
    fn start() -> Instant {
        Instant::now()
    }

    /// Messages that were sent and confirmed, and arrived so many times.
    fn arrived(times: &[usize]) -> Books {
        let mut books = Books::default();
        for times in times {
            let message = books.begin().unwrap();
            books.confirm(message);
            (0..*times).for_each(|_| books.arrive(message));
        }
        books
    }

    fn balance(books: &Books) -> Balance {
        let now = start();
        books.balance(&(now..now))
    }

    #[test]
    fn what_is_confirmed_and_does_not_arrive_is_lost() {
        let mut books = arrived(&[1, 0, 1]);
        books.begin().unwrap();
        assert_eq!(
            balance(&books),
            Balance { lost: vec![1], ..Balance::default() },
            "the last is not confirmed"
        );
    }

    #[test]
    fn each_doubt_explains_one_arrival_and_no_more() {
        let mut books = arrived(&[2, 3, 2, 4, 1]);
        books.doubt_send(1, 2);
        books.doubt_ack(2);
        books.doubt_ack(3);
        books.doubt_send(3, 1);
        books.doubt_send(4, 1);
        let expected =
            Balance { sent_again: 3, not_settled: 2, unexplained: vec![0, 3], ..Balance::default() };
        assert_eq!(balance(&books), expected);
    }

    #[test]
    fn what_was_settled_may_come_again_only_if_that_was_forgotten() {
        let (now, second) = (start(), Duration::from_secs(1));
        let mut books = arrived(&[2, 2, 2, 1]);
        for (message, at) in [now, now + 2 * second, now + 4 * second, now + 2 * second].iter().enumerate() {
            books.settle(message, *at);
            // The second time says nothing about the first.
            books.settle(message, now + 10 * second);
        }
        let first_forgotten = Some(now + 2 * second);
        let expected =
            Balance { forgotten: 1, first_forgotten, unexplained: vec![0, 2], ..Balance::default() };
        assert_eq!(books.balance(&(now + second..now + 3 * second)), expected);
    }

    #[test]
    fn it_is_complete_when_enough_were_sent_and_all_of_them_arrived() {
        let mut books = arrived(&[1, 2]);
        assert!(!books.is_complete(), "nobody has said how many are enough");
        books.end_at(3);
        assert!(!books.is_complete());
        let last = books.begin().unwrap();
        assert_eq!(books.begin(), None);
        books.arrive(last);
        assert!(!books.is_complete(), "the last is not confirmed");
        books.confirm(last);
        assert!(books.is_complete());
    }
}
