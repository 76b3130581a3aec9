//! Signs of life, both ways (STOMP 1.2, section "Heart-beating"), and writes that do not move.

use std::time::{Duration, Instant};

use crate::{Config, HeartBeat};

/// Watches one connection. It knows nothing before [`Pulse::start`], which CONNECTED brings about.
#[derive(Debug)]
pub(in crate::protocol) struct Pulse {
    /// Our silence after which a beat goes out.
    send_after: Option<Duration>,
    /// What the peer promised, and what is granted on top.
    receive: Option<Receive>,
    write_timeout: Duration,
    idle_timeout: Option<Duration>,
    /// When bytes last arrived.
    received: Instant,
    /// When everything taken was last flushed.
    written: Instant,
    /// When a frame, or part of one, last went either way.
    active: Instant,
    /// Since when something waits to be written without anything moving.
    blocked: Option<Instant>,
    /// Something was taken that has not been flushed.
    unflushed: bool,
    /// Whoever writes tells how it moves, so that a frame more is no sign of it.
    tells: bool,
    /// Since when that was so before a frame was taken the last time; nothing, if all had been flushed.
    blocked_before: Option<Instant>,
    /// We chose not to read, so nothing can be held against the peer.
    suspended: bool,
}

#[derive(Debug)]
struct Receive {
    period: Duration,
    allowed: Duration,
    slack: Duration,
    /// The next time to judge; moved when a timer came so late that we must have been asleep ourselves.
    excused_until: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::protocol) enum Due {
    /// A beat of ours.
    Beat,
    /// Nothing came from the peer for this long.
    Silent(Duration),
    /// Nothing that was to be written moved for this long.
    Stuck(Duration),
    /// No part of a frame went either way for this long.
    Idle(Duration),
}

impl Pulse {
    pub(in crate::protocol) fn new(config: &Config, now: Instant) -> Self {
        Self {
            send_after: None,
            receive: None,
            write_timeout: config.write_timeout,
            idle_timeout: config.idle_timeout,
            received: now,
            written: now,
            active: now,
            blocked: None,
            unflushed: false,
            tells: false,
            blocked_before: None,
            suspended: false,
        }
    }

    /// Begins to beat and to listen, with these periods.
    pub(in crate::protocol) fn start(&mut self, config: &Config, agreed: HeartBeat, now: Instant) {
        // Three quarters of the period: the rest is for timers that fire late and for the way.
        self.send_after = period(agreed.send).map(|period| period - period / 4);
        self.receive = period(agreed.receive).map(|period| Receive {
            period,
            allowed: allowance(period, config.receive_scale, config.receive_slack),
            slack: config.receive_slack.max(MIN_EXCUSE),
            excused_until: None,
        });
        self.received = now;
        self.written = now;
        self.active = now;
    }

    /// Bytes arrived. Gives how long there had been none, and whether that was longer than the peer promised.
    pub(in crate::protocol) fn on_received(&mut self, now: Instant) -> (Duration, bool) {
        let gap = now.saturating_duration_since(self.received);
        self.received = now;
        let late = self.receive.as_mut().is_some_and(|receive| {
            receive.excused_until = None;
            gap > receive.period
        });
        (gap, late && !self.suspended)
    }

    /// A frame, or part of one, went one way or the other.
    pub(in crate::protocol) fn on_frame(&mut self, now: Instant) {
        self.active = now;
    }

    /// The transport took something.
    pub(in crate::protocol) fn on_taken(&mut self, now: Instant) {
        if self.tells && self.unflushed {
            self.blocked_before = self.blocked;
            return;
        }
        // What was blocked without anything on its way is so no more.
        self.blocked_before = self.blocked.replace(now).filter(|_| self.unflushed);
        self.unflushed = true;
    }

    /// What was taken last was refused, whole: it is as if it had not been taken.
    pub(in crate::protocol) fn on_refused(&mut self) {
        self.blocked = self.blocked_before;
        self.unflushed = self.blocked.is_some();
    }

    /// Something waits and the transport has no room.
    pub(in crate::protocol) fn on_blocked(&mut self, now: Instant) {
        self.blocked.get_or_insert(now);
    }

    /// What waited for room was withdrawn: if nothing is on its way either, nothing is blocked.
    pub(in crate::protocol) fn on_nothing_waits(&mut self) {
        if !self.unflushed {
            self.blocked = None;
        }
    }

    /// The peer takes what waits, if only piece by piece.
    pub(in crate::protocol) fn on_written(&mut self, now: Instant) {
        self.tells = true;
        if self.blocked.is_some() {
            self.blocked = Some(now);
            self.active = now;
        }
    }

    /// Everything taken has been flushed.
    pub(in crate::protocol) fn on_flushed(&mut self, now: Instant) {
        self.written = now;
        (self.blocked, self.unflushed) = (None, false);
    }

    /// Reading stops because we want it to.
    pub(in crate::protocol) fn suspend(&mut self) {
        self.suspended = true;
    }

