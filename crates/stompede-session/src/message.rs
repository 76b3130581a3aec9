use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use bytes::Bytes;
use stompede_codec::{Frame, Headers};

#[cfg(doc)]
use crate::ErrorKind;
use crate::driver::Shared;
use crate::protocol::{Gap, Outcome, Settle, SubscriptionId, Ticket, TransactionId};
use crate::receipt::Receipt;
use crate::settlement::Settlement;
use crate::{Body, BodyError, Error, rt};

/// A MESSAGE frame, and the right to acknowledge it.
///
/// Clones share that right: a message is settled once, whoever holds a clone. One that has to be acknowledged and is
/// dropped without is told of as [`Event::Unsettled`](crate::protocol::Event::Unsettled).
#[derive(Clone)]
pub struct Message {
    frame: Frame,
    subscription: SubscriptionId,
    /// `None` for most messages in ack mode auto.
    aside: Option<Arc<Aside>>,
}

/// What the clones of a message share.
struct Aside {
    /// What is missing before it; there is hardly ever anything.
    gap: Option<Gap>,
    /// `None` in ack mode auto, where there is nothing to settle.
    settlement: Option<Settlement>,
}

impl Message {
    pub(crate) fn new(frame: Frame, ticket: Ticket, shared: Option<&Arc<Shared>>, gap: Option<Gap>) -> Self {
        let settlement = shared.map(|shared| Settlement::new(shared.clone(), ticket));
        let aside = (settlement.is_some() || gap.is_some()).then(|| Arc::new(Aside { gap, settlement }));
        Self { frame, subscription: ticket.subscription(), aside }
    }

    /// The MESSAGE frame.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The MESSAGE frame, without the right to acknowledge.
    pub fn into_frame(self) -> Frame {
        self.frame
    }

