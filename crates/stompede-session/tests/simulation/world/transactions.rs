//! What takes effect together, or not at all.

use std::task::{Context, Poll, Waker};

use stompede_codec::{Command, Frame};
use stompede_session::protocol::{Outcome, ReceiptId};

use super::look::count;
use super::users::Send;
use super::{SECOND, Seen, World};

/// Where messages of transactions go, and no others.
pub(super) const TRANSACTED: &str = "/queue/transacted";

/// What takes effect together, or not at all.
pub(super) struct Transaction {
    pub(super) sends: Vec<usize>,
    pub(super) commit: Option<ReceiptId>,
    pub(super) outcome: Option<Outcome>,
}

impl World {
    /// Begins a transaction, sends in it, and commits it, or leaves it open, or aborts it.
    pub(super) fn transact(&mut self) -> Seen<()> {
        let Ok(id) = self.machine.begin() else { return Ok(()) };
        let mut made = Transaction { sends: Vec::new(), commit: None, outcome: None };
        for _ in 0..1 + self.random.up_to(3) {
            // Now and then the connection takes what there is so far, so that a loss falls in between.
            if self.random.one_in(3) {
                self.settle()?;
            }
            let number = self.sends.len();
            let destination = TRANSACTED.to_owned();
            let frame = Frame::new(Command::Send)
                .with_header("destination", &destination)
                .with_header("transaction", id.to_string())
                .with_body(format!("m{number} "));
            if self.machine.check_transaction(id).and_then(|()| self.machine.send(&frame)).is_ok() {
                made.sends.push(number);
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
        match self.random.up_to(4) {
            0 => self.machine.abort_transaction(id),
            1 => {}
            _ => match self.machine.commit(id, self.now.checked_add(20 * SECOND)) {
                Ok(receipt) => made.commit = Some(receipt),
                Err(error) => made.outcome = Some(Outcome::NotSent(error)),
            },
        }
        self.transactions.push(made);
        Ok(())
    }

    /// All or nothing, and what was said of it is true.
    pub(super) fn look_at_transactions(&mut self) -> Seen<()> {
        let mut cx = Context::from_waker(Waker::noop());
        for made in &mut self.transactions {
            let taken =
                made.sends.iter().filter(|number| count(&self.broker.accepted, **number) == 1).count();
            if taken != 0 && taken != made.sends.len() {
                return Err(format!("half of a transaction arrived: {:?}", made.sends));
            }
            if let Some(receipt) = made.commit.filter(|_| made.outcome.is_none())
                && let Poll::Ready(Some(outcome)) = self.machine.poll_receipt(receipt, &mut cx)
            {
                made.outcome = Some(outcome);
            }
            let truth = match &made.outcome {
                None => made.commit.is_some() || taken == 0,
                Some(Outcome::Confirmed) => taken == made.sends.len(),
                Some(Outcome::NotSent(_) | Outcome::Rejected(_)) => taken == 0,
                Some(Outcome::Unknown(_)) => true,
            };
            if !truth {
                return Err(format!("{:?}: {:?}, but {taken} arrived", made.sends, made.outcome));
            }
        }
        Ok(())
    }
}
