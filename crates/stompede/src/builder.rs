use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::{Limits, Version};
use stompede_session::{BrokerProfile, Config, Error, ReconnectPolicy, SendPolicy, Session};
use stompede_transport::Connector;

use crate::dispatch::Dispatch;
use crate::listener::ErasedListener;
use crate::{Client, HeartBeat, Listener};

/// Settings of a [`Client`]; made by [`Client::builder`].
///
/// Nonsense is reported by [`connect`](Self::connect).
#[must_use = "nothing happens before connect()"]
pub struct ClientBuilder {
    config: Result<Config, Error>,
    connector: Option<Arc<dyn Connector>>,
    listeners: Vec<(String, Arc<dyn ErasedListener>)>,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self { config: Config::for_url(url), connector: None, listeners: Vec::new() }
    }

    /// The `login` and `passcode` headers of CONNECT. They take precedence over credentials in the URL.
    pub fn credentials(self, login: impl Into<String>, passcode: impl Into<String>) -> Self {
        self.set(|config| {
            config.login = Some(login.into());
            config.passcode = Some(passcode.into());
        })
    }

    /// The virtual host: the `host` header of CONNECT. The URL's host name unless set; RabbitMQ's usual one is `/`.
    pub fn host(self, host: impl Into<String>) -> Self {
        self.set(|config| config.host = Some(host.into()))
    }

    /// The STOMP versions to offer. All three unless set.
    pub fn versions(self, versions: impl IntoIterator<Item = Version>) -> Self {
        self.set(|config| config.versions = versions.into_iter().collect())
    }

    /// Adds a header to CONNECT.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(|config| config.headers.push((name.into(), value.into())))
    }

    /// What a frame from the broker may measure.
    pub fn limits(self, limits: Limits) -> Self {
        self.set(|config| config.limits = limits)
    }

    /// The heart-beats to offer. Every 10 s both ways unless set; [`HeartBeat::OFF`] offers none.
    pub fn heart_beat(self, offer: HeartBeat) -> Self {
        self.set(|config| config.heart_beat = offer)
    }

    /// How much silence beyond what it promised the broker is granted: `scale` times the period, and `slack` on top.
    /// 1.5 and 500 ms unless set.
    pub fn heart_beat_tolerance(self, scale: f64, slack: Duration) -> Self {
        self.set(|config| {
            config.receive_scale = scale;
            config.receive_slack = slack;
        })
    }

    /// Time for opening the connection: name look-up, TCP, WebSocket upgrade. 10 s unless set.
    pub fn connect_timeout(self, within: Duration) -> Self {
        self.set(|config| config.connect_timeout = within)
    }

    /// Time from the open connection to CONNECTED. 10 s unless set.
    pub fn handshake_timeout(self, within: Duration) -> Self {
        self.set(|config| config.handshake_timeout = within)
    }

    /// Time for all of that together, from the first step to CONNECTED. 15 s unless set.
    pub fn total_connect_timeout(self, within: Duration) -> Self {
        self.set(|config| config.total_connect_timeout = within)
    }

    /// How long something may wait to be written without the connection taking anything. 30 s unless set.
    pub fn write_timeout(self, within: Duration) -> Self {
        self.set(|config| config.write_timeout = within)
    }

    /// How long the connection may carry no frame before it is given up. No limit unless set.
    pub fn idle_timeout(self, within: Option<Duration>) -> Self {
        self.set(|config| config.idle_timeout = within)
    }

    /// Time for a RECEIPT, unless the call gives its own. 30 s unless set.
    pub fn receipt_timeout(self, within: Duration) -> Self {
        self.set(|config| config.receipt_timeout = within)
    }

    /// Time for [`Client::disconnect`]. 10 s unless set.
    pub fn disconnect_timeout(self, within: Duration) -> Self {
        self.set(|config| config.disconnect_timeout = within)
    }

    /// How the client comes back after its connection is lost. It does so unless told otherwise.
    pub fn reconnect(self, policy: ReconnectPolicy) -> Self {
        self.set(|config| config.reconnect = policy)
    }

    /// What is done for a message beyond writing it once. Nothing unless set.
    pub fn sending(self, policy: SendPolicy) -> Self {
        self.set(|config| config.sending = policy)
    }

    /// Where else the broker can be found, tried after the URL.
    pub fn failover(self, endpoints: impl IntoIterator<Item = crate::Endpoint>) -> Self {
        self.set(|config| config.failover = endpoints.into_iter().collect())
    }

    /// What the broker does differently. Found out from CONNECTED unless set.
    pub fn profile(self, profile: BrokerProfile) -> Self {
        self.set(|config| config.profile = Some(profile))
    }

    /// Registers a listener under a name. The same name again replaces the earlier one.
    ///
    /// It is an `Arc`, so the caller keeps a handle to it.
    pub fn listener<L: Listener>(mut self, name: impl Into<String>, listener: Arc<L>) -> Self {
        let name = name.into();
        match self.listeners.iter_mut().find(|(taken, _)| *taken == name) {
            Some((_, earlier)) => *earlier = listener,
            None => self.listeners.push((name, listener)),
        }
        self
    }

    /// Dials with this instead of what the URL's scheme stands for. An async closure will do:
    /// `|endpoint: Endpoint| async move { … }`.
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Opens a connection and logs in.
    ///
    /// # Errors
    /// An [`Error`] whose kind says what failed: the settings, the dial, a time limit, the login. See
    /// [`ErrorKind`](crate::ErrorKind).
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up. Nothing is left behind.
    pub async fn connect(self) -> Result<Client, Error> {
        let config = self.config?;
        // Before any task is started for it.
        config.validate()?;
        let connector = self.connector.unwrap_or_else(default_connector);
        let runtime = Session::runtime()?;
        let dispatch = Dispatch::start(runtime, self.listeners);
        let session = Session::connect_observed(config, connector, Some(dispatch.clone())).await?;
        Ok(Client::new(session, dispatch))
    }

    fn set(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let Ok(config) = &mut self.config {
            change(config);
        }
        self
    }
}

#[cfg(feature = "tcp")]
fn default_connector() -> Arc<dyn Connector> {
    Arc::new(stompede_transport::DefaultConnector::new())
}

/// Without a transport of its own this build knows no scheme.
#[cfg(not(feature = "tcp"))]
fn default_connector() -> Arc<dyn Connector> {
    use stompede_transport::{BoxTransport, Endpoint, TransportError, TransportErrorKind};

    Arc::new(|endpoint: Endpoint| async move {
        let text = format!("{}: enable the feature tcp or ws, or give a connector", endpoint.scheme());
        Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::UnsupportedScheme, text))
    })
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners: Vec<_> = self.listeners.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClientBuilder")
            .field("config", &self.config)
            .field("connector", &self.connector.is_some())
            .field("listeners", &listeners)
            .finish()
    }
}
