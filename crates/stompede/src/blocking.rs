//! The same client for programs without async (feature `blocking`).
//!
//! Everything runs on one thread of its own, with a runtime of its own; calls here hand their work over and wait. Inside an
//! async runtime, also in a task that may block and in a listener's callback, they return an error instead: a thread that
//! waits there holds up what it waits for. Use the async [`Client`](crate::Client) there.
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

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use stompede_session::protocol::SubscriptionId;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{ClientBuilder, Confirmed, Error, Message, SendBuilder, SendError, SubscribeBuilder};

/// A connected client whose calls wait. Cheap to clone; clones share the connection.
///
/// When the last clone and the last [`Subscription`] are dropped, the session ends in order, without anybody waiting for it.
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
    thread: Arc<Thread>,
}

/// The messages of one subscription; dropping it unsubscribes. As an [`Iterator`] it ends with the subscription, an error
/// being its last item.
#[derive(Debug)]
pub struct Subscription {
    /// Away only while a call is under way.
    inner: Option<crate::Subscription>,
    id: SubscriptionId,
    thread: Arc<Thread>,
}

/// The thread with the runtime. It ends when this is dropped, wherever that is.
#[derive(Debug)]
struct Thread {
    runtime: Handle,
    _alive: oneshot::Sender<()>,
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
        let inner = self.thread.scoped(subscribing)?;
        let id = inner.id();
        Ok(Subscription { inner: Some(inner), id, thread: self.thread.clone() })
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

    /// Waits until everything handed over so far has been written.
    ///
    /// # Errors
    /// The session ended before, or this is inside an async runtime.
    pub fn flush(&self) -> Result<(), Error> {
        refuse_runtime()?;
        let client = self.client.clone();
        self.thread.run(async move { client.flush().await })?
    }

    /// The async client below, for all that does not wait: listeners, state, `unsubscribe`, `abort`.
    pub fn inner(&self) -> &crate::Client {
        &self.client
    }

    fn with_send<T>(
        &self,
        destination: &str,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
        wait: impl AsyncFnOnce(SendBuilder<'_>) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let send = fill(self.client.send(destination));
        match refuse_runtime() {
            Ok(()) => self.thread.scoped(wait(send)),
            Err(error) => Err(send.give_up(error)),
        }
    }
}

impl Subscription {
    /// The next message; `None` once the subscription or the session has ended in order. Waits as long as it takes.
    ///
    /// # Errors
    /// The session ended for this reason, or this is inside an async runtime.
    pub fn try_next(&mut self) -> Result<Option<Message>, Error> {
        refuse_runtime()?;
        let Some(inner) = &mut self.inner else { return Ok(None) };
        self.thread.scoped(inner.try_next())
    }

    /// The next message, if there is one within this time: `Ok(None)` is also what the end of the subscription gives.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next_within(&mut self, within: Duration) -> Result<Option<Message>, Error> {
        refuse_runtime()?;
        let Some(inner) = &mut self.inner else { return Ok(None) };
        let next = async { tokio::time::timeout(within, inner.try_next()).await };
        self.thread.scoped(next).unwrap_or(Ok(None))
    }

    /// The name of this subscription inside its session.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }
}

impl Iterator for Subscription {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if matches!(next, Some(Err(_))) {
            // An error is the last item.
            self.inner = None;
        }
        next
    }
}

impl Thread {
    fn start() -> Result<Self, Error> {
        let failed =
            |error| Error::invalid(format!("blocking: no thread for the client could be started: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("stompede".to_owned());
        let serve = move || {
            // Ends when the sender is dropped; then the session's last words have a moment to be written.
            let _ = runtime.block_on(ended);
            runtime.block_on(async { tokio::time::sleep(LAST_WORDS).await });
        };
        thread.spawn(serve).map_err(failed)?;
        Ok(Self { runtime: handle, _alive: alive })
    }

    /// Has the thread do this, and waits.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        self.runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        receiver.recv().map_err(|_| Error::invalid("blocking: the client's thread has ended"))
    }

    /// Does this in the caller's thread, with the timers of the other.
    fn scoped<T>(&self, work: impl Future<Output = T>) -> T {
        // Not inside a runtime: every caller has looked.
        self.runtime.block_on(work)
    }
}

fn refuse_runtime() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::invalid(
            "blocking: called inside an async runtime, where a thread must not wait; use stompede::Client there",
        )),
        Err(_) => Ok(()),
    }
}

/// How long the thread outlives its client, so that DISCONNECT of a dropped client is written.
const LAST_WORDS: Duration = Duration::from_secs(1);
