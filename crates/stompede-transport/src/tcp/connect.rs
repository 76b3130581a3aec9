use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::from_io;
use crate::net::{STAGE_TIMEOUT, interleaved, no_delay, race};
use crate::stall::WRITE_TIMEOUT;
use crate::{Connecting, Connector, Endpoint, TransportError, TransportErrorKind as Kind};

/// Dials `tcp://` endpoints, and says how the sockets below `tls`, `ws` and `wss` are made.
///
/// The name is looked up anew for each attempt. Its addresses are tried as RFC 8305 has it: IPv6 and IPv4 in turn, the
/// next after 250 ms or as soon as one has failed, and the first that connects is taken.
///
/// `TCP_NODELAY` is set: a frame is written when it is flushed. Everything else is the operating system's default
/// unless set here, and an option that it refuses is an error.
///
/// It needs a tokio runtime with I/O and time enabled.
///
/// ```
/// use std::time::Duration;
/// use stompede_transport::TcpConnector;
///
/// let tcp = TcpConnector::new()
///     .keepalive(Duration::from_secs(60))
///     .keepalive_interval(Duration::from_secs(10))
///     .keepalive_count(3)
///     .connect_timeout(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
pub struct TcpConnector {
    resolve_timeout: Duration,
    connect_timeout: Duration,
    keepalive: Option<TcpKeepalive>,
    bind: Option<IpAddr>,
    send_buffer: Option<u32>,
    recv_buffer: Option<u32>,
    pub(crate) write_timeout: Option<Duration>,
}

impl TcpConnector {
    /// A connector with the defaults: no TCP keep-alive, for STOMP heart-beats see more.
    pub fn new() -> Self {
        Self {
            resolve_timeout: STAGE_TIMEOUT,
            connect_timeout: STAGE_TIMEOUT,
            keepalive: None,
            bind: None,
            send_buffer: None,
            recv_buffer: None,
            write_timeout: Some(WRITE_TIMEOUT),
        }
    }

    /// How long the name look-up may take; 8 seconds unless set.
    #[must_use]
    pub fn resolve_timeout(mut self, within: Duration) -> Self {
        self.resolve_timeout = within;
        self
    }

    /// How long connecting may take, all addresses together; 8 seconds unless set.
    #[must_use]
    pub fn connect_timeout(mut self, within: Duration) -> Self {
        self.connect_timeout = within;
        self
    }

    /// Has the operating system probe a connection that has been idle for this long.
    ///
    /// Useful where no heart-beats were negotiated. Most systems count in whole seconds, from 1.
    #[must_use]
    pub fn keepalive(self, idle: Duration) -> Self {
        self.change_keepalive(|keepalive| keepalive.with_time(idle))
    }

    /// How long after an unanswered probe the next is sent. Switches keep-alive on.
    #[must_use]
    pub fn keepalive_interval(self, interval: Duration) -> Self {
        self.change_keepalive(|keepalive| keepalive.with_interval(interval))
    }

    /// After how many unanswered probes the connection is given up. Switches keep-alive on.
    #[must_use]
    pub fn keepalive_count(self, count: u32) -> Self {
        self.change_keepalive(|keepalive| keepalive.with_retries(count))
    }