    /// Reading goes on.
    pub(in crate::protocol) fn resume(&mut self, now: Instant) {
        self.suspended = false;
        self.received = now;
        self.active = now;
    }

    /// What has to be done now; ask again until there is nothing.
    pub(in crate::protocol) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.silent_at().is_some_and(|at| at <= now) && !self.excuse(now) {
            return Some(Due::Silent(now.saturating_duration_since(self.received)));
        }
        if self.stuck_at().is_some_and(|at| at <= now) {
            return Some(Due::Stuck(self.write_timeout));
        }
        if self.idle_at().is_some_and(|at| at <= now) {
            return Some(Due::Idle(now.saturating_duration_since(self.active)));
        }
        if self.beat_at().is_some_and(|at| at <= now) {
            // Whoever asked writes one now; if that does not move, the write is stuck and no second beat helps.
            self.blocked = Some(now);
            return Some(Due::Beat);
        }
        None
    }

    /// The next time that something may be due.
    pub(in crate::protocol) fn deadline(&self) -> Option<Instant> {
        [self.silent_at(), self.stuck_at(), self.idle_at(), self.beat_at()].into_iter().flatten().min()
    }

    /// A timer that comes late by itself says that we were away: suspended, stopped, starved. What the peer sent
    /// meanwhile may still be on its way through the network stack, so it is given one more chance, once.
    fn excuse(&mut self, now: Instant) -> bool {
        let late = self.silent_at().map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let Some(receive) = &mut self.receive else { return false };
        if late < LATE || receive.excused_until.is_some() {
            return false;
        }
        receive.excused_until = now.checked_add(receive.slack);
        receive.excused_until.is_some()
    }

    fn silent_at(&self) -> Option<Instant> {
        let receive = self.receive.as_ref().filter(|_| !self.suspended)?;
        receive.excused_until.or_else(|| self.received.checked_add(receive.allowed))
    }

    fn stuck_at(&self) -> Option<Instant> {
        self.blocked?.checked_add(self.write_timeout)
    }

    fn idle_at(&self) -> Option<Instant> {
        self.active.checked_add(self.idle_timeout.filter(|_| !self.suspended)?)
    }

    fn beat_at(&self) -> Option<Instant> {
        // While something is on its way a beat would only queue up behind it.
        match self.blocked {
            Some(_) => None,
            None => self.written.checked_add(self.send_after?),
        }
    }
}

/// What both sides said comes to this (STOMP 1.2, section "Heart-beating"). A zero switches its direction off.
pub(super) fn negotiate(ours: HeartBeat, theirs: HeartBeat) -> HeartBeat {
    let one_way = |can: Duration, wanted: Duration| {
        if can.is_zero() || wanted.is_zero() { Duration::ZERO } else { can.max(wanted) }
    };
    HeartBeat { send: one_way(ours.send, theirs.receive), receive: one_way(theirs.send, ours.receive) }
}

fn period(period: Duration) -> Option<Duration> {
    (!period.is_zero()).then_some(period)
}

fn allowance(period: Duration, scale: f64, slack: Duration) -> Duration {
    let scaled = Duration::try_from_secs_f64(period.as_secs_f64() * scale).unwrap_or(Duration::MAX);
    scaled.saturating_add(slack)
}

/// A timer later than this did not only wait for its turn: the machine, or the clock, was somewhere else.
const LATE: Duration = Duration::from_millis(500);

/// The least extra time after such a timer, whatever the slack: the network stack has to wake up as well.
const MIN_EXCUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(send: u64, receive: u64) -> HeartBeat {
        HeartBeat { send: Duration::from_millis(send), receive: Duration::from_millis(receive) }
    }

    #[test]
    fn the_slower_side_decides_and_zero_switches_one_direction_off() {
        let values = [0, 1, 100, 2000, 4_000_000_000];
        for ours_send in values {
            for ours_receive in values {
                for theirs_send in values {
                    for theirs_receive in values {
                        let agreed =
                            negotiate(beat(ours_send, ours_receive), beat(theirs_send, theirs_receive));
                        // The specification's own words, once for each direction.
                        let expect = |can: u64, want: u64| match (can, want) {
                            (0, _) | (_, 0) => 0,
                            (can, want) => can.max(want),
                        };
                        let send = expect(ours_send, theirs_receive);
                        let receive = expect(theirs_send, ours_receive);
                        assert_eq!(agreed, beat(send, receive));
                    }
                }
            }
        }
        // The example of the specification.
        assert_eq!(negotiate(beat(1000, 5000), beat(3000, 2000)), beat(2000, 5000));
    }

    #[test]
    fn an_allowance_without_bounds_is_no_deadline_and_no_panic() {
        assert_eq!(allowance(Duration::MAX, 1e300, Duration::MAX), Duration::MAX);
        let two = Duration::from_secs(2);
        assert_eq!(allowance(two, 1.5, Duration::from_millis(500)), Duration::from_millis(3500));
    }
}
