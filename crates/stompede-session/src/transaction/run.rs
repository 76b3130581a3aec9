//! Runs what belongs into a transaction, and commits or aborts as it ends.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Transaction;
use crate::{Error, ErrorKind, SendError, Session, SessionState, rt};

/// What [`Session::transaction_with`] does when the connection is lost on the way.
///
/// A transaction dies with its connection, so what was sent in it before has no effect. It is never taken up where it
/// stopped: it is reported, or the whole of it is run again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TransactionPolicy {
    /// How often the work may be run in all. 1 unless set: what is lost is reported. 0 counts as 1.
    pub max_runs: u32,
    /// Whether it is run again as well when COMMIT was written and its RECEIPT was not seen. False unless set.
    ///
    /// Nobody can know then whether the broker has committed. If it has, running it again makes everything in it
    /// happen twice: choose this only for work that bears it, for example because who consumes its messages drops what it
    /// has seen before.
    pub rerun_unknown: bool,
    /// How long a run may wait for a connection. As long as the session's `receipt_timeout` unless set. Where only one run
    /// is allowed, nothing waits: that there is no connection is reported at once.
    pub connection_within: Option<Duration>,
}

impl TransactionPolicy {
    /// Runs it once; what is lost is reported.
    pub const fn report() -> Self {
        Self { max_runs: 1, rerun_unknown: false, connection_within: None }
    }

    /// Runs it again, `max_runs` times in all at most, as long as it is certain that nothing of it has taken effect.
    pub const fn run_again(max_runs: u32) -> Self {
        Self { max_runs, ..Self::report() }
    }

    /// As [`run_again`](Self::run_again), and also where it is not certain; see
    /// [`rerun_unknown`](Self::rerun_unknown) for what that costs.
    pub const fn run_again_even_if_unknown(max_runs: u32) -> Self {
        Self { rerun_unknown: true, ..Self::run_again(max_runs) }
    }
}

impl Default for TransactionPolicy {
    fn default() -> Self {
        Self::report()
    }
}

/// What became of a transaction that was not confirmed to be committed.
///
/// `E` is the error of the work that was to be done in it.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "all that can become of it; callers handle each")]
pub enum TransactionError<E> {
    /// The work failed, so the transaction was aborted: nothing has taken effect.
    Failed(E),
    /// It could not begin, or its connection was lost before COMMIT was written: nothing has taken effect.
    NotCommitted {
        /// Why.
        cause: Error,
        /// What the work made of it, if it was under way and gave up.
        error: Option<E>,
    },
    /// The broker answered COMMIT with an ERROR: nothing has taken effect.
    Rejected(Error),
    /// COMMIT was written, and the connection or the time ended before its RECEIPT: all of it has taken effect, or
    /// nothing.
    Unknown(Error),
}

impl Session {
    /// Runs `work` in a transaction: commits when it gives `Ok`, aborts when it gives an error.
    ///
    /// What is lost with a connection is reported; see [`transaction_with`](Self::transaction_with) for running it again.
    ///
    /// # Errors
    /// [`TransactionError`] says whether nothing has taken effect, or whether that cannot be known.
    ///
    /// # Cancel safety
    /// Dropped before `work` is done, the transaction is aborted. Dropped later, COMMIT is sent all the same and only the
    /// outcome is lost.
    pub async fn transaction<T, E, F>(
        &self,
        work: impl FnMut(Arc<Transaction>) -> F,
    ) -> Result<T, TransactionError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.transaction_with(TransactionPolicy::report(), work).await
    }

    /// As [`transaction`](Self::transaction), and runs `work` again as `policy` says when the connection is lost.
    ///
    /// Each run is a transaction of its own, on the connection that there is then. Nothing outside of the transaction is
    /// undone, and a message that an earlier connection delivered cannot be acknowledged in a later run
    /// ([`StaleAck`](ErrorKind::StaleAck)): the broker delivers it again, so work that acknowledges what it has received is
    /// better reported than run again.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction), for the last run.
    ///
    /// # Cancel safety
    /// As [`transaction`](Self::transaction).
    pub async fn transaction_with<T, E, F>(
        &self,
        policy: TransactionPolicy,
        mut work: impl FnMut(Arc<Transaction>) -> F,
    ) -> Result<T, TransactionError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut runs = TransactionRuns::new(self.clone(), policy);
        loop {
            let transaction = Arc::new(runs.begin().await?);
            let done = work(transaction.clone()).await;
            if let Some(outcome) = runs.end(&transaction, done).await {
                return outcome;
            }
        }
    }
}

