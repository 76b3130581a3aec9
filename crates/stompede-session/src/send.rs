use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use stompede_codec::{Command, Frame};

use crate::driver::Room;
use crate::protocol::{Outcome, ReceiptId, TransactionId};
use crate::{Body, Error, ErrorKind, Session, rt};

/// A SEND in the making; made by [`Session::send`].
///
/// `.await` hands it over, [`confirm`](Self::confirm) also waits for the broker's RECEIPT.
#[must_use = "nothing is sent until it is awaited"]
pub struct SendBuilder<'a> {
    session: &'a Session,
    frame: Frame,
    deadline: Option<Duration>,
    transaction: Option<TransactionId>,
    /// What went wrong while it was made; reported when it is sent.
    error: Option<Error>,
}

/// The broker's RECEIPT for a frame has arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Confirmed;

/// What became of a message that was not confirmed.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the three truths beside Confirmed; callers handle each")]
pub enum SendError {
    /// The broker answered with an ERROR for this very frame: it was not accepted.
    Rejected(Error),
    /// The frame was never written; here it is again, with the reason.
    NotSent(Box<Unsent>),
    /// The frame was written, and the connection or the time ended before its RECEIPT: the broker may have it.
    ///
    /// Also where the session ended and the frame is kept in an [`Outbox`](crate::Outbox): the next session sends it.
    Unknown(Error),
}

/// A frame that was not sent, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unsent {
    /// The frame as it was to be sent.
    pub frame: Frame,
    /// Why it was not.
    pub cause: Error,
}

impl<'a> SendBuilder<'a> {
    pub(crate) fn new(session: &'a Session, destination: &str) -> Self {
        let error = destination
            .is_empty()
            .then(|| Error::invalid("a message needs a destination, and this one is empty"));
        let frame = Frame::new(Command::Send).with_header("destination", destination);
        Self { session, frame, deadline: None, transaction: None, error }
    }

    pub(crate) fn raw(session: &'a Session, frame: Frame) -> Self {
        Self { session, frame, deadline: None, transaction: None, error: None }
    }

    /// Adds a header. Repeated headers are kept in order; the first one counts.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.frame.headers_mut().push(name, value);
        self
    }

    /// Adds headers, in this order.
    pub fn headers<N, V>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        self.frame.headers_mut().extend(headers);
        self
    }

    /// Sets the body: any bytes. Sets no `content-type`.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.frame.set_body(body);
        self
    }

    /// Sets a text body, and `content-type: text/plain` unless there is a `content-type` already.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.content_type("text/plain").body(text.into())
    }

    /// Sets a JSON body, and `content-type: application/json` unless there is a `content-type` already.
    ///
    /// A value that has no JSON form is reported when the message is sent.
    #[cfg(feature = "json")]
    pub fn json(mut self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => self.content_type(crate::body::JSON).body(json),
            Err(error) => {
                self.error.get_or_insert(Error::invalid_because("the body has no JSON form", error));
                self
            }
        }
    }

    /// Sets the body to a text in the charset that `content_type` names, such as `text/plain;charset=iso-8859-1`, and the
    /// header `content-type` with it.
    ///
    /// A charset that is not known, or has not all of these characters, is reported when the message is sent.
    #[cfg(feature = "encoding")]
    pub fn encode_text(mut self, content_type: &str, text: &str) -> Self {
        if let Err(error) = self.frame.set_text(content_type, text) {
            self.error.get_or_insert(Error::invalid_because("the text cannot be written", error));
        }
        self
    }

    /// Sets the body to a value of a type of one's own, and `content-type` unless there is one already.
    ///
    /// A value that has no such form is reported when the message is sent.
    pub fn value(mut self, value: &impl Body) -> Self {
        match value.write() {
            Ok(body) => self.content_type(value.content_type()).body(body),
            Err(error) => {
                self.error.get_or_insert(Error::invalid_boxed("the body cannot be written", error));
                self
            }
        }
    }

    /// Limits the wait for room and for the RECEIPT; the session's `receipt_timeout` unless set.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// Makes the message part of a transaction.
    pub(crate) fn in_transaction(mut self, transaction: TransactionId, name: &str) -> Self {
        self.transaction = Some(transaction);
        self.header("transaction", name)
    }

    /// Sends the message and waits for the broker's RECEIPT.
    ///
    /// # Errors
    /// [`SendError`] says whether the broker refused the message, whether it was never sent, or whether that
    /// cannot be known.
    ///
    /// # Cancel safety
    /// Dropped before it was handed over (it waits only while the queue is full, and for an
    /// [`Outbox`](crate::Outbox) to append it), nothing is sent. Dropped later, the message is sent and only the
    /// confirmation is lost.
    #[inline]
    pub fn confirm(self) -> ConfirmFuture<'a> {
        ConfirmFuture { hand_over: self.into_hand_over(true), receipt: Step::HandingOver }
    }

    /// The frame as it stands.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Sends nothing: gives the frame back as [`SendError::NotSent`], for this reason.
    #[must_use = "the frame comes back in it"]
    pub fn give_up(self, cause: Error) -> SendError {
        SendError::NotSent(Box::new(Unsent { frame: self.frame, cause }))
    }

    #[inline]
    fn into_hand_over(self, want_receipt: bool) -> HandOver<'a> {
        let within = self.deadline.unwrap_or(self.session.receipt_timeout());
        let bytes = self.frame.body().len() + ABOUT_A_HEAD;
        let room = Room::new(self.session.shared(), bytes, within);
        HandOver {
            room: if want_receipt { room.for_awaited() } else { room },
            frame: self.frame,
            transaction: self.transaction,
            want_receipt,
            error: self.error,
            looked_at: false,
        }
    }

    fn content_type(mut self, content_type: &str) -> Self {
        if !self.frame.headers().contains("content-type") {
            self.frame.headers_mut().push("content-type", content_type);
        }
        self
    }
}

