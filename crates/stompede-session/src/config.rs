use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stompede_codec::{Command, Encoder, Frame, Limits, Version};
use stompede_transport::Endpoint;

use crate::protocol::Attempt;
use crate::{
    BeforeConnect, BrokerProfile, Error, ErrorKind, Guarantee, HeartBeat, HostOrder, Outbox, ReconnectPolicy,
    SendPolicy,
};

/// Everything a session is told before it begins.
///
/// Plain data: set the fields that matter and leave the rest. Nonsense is reported when the session connects.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where the broker is.
    pub endpoint: Endpoint,
    /// Where else the same broker, or one of its cluster, can be found. Tried after [`endpoint`](Self::endpoint)
    /// unless [`host_order`](Self::host_order) says otherwise.
    pub failover: Vec<Endpoint>,
    /// In which order the hosts are tried. As listed unless set.
    pub host_order: HostOrder,
    /// Whether hosts that are this machine, by name or address, are tried before the others.
    pub prefer_localhost: bool,
    /// How the session comes back after its connection is lost.
    pub reconnect: ReconnectPolicy,
    /// Who is asked before each attempt to connect. Nobody unless set.
    ///
    /// The driver asks; who drives a [`Machine`](crate::protocol::Machine) has
    /// [`set_attempt`](crate::protocol::Machine::set_attempt).
    pub before_connect: Option<BeforeConnect>,
    /// What is done for a message beyond writing it once.
    pub sending: SendPolicy,
    /// Where messages of [`Guarantee::AtLeastOnce`] outlive the process. Nowhere unless set: they are kept in memory, within
    /// the limits of [`sending`](Self::sending).
    ///
    /// The driver carries it out; who drives a [`Machine`](crate::protocol::Machine) has
    /// [`poll_outbox`](crate::protocol::Machine::poll_outbox).
    pub outbox: Option<Arc<dyn Outbox>>,
    /// What the broker does differently. Chosen by the `server` header of CONNECTED unless set.
    pub profile: Option<BrokerProfile>,
    /// The `login` header of CONNECT. From the endpoint's credentials unless set.
    pub login: Option<String>,
    /// The `passcode` header of CONNECT. From the endpoint's credentials unless set.
    pub passcode: Option<String>,
    /// The `host` header of CONNECT: the virtual host. The endpoint's host name unless set.
    ///
    /// RabbitMQ's usual virtual host is `/`.
    pub host: Option<String>,
    /// The versions to offer. All three unless set.
    pub versions: Vec<Version>,
    /// More headers for CONNECT, in this order.
    pub headers: Vec<(String, String)>,
    /// Whether a message with a body gets a `content-length` if it has none. True unless set.
    ///
    /// Without it a body must not contain NUL, and ActiveMQ hands it to JMS as text instead of bytes. A [profile](Self::profile)
    /// that knows this leaves it out for text of itself.
    pub auto_content_length: bool,
    /// What a frame from the broker may measure.
    pub limits: Limits,
    /// What we offer: how often we can send, and how often we want to hear from the broker. 10 s both ways unless set.
    ///
    /// What comes of it stands in [`Connected::heart_beat`](crate::protocol::Connected::heart_beat). The offer is made
    /// anew with each CONNECT.
    pub heart_beat: HeartBeat,
    /// A silent peer is given this many times the period it promised, plus [`receive_slack`](Self::receive_slack),
    /// before it counts as dead. 1.5 unless set; at least 1.
    pub receive_scale: f64,
    /// What a silent peer is given on top, whatever the period. 500 ms unless set: the delays of timers and networks
    /// do not shrink with the period.
    pub receive_slack: Duration,
    /// Time for opening the connection: name look-up, TCP, WebSocket upgrade. 10 s unless set.
    pub connect_timeout: Duration,
    /// Time from the open connection to CONNECTED. 10 s unless set.
    pub handshake_timeout: Duration,
    /// Time for all of that together, from the first step to CONNECTED. 15 s unless set.
    pub total_connect_timeout: Duration,
    /// How long something may wait to be written without the connection taking anything before the peer counts as
    /// dead. 30 s unless set: a broker that blocks its publishers for a moment is not dead. A large frame may take longer
    /// than this as long as it moves; of a transport that does not tell
    /// ([`Transport::written`](stompede_transport::Transport::written)) all of it has to be taken in this time, and that it
    /// takes another frame counts as well.
    pub write_timeout: Duration,
    /// How long a connection may carry no frame, nor part of one, in either direction, before it is given up. Heart-beats
    /// do not count, nor does the time in which reading has [stopped](crate::protocol::Event::Stalled). No limit unless
    /// set: that a peer is alive is what heart-beats tell.
    pub idle_timeout: Option<Duration>,
    /// Bytes of messages that all subscriptions together may hold beyond their own queues before reading stops. 16 MiB
    /// unless set: enough for a consumer to stumble while receipts and the other subscriptions flow on; a consumer that
    /// never comes back must not take the process's memory.
    pub overflow_bytes: usize,
    /// How long reading may have stopped before waits that need something unread (receipts, `disconnect()`) end with
    /// [`ErrorKind::Stalled`]. 5 s unless set.
    pub stall_timeout: Duration,
    /// Time for a RECEIPT, unless the call gives its own. 30 s unless set.
    pub receipt_timeout: Duration,
    /// Time for `disconnect()`: receipts in flight, DISCONNECT and its RECEIPT. 10 s unless set.
    pub disconnect_timeout: Duration,
}

