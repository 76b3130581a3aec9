use stompede_session::TransactionRuns;
use stompede_session::protocol::TransactionId;

use super::Client;
use super::thread::refuse_runtime;
use crate::{
    Command, Confirmed, Error, Frame, Message, SendBuilder, SendError, TransactionError, TransactionPolicy,
};

impl Client {
    /// Runs `work` in a transaction: commits when it gives `Ok`, aborts when it gives an error; see
    /// [`crate::Client::transaction`].
    ///
    /// # Errors
    /// As [`crate::Client::transaction`]; [`TransactionError::NotCommitted`] inside an async runtime, without having run
    /// anything.
    pub fn transaction<T, E>(
        &self,
        work: impl FnMut(&Transaction) -> Result<T, E>,
    ) -> Result<T, TransactionError<E>> {
        self.transaction_with(TransactionPolicy::report(), work)
    }

    /// As [`transaction`](Self::transaction), and runs `work` again as `policy` says when the connection is lost; see
    /// [`crate::Client::transaction_with`].
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction), for the last run.
    pub fn transaction_with<T, E>(
        &self,
        policy: TransactionPolicy,
        mut work: impl FnMut(&Transaction) -> Result<T, E>,
    ) -> Result<T, TransactionError<E>> {
        refuse_runtime().map_err(|cause| TransactionError::NotCommitted { cause, error: None })?;
        let mut runs = TransactionRuns::new(self.client.session().clone(), policy);
        loop {
            let transaction = Transaction::new(self.thread.scoped(runs.begin())?, self.clone());
            let done = work(&transaction);
            if let Some(outcome) = self.thread.scoped(runs.end(&transaction.inner, done)) {
                return outcome;
            }
        }
    }
}

/// What is sent and acknowledged in it takes effect together, with [`commit`](Self::commit), or not at all; see
/// [`crate::Transaction`]. Dropping it aborts it.
#[derive(Debug)]
#[must_use = "dropping it aborts it"]
pub struct Transaction {
    inner: crate::Transaction,
    client: Client,
}

impl Transaction {
    pub(super) fn new(inner: crate::Transaction, client: Client) -> Self {
        Self { inner, client }
    }

    /// Which one of its session it is.
    pub fn id(&self) -> TransactionId {
        self.inner.id()
    }

    /// What stands in `transaction` headers.
    pub fn name(&self) -> &str {
        self.inner.name()
    }

    /// Hands a message over as part of the transaction; `fill` gives it headers and a body.
    ///
    /// # Errors
    /// [`SendError::NotSent`] gives the frame back.
    pub fn send(
        &self,
        destination: &str,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
    ) -> Result<(), SendError> {
        self.client.wait(fill(self.inner.send(destination)), async |send| send.await)
    }

    /// Queues an ACK as part of the transaction. Never waits.
    ///
    /// # Errors
    /// As [`crate::Transaction::ack`].
    pub fn ack(&self, message: &Message) -> Result<(), Error> {
        self.inner.ack(message)
    }

    /// Queues a NACK as part of the transaction. Never waits.
    ///
    /// # Errors
    /// As [`crate::Transaction::nack`].
    pub fn nack(&self, message: &Message) -> Result<(), Error> {
        self.inner.nack(message)
    }

    /// Sends COMMIT and waits for its RECEIPT.
    ///
    /// # Errors
    /// As [`crate::Transaction::commit`]. [`SendError::NotSent`] inside an async runtime: the transaction is aborted.
    pub fn commit(self) -> Result<Confirmed, SendError> {
        let Self { inner, client } = self;
        match refuse_runtime() {
            Ok(()) => client.thread.scoped(inner.commit()),
            Err(error) => {
                let commit = Frame::new(Command::Commit).with_header("transaction", inner.name());
                Err(client.client.send_frame(commit).give_up(error))
            }
        }
    }

    /// Sends ABORT: nothing of the transaction takes effect. Never waits.
    pub fn abort(self) {
        self.inner.abort();
    }
}
