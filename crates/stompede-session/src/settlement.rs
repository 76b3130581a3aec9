use std::sync::{Arc, Mutex, PoisonError};

use stompede_codec::Frame;

use crate::driver::Shared;
use crate::protocol::{Fate, ReceiptId, Settle, Ticket, TransactionId};
use crate::{Error, ErrorKind};

/// The right to acknowledge one message, shared by its clones.
pub(crate) struct Settlement {
    shared: Arc<Shared>,
    ticket: Ticket,
    state: Mutex<State>,
}

enum State {
    Open,
    Settled,
    /// Settled when this transaction is committed, and open again once it has been aborted.
    In(TransactionId, Fate),
}

impl Settlement {
    pub(crate) fn new(shared: Arc<Shared>, ticket: Ticket) -> Self {
        shared.activity.enter();
        Self { shared, ticket, state: Mutex::new(State::Open) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.shared.command(|machine| machine.is_stale(&self.ticket))
    }

    pub(crate) fn settle(&self, frame: &Frame, how: Settle<'_>) -> Result<Option<ReceiptId>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_open() {
            let text = "the message was acknowledged or rejected before";
            return Err(Error::new(ErrorKind::AlreadySettled, text));
        }
        let (receipt, next) = self.shared.command(|machine| {
            let receipt = machine.settle(&self.ticket, frame, how)?;
            let part_of = how.transaction.and_then(|id| Some(State::In(id, machine.fate(id)?)));
            Ok::<_, Error>((receipt, part_of.unwrap_or(State::Settled)))
        })?;
        // Only now: what was refused leaves the message as it was. NACK refused in 1.0 leaves ACK open.
        let first = matches!(std::mem::replace(&mut *state, next), State::Open);
        drop(state);
        if first {
            self.shared.activity.leave();
        }
        Ok(receipt)
    }
}

impl State {
    fn is_open(&self) -> bool {
        match self {
            Self::Open => true,
            Self::Settled => false,
            Self::In(_, fate) => fate.is_aborted(),
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        match state {
            State::Open => self.shared.command(|machine| machine.note_unsettled(&self.ticket)),
            State::In(id, fate) => self.shared.command(|machine| match fate.is_aborted() {
                true => machine.note_unsettled(&self.ticket),
                false => machine.note_dropped_in(*id, &self.ticket),
            }),
            State::Settled => {}
        }
        if let State::Open = state {
            self.shared.activity.leave();
        }
    }
}