impl Config {
    /// The default settings for `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        let credentials = endpoint.credentials();
        let login = credentials.map(|credentials| credentials.login().to_owned());
        let passcode = credentials.and_then(|credentials| credentials.passcode()).map(str::to_owned);
        Self {
            endpoint,
            failover: Vec::new(),
            host_order: HostOrder::default(),
            prefer_localhost: false,
            reconnect: ReconnectPolicy::default(),
            before_connect: None,
            sending: SendPolicy::default(),
            outbox: None,
            profile: None,
            login,
            passcode,
            host: None,
            versions: Version::ALL.to_vec(),
            headers: Vec::new(),
            auto_content_length: true,
            limits: Limits::default(),
            heart_beat: HeartBeat::every(Duration::from_secs(10)),
            receive_scale: 1.5,
            receive_slack: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            total_connect_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            overflow_bytes: 16 * 1024 * 1024,
            stall_timeout: Duration::from_secs(5),
            receipt_timeout: Duration::from_secs(30),
            disconnect_timeout: Duration::from_secs(10),
        }
    }

    /// The default settings for the broker at `url`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the URL makes no sense.
    pub fn for_url(url: &str) -> Result<Self, Error> {
        match Endpoint::parse(url) {
            Ok(endpoint) => Ok(Self::new(endpoint)),
            Err(error) => {
                Err(Error::with_transport(ErrorKind::InvalidArgument, "the URL makes no sense", error))
            }
        }
    }

    /// Checks what can be checked without a broker.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], naming the setting.
    pub fn validate(&self) -> Result<(), Error> {
        if self.versions.is_empty() {
            return Err(Error::invalid("versions: offer at least one STOMP version"));
        }
        let limits = [
            ("connect_timeout", self.connect_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("total_connect_timeout", self.total_connect_timeout),
            ("write_timeout", self.write_timeout),
            ("idle_timeout", self.idle_timeout.unwrap_or(Duration::MAX)),
            ("stall_timeout", self.stall_timeout),
            ("receipt_timeout", self.receipt_timeout),
            ("disconnect_timeout", self.disconnect_timeout),
        ];
        if !(self.receive_scale >= 1.0 && self.receive_scale.is_finite()) {
            return Err(Error::invalid(
                "receive_scale: a peer needs at least the period it promised; 1.0 or more",
            ));
        }
        if self.limits.max_head == 0 || self.limits.max_header_line == 0 || self.limits.max_header_count == 0
        {
            return Err(Error::invalid("limits: a head of nothing lets no frame in, CONNECTED included"));
        }
        for (name, limit) in limits {
            if limit.is_zero() {
                return Err(Error::invalid(format!(
                    "{name}: a time limit of zero cannot be kept; give it some time"
                )));
            }
        }
        if self.outbox.is_some() && self.sending.guarantee != Guarantee::AtLeastOnce {
            return Err(Error::invalid(
                "outbox: only messages that are sent at least once are kept; set sending.guarantee",
            ));
        }
        self.reconnect.validate()?;
        self.sending.validate()?;
        let connect = self.connect_frame(&self.attempt(self.endpoint.clone(), 0, None))?;
        let mut scratch = bytes::BytesMut::new();
        Encoder::new(self.highest_version())
            .encode(&connect, &mut scratch)
            .map_err(|error| Error::invalid_because("a header of CONNECT cannot be written", error))
    }

    pub(crate) fn highest_version(&self) -> Version {
        self.versions.iter().copied().max().unwrap_or_default()
    }

    /// All hosts, as listed.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = Endpoint> {
        std::iter::once(&self.endpoint).chain(&self.failover).cloned()
    }

    /// What an attempt at this host says of itself, unless somebody changes it.
    pub(crate) fn attempt(&self, endpoint: Endpoint, number: u32, last_error: Option<Error>) -> Attempt {
        // The credentials in a URL are those of its host; the first one's have become the session's.
        let own = endpoint.credentials().filter(|_| endpoint != self.endpoint);
        let login = own.map(|own| own.login().to_owned()).or_else(|| self.login.clone());
        let passcode = match own {
            Some(own) => own.passcode().map(str::to_owned),
            None => self.passcode.clone(),
        };
        Attempt { endpoint, login, passcode, headers: self.headers.clone(), number, last_error }
    }

    /// The CONNECT frame (STOMP 1.2, section "Connecting").
    pub(crate) fn connect_frame(&self, attempt: &Attempt) -> Result<Frame, Error> {
        // A second one would be sent and, by the rules of STOMP, ignored.
        let made = |name: &str| MADE_OF_SETTINGS.iter().find(|(header, _)| *header == name);
        if let Some((name, setting)) = attempt.headers.iter().find_map(|(name, _)| made(name)) {
            return Err(Error::invalid(format!(
                "headers: {name} is made of the setting {setting}; set that"
            )));
        }
        let mut offered = self.versions.clone();
        offered.sort_unstable();
        offered.dedup();
        let offered: Vec<_> = offered.into_iter().map(Version::as_str).collect();
        let mut frame = Frame::new(Command::Connect)
            .with_header("accept-version", offered.join(","))
            .with_header("host", self.host.as_deref().unwrap_or(attempt.endpoint.host()));
        if let Some(login) = &attempt.login {
            frame = frame.with_header("login", login);
        }
        if let Some(passcode) = &attempt.passcode {
            frame = frame.with_header("passcode", passcode);
        }
        if self.heart_beat != HeartBeat::OFF {
            frame = frame.with_header("heart-beat", self.heart_beat.to_string());
        }
        for (name, value) in &attempt.headers {
            frame = frame.with_header(name, value);
        }
        Ok(frame)
    }
}

