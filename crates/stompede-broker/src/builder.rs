use std::time::Duration;

use crate::access::{Access, Login};
use crate::heartbeat::Offer;
use crate::{Broker, BrokerError, BrokerLimits, Listen, Personality};

/// Settings of a [`Broker`]; made by [`Broker::builder`].
#[derive(Debug)]
#[must_use = "nothing happens before start()"]
pub struct BrokerBuilder {
    pub(crate) settings: Settings,
    listeners: Vec<Listen>,
    /// Whether to listen for TCP, and for WebSocket, where nothing else is said.
    defaults: [bool; 2],
}

/// What holds for all connections.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) limits: BrokerLimits,
    pub(crate) access: Access,
    pub(crate) hosts: Vec<String>,
    pub(crate) heart_beat: Offer,
    pub(crate) personality: Personality,
}

impl BrokerBuilder {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            limits: BrokerLimits::default(),
            access: Access::default(),
            hosts: Vec::new(),
            heart_beat: Offer::new(HEART_BEAT, HEART_BEAT),
            personality: Personality::stompede(),
        };
        Self { settings, listeners: Vec::new(), defaults: [true, true] }
    }

    /// Listens here; may be said many times. Unless something is said about TCP, or about WebSocket, with TLS or without,
    /// each gets a free port of 127.0.0.1, without TLS.
    pub fn listen(mut self, listen: Listen) -> Self {
        self.listeners.push(listen);
        self
    }

    /// Listens for TCP at `host:port`; short for [`listen`](Self::listen) with [`Listen::tcp`].
    pub fn tcp(self, address: impl Into<String>) -> Self {
        self.listen(Listen::tcp(address))
    }

    /// Listens for WebSocket at `host:port`, on any path; short for [`listen`](Self::listen) with [`Listen::ws`].
    pub fn ws(self, address: impl Into<String>) -> Self {
        self.listen(Listen::ws(address))
    }

    /// Listens for STOMP over TLS at `host:port`; short for [`listen`](Self::listen) with [`Listen::tls`].
    #[cfg(feature = "tls")]
    pub fn tls(self, address: impl Into<String>, tls: crate::TlsAcceptConfig) -> Self {
        self.listen(Listen::tls(address, tls))
    }

    /// Listens for WebSocket over TLS at `host:port`, on any path; short for [`listen`](Self::listen) with
    /// [`Listen::wss`].
    #[cfg(feature = "tls")]
    pub fn wss(self, address: impl Into<String>, tls: crate::TlsAcceptConfig) -> Self {
        self.listen(Listen::wss(address, tls))
    }

    /// Does not listen for TCP, unless told where.
    pub fn without_tcp(mut self) -> Self {
        self.defaults[0] = false;
        self
    }

    /// Does not listen for WebSocket, unless told where.
    pub fn without_ws(mut self) -> Self {
        self.defaults[1] = false;
        self
    }

    /// Lets in who gives this login and passcode; may be said many times.
    ///
    /// Without a login and without [`check_login`](Self::check_login) anybody is let in.
    pub fn login(mut self, login: impl Into<String>, passcode: impl Into<String>) -> Self {
        self.settings.access.add(login.into(), passcode.into());
        self
    }

    /// Lets in whom this closure accepts, besides those that [`login`](Self::login) names. It must not block.
    ///
    /// ```
    /// # use stompede_broker::Broker;
    /// let builder = Broker::builder().check_login(|who| who.login == Some("me") && who.host != Some("secret"));
    /// ```
    pub fn check_login(mut self, check: impl Fn(&Login<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.settings.access.check_with(Box::new(check));
        self
    }

    /// Lets in also who gives neither a login nor a passcode.
    pub fn allow_anonymous(mut self) -> Self {
        self.settings.access.allow_anonymous();
        self
    }

    /// Adds a virtual host, which has destinations of its own; may be said many times.
    ///
    /// A client names it in CONNECT's `host`; one that names none gets the first. Without virtual hosts any name will
    /// do, and all clients see the same destinations.
    pub fn virtual_host(mut self, name: impl Into<String>) -> Self {
        self.settings.hosts.push(name.into());
        self
    }

    /// How often it can send, and wants to hear from clients; [`Duration::ZERO`] is never. 100 ms each unless set.
    ///
    /// With each client the larger of both sides' numbers counts, for each direction, in whole milliseconds. A client
    /// from which nothing is heard for twice that time gets an ERROR and is ended.
    pub fn heart_beat(mut self, send: Duration, receive: Duration) -> Self {
        self.settings.heart_beat = Offer::new(send, receive);
        self
    }

    /// Answers as another broker does, where they differ.
    ///
    /// What it says about heart-beats goes before [`heart_beat`](Self::heart_beat), and what it says about WebSocket
    /// messages before [`Listen::message_kind`].
    pub fn personality(mut self, personality: Personality) -> Self {
        self.settings.personality = personality;
        self
    }

    /// What clients may take.
    pub fn limits(mut self, limits: BrokerLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Starts to listen.
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] if an address cannot be listened on.
    pub async fn start(mut self) -> Result<Broker, BrokerError> {
        let [tcp, ws] = self.defaults;
        let said = |ws| self.listeners.iter().any(|listen| listen.is_ws() == ws);
        let missing = [
            (tcp && !said(false)).then(|| Listen::tcp("127.0.0.1:0")),
            (ws && !said(true)).then(|| Listen::ws("127.0.0.1:0")),
        ];
        self.listeners.extend(missing.into_iter().flatten());
        Broker::start_with(self.settings, self.listeners).await
    }
}

/// Low, so that the client's own number decides: a test that asks for quick heart-beats gets them.
const HEART_BEAT: Duration = Duration::from_millis(100);
