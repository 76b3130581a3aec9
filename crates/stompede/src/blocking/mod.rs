//! The same client for programs without async (feature `blocking`).
//!
//! Everything runs on one thread of its own, with a runtime of its own; calls here hand their work over and wait. Inside an
//! async runtime, also in a task that may block and in a listener's callback, they return an error instead: a thread that
//! waits there holds up what it waits for. Use the async [`Client`](crate::Client) there.
//!
//! Settings are those of [`ClientBuilder`], reconnection included. What it calls
//! ([`before_connect`](ClientBuilder::before_connect), listeners, interceptors) runs on that one thread and must not block it:
//! heart-beats would wait.
//!
//! ```no_run
//! use stompede::blocking::Client;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(stompede::Client::builder("ws://localhost:15674/ws").credentials("guest", "guest").host("/"))?;
//! let mut orders = client.subscribe("/queue/orders", |subscribe| subscribe)?;
//! client.confirm("/queue/orders", |send| send.text("one coffee"))?;
//! if let Some(order) = orders.try_next()? {
//!     println!("{}", order.text()?);
//! }
//! client.disconnect()?;
//! # Ok(())
//! # }
//! ```

mod request;
mod subscription;
mod thread;
mod transaction;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

pub use self::request::Requester;
pub use self::subscription::Subscription;
use self::thread::{Thread, refuse_runtime};
pub use self::transaction::Transaction;
use crate::{ClientBuilder, Confirmed, Error, Message, ReplyTo, SendBuilder, SendError, SubscribeBuilder};

/// A connected client whose calls wait. Cheap to clone; clones share the connection.
///
/// When the last clone and the last [`Subscription`] are dropped, the session ends in order, without anybody waiting for it.
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
    thread: Arc<Thread>,
}

impl Client {
    /// Opens a connection and logs in, with these settings.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`]; [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) inside an async runtime.
    pub fn connect(builder: ClientBuilder) -> Result<Self, Error> {
        refuse_runtime()?;
        let thread = Arc::new(Thread::start()?);
        let client = thread.run(builder.connect())??;
        Ok(Self { client, thread })
    }

    /// Hands a message to the session; `fill` gives it headers and a body.
    ///
    /// # Errors
    /// [`SendError::NotSent`] gives the frame back.
    pub fn send(
        &self,
        destination: &str,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
    ) -> Result<(), SendError> {
        self.with_send(destination, fill, async |send| send.await)
    }

    /// Sends a message and waits for the broker's RECEIPT; `fill` gives it headers and a body.
    ///
    /// # Errors
    /// [`SendError`] says whether it was refused, never sent, or whether that cannot be known.
    pub fn confirm(
        &self,
        destination: &str,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
    ) -> Result<Confirmed, SendError> {
        self.with_send(destination, fill, async |send| send.confirm().await)
    }

    /// Subscribes; `fill` sets id, ack mode and headers.
    ///
    /// # Errors
    /// The subscription could not be made, or this is inside an async runtime.
    pub fn subscribe(
        &self,
        destination: &str,
        fill: impl FnOnce(SubscribeBuilder<'_>) -> SubscribeBuilder<'_>,
    ) -> Result<Subscription, Error> {
        refuse_runtime()?;
        let subscribing = fill(self.client.subscribe(destination)).into_future();
        Ok(Subscription::new(self.thread.scoped(subscribing)?, self.thread.clone()))
    }

    /// Acknowledges a message and waits for the broker's RECEIPT; see [`Message::ack_confirmed`].
    ///
    /// # Errors
    /// As [`Message::ack_confirmed`], or this is inside an async runtime.
    pub fn ack_confirmed(&self, message: &Message) -> Result<(), Error> {
        refuse_runtime()?;
        self.thread.scoped(message.ack_confirmed())
    }

    /// Begins a transaction, which is aborted when it is dropped without a commit; see [`crate::Client::begin`].
    ///
    /// # Errors
    /// As [`crate::Client::begin`], or this is inside an async runtime.
    pub fn begin(&self) -> Result<Transaction, Error> {
        refuse_runtime()?;
        let begun = self.thread.scoped(self.client.begin())?;
        Ok(Transaction::new(begun, self.clone()))
    }

    /// As [`begin`](Self::begin), with more headers for BEGIN; see [`crate::Client::begin_with`].
    ///
    /// # Errors
    /// As [`crate::Client::begin_with`], or this is inside an async runtime.
    pub fn begin_with<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> Result<Transaction, Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        refuse_runtime()?;
        let begun = self.thread.scoped(self.client.begin_with(headers))?;
        Ok(Transaction::new(begun, self.clone()))
    }

    /// Prepares for requests with replies; see [`crate::Client::requester`].
    ///
    /// # Errors
    /// The replies cannot be subscribed to, or this is inside an async runtime.
    pub fn requester(&self, reply_to: ReplyTo) -> Result<Requester, Error> {
        refuse_runtime()?;
        let client = self.client.clone();
        let inner = self.thread.run(async move { client.requester(reply_to).await })??;
        Ok(Requester::new(inner, self.clone()))
    }

    /// Sends the answer to `request`; `fill` gives it headers and a body. See [`crate::Client::reply`].
    ///
    /// # Errors
    /// The request has no `reply-to`, the answer was not sent, or this is inside an async runtime.
    pub fn reply(
        &self,
        request: &Message,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
    ) -> Result<(), Error> {
        refuse_runtime()?;
        let reply = fill(self.client.reply(request)?);
        Ok(self.thread.scoped(reply.into_future())?)
    }

    /// Ends the session once its consumers have finished; see [`crate::Client::drain`].
    ///
    /// # Errors
    /// As [`crate::Client::drain`], or this is inside an async runtime.
    pub fn drain(&self, within: Duration) -> Result<(), Error> {
        refuse_runtime()?;
        let client = self.client.clone();
        self.thread.run(async move { client.drain(within).await })?
    }

    /// Ends the session in order; see [`crate::Client::disconnect`].
    ///
    /// # Errors
    /// The connection did not end in order, or this is inside an async runtime.
    pub fn disconnect(&self) -> Result<(), Error> {
        refuse_runtime()?;
        let client = self.client.clone();
        self.thread.run(async move { client.disconnect().await })?
    }

    /// The same with more headers for DISCONNECT; see [`crate::Client::disconnect_with`].
    ///
    /// # Errors
    /// As [`crate::Client::disconnect_with`], or this is inside an async runtime.
    pub fn disconnect_with<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> Result<(), Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        refuse_runtime()?;
        self.thread.scoped(self.client.disconnect_with(headers))
    }

    /// Waits until everything handed over so far has been written.
    ///
    /// # Errors
    /// The session ended before, or this is inside an async runtime.
    pub fn flush(&self) -> Result<(), Error> {
        refuse_runtime()?;
        let client = self.client.clone();
        self.thread.run(async move { client.flush().await })?
    }

    /// The async client below, for all that does not wait: listeners, state, history, `unsubscribe`, `abort`.
    pub fn inner(&self) -> &crate::Client {
        &self.client
    }

    fn with_send<T>(
        &self,
        destination: &str,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
        wait: impl AsyncFnOnce(SendBuilder<'_>) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        self.wait(fill(self.client.send(destination)), wait)
    }

    fn wait<T>(
        &self,
        send: SendBuilder<'_>,
        wait: impl AsyncFnOnce(SendBuilder<'_>) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        match refuse_runtime() {
            Ok(()) => self.thread.scoped(wait(send)),
            Err(error) => Err(send.give_up(error)),
        }
    }
}