    /// The local address that connections leave from; only the host's addresses of the same family are tried then.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// What the operating system may hold of what was sent and not acknowledged, in bytes. It may round, or cut to a
    /// limit of its own (`net.core.wmem_max` on Linux).
    #[must_use]
    pub fn send_buffer(mut self, bytes: u32) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// What the operating system may hold of what was received and not read, in bytes; see
    /// [`send_buffer`](Self::send_buffer).
    #[must_use]
    pub fn recv_buffer(mut self, bytes: u32) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// How long the peer may read nothing at all while something waits to be written, over `tcp` and `tls`; then sending
    /// fails with [`TimedOut`](Kind::TimedOut). 60 seconds unless set; `None` waits for ever. For `ws` and `wss` see
    /// `WsConfig::write_timeout`, which also says when a longer one is right.
    #[must_use]
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.write_timeout = limit.into();
        self
    }

    fn change_keepalive(mut self, change: impl FnOnce(TcpKeepalive) -> TcpKeepalive) -> Self {
        self.keepalive = Some(change(self.keepalive.take().unwrap_or_else(TcpKeepalive::new)));
        self
    }

    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<TcpStream, TransportError> {
        let addresses = self.resolve(endpoint).await?;
        let attempt = race(&addresses, |address| self.connect_to(address));
        match timeout(self.connect_timeout, attempt).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(Some((address, error)))) => Err(explained(error, endpoint, address, addresses.len())),
            Ok(Err(None)) => Err(self.no_address(endpoint)),
            Err(_) => Err(TransportError::new(
                Kind::TimedOut,
                format!(
                    "{} ({}): no connection within {:?}; is a firewall between, and is the host right?",
                    endpoint.address(),
                    listed(&addresses),
                    self.connect_timeout
                ),
            )),
        }
    }

    /// The addresses in the order in which they are tried; none if the host has none, or none that the local address
    /// can reach.
    async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, TransportError> {
        let Some(port) = endpoint.port() else {
            return Err(TransportError::new(
                Kind::InvalidEndpoint,
                "the URL needs a port to be connected to over TCP",
            ));
        };
        let lookup = tokio::net::lookup_host((endpoint.host(), port));
        let found = timeout(self.resolve_timeout, lookup).await.map_err(|_| {
            let (host, limit) = (endpoint.host(), self.resolve_timeout);
            TransportError::new(
                Kind::TimedOut,
                format!("no answer to the look-up of the host name {host} within {limit:?}; is the DNS server reachable?"),
            )
        })?;
        let found = found.map_err(|error| name_not_found(endpoint).with_source(error))?;
        let usable = found.filter(|address| self.bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4()));
        Ok(interleaved(usable))
    }

    fn no_address(&self, endpoint: &Endpoint) -> TransportError {
        let Some(bind) = self.bind else { return name_not_found(endpoint) };
        let (host, family) = (endpoint.host(), if bind.is_ipv4() { "IPv4" } else { "IPv6" });
        let context = format!("{host} has no {family} address, and the local address to bind is {bind}");
        TransportError::new(Kind::Unreachable, context)
    }

    /// One attempt.
    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, Failed> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(Failed::Connecting)?;
        // Before connecting: TCP agrees on the window then.
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes).map_err(Failed::setting("send_buffer"))?;
        }
        if let Some(bytes) = self.recv_buffer {
            socket.set_recv_buffer_size(bytes).map_err(Failed::setting("recv_buffer"))?;
        }
        if let Some(keepalive) = &self.keepalive {
            SockRef::from(&socket).set_tcp_keepalive(keepalive).map_err(Failed::setting("keepalive"))?;
        }
        if let Some(bind) = self.bind {
            socket.bind(SocketAddr::new(bind, 0)).map_err(Failed::setting("bind"))?;
        }
        let stream = socket.connect(address).await.map_err(Failed::Connecting)?;
        no_delay(&stream);
        Ok(stream)
    }
}

impl Default for TcpConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector for TcpConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        let connector = self.clone();
        Box::pin(async move {
            if endpoint.scheme() != "tcp" {
                // Above all tls: what is meant to be encrypted must not go out in the clear.
                let context = format!("this connector speaks tcp: and not {}:", endpoint.scheme());
                return Err(TransportError::new(Kind::UnsupportedScheme, context));
            }
            let stream = connector.dial(&endpoint).await?;
            Ok(Box::new(from_io(stream).write_timeout(connector.write_timeout)) as _)
        })
    }
}

fn name_not_found(endpoint: &Endpoint) -> TransportError {
    let host = endpoint.host();
    TransportError::new(
        Kind::NameNotFound,
        format!("the host name {host} could not be resolved; check its spelling and the DNS or hosts file"),
    )
}

/// Why an attempt came to nothing.
enum Failed {
    /// The operating system refuses an option that was asked for.
    Setting(&'static str, io::Error),
    Connecting(io::Error),
}

impl Failed {
    fn setting(name: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Setting(name, error)
    }
}

fn explained(failed: Failed, endpoint: &Endpoint, address: SocketAddr, tried: usize) -> TransportError {
    let error = match failed {
        Failed::Connecting(error) => error,
        Failed::Setting("bind", error) => {
            let context = "the local address to bind cannot be had; is it one of this machine's?";
            return TransportError::new(Kind::InvalidSetting, context).with_source(error);
        }
        Failed::Setting(name, error) => {
            let context = format!("the operating system refuses the TCP setting {name}");
            return TransportError::new(Kind::InvalidSetting, context).with_source(error);
        }
    };
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; is the broker running, and is the port right?"
        }
        io::ErrorKind::TimedOut => "no answer; is a firewall between, and is the host right?",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route leads there; is the network up?"
        }
        _ => "connecting failed",
    };
    let place = endpoint.address();
    let address = match tried {
        1 => address.ip().to_string(),
        _ => format!("{}, the last of {tried} addresses", address.ip()),
    };
    TransportError::from_io(error, format!("{place} ({address}): {what}"))
}

