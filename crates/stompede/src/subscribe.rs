use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Headers;
use stompede_session::protocol::SubscriptionId;
use stompede_session::{AckMode, Error, Message, Subscription, WhenFull};

use crate::dispatch::Dispatch;

/// A subscription in the making; made by [`Client::subscribe`](crate::Client::subscribe).
///
/// It has one consumer, chosen here: `.await` gives a stream of messages, [`listen`](Self::listen) hands them to the
/// client's listeners, [`handle`](Self::handle) to a closure.
#[must_use = "nothing is subscribed until it is awaited"]
pub struct SubscribeBuilder<'a> {
    inner: stompede_session::SubscribeBuilder<'a>,
    destination: String,
    dispatch: &'a Arc<Dispatch>,
}

/// Which subscriptions are meant: one by its handle, one by its `id` header, or all to a destination.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Subscribed {
    /// What [`SubscribeBuilder::listen`] and [`Subscription::id`] give.
    Handle(SubscriptionId),
    /// The [`id`](SubscribeBuilder::id) that was set, else a destination.
    Name(String),
}

impl From<SubscriptionId> for Subscribed {
    fn from(id: SubscriptionId) -> Self {
        Self::Handle(id)
    }
}

impl From<&str> for Subscribed {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl<'a> SubscribeBuilder<'a> {
    pub(crate) fn new(
        inner: stompede_session::SubscribeBuilder<'a>,
        destination: String,
        dispatch: &'a Arc<Dispatch>,
    ) -> Self {
        Self { inner, destination, dispatch }
    }

    /// Sets the `id` header, which is made up otherwise. It must be unique among the client's subscriptions.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { inner: self.inner.id(id), ..self }
    }

    /// How messages are acknowledged; [`AckMode::Auto`] unless set.
    pub fn ack(self, mode: AckMode) -> Self {
        Self { inner: self.inner.ack(mode), ..self }
    }

    /// Adds a header: a selector, a priority. Repeated headers are kept in order. `destination`, `id` and `ack` are not set
    /// this way: then nothing is subscribed, and awaiting it is an error.
    pub fn header(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        Self { inner: self.inner.header(name, value), ..self }
    }

    /// Adds headers, in this order.
    pub fn headers(self, headers: &Headers) -> Self {
        Self { inner: self.inner.headers(headers), ..self }
    }

    /// How many messages wait for the consumer before the queue is full. 256 unless set.
    ///
    /// In the ack modes a broker that has a header for it is asked to send no more unsettled ones than this, unless that
    /// header was given; see [`BrokerProfile::prefetch_header`](crate::BrokerProfile::prefetch_header). Whoever acknowledges every thousandth message needs a window of a thousand.
    pub fn window(self, messages: usize) -> Self {
        Self { inner: self.inner.window(messages), ..self }
    }

    /// How many bytes wait for the consumer before the queue is full. 256 KiB unless set.
    pub fn queue_bytes(self, bytes: usize) -> Self {
        Self { inner: self.inner.queue_bytes(bytes), ..self }
    }

    /// What happens to a message for which the queue has no room; [`WhenFull::Overflow`] unless set.
    pub fn when_full(self, what: WhenFull) -> Self {
        Self { inner: self.inner.when_full(what), ..self }
    }

    /// Lets an ACK that waits to be written give way to a later one, which covers it in ack mode client. RabbitMQ gets
    /// [one for each message](crate::Cumulative) all the same.
    pub fn coalesce_acks(self) -> Self {
        Self { inner: self.inner.coalesce_acks(), ..self }
    }

    /// Sends no SUBSCRIBE and no UNSUBSCRIBE: for messages that the broker sends under a subscription of its own making.
    ///
    /// RabbitMQ's replies to `reply-to:/temp-queue/a` come so, with the id `/temp-queue/a`. The id is the destination
    /// unless set.
    pub fn unannounced(self) -> Self {
        Self { inner: self.inner.unannounced(), ..self }
    }

    /// Makes it a subscription that collects messages while nobody listens, under this name. How it is asked for, and
    /// whether it can be, is up to the broker; see [`BrokerProfile::durable`](crate::BrokerProfile::durable).
    pub fn durable(self, name: impl Into<String>) -> Self {
        Self { inner: self.inner.durable(name), ..self }
    }

    /// Renews the headers each time the subscription is made again on a new connection: a token that expires, a place to
    /// go on from. `renew` gets the headers that were given last. It must not block, nor call anything of the client: the
    /// session waits for it.
    pub fn renew_headers(self, renew: impl Fn(&mut Headers) + Send + Sync + 'static) -> Self {
        Self { inner: self.inner.renew_headers(renew), ..self }
    }

    /// Also waits for the broker's RECEIPT. A refused subscription then fails here instead of ending its stream.
    pub fn confirm(self) -> Self {
        Self { inner: self.inner.confirm(), ..self }
    }

    /// Limits the wait for the RECEIPT; the client's `receipt_timeout` unless set.
    pub fn deadline(self, within: Duration) -> Self {
        Self { inner: self.inner.deadline(within), ..self }
    }

    /// Subscribes and hands every message to [`on_message`](crate::Listener::on_message) of every listener.
    ///
    /// It goes on until [`Client::unsubscribe`](crate::Client::unsubscribe) or the end of the session. If it ends before, for a
    /// reason of its own, that is told to [`on_subscription_ended`](crate::Listener::on_subscription_ended) and to the log.
    ///
    /// # Errors
    /// The subscription could not be made; see [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    /// Dropped before it is ready, there is no subscription.
    pub async fn listen(self) -> Result<SubscriptionId, Error> {
        let subscription = self.inner.await?;
        let id = subscription.id();
        self.dispatch.carry(subscription, self.destination);
        Ok(id)
    }

    /// Subscribes and calls `handler` with one message after the other, in a task of its own. How it ends, and who is told,
    /// is as with [`listen`](Self::listen). A panic is logged, and the handler goes on with the next message; in the ack
    /// modes, what the panic left unsettled stays unsettled.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    ///
    /// # Cancel safety
    /// As [`listen`](Self::listen).
    pub async fn handle<F, Fut>(self, handler: F) -> Result<SubscriptionId, Error>
    where
        F: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let subscription = self.inner.await?;
        let id = subscription.id();
        self.dispatch.handle(subscription, self.destination, handler);
        Ok(id)
    }
}

impl<'a> IntoFuture for SubscribeBuilder<'a> {
    type Output = Result<Subscription, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        self.inner.into_future()
    }
}

impl fmt::Debug for SubscribeBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SubscribeBuilder").field(&self.inner).finish()
    }
}