/// The runs of one piece of work, step by step, for a caller that does the work in its own way.
#[doc(hidden)]
#[derive(Debug)]
pub struct TransactionRuns {
    session: Session,
    policy: TransactionPolicy,
    begun: u32,
}

impl TransactionRuns {
    pub fn new(session: Session, policy: TransactionPolicy) -> Self {
        Self { session, policy, begun: 0 }
    }

    /// Begins the next run. Waits for a connection if there may be another run.
    pub async fn begin<E>(&mut self) -> Result<Transaction, TransactionError<E>> {
        let begun = if self.policy.max_runs > 1 {
            self.begin_when_connected().await
        } else {
            self.session.begin().await
        };
        self.begun += 1;
        begun.map_err(|cause| TransactionError::NotCommitted { cause, error: None })
    }

    async fn begin_when_connected(&self) -> Result<Transaction, Error> {
        let within = self.policy.connection_within.unwrap_or(self.session.receipt_timeout());
        let until = rt::now().checked_add(within);
        // What changes from here on is seen, and a state that is not true any more is followed by another.
        let mut state = self.session.state_changes();
        loop {
            let offline = match self.session.begin().await {
                Err(error) if error.kind() == ErrorKind::ConnectionLost => error,
                begun => return begun,
            };
            if matches!(&*state.borrow_and_update(), SessionState::Closed(_)) {
                return Err(offline);
            }
            let left = until.map(|until| until.saturating_duration_since(rt::now()));
            let runtime = &self.session.shared().runtime;
            match rt::timeout_in(runtime, left.unwrap_or(Duration::MAX), state.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return Err(offline),
            }
        }
    }

    /// Commits or aborts. `None`: nothing has come of it, and it is to be run again.
    pub async fn end<T, E>(
        &self,
        transaction: &Transaction,
        done: Result<T, E>,
    ) -> Option<Result<T, TransactionError<E>>> {
        let may_run_again = self.begun < self.policy.max_runs;
        let (cause, error) = match done {
            Ok(value) => match transaction.commit_shared().await {
                Ok(_) => return Some(Ok(value)),
                Err(SendError::Rejected(error)) => return Some(Err(TransactionError::Rejected(error))),
                Err(SendError::Unknown(_)) if may_run_again && self.policy.rerun_unknown => return None,
                Err(SendError::Unknown(error)) => return Some(Err(TransactionError::Unknown(error))),
                Err(SendError::NotSent(unsent)) => (unsent.cause, None),
            },
            Err(error) => match transaction.ended() {
                Some(cause) => (cause, Some(error)),
                None => {
                    transaction.abort_shared();
                    return Some(Err(TransactionError::Failed(error)));
                }
            },
        };
        let lost = matches!(cause.kind(), ErrorKind::TransactionEnded | ErrorKind::ConnectionLost);
        // Does nothing where the connection has gone.
        transaction.abort_shared();
        if lost && may_run_again {
            return None;
        }
        Some(Err(TransactionError::NotCommitted { cause, error }))
    }
}

impl<E> TransactionError<E> {
    /// Why the connection, the broker or the time did not let it be committed; `None` if it was the work that failed.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            Self::Failed(_) => None,
            Self::NotCommitted { cause, .. } | Self::Rejected(cause) | Self::Unknown(cause) => Some(cause),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TransactionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "the transaction was aborted: {error}"),
            Self::NotCommitted { cause, .. } => write!(f, "the transaction was not committed: {cause}"),
            Self::Rejected(cause) => write!(f, "the broker refused to commit the transaction: {cause}"),
            Self::Unknown(cause) => write!(f, "whether the transaction was committed is unknown: {cause}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for TransactionError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::NotCommitted { cause, .. } | Self::Rejected(cause) | Self::Unknown(cause) => Some(cause),
        }
    }
}
