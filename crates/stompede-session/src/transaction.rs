mod run;

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};

use stompede_codec::{Command, Frame, Headers};

pub use self::run::{TransactionError, TransactionPolicy, TransactionRuns};
use crate::driver::Room;
use crate::protocol::{Outcome, TransactionId};
use crate::receipt::Receipt;
use crate::send::Unsent;
use crate::{Confirmed, Error, Message, SendBuilder, SendError, Session, rt};

/// A transaction: what is sent and acknowledged in it takes effect together, with [`commit`](Self::commit), or not at all.
///
/// Dropping it aborts it. It belongs to its connection and dies with it: then every call gives
/// [`TransactionEnded`](crate::ErrorKind::TransactionEnded) or the end of the session, and nothing that was sent in it has
/// taken effect.
///
/// A message whose ACK was part of a transaction that was aborted may be acknowledged again. What the broker does with such
/// acknowledgements is the broker's affair: Artemis ignores that they are part of a transaction.
#[must_use = "dropping it aborts it"]
pub struct Transaction {
    session: Session,
    id: TransactionId,
    /// What stands in `transaction` headers.
    name: String,
    open: AtomicBool,
}

impl Transaction {
    /// Waits for room and begins one.
    pub(crate) async fn begin(session: &Session, headers: &Headers) -> Result<Self, Error> {
        let shared = session.shared();
        let mut room = Room::new(shared, ABOUT_A_FRAME, shared.receipt_timeout);
        let begun = poll_fn(|cx| {
            room.poll(cx, |machine, _| {
                let id = machine.begin_with(headers)?;
                Ok((id, machine.transaction_name(id)?.to_owned()))
            })
        });
        let (id, name) = begun.await?;
        Ok(Self { session: session.clone(), id, name, open: AtomicBool::new(true) })
    }

    /// Which one of its session it is.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// What stands in `transaction` headers: the name it was given, or one that was made up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts a message to `destination` as part of the transaction.
    ///
    /// RabbitMQ sends the RECEIPT of such a message only after COMMIT, so [`confirm`](SendBuilder::confirm) on it is best
    /// awaited together with [`commit`](Self::commit), or not at all: a committed transaction has all its messages.
    pub fn send(&self, destination: impl AsRef<str>) -> SendBuilder<'_> {
        self.session.send(destination).in_transaction(self.id, &self.name)
    }

    /// Queues an ACK as part of the transaction.
    ///
    /// # Errors
    /// As [`Message::ack`], and [`TransactionEnded`](crate::ErrorKind::TransactionEnded);
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a message of another session.
    pub fn ack(&self, message: &Message) -> Result<(), Error> {
        message.settle_in(self.session.shared(), self.id, true, None)
    }

    /// Queues a NACK as part of the transaction.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and as [`Message::nack`].
    pub fn nack(&self, message: &Message) -> Result<(), Error> {
        message.settle_in(self.session.shared(), self.id, false, None)
    }

    /// As [`nack`](Self::nack), with more headers for the frame; see [`Message::nack_with`].
    ///
    /// # Errors
    /// As [`nack`](Self::nack), and [`Unencodable`](crate::ErrorKind::Unencodable) for headers that the version cannot
    /// carry.
    pub fn nack_with<N, V>(
        &self,
        message: &Message,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<(), Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let headers = headers.into_iter().collect();
        message.settle_in(self.session.shared(), self.id, false, Some(&headers))
    }

    /// Sends COMMIT and waits for its RECEIPT, for as long as the session's `receipt_timeout`.
    ///
    /// # Errors
    /// [`SendError::Rejected`]: the broker refused, nothing has taken effect. [`SendError::NotSent`]: COMMIT was never
    /// written, nothing has taken effect. [`SendError::Unknown`]: it may have taken effect, whole, or not at all.
    ///
    /// # Cancel safety
    /// Dropped after its first poll, COMMIT is sent all the same; only the confirmation is lost. Dropped before, the
    /// transaction is aborted.
    pub async fn commit(self) -> Result<Confirmed, SendError> {
        self.commit_shared().await
    }

    /// The same for one that others may hold as well; from here on their calls fail.
    async fn commit_shared(&self) -> Result<Confirmed, SendError> {
        let shared = self.session.shared().clone();
        let deadline = rt::now().checked_add(shared.receipt_timeout);
        let receipt = match shared.command(|machine| machine.commit(self.id, deadline)) {
            Ok(receipt) => receipt,
            Err(cause) => return Err(self.not_committed(cause)),
        };
        self.open.store(false, Ordering::Relaxed);
        match Receipt::new(shared, receipt).await {
            Some(Outcome::Confirmed) | None => Ok(Confirmed),
            Some(Outcome::Rejected(error)) => Err(SendError::Rejected(error)),
            Some(Outcome::Unknown(error)) => Err(SendError::Unknown(error)),
            Some(Outcome::NotSent(cause)) => Err(self.not_committed(cause)),
        }
    }

    /// Sends ABORT: nothing of the transaction takes effect. Never waits, and does nothing where there is no connection
    /// any more: the broker aborts then of itself.
    pub fn abort(self) {
        drop(self);
    }

    /// Why it is not open any more, although nobody has ended it.
    fn ended(&self) -> Option<Error> {
        self.session.shared().command(|machine| machine.check_transaction(self.id)).err()
    }

    fn abort_shared(&self) {
        if self.open.swap(false, Ordering::Relaxed) {
            self.session.shared().command(|machine| machine.abort_transaction(self.id));
        }
    }

    fn not_committed(&self, cause: Error) -> SendError {
        let frame = Frame::new(Command::Commit).with_header("transaction", &self.name);
        SendError::NotSent(Box::new(Unsent { frame, cause }))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.abort_shared();
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("id", &self.id).field("open", &self.open).finish_non_exhaustive()
    }
}

/// BEGIN in bytes, about.
const ABOUT_A_FRAME: usize = 64;
