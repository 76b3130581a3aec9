use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stompede_codec::{Limits, Version};
use stompede_session::{BrokerProfile, Config, Error, Outbox, ReconnectPolicy, SendPolicy, Session};
use stompede_transport::{Connector, Endpoint, Transport, TransportError, TransportErrorKind};

use crate::dispatch::Dispatch;
use crate::listener::ErasedListener;
use crate::wires::Wires;
use crate::{Client, HeartBeat, Interceptor, Listener, hosts, sense};

/// Settings of a [`Client`]; made by [`Client::builder`].
///
/// Nonsense is reported by [`connect`](Self::connect).
#[must_use = "nothing happens before connect()"]
pub struct ClientBuilder {
    config: Result<Config, Error>,
    connector: Option<Arc<dyn Connector>>,
    listeners: Vec<(String, Arc<dyn ErasedListener>)>,
    interceptors: Vec<Arc<dyn Interceptor>>,
    /// What concerns the transports of this crate.
    pub(crate) wires: Wires,
    pub(crate) try_loopback: bool,
    /// Somebody has said how long all steps to a connection may take together.
    total_set: bool,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            config: Config::for_url(url),
            connector: None,
            listeners: Vec::new(),
            interceptors: Vec::new(),
            wires: Wires::default(),
            try_loopback: false,
            total_set: false,
        }
    }

    /// The `login` and `passcode` headers of CONNECT. They take precedence over credentials in the URL.
    pub fn credentials(self, login: impl Into<String>, passcode: impl Into<String>) -> Self {
        self.set(|config| {
            config.login = Some(login.into());
            config.passcode = Some(passcode.into());
        })
    }

    /// The `login` header of CONNECT alone; see [`credentials`](Self::credentials). stomp.py's `username`.
    pub fn login(self, login: impl Into<String>) -> Self {
        self.set(|config| config.login = Some(login.into()))
    }

    /// The `passcode` header of CONNECT alone; see [`credentials`](Self::credentials).
    pub fn passcode(self, passcode: impl Into<String>) -> Self {
        self.set(|config| config.passcode = Some(passcode.into()))
    }

    /// The same as [`host`](Self::host), under stomp.py's name.
    pub fn vhost(self, vhost: impl Into<String>) -> Self {
        self.host(vhost)
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

    /// Whether a message with a body gets a `content-length` if it has none. True unless set.
    ///
    /// Without it a body must not contain NUL, and ActiveMQ hands it to JMS as text instead of bytes.
    pub fn auto_content_length(self, write: bool) -> Self {
        self.set(|config| config.auto_content_length = write)
    }

    /// What a frame from the broker may measure.
    pub fn limits(self, limits: Limits) -> Self {
        self.set(|config| config.limits = limits)
    }

    /// The heart-beats to offer. Every 10 s both ways unless set; [`HeartBeat::OFF`] offers none.
    pub fn heart_beat(self, offer: HeartBeat) -> Self {
        self.set(|config| config.heart_beat = offer)
    }

    /// The same as [`heart_beat`](Self::heart_beat) in stomp.py's form: how often we can send, and how often we want to hear
    /// from the broker, in milliseconds. Zero is never.
    pub fn heartbeats(self, send_ms: u32, receive_ms: u32) -> Self {
        let millis = |ms: u32| Duration::from_millis(ms.into());
        self.heart_beat(HeartBeat { send: millis(send_ms), receive: millis(receive_ms) })
    }

    /// How many times the period that it promised the broker is granted, under stomp.py's name; 1.5 unless set, at least 1.
    pub fn heart_beat_receive_scale(self, scale: f64) -> Self {
        self.set(|config| config.receive_scale = scale)
    }

    /// How much silence beyond what it promised the broker is granted: `scale` times the period, and `slack` on top.
    /// 1.5 and 500 ms unless set.
    pub fn heart_beat_tolerance(self, scale: f64, slack: Duration) -> Self {
        self.set(|config| {
            config.receive_scale = scale;
            config.receive_slack = slack;
        })
    }

    /// Time for opening the connection: name look-up, TCP, WebSocket upgrade. 10 s unless set. Each of these steps may take
    /// four fifths of it, and at least 8 s, so that an error says which one hangs.
    pub fn connect_timeout(self, within: Duration) -> Self {
        self.set(|config| config.connect_timeout = within)
    }

    /// Time from the open connection to CONNECTED. 10 s unless set.
    pub fn handshake_timeout(self, within: Duration) -> Self {
        self.set(|config| config.handshake_timeout = within)
    }

    /// Time for all of that together, from the first step to CONNECTED. 15 s unless set, and longer by what
    /// [`connect_timeout`](Self::connect_timeout) and [`handshake_timeout`](Self::handshake_timeout) were set above 10 s.
    pub fn total_connect_timeout(mut self, within: Duration) -> Self {
        self.total_set = true;
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

    /// Bytes of messages that all subscriptions together may hold beyond their queues before reading stops. 16 MiB unless
    /// set.
    pub fn overflow_bytes(self, bytes: usize) -> Self {
        self.set(|config| config.overflow_bytes = bytes)
    }

    /// How long reading may have stopped before waits for receipts end with [`ErrorKind::Stalled`](crate::ErrorKind::Stalled).
    /// 5 s unless set.
    pub fn stall_timeout(self, within: Duration) -> Self {
        self.set(|config| config.stall_timeout = within)
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

    /// Where messages that are [sent at least once](crate::Guarantee::AtLeastOnce) are kept beside the memory, so that they
    /// outlive the process; see [`Outbox`]. Nowhere unless set.
    pub fn outbox(self, outbox: Arc<dyn Outbox>) -> Self {
        self.set(|config| config.outbox = Some(outbox))
    }

    /// Where else the broker can be found, tried after the URL.
    pub fn failover(self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
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

    /// Adds an interceptor, which sees frames before they are sent and messages before they are consumed.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Dials with this instead of what the URL's scheme stands for. An async closure will do:
    /// `|endpoint: Endpoint| async move { … }`.
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// Speaks over this connection, which is open already: stomp.py's `ws`. It serves one attempt to connect.
    pub fn transport(self, transport: impl Transport + Send + 'static) -> Self {
        let slot = Arc::new(Mutex::new(Some(transport)));
        self.connector(move |_: Endpoint| {
            let transport = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                transport.ok_or_else(|| {
                    let why = "transport: the connection that was given has been used; give a connector to have more";
                    TransportError::new(TransportErrorKind::InvalidSetting, why)
                })
            }
        })
    }

    /// Has the operating system probe a connection that has been idle for this long: TCP keep-alive, over `ws://` too. Off
    /// unless set; at least a second.
    #[cfg(feature = "tcp")]
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.wires.keepalive = Some(idle);
        self
    }

    /// How long after a keep-alive probe without answer the next is sent; at least a second. Switches keep-alive on.
    #[cfg(feature = "tcp")]
    pub fn keepalive_interval(mut self, interval: Duration) -> Self {
        self.wires.keepalive_interval = Some(interval);
        self
    }

    /// After how many keep-alive probes without answer the connection is given up. Switches keep-alive on.
    #[cfg(feature = "tcp")]
    pub fn keepalive_count(mut self, probes: u32) -> Self {
        self.wires.keepalive_count = Some(probes);
        self
    }

    /// The local address that connections leave from, over `ws://` too: stomp.py's `bind_host_port`. Only addresses of the
    /// broker of the same family are tried then.
    ///
    /// The port is the system's to choose: one that is fixed could not be used again for a minute after a connection ended.
    #[cfg(feature = "tcp")]
    pub fn bind(mut self, address: std::net::IpAddr) -> Self {
        self.wires.bind = Some(address);
        self
    }

    /// Adds a header field to the WebSocket upgrade: stomp.py's `header`. Has no meaning for other URLs.
    #[cfg(feature = "ws")]
    pub fn upgrade_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.wires.upgrade_headers.push((name.into(), value.into()));
        self
    }

    /// Sends WebSocket messages as binary: stomp.py's `binary_mode`. Unless set, they are text where they can be. ActiveMQ
    /// Classic throws binary ones away. Has no meaning for other URLs.
    #[cfg(feature = "ws")]
    pub fn binary_mode(mut self, binary: bool) -> Self {
        self.wires.binary = binary;
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
        let mut config = self.config?;
        if self.try_loopback {
            hosts::add_loopback(&mut config)?;
        }
        if !self.total_set {
            sense::stretch_total(&mut config);
        }
        // Before any task is started for it.
        config.validate()?;
        sense::check_times(&config)?;
        let connector = match self.connector {
            Some(_) if !self.wires.told().is_empty() => {
                let told = self.wires.told().join(", ");
                return Err(Error::invalid(format!(
                    "connector: your own does not hear of what is for those of this crate: {told}"
                )));
            }
            Some(connector) => connector,
            None => self.wires.connector(config.limits, config.connect_timeout)?,
        };
        let runtime = Session::runtime()?;
        let dispatch = Dispatch::start(runtime, self.listeners, self.interceptors);
        let session = Session::connect_observed(config, connector, Some(dispatch.clone())).await?;
        Ok(Client::new(session, dispatch))
    }

    pub(crate) fn set(self, change: impl FnOnce(&mut Config)) -> Self {
        self.try_set(|config| {
            change(config);
            Ok(())
        })
    }

    /// The first error is the one that [`connect`](Self::connect) tells.
    pub(crate) fn try_set(mut self, change: impl FnOnce(&mut Config) -> Result<(), Error>) -> Self {
        self.config = self.config.and_then(|mut config| change(&mut config).map(|()| config));
        self
    }
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