/// Hands a frame to the session; made by awaiting a [`SendBuilder`].
///
/// It waits only while the session's queue is full, and until the message has been appended to the
/// [`Outbox`](crate::Outbox), if there is one.
///
/// # Errors
/// [`SendError::NotSent`] gives the frame back.
///
/// # Cancel safety
/// Dropped before it is ready, nothing is sent.
#[must_use = "nothing is sent until it is awaited"]
pub struct SendFuture<'a> {
    hand_over: HandOver<'a>,
    /// Awaits its being in the outbox, where there is one.
    stored: Step,
}

impl<'a> IntoFuture for SendBuilder<'a> {
    type Output = Result<(), SendError>;
    type IntoFuture = SendFuture<'a>;

    #[inline]
    fn into_future(self) -> SendFuture<'a> {
        let stored = Step::HandingOver;
        SendFuture { hand_over: self.into_hand_over(false), stored }
    }
}

impl Future for SendFuture<'_> {
    type Output = Result<(), SendError>;

    /// Stays pending if it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome = match this.stored {
            Step::Done => return Poll::Pending,
            Step::Awaiting(id) => ready!(this.hand_over.room.shared().poll_receipt(id, cx)),
            Step::HandingOver => {
                let handed = ready!(this.hand_over.poll(cx));
                this.stored = Step::Done;
                match handed? {
                    Handed::Over => return Poll::Ready(Ok(())),
                    Handed::Awaiting(id) => {
                        this.stored = Step::Awaiting(id);
                        return Poll::Pending;
                    }
                    Handed::Ended(outcome) => outcome,
                }
            }
        };
        this.stored = Step::Done;
        Poll::Ready(this.hand_over.judge(outcome).map(|_| ()))
    }
}

impl Drop for SendFuture<'_> {
    fn drop(&mut self) {
        if let Step::Awaiting(id) = self.stored {
            self.hand_over.room.shared().command(|machine| machine.forget_receipt(id));
        }
    }
}

/// Sends a message and waits for its RECEIPT; made by [`SendBuilder::confirm`].
#[must_use = "nothing is sent until it is awaited"]
pub struct ConfirmFuture<'a> {
    hand_over: HandOver<'a>,
    receipt: Step,
}

enum Step {
    HandingOver,
    Awaiting(ReceiptId),
    Done,
}

impl Future for ConfirmFuture<'_> {
    type Output = Result<Confirmed, SendError>;

    /// Stays pending if it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let id = match this.receipt {
            Step::Done => return Poll::Pending,
            Step::Awaiting(id) => id,
            Step::HandingOver => {
                let handed = ready!(this.hand_over.poll(cx));
                this.receipt = Step::Done;
                return match handed? {
                    Handed::Awaiting(id) => {
                        this.receipt = Step::Awaiting(id);
                        Poll::Pending
                    }
                    Handed::Ended(outcome) => Poll::Ready(this.hand_over.judge(outcome)),
                    // Not so: a receipt was asked for.
                    Handed::Over => Poll::Ready(Ok(Confirmed)),
                };
            }
        };
        let outcome = ready!(this.hand_over.room.shared().poll_receipt(id, cx));
        this.receipt = Step::Done;
        Poll::Ready(this.hand_over.judge(outcome))
    }
}

