//! An outbox behind the machine, which takes its time and fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use stompede_codec::Frame;
use stompede_session::protocol::{OutboxJob, Outcome, ReceiptId};
use stompede_session::{Config, Guarantee, Outbox, OutboxFuture, OutboxId, Stored};

use super::{MS, Seen, World};
use crate::broker::body_number;
use crate::random::Random;

pub(super) struct Disk {
    /// Its own, so that lives without one are as they were.
    random: Random,
    in_use: bool,
    /// What is on it, in order.
    lines: Vec<(OutboxId, usize)>,
    /// Messages that have ever been on it.
    ever: BTreeSet<usize>,
    /// What was asked, and when it answers.
    asked: Option<(Instant, OutboxJob)>,
    /// Who waits for a message to be there.
    waiters: Vec<(usize, ReceiptId)>,
}

/// Stands for one in the settings: the world does itself what is asked.
struct Elsewhere;

impl Outbox for Elsewhere {
    fn load(&self) -> OutboxFuture<'_, Vec<Stored>> {
        Box::pin(async { Err("the world is asked".into()) })
    }

    fn append<'a>(&'a self, _: &'a [Stored]) -> OutboxFuture<'a, ()> {
        Box::pin(async { Err("the world is asked".into()) })
    }

    fn remove<'a>(&'a self, _: &'a [OutboxId]) -> OutboxFuture<'a, ()> {
        Box::pin(async { Err("the world is asked".into()) })
    }
}

impl Disk {
    pub(super) fn new(seed: u64, config: &mut Config) -> Self {
        let mut random = Random(seed ^ 0x6469_736b);
        let in_use = config.sending.guarantee == Guarantee::AtLeastOnce && random.one_in(3);
        if in_use {
            config.outbox = Some(Arc::new(Elsewhere));
        }
        let (lines, ever, waiters) = (Vec::new(), BTreeSet::new(), Vec::new());
        Self { random, in_use, lines, ever, asked: None, waiters }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.asked.as_ref().map(|(at, _)| *at)
    }
}

impl World {
    /// The next thing that the machine wants of it; `false` if there is none, or one is under way.
    pub(super) fn ask_disk(&mut self) -> bool {
        if self.disk.asked.is_some() {
            return false;
        }
        let Some(job) = self.machine.poll_outbox() else { return false };
        let at = self.now + MS * self.disk.random.up_to(1500) as u32;
        self.disk.asked = Some((at, job));
        true
    }

    /// It answers, if it is time to.
    pub(super) fn disk_answers(&mut self) -> Seen<()> {
        if self.disk.due().is_none_or(|at| at > self.now) {
            return Ok(());
        }
        let Some((_, job)) = self.disk.asked.take() else { return Ok(()) };
        let fails = self.faults && self.disk.random.one_in(8);
        let disk = &mut self.disk;
        match job {
            OutboxJob::Append(messages) => {
                // A failure may leave some of them there.
                let kept = if fails {
                    disk.random.up_to(messages.len() as u64 + 1) as usize
                } else {
                    messages.len()
                };
                for Stored { id, frame, .. } in messages.into_iter().take(kept) {
                    if frame.headers().contains("receipt") {
                        return Err("the receipt of a session is kept".into());
                    }
                    let number = body_number(&frame).ok_or("a message that nobody sent is kept")?;
                    if disk.lines.last().is_some_and(|(_, last)| *last > number) {
                        return Err(format!("m{number} is kept behind a later one"));
                    }
                    disk.lines.push((id, number));
                    disk.ever.insert(number);
                }
            }
            OutboxJob::Remove(ids) if !fails => disk.lines.retain(|(id, _)| !ids.contains(id)),
            OutboxJob::Remove(_) => {}
        }
        let done = if fails { Err("the disk is full".into()) } else { Ok(()) };
        self.machine.outbox_done(self.now, done);
        self.settle()
    }

    /// Sends what nobody wants a RECEIPT for. It may have to be kept first, and somebody may wait for that.
    pub(super) fn send_unconfirmed(
        &mut self,
        number: usize,
        frame: &Frame,
    ) -> Result<(), stompede_session::Error> {
        if !self.disk.in_use {
            return self.machine.send(frame);
        }
        let deadline = self.now + MS * self.disk.random.up_to(4000) as u32;
        if let Some(waiter) = self.machine.send_stored(frame, Some(deadline))? {
            if self.disk.random.one_in(6) {
                // Dropped at once: it must never be sent.
                self.machine.forget_receipt(waiter);
                return Err(stompede_session::Error::invalid("dropped"));
            }
            self.disk.waiters.push((number, waiter));
        }
        Ok(())
    }

    /// Nobody awaits the RECEIPT of this one any more: if it has yet to be kept, it must never be sent.
    pub(super) fn forget_unkept(&mut self, number: usize) {
        if self.disk.in_use && !self.sends[number].in_transaction && !self.disk.ever.contains(&number) {
            self.sends[number].outcome = Some(Outcome::NotSent(stompede_session::Error::invalid("dropped")));
        }
    }

    pub(super) fn look_at_disk(&mut self) -> Seen<()> {
        if !self.disk.in_use {
            return Ok(());
        }
        let mut cx = Context::from_waker(Waker::noop());
        for (number, waiter) in std::mem::take(&mut self.disk.waiters) {
            match self.machine.poll_receipt(waiter, &mut cx) {
                Poll::Pending => self.disk.waiters.push((number, waiter)),
                Poll::Ready(Some(Outcome::Confirmed)) if self.disk.ever.contains(&number) => {}
                Poll::Ready(Some(outcome @ Outcome::NotSent(_))) => {
                    self.sends[number].outcome = Some(outcome)
                }
                Poll::Ready(other) => return Err(format!("m{number} was to be kept, and: {other:?}")),
            }
        }
        let written = self.broker.accepted.iter().chain(&self.broker.rejected);
        for number in written.copied().filter(|number| !self.sends[*number].in_transaction) {
            if !self.disk.ever.contains(&number) {
                return Err(format!("m{number} was written before it was kept"));
            }
        }
        Ok(())
    }

    /// The session has ended: what is left is what nobody knows the end of.
    pub(super) fn disk_at_the_end(&self, in_order: bool) -> Seen<()> {
        for (_, number) in &self.disk.lines {
            let outcome = &self.sends[*number].outcome;
            if in_order || !matches!(outcome, None | Some(Outcome::Unknown(_))) {
                return Err(format!("m{number} is still kept, and: {outcome:?}"));
            }
        }
        Ok(())
    }
}
