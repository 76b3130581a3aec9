use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::{Frame, Headers};
use stompede_transport::Connector;
use tokio::sync::watch;

use crate::driver::{self, Flush, Observer, Shared};
use crate::protocol::{Connected, History, Machine, ReceiptId, SubscriptionId};
use crate::receipt::Receipt;
use crate::{Config, Error, ErrorKind, SendBuilder, SessionState, SubscribeBuilder, Transaction, rt};

/// A handle to a session. Clones are handles to the same session; when the last one is dropped, the session ends in
/// order, as after [`disconnect`](Self::disconnect).
#[derive(Clone)]
pub struct Session(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
}

impl Session {
    /// Opens a connection and logs in.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a setting that makes no sense, and outside a tokio runtime;
    /// [`ErrorKind::DialFailed`], [`ErrorKind::ConnectTimedOut`], [`ErrorKind::HandshakeTimedOut`],
    /// [`ErrorKind::LoginRefused`], [`ErrorKind::VersionMismatch`], [`ErrorKind::Protocol`] and
    /// [`ErrorKind::ConnectionLost`] for what their names say; [`ErrorKind::OutboxFailed`] if the outbox cannot say what an
    /// earlier session has left.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up. Nothing is left behind.
    pub async fn connect(config: Config, connector: impl Connector + 'static) -> Result<Self, Error> {
        Self::connect_observed(config, Arc::new(connector), None).await
    }

    /// As [`connect`](Self::connect), with somebody who is told what happens.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](Self::connect).
    pub async fn connect_observed(
        config: Config,
        connector: Arc<dyn Connector>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, Error> {
        let retries = config.reconnect.retry_initial_connect;
        config.validate()?;
        // Before anything waits.
        rt::current()?;
        let left_over = match &config.outbox {
            Some(outbox) => driver::load(&**outbox, config.total_connect_timeout).await?,
            None => Vec::new(),
        };
        let shared = driver::start(config, left_over, connector, observer)?;
        // Made before the wait: if this future is dropped, so is the session.
        let session = Self(Arc::new(Handle { shared }));
        let mut state = session.0.shared.state_changes();
        let reached = state.wait_for(|state| match state {
            SessionState::Connecting => false,
            SessionState::Connected(_) | SessionState::Disconnecting(_) | SessionState::Closed(_) => true,
            // Connected, and lost before anybody looked. Unless the first connect is tried again: then it may not have
            // been connected yet.
            SessionState::Reconnecting { .. } => !retries,
        });
        let reached = reached.await;
        match reached.as_deref() {
            Ok(SessionState::Closed(cause)) => Err(cause.clone().unwrap_or_else(Error::closed)),
            Ok(_) => {
                drop(reached);
                Ok(session)
            }
            Err(_) => Err(Error::closed()),
        }
    }

    /// The runtime that sessions made here run on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] outside a tokio runtime.
    pub fn runtime() -> Result<tokio::runtime::Handle, Error> {
        rt::current()
    }

    /// Starts a message to `destination`.
    pub fn send(&self, destination: impl AsRef<str>) -> SendBuilder<'_> {
        SendBuilder::new(self, destination.as_ref())
    }

