//! What takes effect together, or not at all.

use std::task::{Context, Poll, Waker};

use stompede_codec::{Command, Frame};
use stompede_session::protocol::{Outcome, ReceiptId, TransactionId};

use super::users::Send;
use super::{Seen, World};

/// Where messages of transactions go, and no others.
pub(super) const TRANSACTED: &str = "/queue/transacted";

/// What takes effect together, or not at all.
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    /// The connection that it belongs to.
    epoch: u64,
    sends: Vec<usize>,
    /// Places of received messages, and whether they were acknowledged or rejected.
    pub(super) acks: Vec<(usize, bool)>,
    end: End,
    outcome: Option<Outcome>,
}

enum End {
    Open,
    Aborted,
    Committed(Option<ReceiptId>),
}

impl Transaction {
    pub(super) fn is_open(&self, epoch: u64) -> bool {
        matches!(self.end, End::Open) && self.epoch == epoch
    }

    /// What was acknowledged in it may be acknowledged again.
    pub(super) fn is_aborted(&self, epoch: u64) -> bool {
        match self.end {
            End::Open => self.epoch != epoch,
            End::Aborted => true,
            End::Committed(_) => false,
        }
    }
}

impl World {
    /// Begins a transaction, sends and acknowledges in it, and ends it or leaves it open.
    pub(super) fn transact(&mut self) -> Seen<()> {
        let Ok(id) = self.machine.begin() else { return Ok(()) };
        let (epoch, at) = (self.machine.epoch(), self.transactions.len());
        let made =
            Transaction { id, epoch, sends: Vec::new(), acks: Vec::new(), end: End::Open, outcome: None };
        self.transactions.push(made);
        self.go_on(at)?;
        if self.random.one_in(2) { Ok(()) } else { self.end_transaction(at) }
    }

    /// Goes on with one that was left open, or ends it.
    pub(super) fn transact_further(&mut self) -> Seen<()> {
        let open = |one: &Transaction| matches!(one.end, End::Open);
        let open: Vec<_> = (0..self.transactions.len()).filter(|at| open(&self.transactions[*at])).collect();
        if open.is_empty() {
            return Ok(());
        }
        let at = open[self.random.up_to(open.len() as u64) as usize];
        if self.random.one_in(3) { self.go_on(at) } else { self.end_transaction(at) }
    }

    fn go_on(&mut self, at: usize) -> Seen<()> {
        for _ in 0..1 + self.random.up_to(6) {
            // Now and then the connection takes what there is so far, so that a loss falls in between.
            if self.random.one_in(3) {
                self.settle()?;
            }
            match self.random.up_to(4) {
                0 => self.send_in(at),
                // Beside it.
                1 => drop(self.acknowledge_one(None)?),
                _ => drop(self.acknowledge_one(Some(at))?),
            }
        }
        Ok(())
    }

    fn send_in(&mut self, at: usize) {
        let (number, id) = (self.sends.len(), self.transactions[at].id);
        let destination = TRANSACTED.to_owned();
        let frame = Frame::new(Command::Send)
            .with_header("destination", &destination)
            .with_header("transaction", id.to_string())
            .with_body(format!("m{number} "));
        if self.machine.check_transaction(id).and_then(|()| self.machine.send(&frame)).is_ok() {
            self.transactions[at].sends.push(number);
        }
        self.sends.push(Send {
            receipt: None,
            deadline: None,
            outcome: None,
            accepted_when_resolved: 0,
            destination,
            made: self.now,
            in_transaction: true,
        });
    }

    fn end_transaction(&mut self, at: usize) -> Seen<()> {
        let Transaction { id, epoch, .. } = self.transactions[at];
        if self.random.one_in(3) {
            self.machine.abort_transaction(id);
            self.transactions[at].end = End::Aborted;
            self.release(at);
            return Ok(());
        }
        let deadline = Some(self.soon());
        match self.machine.commit(id, deadline) {
            Ok(_) if epoch != self.machine.epoch() => return Err("an old transaction was committed".into()),
            Ok(receipt) => {
                // Now and then the future is dropped: COMMIT goes out all the same.
                let dropped = self.random.one_in(6);
                if dropped {
                    self.machine.forget_receipt(receipt);
                }
                self.transactions[at].end = End::Committed(Some(receipt).filter(|_| !dropped));
                for (message, accept) in self.transactions[at].acks.clone() {
                    self.cover(message, accept, Some(at));
                }
            }
            // Whoever cannot commit drops the guard, which aborts.
            Err(error) => {
                self.machine.abort_transaction(id);
                self.transactions[at].end = End::Aborted;
                self.release(at);
                self.transactions[at].outcome = Some(Outcome::NotSent(error));
            }
        }
        Ok(())
    }

    /// All or nothing, and what was said of it is true.
    pub(super) fn look_at_transactions(&mut self) -> Seen<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken_back = Vec::new();
        for (at, made) in self.transactions.iter_mut().enumerate() {
            let taken = made.sends.iter().filter(|number| self.broker.times(**number) == 1).count();
            if taken != 0 && taken != made.sends.len() {
                return Err(format!("half of a transaction arrived: {:?}", made.sends));
            }
            if let End::Committed(receipt) = &mut made.end
                && let Some(awaited) = *receipt
                && let Poll::Ready(Some(outcome)) = self.machine.poll_receipt(awaited, &mut cx)
            {
                *receipt = None;
                if let Outcome::NotSent(_) = outcome {
                    made.end = End::Aborted;
                    taken_back.push(at);
                }
                made.outcome = Some(outcome);
            }
            let committed = matches!(made.end, End::Committed(_));
            let truth = match &made.outcome {
                None => committed || taken == 0,
                Some(Outcome::Confirmed) => taken == made.sends.len(),
                Some(Outcome::NotSent(_) | Outcome::Rejected(_)) => taken == 0,
                Some(Outcome::Unknown(_)) => true,
            };
            if !truth {
                return Err(format!("{:?}: {:?}, but {taken} arrived", made.sends, made.outcome));
            }
            let effective = taken > 0 || matches!(made.outcome, Some(Outcome::Confirmed));
            let mut acks = made.acks.iter().map(|(at, _)| self.received[*at].id());
            if effective && let Some(id) = acks.find(|id| !self.broker.ever_settled.contains(id)) {
                return Err(format!("a transaction was committed without its ACK for {id}"));
            }
        }
        taken_back.into_iter().for_each(|at| self.uncover(at));
        Ok(())
    }
}