    /// The `destination` header; empty if the broker left it out.
    pub fn destination(&self) -> Cow<'_, str> {
        self.frame.header("destination").unwrap_or_default()
    }

    /// The `message-id` header; empty if the broker left it out.
    pub fn id(&self) -> Cow<'_, str> {
        self.frame.header("message-id").unwrap_or_default()
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.frame.header(name)
    }

    /// The body, byte for byte.
    pub fn body(&self) -> &Bytes {
        self.frame.body()
    }

    /// The body as text.
    ///
    /// # Errors
    /// The body is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        self.frame.body_text()
    }

    /// The body as text in the charset that `content-type` names; UTF-8 without one.
    ///
    /// # Errors
    /// The charset is not known, or the body is malformed in it.
    #[cfg(feature = "encoding")]
    pub fn decode_text(&self) -> Result<Cow<'_, str>, stompede_codec::CharsetError> {
        self.frame.decode_text()
    }

    /// The body, decoded from JSON. `content-type` has to be `application/json`, end in `+json`, or be missing.
    ///
    /// # Errors
    /// The type is another, the body is no JSON, or it is not of this shape. The error keeps the message, and nothing is
    /// acknowledged.
    #[cfg(feature = "json")]
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, BodyError> {
        if !crate::body::is_json(self.frame.header("content-type").as_deref()) {
            return Err(BodyError::content_type(self));
        }
        serde_json::from_slice(self.frame.body()).map_err(|error| BodyError::malformed(self, error.into()))
    }

    /// The body, read as a type of one's own.
    ///
    /// # Errors
    /// `content-type` says that it is something else, or the body cannot be read. The error keeps the message, and nothing is
    /// acknowledged.
    pub fn read<B: Body>(&self) -> Result<B, BodyError> {
        let content_type = self.frame.header("content-type");
        if !B::reads(content_type.as_deref()) {
            return Err(BodyError::content_type(self));
        }
        B::read(content_type.as_deref(), self.frame.body()).map_err(|error| BodyError::malformed(self, error))
    }

    /// Which subscription the message came for.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// Whether messages are missing between this one and the one before, as far as this session can know.
    pub fn gap(&self) -> Option<Gap> {
        self.aside.as_ref()?.gap
    }

    /// Whether the connection or the subscription that delivered it is gone: [`ack`](Self::ack) would give
    /// [`ErrorKind::StaleAck`]. Never so in ack mode auto.
    ///
    /// A queue delivers such a message again, so a consumer that should not see it twice may leave it to that. For a topic it may
    /// be the only copy.
    pub fn is_stale(&self) -> bool {
        self.settlement().is_some_and(Settlement::is_stale)
    }

    /// Queues an ACK: the broker may forget the message. In ack mode auto there is nothing to do.
    ///
    /// Never waits: its place in the queue was reserved with the message. In ack mode client it covers, from STOMP 1.1 on,
    /// all earlier messages of the subscription.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadySettled`] if a clone was settled before, or if a later message was that covers this one;
    /// [`ErrorKind::StaleAck`] if the connection or the subscription that delivered the message is gone (the broker
    /// delivers it again; an ACK after UNSUBSCRIBE would end the connection to RabbitMQ), [`ErrorKind::Closed`] once
    /// DISCONNECT has been said; [`ErrorKind::Protocol`] if the broker left out what an ACK names: `ack` in STOMP 1.2,
    /// `message-id` before.
    pub fn ack(&self) -> Result<(), Error> {
        self.settle(true, None)
    }

    /// As [`ack`](Self::ack), with more headers for the frame: `message.ack_with([("trace", "abc")])`.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and [`ErrorKind::Unencodable`] for headers that the version cannot carry.
    pub fn ack_with<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> Result<(), Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        self.settle(true, Some(&headers.into_iter().collect()))
    }

    /// Queues a NACK: the message was not consumed. What the broker does with it (deliver it again, put it into a
    /// dead-letter queue, drop it) is the broker's affair. In ack mode auto there is nothing to do.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and [`ErrorKind::Unencodable`] in STOMP 1.0, which has no NACK.
    pub fn nack(&self) -> Result<(), Error> {
        self.settle(false, None)
    }

    /// Queues a NACK that asks the broker not to deliver the message again: it goes into the queue for dead letters where there
    /// is one, and is dropped otherwise. In ack mode auto there is nothing to do.
    ///
    /// RabbitMQ wants `requeue:false` for that, which its
    /// [profile](crate::BrokerProfile::reject_header) knows; the NACK of ActiveMQ and Artemis means it already. For a broker
    /// that is not known it is a plain [`nack`](Self::nack).
    ///
    /// # Errors
    /// As [`nack`](Self::nack).
    pub fn reject(&self) -> Result<(), Error> {
        let Some(settlement) = self.settlement() else { return Ok(()) };
        let mut how = Settle::new(false);
        how.for_good = true;
        settlement.settle(&self.frame, how).map(|_| ())
    }

    /// As [`nack`](Self::nack), with more headers for the frame: RabbitMQ drops a message, or gives it to the queue for dead
    /// letters, after `message.nack_with([("requeue", "false")])`.
    ///
    /// # Errors
    /// As [`nack`](Self::nack), and [`ErrorKind::Unencodable`] for headers that the version cannot carry.
    pub fn nack_with<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> Result<(), Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        self.settle(false, Some(&headers.into_iter().collect()))
    }

    /// Queues an ACK and waits for the broker's RECEIPT, for as long as the session's `receipt_timeout`. In ack mode
    /// auto there is nothing to do.
    ///
    /// # Errors
    /// As [`ack`](Self::ack); else the reason why no RECEIPT came: [`ErrorKind::ReceiptTimedOut`], the ERROR of a broker
    /// that refused, the end of the connection. Whether the message is acknowledged is unknown then.
    ///
    /// # Cancel safety
    /// Dropped after its first poll, the ACK is sent all the same; only the confirmation is lost.
    pub async fn ack_confirmed(&self) -> Result<(), Error> {
        let Some(settlement) = self.settlement() else { return Ok(()) };
        let deadline = rt::now().checked_add(settlement.shared().receipt_timeout);
        let mut how = Settle::new(true);
        (how.receipt, how.deadline) = (true, deadline);
        let Some(receipt) = settlement.settle(&self.frame, how)? else { return Ok(()) };
        match Receipt::new(settlement.shared().clone(), receipt).await {
            Some(Outcome::Confirmed) | None => Ok(()),
            Some(Outcome::Rejected(error) | Outcome::NotSent(error) | Outcome::Unknown(error)) => Err(error),
        }
    }

    /// Settles as part of a transaction.
    pub(crate) fn settle_in(
        &self,
        session: &Arc<Shared>,
        transaction: TransactionId,
        accept: bool,
        headers: Option<&Headers>,
    ) -> Result<(), Error> {
        let Some(settlement) = self.settlement() else { return Ok(()) };
        if !Arc::ptr_eq(settlement.shared(), session) {
            return Err(Error::invalid("the message came in another session than the transaction"));
        }
        let mut how = Settle::new(accept);
        (how.transaction, how.headers) = (Some(transaction), headers);
        settlement.settle(&self.frame, how).map(|_| ())
    }

    fn settlement(&self) -> Option<&Settlement> {
        self.aside.as_ref()?.settlement.as_ref()
    }

    fn settle(&self, accept: bool, headers: Option<&Headers>) -> Result<(), Error> {
        let Some(settlement) = self.settlement() else { return Ok(()) };
        let mut how = Settle::new(accept);
        how.headers = headers;
        settlement.settle(&self.frame, how).map(|_| ())
    }

    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("frame", &self.frame)
            .field("subscription", &self.subscription)
            .finish()
    }
}
