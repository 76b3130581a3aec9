use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::from_io;
use crate::{Connecting, Connector, Endpoint, TransportError, TransportErrorKind};

/// How long one address of several may take: two lost SYNs are repeated within it.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the last, or only, address may take. The caller usually has a deadline below this.
const LAST_ADDRESS_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials `tcp://` endpoints.
///
/// The name is looked up anew for each attempt, and its addresses are tried one after the other, each for at most 5
/// seconds while another is left, the last for 30. `TCP_NODELAY` is set: a frame is written when it is flushed.
///
/// It needs a tokio runtime with I/O and time enabled.
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    keepalive: Option<Duration>,
}

impl TcpConnector {
    /// A connector with the defaults: no TCP keep-alive, for STOMP heart-beats see more.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the operating system probe a connection that has been idle for this long.
    ///
    /// Useful where no heart-beats were negotiated. Most systems count in whole seconds, from 1.
    #[must_use]
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.keepalive = Some(idle);
        self
    }

    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<TcpStream, TransportError> {
        let Some(port) = endpoint.port() else {
            return Err(TransportError::new(
                TransportErrorKind::InvalidEndpoint,
                "the URL needs a port to be connected to over TCP",
            ));
        };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((endpoint.host(), port))
            .await
            .map_err(|error| name_not_found(endpoint).with_source(error))?
            .collect();
        let mut last_error = name_not_found(endpoint);
        for (at, &address) in addresses.iter().enumerate() {
            let is_last = at + 1 == addresses.len();
            let patience = if is_last { LAST_ADDRESS_TIMEOUT } else { ADDRESS_TIMEOUT };
            let attempt = timeout(patience, TcpStream::connect(address)).await;
            match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    self.configure(&stream);
                    return Ok(stream);
                }
                Err(error) => last_error = explained(error, endpoint, address, addresses.len()),
            }
        }
        Err(last_error)
    }

    /// Sets the socket's options. They only tune the connection, so a system that refuses one is no reason to fail.
    fn configure(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        if let Some(idle) = self.keepalive {
            let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(idle));
        }
    }
}

impl Connector for TcpConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        let connector = self.clone();
        Box::pin(async move {
            if endpoint.scheme() != "tcp" {
                // Above all tls: what is meant to be encrypted must not go out in the clear.
                let context = format!("this connector speaks tcp: and not {}:", endpoint.scheme());
                return Err(TransportError::new(TransportErrorKind::UnsupportedScheme, context));
            }
            Ok(Box::new(from_io(connector.dial(&endpoint).await?)) as _)
        })
    }
}

fn name_not_found(endpoint: &Endpoint) -> TransportError {
    let host = endpoint.host();
    TransportError::new(
        TransportErrorKind::NameNotFound,
        format!("the host name {host} could not be resolved; check its spelling and the DNS or hosts file"),
    )
}

fn explained(error: io::Error, endpoint: &Endpoint, address: SocketAddr, tried: usize) -> TransportError {
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn sockets_are_set_up_and_the_next_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Where localhost is ::1 first, that address refuses.
        let url = format!("tcp://localhost:{}", listener.local_addr().unwrap().port());
        let connector = TcpConnector::new().keepalive(Duration::from_secs(60));
        let stream = connector.dial(&Endpoint::parse(&url).unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }

    #[test]
    fn errors_name_the_place_and_what_to_do() {
        let endpoint = Endpoint::parse("tcp://user:s3cret@[::1]").unwrap();
        let address = "[::1]:61613".parse().unwrap();
        for (cause, kind, hint) in [
            (io::ErrorKind::ConnectionRefused, TransportErrorKind::Refused, "is the broker running"),
            (io::ErrorKind::TimedOut, TransportErrorKind::TimedOut, "firewall"),
            (io::ErrorKind::NetworkUnreachable, TransportErrorKind::Unreachable, "is the network up"),
            (io::ErrorKind::PermissionDenied, TransportErrorKind::Io, "connecting failed"),
        ] {
            let error = explained(cause.into(), &endpoint, address, 2);
            assert_eq!(error.kind(), &kind);
            let shown = error.to_string();
            assert!(shown.starts_with("[::1]:61613 (::1, the last of 2 addresses): "), "{shown}");
            assert!(shown.contains(hint) && !shown.contains("s3cret"), "{shown}");
        }
    }
}
