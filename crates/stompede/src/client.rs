use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use stompede_session::protocol::{Connected, History};
use stompede_session::{
    Error, SendBuilder, Session, SessionState, Transaction, TransactionError, TransactionPolicy,
};
use tokio::sync::watch;

use crate::dispatch::Dispatch;
use crate::{ClientBuilder, Frame, Listener, SubscribeBuilder, Subscribed};

/// A connected STOMP client.
///
/// Cheap to clone; clones share the connection. When the last clone and the last [`Subscription`](crate::Subscription)
/// are dropped, the session ends in order.
#[derive(Clone, Debug)]
pub struct Client {
    session: Session,
    dispatch: Arc<Dispatch>,
}

impl Client {
    /// Starts the settings of a client for the broker at `url`, for example `ws://localhost:15674/ws` or
    /// `tcp://localhost:61613`.
    pub fn builder(url: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(url.as_ref())
    }

    pub(crate) fn new(session: Session, dispatch: Arc<Dispatch>) -> Self {
        Self { session, dispatch }
    }

    /// Starts a message to `destination`: `.await` hands it over, [`confirm`](SendBuilder::confirm) also waits for the
    /// broker's RECEIPT.
    pub fn send(&self, destination: impl AsRef<str>) -> SendBuilder<'_> {
        self.session.send(destination)
    }

    /// Starts sending a frame as it is, for what nobody foresaw.
    pub fn send_frame(&self, frame: Frame) -> SendBuilder<'_> {
        self.session.send_frame(frame)
    }

    /// Starts a subscription to `destination`: `.await` gives its messages as a stream,
    /// [`listen`](SubscribeBuilder::listen) hands them to the listeners.
    pub fn subscribe(&self, destination: impl Into<String>) -> SubscribeBuilder<'_> {
        let destination = destination.into();
        SubscribeBuilder::new(self.session.subscribe(destination.as_str()), destination, &self.dispatch)
    }

    /// Sends UNSUBSCRIBE for what [`listen`](SubscribeBuilder::listen) gave, for the `id` that was set, or for a
    /// destination: then for all subscriptions to it. Does not wait for the broker; a handle of a subscription that has ended
    /// already is fine.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name under which nothing is subscribed.
    /// No connection is open. The subscription has ended all the same.
    pub fn unsubscribe(&self, subscription: impl Into<Subscribed>) -> Result<(), Error> {
        self.unsubscribe_with(subscription, std::iter::empty::<(&str, &str)>())
    }

    /// As [`unsubscribe`](Self::unsubscribe), with more headers for UNSUBSCRIBE. RabbitMQ drops a durable subscription only
    /// if they are those of its SUBSCRIBE: `[("durable", "true"), ("auto-delete", "false")]`.
    ///
    /// # Errors
    /// As [`unsubscribe`](Self::unsubscribe); [`ErrorKind::Unencodable`](crate::ErrorKind::Unencodable) for headers that the
    /// version cannot carry, and then the subscription goes on.
    pub fn unsubscribe_with<N, V>(
        &self,
        subscription: impl Into<Subscribed>,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<(), Error>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let headers = headers.into_iter().collect();
        let name = match subscription.into() {
            Subscribed::Handle(id) => return self.session.unsubscribe_with(id, &headers),
            Subscribed::Name(name) => name,
        };
        let found = self.session.find_subscriptions(&name);
        if found.is_empty() {
            let text =
                format!("unsubscribe: no subscription has the id {name:?}, and none is to that destination");
            return Err(Error::invalid(text));
        }
        // Every one of them is told, whatever becomes of the others.
        let told: Vec<_> = found.into_iter().map(|id| self.session.unsubscribe_with(id, &headers)).collect();
        told.into_iter().collect()
    }

    /// Registers a listener under a name. One of the same name hears no more from here on: what waits for it is dropped.
    ///
    /// While the connection is open it begins with [`on_connected`](Listener::on_connected). Once the session has ended it
    /// hears nothing.
    pub fn set_listener<L: Listener>(&self, name: impl Into<String>, listener: Arc<L>) {
        self.dispatch.add(name.into(), listener);
        self.session.tell_sends(true);
    }

    /// The listener of this name, if there is one and it is an `L`.
    pub fn get_listener<L: Listener>(&self, name: &str) -> Option<Arc<L>> {
        let listener: Arc<dyn Any + Send + Sync> = self.dispatch.find(name)?;
        listener.downcast().ok()
    }

    /// Takes a listener away: it hears no more, and what waits for it is dropped. `false` if there was none of this name.
    pub fn remove_listener(&self, name: &str) -> bool {
        let removed = self.dispatch.remove(name);
        self.session.tell_sends(!self.dispatch.is_empty());
        removed
    }

    /// Waits until every frame handed over before this call has been written to the connection.
    ///
    /// # Errors
    /// The session ended before, or the connection takes no more bytes. [`ErrorKind::Unencodable`](crate::ErrorKind::Unencodable)
    /// if it refused a frame that is too large for it, and nobody else was told.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), Error> {
        self.session.flush().await
    }

    /// Ends the session in order: waits for receipts in flight, sends DISCONNECT, waits for its RECEIPT, closes.
    ///
    /// It resolves when the connection has ended and does not wait for listeners. An orderly close counts as the
    /// RECEIPT. May be called at any time and more than once.
    ///
    /// # Errors
    /// The connection did not end in order within the `disconnect_timeout`. The session has ended all the same.
    ///
    /// # Cancel safety
    /// Dropping the future after its first poll still disconnects; only the outcome is lost.
    pub async fn disconnect(&self) -> Result<(), Error> {
        self.session.disconnect().await
    }

    /// As [`disconnect`](Self::disconnect), with more headers for DISCONNECT. A `receipt` among them is the one that is
    /// asked for.
    ///
    /// # Errors
    /// As [`disconnect`](Self::disconnect); [`ErrorKind::Unencodable`](crate::ErrorKind::Unencodable) for headers that the
    /// version cannot carry, and then the session goes on.
    ///
    /// # Cancel safety
    /// As [`disconnect`](Self::disconnect).
    pub fn disconnect_with<N, V>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> impl Future<Output = Result<(), Error>> + Send
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let headers = headers.into_iter().collect();
        async move { self.session.disconnect_with(headers).await }
    }

    /// Ends the session once its consumers have finished; see [`Session::drain`](stompede_session::Session::drain).
    ///
    /// Subscriptions made with `listen()` count as finished when their messages are in the listeners' queues and, in the ack
    /// modes, settled or dropped.
    ///
    /// # Errors
    /// [`ErrorKind::DrainTimedOut`](crate::ErrorKind::DrainTimedOut) if consumers had not finished `within` this time; else
    /// as [`disconnect`](Self::disconnect). The session has ended all the same.
    ///
    /// # Cancel safety
    /// Dropped, subscriptions that have ended stay ended and the session stays open.
    pub async fn drain(&self, within: Duration) -> Result<(), Error> {
        self.session.drain(within).await
    }

    /// Runs `work` in a transaction: commits when it gives `Ok`, aborts when it gives an error. What is lost with a
    /// connection is reported.
    ///
    /// ```no_run
    /// # use stompede::{Client, Message, SendError, TransactionError};
    /// # async fn run(client: Client, order: Message) -> Result<(), TransactionError<SendError>> {
    /// client
    ///     .transaction(|transaction| async move {
    ///         transaction.send("/queue/bills").text("42 to pay").await?;
    ///         transaction.send("/queue/parcels").text("42 to pack").await
    ///     })
    ///     .await
    /// # }
    /// ```
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
        self.session.transaction(work).await
    }

    /// As [`transaction`](Self::transaction), and runs `work` again as `policy` says when the connection is lost; see
    /// [`Session::transaction_with`](stompede_session::Session::transaction_with) for what that means.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction), for the last run.
    ///
    /// # Cancel safety
    /// As [`transaction`](Self::transaction).
    pub async fn transaction_with<T, E, F>(
        &self,
        policy: TransactionPolicy,
        work: impl FnMut(Arc<Transaction>) -> F,
    ) -> Result<T, TransactionError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.session.transaction_with(policy, work).await
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Begins a transaction, which is aborted when it is dropped without a commit.
    ///
    /// # Errors
    /// No connection is open, or it takes no more bytes.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is begun.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.session.begin().await
    }

    /// As [`begin`](Self::begin), with more headers for BEGIN. A `transaction` among them is its name; without, one is made
    /// up: `begin_with([("transaction", "bill-7")])`.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name, and for
    /// one of a transaction that is open or whose COMMIT has not been written;
    /// [`ErrorKind::Unencodable`](crate::ErrorKind::Unencodable) for headers that the version cannot carry.
    ///
    /// # Cancel safety
    /// As [`begin`](Self::begin).
    pub fn begin_with<N, V>(
        &self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> impl Future<Output = Result<Transaction, Error>> + Send
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let headers = headers.into_iter().collect();
        async move { self.session.begin_with(&headers).await }
    }

    /// Gives the connection up at once, without a word to the broker, and connects again as after any other loss: what was
    /// in flight ends as it does then, subscriptions come back, and a client that does not
    /// [reconnect](crate::ClientBuilder::reconnect) ends with
    /// [`ErrorKind::ConnectionLost`](crate::ErrorKind::ConnectionLost).
    ///
    /// During an outage the next attempt begins now instead of after its delay: for who knows that the network is back. While
    /// an attempt is under way, and once the session is being ended, nothing happens.
    pub fn reconnect(&self) {
        self.session.reconnect();
    }

    /// Ends the session at once, without a word to the broker.
    pub fn abort(&self) {
        self.session.abort();
    }

    /// Waits until the session has ended: cleanly (`None`) or for a reason.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) -> Option<Error> {
        self.session.closed().await
    }

    /// Whether frames can be sent.
    pub fn is_connected(&self) -> bool {
        self.session.connected().is_some()
    }

    /// What the broker said of itself; `None` once the session has ended.
    pub fn connected(&self) -> Option<Arc<Connected>> {
        self.session.connected()
    }

    /// The last 64 events, for a bug report: what happened to the connection, not what was carried over it.
    pub fn history(&self) -> History {
        self.session.history()
    }

    /// Where the session stands now.
    pub fn state(&self) -> SessionState {
        self.session.state()
    }

    /// Where the session stands, as a value to watch.
    pub fn state_changes(&self) -> watch::Receiver<SessionState> {
        self.session.state_changes()
    }
}
