//! What has to be true after every step, in peace, and in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll, Waker};

use stompede_session::protocol::Outcome;
use stompede_session::{ErrorKind, Guarantee};

use super::{SECOND, Seen, World};
use crate::broker::FORBIDDEN;

impl World {
    /// What has to be true after every step.
    pub(super) fn look(&mut self) -> Seen<()> {
        let mut cx = Context::from_waker(Waker::noop());
        for (number, send) in self.sends.iter_mut().enumerate() {
            let Some(receipt) = send.receipt.filter(|_| send.outcome.is_none()) else { continue };
            match self.machine.poll_receipt(receipt, &mut cx) {
                Poll::Ready(Some(outcome)) => {
                    let accepted = self.broker.times(number);
                    let truth = match &outcome {
                        Outcome::Confirmed => accepted > 0,
                        Outcome::Rejected(_) => self.broker.rejected.contains(&number),
                        Outcome::NotSent(_) => accepted == 0,
                        Outcome::Unknown(_) => true,
                    };
                    if !truth {
                        return Err(format!("m{number}: {outcome:?}, but taken {accepted} times"));
                    }
                    send.accepted_when_resolved = accepted;
                    send.outcome = Some(outcome);
                }
                Poll::Ready(None) => return Err(format!("m{number} has lost its receipt")),
                Poll::Pending if send.deadline.is_some_and(|deadline| deadline + SECOND < self.now) => {
                    return Err(format!("m{number} is still awaited after its deadline"));
                }
                Poll::Pending => {}
            }
        }
        self.look_at_disk()?;
        self.look_at_acks()?;
        self.look_at_transactions()?;
        let (messages, bytes) = self.machine.kept();
        let limits = self.config.sending.outbox;
        if messages > limits.messages || bytes > limits.bytes {
            return Err(format!("the outbox holds {messages} messages, {bytes} bytes"));
        }
        if self.machine.queued_bytes() > limits.bytes + 64 * 1024 {
            return Err("the queue has no bound".into());
        }
        Ok(())
    }

    /// Faults are over for two minutes.
    pub(super) fn at_peace(&mut self) -> Seen<()> {
        if self.broker.refuses_login {
            match self.grammar.closed {
                Some(Some(ErrorKind::LoginRefused)) => return Ok(()),
                // It was connected when the login was revoked, and stays so.
                None if self.grammar.connected => {}
                other => return Err(format!("the login is refused, and the session: {other:?}")),
            }
        }
        if let Some(closed) = &self.grammar.closed {
            return Err(format!(
                "it has ended for good: {closed:?}, {:?}",
                self.machine.history().to_string()
            ));
        }
        if !self.grammar.connected {
            return Err(format!("it never came back: {:?}", self.machine.attempt().last_error));
        }
        let conn = self.broker.conn.as_ref().ok_or("connected to nobody")?;
        let at_broker: BTreeSet<_> = conn.subscriptions.keys().collect();
        let wanted: BTreeSet<_> = self.subscriptions.values().map(|one| &one.wire_id).collect();
        if at_broker != wanted {
            return Err(format!("subscribed at the broker: {at_broker:?}, wanted: {wanted:?}"));
        }
        self.acks_at_peace()?;
        if self.machine.kept() != (0, 0) && !self.lost_receipts {
            return Err(format!(
                "all is confirmed, and {:?} messages and bytes are kept",
                self.machine.kept()
            ));
        }
        for (number, send) in self.sends.iter().enumerate() {
            let refused = send.destination == FORBIDDEN;
            let given_up = matches!(send.outcome, Some(Outcome::NotSent(_) | Outcome::Unknown(_)));
            let replayed = self.config.sending.guarantee == Guarantee::AtLeastOnce;
            if send.in_transaction {
                continue;
            }
            let age = self.now - send.made;
            let expired = self.config.sending.outbox.expiry.is_some_and(|expiry| age >= expiry);
            if replayed && !refused && !given_up && !expired && self.broker.times(number) == 0 {
                return Err(format!("m{number} was taken in {age:?} ago, and never arrived"));
            }
        }
        Ok(())
    }

    pub(super) fn at_the_end(&mut self) -> Seen<()> {
        match (&self.grammar.closed, self.broker.refuses_login) {
            (Some(None), _) | (Some(Some(ErrorKind::LoginRefused)), true) => {}
            // It waited, in vain, for the one that was lost.
            (Some(Some(ErrorKind::DisconnectTimedOut)), _) if self.lost_receipts => {}
            (other, _) => return Err(format!("the end: {other:?}")),
        }
        if self.deadline.is_some() || self.machine.kept() != (0, 0) || self.machine.queued_bytes() > 0 {
            return Err(format!("something is left: {:?}, {:?}", self.deadline, self.machine.kept()));
        }
        self.disk_at_the_end(matches!(self.grammar.closed, Some(None)))?;
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for number in self.broker.accepted.iter().copied().filter(|number| seen.insert(*number)) {
            if self.sends[number].in_transaction {
                continue;
            }
            let before = last.insert(&self.sends[number].destination, number);
            if before.is_some_and(|before| before > number) {
                return Err(format!("m{number} arrived after m{before:?}"));
            }
        }
        for (number, send) in self.sends.iter().enumerate() {
            let accepted = self.broker.times(number);
            match (&send.outcome, send.receipt) {
                (None, Some(_)) => return Err(format!("m{number} never got an outcome")),
                (Some(Outcome::NotSent(_)), _) if accepted > 0 => {
                    return Err(format!("m{number} was called not sent, and arrived"));
                }
                (Some(Outcome::Confirmed), _) if accepted > send.accepted_when_resolved => {
                    return Err(format!("m{number} was sent again after it was confirmed"));
                }
                _ => {}
            }
            if accepted > 1 && self.config.sending.guarantee == Guarantee::AtMostOnce {
                return Err(format!("m{number} arrived {accepted} times, at most once was promised"));
            }
        }
        Ok(())
    }
}
