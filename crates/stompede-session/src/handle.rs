use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::Frame;
use stompede_transport::Connector;
use tokio::sync::watch;

use crate::driver::{self, Observer, Shared};
use crate::protocol::{Connected, SubscriptionId};
use crate::{Config, Error, ErrorKind, SendBuilder, SessionState, SubscribeBuilder, rt};

/// A handle to a session. Clones are handles to the same session; when the last one is dropped, the session ends in
/// order, as after [`disconnect`](Self::disconnect).
#[derive(Clone)]
pub struct Session(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    receipt_timeout: Duration,
}

impl Session {
    /// Opens a connection and logs in.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a setting that makes no sense, and outside a tokio runtime;
    /// [`ErrorKind::DialFailed`], [`ErrorKind::ConnectTimedOut`], [`ErrorKind::HandshakeTimedOut`],
    /// [`ErrorKind::LoginRefused`], [`ErrorKind::VersionMismatch`], [`ErrorKind::Protocol`] and
    /// [`ErrorKind::ConnectionLost`] for what their names say.
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
        let receipt_timeout = config.receipt_timeout;
        let shared = driver::start(config, connector, observer)?;
        // Made before the wait: if this future is dropped, so is the session.
        let session = Self(Arc::new(Handle { shared, receipt_timeout }));
        let mut state = session.0.shared.state().subscribe();
        let reached = state.wait_for(|state| !matches!(state, SessionState::Connecting)).await;
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

    /// Sends UNSUBSCRIBE for a subscription of this session. Messages that wait for its consumer can still be taken;
    /// then its stream ends. A subscription that has ended already is fine.
    ///
    /// Does not wait for the broker.
    ///
    /// # Errors
    /// No connection is open. The subscription has ended all the same.
    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<(), Error> {
        self.0.shared.unsubscribe(id)
    }

    /// Waits until every frame handed over before this call has been written to the connection.
    ///
    /// # Errors
    /// The session ended before. [`ErrorKind::WriteTimedOut`] if it takes longer than the session's `receipt_timeout`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), Error> {
        let number = self.0.shared.command(|machine| machine.queued());
        let flushed = poll_fn(|cx| self.0.shared.poll_flushed(cx, number));
        match rt::timeout(self.0.receipt_timeout, flushed).await {
            Ok(flushed) => flushed,
            Err(_) => Err(Error::new(
                ErrorKind::WriteTimedOut,
                format!("the connection did not take everything within {:?}", self.0.receipt_timeout),
            )),
        }
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
        let ended_before = self.0.shared.command(|machine| {
            let ended = machine.closed().is_some();
            machine.disconnect(rt::now());
            ended
        });
        if ended_before {
            return Ok(());
        }
        self.closed().await.map_or(Ok(()), Err)
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
        self.0.shared.state().borrow().clone()
    }

    /// Where the session stands, as a value to watch.
    pub fn state_changes(&self) -> watch::Receiver<SessionState> {
        self.0.shared.state().subscribe()
    }

    /// What the broker said of itself; `None` once the session has ended.
    pub fn connected(&self) -> Option<Arc<Connected>> {
        match &*self.0.shared.state().borrow() {
            SessionState::Connected(peer) => Some(peer.clone()),
            _ => None,
        }
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
        self.0.receipt_timeout
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
