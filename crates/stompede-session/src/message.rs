use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use stompede_codec::Frame;

use crate::driver::Shared;
use crate::protocol::SubscriptionId;
use crate::{Body, BodyError, Error, ErrorKind};

/// A MESSAGE frame, and the right to acknowledge it.
///
/// Clones share that right: a message is settled once, whoever holds a clone.
#[derive(Clone)]
pub struct Message {
    frame: Frame,
    subscription: SubscriptionId,
    /// `None` in ack mode auto, where there is nothing to settle.
    settlement: Option<Arc<Settlement>>,
}

struct Settlement {
    shared: Arc<Shared>,
    epoch: u64,
    settled: AtomicBool,
}

impl Message {
    pub(crate) fn new(
        frame: Frame,
        subscription: SubscriptionId,
        settles_on: Option<(Arc<Shared>, u64)>,
    ) -> Self {
        let settlement = settles_on
            .map(|(shared, epoch)| Arc::new(Settlement { shared, epoch, settled: AtomicBool::new(false) }));
        Self { frame, subscription, settlement }
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

    /// Queues an ACK: the broker may forget the message. In ack mode auto there is nothing to do.
    ///
    /// Never waits. In ack mode client it covers, from STOMP 1.1 on, all earlier messages of the subscription.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadySettled`] if a clone was settled before, [`ErrorKind::StaleAck`] if the connection that
    /// delivered the message is gone (the broker delivers it again), [`ErrorKind::Closed`] after `disconnect()`.
    pub fn ack(&self) -> Result<(), Error> {
        self.settle(true)
    }

    /// Queues a NACK: the message was not consumed. What the broker does with it (deliver it again, put it into a
    /// dead-letter queue, drop it) is the broker's affair. In ack mode auto there is nothing to do.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and [`ErrorKind::Unencodable`] in STOMP 1.0, which has no NACK.
    pub fn nack(&self) -> Result<(), Error> {
        self.settle(false)
    }

    fn settle(&self, accept: bool) -> Result<(), Error> {
        let Some(settlement) = &self.settlement else { return Ok(()) };
        if settlement.settled.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::AlreadySettled,
                "the message was acknowledged or rejected before",
            ));
        }
        let settled =
            settlement.shared.command(|machine| machine.settle(settlement.epoch, &self.frame, accept));
        if settled.is_err() {
            // Nothing went out, so nothing is settled: NACK refused in 1.0 leaves ACK open.
            settlement.settled.store(false, Ordering::Release);
        }
        settled
    }

    pub(crate) fn frame_mut(&mut self) -> &mut Frame {
        &mut self.frame
    }

    /// Bytes that this message is counted with in a queue.
    pub(crate) fn cost(&self) -> usize {
        self.frame.body().len() + MESSAGE_OVERHEAD
    }

    /// The same message for a long wait: a small one no longer keeps the read buffer alive that it came in.
    ///
    /// A large one keeps its buffer: it is most of it, and copying it would cost more than it saves.
    pub(crate) fn for_long_wait(self) -> Self {
        if self.frame.body().len() > DETACH_UP_TO {
            return self;
        }
        Self { frame: self.frame.detach(), ..self }
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

/// What a message takes besides its body: headers, index, place in a queue. Brokers send about eight headers.
const MESSAGE_OVERHEAD: usize = 512;

/// Bodies up to this many bytes are copied out of their read buffer when their message has to wait.
const DETACH_UP_TO: usize = 2 * 1024;