/// The first few addresses, for a person.
fn listed(addresses: &[SocketAddr]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(|address| address.ip().to_string()).collect();
    let more = if addresses.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Where localhost is ::1 first, that address refuses.
        let url = format!("tcp://localhost:{}", listener.local_addr().unwrap().port());
        let endpoint = Endpoint::parse(&url).unwrap();
        (listener, endpoint)
    }

    #[tokio::test]
    async fn every_option_arrives_at_the_socket() {
        let (_listener, endpoint) = listener().await;
        let connector = TcpConnector::new()
            .keepalive(Duration::from_secs(60))
            .keepalive_interval(Duration::from_secs(7))
            .keepalive_count(4)
            .bind("127.0.0.1".parse().unwrap())
            .send_buffer(50_000)
            .recv_buffer(60_000);
        let stream = connector.dial(&endpoint).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(stream.local_addr().unwrap().ip(), "127.0.0.1".parse::<IpAddr>().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
            // Linux doubles what it was asked for, for its own bookkeeping.
            assert_eq!(
                (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap()),
                (100_000, 120_000)
            );
        }
    }

    #[tokio::test]
    async fn nothing_but_nodelay_is_set_unasked() {
        let (_listener, endpoint) = listener().await;
        let stream = TcpConnector::new().dial(&endpoint).await.unwrap();
        assert!(stream.nodelay().unwrap() && !SockRef::from(&stream).keepalive().unwrap());
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_bound_is_told() {
        let (_listener, endpoint) = listener().await;
        // TEST-NET-1, nobody's.
        let foreign = TcpConnector::new().bind("192.0.2.1".parse().unwrap());
        let error = foreign.dial(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::InvalidSetting);
        assert!(error.to_string().contains("is it one of this machine's?"), "{error}");

        let endpoint = Endpoint::parse("tcp://127.0.0.1:1").unwrap();
        let other_family = TcpConnector::new().bind("::1".parse().unwrap());
        let error = other_family.dial(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Unreachable);
        assert!(error.to_string().contains("127.0.0.1 has no IPv6 address"), "{error}");
    }

    #[tokio::test]
    async fn nonsense_is_told_by_the_name_of_its_setting() {
        let (_listener, endpoint) = listener().await;
        let error = TcpConnector::new().keepalive(Duration::ZERO).dial(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::InvalidSetting);
        assert!(error.to_string().contains("the TCP setting keepalive"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_host_that_does_not_answer_costs_the_limit() {
        // A full backlog: Linux drops further SYNs, as a firewall would.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("tcp://{address}")).unwrap();
        let quick = TcpConnector::new().connect_timeout(Duration::from_millis(200));
        let mut held = Vec::new();
        let error = loop {
            match quick.dial(&endpoint).await {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
            assert!(held.len() < 10, "the backlog never fills");
        };
        assert_eq!(error.kind(), &Kind::TimedOut);
        assert!(error.to_string().contains("no connection within 200ms; is a firewall between"), "{error}");
    }

    #[test]
    fn errors_name_the_place_and_what_to_do() {
        let endpoint = Endpoint::parse("tcp://user:s3cret@[::1]").unwrap();
        let address = "[::1]:61613".parse().unwrap();
        for (cause, kind, hint) in [
            (io::ErrorKind::ConnectionRefused, Kind::Refused, "is the broker running"),
            (io::ErrorKind::TimedOut, Kind::TimedOut, "firewall"),
            (io::ErrorKind::NetworkUnreachable, Kind::Unreachable, "is the network up"),
            (io::ErrorKind::PermissionDenied, Kind::Io, "connecting failed"),
        ] {
            let error = explained(Failed::Connecting(cause.into()), &endpoint, address, 2);
            assert_eq!(error.kind(), &kind);
            let shown = error.to_string();
            assert!(shown.starts_with("[::1]:61613 (::1, the last of 2 addresses): "), "{shown}");
            assert!(shown.contains(hint) && !shown.contains("s3cret"), "{shown}");
        }
    }
}