/// Headers of CONNECT, and what they are made of.
const MADE_OF_SETTINGS: &[(&str, &str)] = &[
    ("accept-version", "versions"),
    ("heart-beat", "heart_beat"),
    ("host", "host"),
    ("login", "login"),
    ("passcode", "passcode"),
];

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values stay out: tokens travel in them.
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("failover", &self.failover)
            .field("host_order", &self.host_order)
            .field("prefer_localhost", &self.prefer_localhost)
            .field("reconnect", &self.reconnect)
            .field("before_connect", &self.before_connect)
            .field("sending", &self.sending)
            .field("outbox", &self.outbox.is_some())
            .field("profile", &self.profile)
            .field("login", &self.login)
            .field("passcode", &self.passcode.as_ref().map(|_| "***"))
            .field("host", &self.host)
            .field("versions", &self.versions)
            .field("headers", &headers)
            .field("limits", &self.limits)
            .field("heart_beat", &self.heart_beat)
            .field("receive_scale", &self.receive_scale)
            .field("receive_slack", &self.receive_slack)
            .field("connect_timeout", &self.connect_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("total_connect_timeout", &self.total_connect_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("overflow_bytes", &self.overflow_bytes)
            .field("stall_timeout", &self.stall_timeout)
            .field("receipt_timeout", &self.receipt_timeout)
            .field("disconnect_timeout", &self.disconnect_timeout)
            .finish()
    }
}