    /// Starts sending a frame as it is, for what nobody foresaw. Its headers are not checked beyond what the version
    /// can carry.
    pub fn send_frame(&self, frame: Frame) -> SendBuilder<'_> {
        SendBuilder::raw(self, frame)
    }

    /// Starts a subscription to `destination`.
    pub fn subscribe(&self, destination: impl Into<String>) -> SubscribeBuilder<'_> {
        SubscribeBuilder::new(self, destination.into())
    }

    /// Begins a transaction. Waits only while the session's queue is full.
    ///
    /// # Errors
    /// No connection is open, or it took no more bytes within the session's `receipt_timeout`.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, nothing is begun.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(&Headers::new()).await
    }

    /// As [`begin`](Self::begin), with more headers for BEGIN. A `transaction` among them is its name; without, one is made
    /// up.
    ///
    /// # Errors
    /// As [`begin`](Self::begin); [`ErrorKind::InvalidArgument`] for an empty name, and for one of a transaction that is open
    /// or whose COMMIT has not been written; [`ErrorKind::Unencodable`] for headers that the version cannot carry.
    ///
    /// # Cancel safety
    /// As [`begin`](Self::begin).
    pub async fn begin_with(&self, headers: &Headers) -> Result<Transaction, Error> {
        Transaction::begin(self, headers).await
    }

    /// Sends UNSUBSCRIBE for a subscription of this session. Messages that wait for its consumer can still be taken;
    /// then its stream ends. A subscription that has ended already is fine.
    ///
    /// Does not wait for the broker.
    ///
    /// # Errors
    /// The session is over. The subscription has ended all the same.
    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<(), Error> {
        self.0.shared.command(|machine| machine.unsubscribe(id))
    }

    /// As [`unsubscribe`](Self::unsubscribe), with more headers for UNSUBSCRIBE.
    ///
    /// # Errors
    /// As [`unsubscribe`](Self::unsubscribe); [`ErrorKind::Unencodable`] for headers that the version cannot carry, and then
    /// the subscription goes on.
    pub fn unsubscribe_with(&self, id: SubscriptionId, headers: &Headers) -> Result<(), Error> {
        self.0.shared.command(|machine| machine.unsubscribe_with(id, headers))
    }

    /// The subscriptions whose `id` header this is; else those to this destination.
    pub fn find_subscriptions(&self, name: &str) -> Vec<SubscriptionId> {
        self.0.shared.command(|machine| machine.find_subscriptions(name))
    }

    /// Waits until every frame handed over before this call has been written to the connection.
    ///
    /// # Errors
    /// The session ended before. [`ErrorKind::ConnectionLost`] if there is no connection, or it was lost before
    /// everything was written. [`ErrorKind::WriteTimedOut`] if it takes longer than the session's `receipt_timeout`.
    /// [`ErrorKind::Unencodable`] if the connection refused a frame since the last call, for being too large, and nobody else
    /// was told: who awaits its RECEIPT is.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), Error> {
        let mark = self.0.shared.command(Machine::flush_mark)?;
        Flush::new(&self.0.shared, mark).await
    }

    /// Ends the session in order: waits for receipts in flight, sends DISCONNECT, waits for its RECEIPT, closes.
    ///
    /// An orderly close counts as the RECEIPT. All of it takes `disconnect_timeout` at most. May be called at any time
    /// and more than once; a session that has ended already is fine.
    ///
    /// # Errors
    /// [`ErrorKind::DisconnectTimedOut`] if the broker stays silent, [`ErrorKind::ConnectionLost`] or
    /// [`ErrorKind::BrokerError`] if the connection ended otherwise meanwhile. The session has ended all the same.
    ///
    /// # Cancel safety
    /// Dropping the future after its first poll still disconnects; only the outcome is lost.
    pub async fn disconnect(&self) -> Result<(), Error> {
        self.disconnect_with(Headers::new()).await
    }

    /// As [`disconnect`](Self::disconnect), with more headers for DISCONNECT. A `receipt` among them is the one that is
    /// asked for. If DISCONNECT is under way already, they are too late.
    ///
    /// # Errors
    /// As [`disconnect`](Self::disconnect); [`ErrorKind::Unencodable`] for headers that the version cannot carry, and then
    /// the session goes on.
    ///
    /// # Cancel safety
    /// As [`disconnect`](Self::disconnect).
    pub async fn disconnect_with(&self, headers: Headers) -> Result<(), Error> {
        let ended_before = self.0.shared.command(|machine| {
            let ended = machine.closed().is_some();
            machine.disconnect_with(rt::now(), headers).map(|()| ended)
        })?;
        if ended_before {
            return Ok(());
        }
        self.closed().await.map_or(Ok(()), Err)
    }

    /// Ends the session once its consumers have finished: ends all subscriptions, waits until every consumer has seen the
    /// end of its own and every message that has to be settled is settled or dropped, then [`disconnect`](Self::disconnect)s,
    /// behind the acknowledgements.
    ///
    /// Messages can be sent until then, subscriptions are no longer made. In ack mode auto what the broker had sent before
    /// it read UNSUBSCRIBE is still handed over; in the ack modes it is left to the broker, which delivers it again. A
    /// message in ack mode auto counts as finished when its consumer asks for the next one. May be called at any time and
    /// more than once.
    ///
    /// # Errors
    /// [`ErrorKind::DrainTimedOut`] if consumers had not finished `within` this time; the session has been disconnected
    /// all the same. Else as [`disconnect`](Self::disconnect), which takes its own time on top.
    ///
    /// # Cancel safety
    /// Dropped, all subscriptions have ended and the session stays open: drain it again, or disconnect. What the broker had
    /// sent before it read UNSUBSCRIBE is no longer handed over then.
    pub async fn drain(&self, within: Duration) -> Result<(), Error> {
        let shared = &self.0.shared;
        let finished = rt::timeout_in(&shared.runtime, within, async {
            let deadline = rt::now().checked_add(within);
            let leaving = shared.command(|machine| machine.begin_drain(deadline));
            let leaving: Vec<_> = leaving.into_iter().map(|one| Leaving::new(shared.clone(), one)).collect();
            for mut one in leaving {
                let receipt = (&mut one.receipt).await;
                tracing::debug!(id = ?one.id, ?receipt, "unsubscribed for draining");
            }
            poll_fn(|cx| shared.activity.poll_idle(cx)).await;
        });
        let finished = finished.await;
        self.disconnect().await?;
        finished.ok_or_else(|| {
            let text =
                format!("consumers had not finished within {within:?}; the session has ended all the same");
            Error::new(ErrorKind::DrainTimedOut, text)
        })
    }

    /// Gives the connection up at once, without a word to the broker, and connects again as after any other loss: what was
    /// in flight ends as it does then, subscriptions come back, and a session that does not reconnect ends with
    /// [`ErrorKind::ConnectionLost`].
    ///
    /// During an outage the next attempt begins now instead of after its delay: for who knows that the network is back. While
    /// an attempt is under way, and once the session is being ended, nothing happens.
    pub fn reconnect(&self) {
        self.0.shared.command(|machine| machine.reconnect(rt::now()));
    }

    /// Ends the session at once, without a word to the broker.
    pub fn abort(&self) {
        self.0.shared.command(|machine| machine.abort());
    }

    /// Waits until the session has ended: cleanly (`None`) or for a reason.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) -> Option<Error> {
        let mut state = self.state_changes();
        let ended = state.wait_for(|state| matches!(state, SessionState::Closed(_))).await;
        match ended.as_deref() {
            Ok(SessionState::Closed(cause)) => cause.clone(),
            _ => None,
        }
    }

    /// Where the session stands now.
    pub fn state(&self) -> SessionState {
        self.0.shared.state()
    }

    /// Where the session stands, as a value to watch. What a handle asks for ([`abort`](Self::abort),
    /// [`disconnect`](Self::disconnect)) shows here a moment later than in [`state`](Self::state): once the session's task
    /// has had its turn.
    pub fn state_changes(&self) -> watch::Receiver<SessionState> {
        self.0.shared.state_changes()
    }

    /// What the broker said of itself; `None` once the session ends or has ended.
    pub fn connected(&self) -> Option<Arc<Connected>> {
        match self.state() {
            SessionState::Connected(peer) => Some(peer),
            _ => None,
        }
    }

    /// The last 64 events, for a bug report: what happened to the connection, not what was carried over it.
    pub fn history(&self) -> History {
        self.0.shared.command(|machine| machine.history().clone())
    }

    /// Whether the observer is told of each frame that is written ([`Event::Sent`](crate::protocol::Event::Sent)), from
    /// the next one that is handed over on.
    pub fn tell_sends(&self, tell: bool) {
        self.0.shared.command(|machine| machine.tell_sends(tell));
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(crate) fn receipt_timeout(&self) -> Duration {
        self.0.shared.receipt_timeout
    }
}

/// A subscription that is being drained: the broker has been told. Dropped, it ends here as well, whatever came of the
/// RECEIPT: no more messages are expected, or nobody waits for them.
struct Leaving {
    shared: Arc<Shared>,
    id: SubscriptionId,
    receipt: Receipt,
}

impl Leaving {
    fn new(shared: Arc<Shared>, (id, receipt): (SubscriptionId, ReceiptId)) -> Self {
        Self { id, receipt: Receipt::new(shared.clone(), receipt), shared }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // It was announced already; there is nothing left to say that could fail.
        let _ = self.shared.command(|machine| machine.unsubscribe(self.id));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.command(|machine| machine.disconnect(rt::now()));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state()).finish()
    }
}