impl Drop for ConfirmFuture<'_> {
    fn drop(&mut self) {
        if let Step::Awaiting(id) = self.receipt {
            self.hand_over.room.shared().command(|machine| machine.forget_receipt(id));
        }
    }
}

/// Waits for room in the queue, then encodes the frame into it.
struct HandOver<'a> {
    room: Room<'a>,
    frame: Frame,
    transaction: Option<TransactionId>,
    want_receipt: bool,
    error: Option<Error>,
    /// The observer has had its say.
    looked_at: bool,
}

enum Handed {
    Over,
    /// The task is woken when the RECEIPT has come.
    Awaiting(ReceiptId),
    /// There is an outcome already.
    Ended(Option<Outcome>),
}

impl HandOver<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Handed, SendError>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(self.not_sent(error)));
        }
        if !std::mem::replace(&mut self.looked_at, true) {
            let observer = self.room.shared().observer.as_ref();
            if observer.is_some_and(|observer| !observer.before_send(&mut self.frame)) {
                let held_back = Error::new(ErrorKind::HeldBack, "an interceptor held the frame back");
                return Poll::Ready(Err(self.not_sent(held_back)));
            }
        }
        let (frame, transaction) = (&mut self.frame, self.transaction);
        let (want_receipt, within) = (self.want_receipt, self.room.within());
        let handed = self.room.poll(cx, |machine, cx| {
            if let Some(transaction) = transaction {
                machine.check_transaction(transaction)?;
            }
            if !want_receipt && transaction.is_none() && machine.has_outbox() {
                let storing = machine.send_stored(frame, rt::now().checked_add(within))?;
                return Ok(match storing.map(|id| (id, machine.poll_receipt(id, cx))) {
                    None => Handed::Over,
                    Some((id, Poll::Pending)) => Handed::Awaiting(id),
                    Some((_, Poll::Ready(outcome))) => Handed::Ended(outcome),
                });
            }
            if !want_receipt {
                machine.send(frame)?;
                transaction.into_iter().for_each(|transaction| machine.join_transaction(transaction));
                return Ok(Handed::Over);
            }
            let id = machine.send_with_receipt_within(frame, within)?;
            transaction.into_iter().for_each(|transaction| machine.join_transaction(transaction));
            // Under the same lock: a receipt costs little else.
            Ok(match machine.poll_receipt(id, cx) {
                Poll::Pending => Handed::Awaiting(id),
                Poll::Ready(outcome) => Handed::Ended(outcome),
            })
        });
        handed.map_err(|error| self.not_sent(error))
    }

    fn judge(&mut self, outcome: Option<Outcome>) -> Result<Confirmed, SendError> {
        match outcome {
            Some(Outcome::Confirmed) | None => Ok(Confirmed),
            Some(Outcome::Rejected(error)) => Err(SendError::Rejected(error)),
            Some(Outcome::Unknown(error)) => Err(SendError::Unknown(error)),
            Some(Outcome::NotSent(cause)) => Err(self.not_sent(cause)),
        }
    }

    fn not_sent(&mut self, cause: Error) -> SendError {
        let frame = std::mem::replace(&mut self.frame, Frame::new(Command::Send));
        SendError::NotSent(Box::new(Unsent { frame, cause }))
    }
}

impl SendError {
    /// Why the message was not confirmed.
    pub fn cause(&self) -> &Error {
        match self {
            Self::Rejected(error) | Self::Unknown(error) => error,
            Self::NotSent(unsent) => &unsent.cause,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Rejected(_) => "the broker refused the message",
            Self::NotSent(_) => "the message was not sent",
            Self::Unknown(_) => "whether the broker has the message is unknown",
        };
        write!(f, "{what}: {}", self.cause())
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause())
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        error.cause().clone()
    }
}

impl fmt::Debug for SendBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuilder").field("frame", &self.frame).field("deadline", &self.deadline).finish()
    }
}

impl fmt::Debug for ConfirmFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfirmFuture").field("frame", &self.hand_over.frame).finish_non_exhaustive()
    }
}

impl fmt::Debug for SendFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture").field("frame", &self.hand_over.frame).finish_non_exhaustive()
    }
}

/// What a head is counted with when room is given out; a guess will do.
const ABOUT_A_HEAD: usize = 128;
