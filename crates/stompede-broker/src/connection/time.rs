//! What a connection does because time has passed.

use std::task::Context;

use tokio::time::Instant;

use super::{Connection, State, Written};
use crate::Limit;
use crate::refusal::Refusal;

impl Connection {
    /// Bytes have arrived.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        if let State::Open { beats, .. } = &mut self.state {
            beats.received(now);
        }
    }

    /// A turn of writing is over.
    pub(super) fn spoke(&mut self, now: Instant, wrote: bool, written: Written) {
        // A part of a large frame is something, too.
        let before = std::mem::replace(&mut self.written, self.wire.written());
        if wrote || written == Written::All || self.written != before || self.wire.stalls_writing() {
            self.unstalled = now;
        }
        if let State::Open { beats, .. } = &mut self.state
            && wrote
        {
            beats.sent(now);
        }
    }

    /// Does what is overdue, and arranges for a wake-up when the next thing is.
    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>, now: Instant, written: Written) {
        if self.next_due(written).is_some_and(|due| due <= now) {
            self.do_overdue(now, written);
            cx.waker().wake_by_ref();
        }
        if self.timer.poll(self.next_due(written), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn next_due(&self, written: Written) -> Option<Instant> {
        let (connect, silence, beat) = match &self.state {
            State::Greeting { until } | State::Leaving { until } => (*until, None, None),
            State::Open { beats, .. } => (None, beats.silence_due(), beats.send_due()),
            State::Ended => (None, None, None),
        };
        let stall = if written == Written::Blocked { self.stall_due() } else { None };
        // While a frame is on its way no heart-beat would get past it.
        let beat = if written == Written::All { beat } else { None };
        [connect, silence, beat, stall, self.idle_due()].into_iter().flatten().min()
    }

    /// When a WebSocket on which nothing is heard is closed, where that is done.
    fn idle_due(&self) -> Option<Instant> {
        let idle = self.habits().ws.idle.filter(|_| self.place.entry.is_ws());
        idle.and_then(|idle| self.heard.checked_add(idle))
    }

    fn stall_due(&self) -> Option<Instant> {
        self.unstalled.checked_add(self.shared().settings.limits.stalled_for)
    }

    fn do_overdue(&mut self, now: Instant, written: Written) {
        let is_over = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let shared = self.shared().clone();
        let limits = &shared.settings.limits;
        if written == Written::Blocked && is_over(self.stall_due()) {
            let text = format!("nothing of what waits was taken for {:?}", limits.stalled_for);
            return self.refuse(&Refusal::slow_consumer(text), None);
        }
        if is_over(self.idle_due()) {
            return self.place.entry.outbox.end();
        }
        match &mut self.state {
            State::Greeting { until } if is_over(*until) => {
                let text = format!("no CONNECT within {:?}", limits.connect_within);
                self.refuse(&Refusal::limit(Limit::ConnectTime, "no CONNECT in time", text), None);
            }
            State::Leaving { until } if is_over(*until) => self.place.entry.outbox.end(),
            State::Open { beats, .. } => {
                if is_over(beats.silence_due()) {
                    if !self.held && !self.wire.stalls_reading() {
                        let agreed = beats.agreed().receive.unwrap_or_default();
                        let text = format!("nothing was heard for twice the {agreed:?} of the heart-beat");
                        let refusal = Refusal::limit(Limit::HeartBeat, "heart-beat missed", text);
                        return self.refuse(&refusal, None);
                    }
                    // It was us who did not listen.
                    beats.received(now);
                }
                if written == Written::All && is_over(beats.send_due()) {
                    beats.sent(now);
                    self.place.entry.outbox.beat();
                }
            }
            State::Greeting { .. } | State::Leaving { .. } | State::Ended => {}
        }
    }
}
