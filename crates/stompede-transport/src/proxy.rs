//! HTTP proxies: CONNECT, and then the proxy only passes bytes on.

use std::fmt;
use std::time::Duration;

use httparse::{EMPTY_HEADER, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::invalid_setting as invalid;
use crate::http::{self, HeadError, MAX_FIELDS};
use crate::net::STAGE_TIMEOUT;
use crate::{Endpoint, TcpConnector, TransportError, TransportErrorKind as Kind};

/// An HTTP proxy that connections to a broker go through, of any scheme, by its CONNECT method.
///
/// The proxy looks the broker's name up, not we. TLS, if there is any, is between us and the broker: the proxy sees host
/// and port, and what [`basic`](Self::basic) says, which goes to it in the clear.
///
/// ```
/// use stompede_transport::{DefaultConnector, Proxy};
///
/// let connector = DefaultConnector::new().proxy(Proxy::http("proxy.example.org:3128").basic("me", "s3cret"));
/// assert!(!format!("{connector:?}").contains("s3cret"));
/// ```
#[derive(Clone)]
pub struct Proxy {
    /// Nonsense is told when connecting.
    endpoint: Result<Endpoint, TransportError>,
    credentials: Option<(Box<str>, Box<str>)>,
    timeout: Duration,
}

impl Proxy {
    /// A proxy at `host:port`, or `http://host:port`, or `http://login:passcode@host:port`.
    ///
    /// An address that makes no sense is told by the first attempt to connect, with the kind
    /// [`InvalidSetting`](Kind::InvalidSetting). Proxies that want TLS themselves (`https:`) are not supported.
    pub fn http(address: impl AsRef<str>) -> Self {
        let endpoint = parse(address.as_ref());
        let own = endpoint.as_ref().ok().and_then(Endpoint::credentials);
        let credentials = own.map(|own| (own.login().into(), own.passcode().unwrap_or_default().into()));
        Self { endpoint, credentials, timeout: STAGE_TIMEOUT }
    }

    /// What to log in with, by HTTP Basic. It takes precedence over what stands in the address.
    #[must_use]
    pub fn basic(mut self, login: impl Into<Box<str>>, passcode: impl Into<Box<str>>) -> Self {
        self.credentials = Some((login.into(), passcode.into()));
        self
    }

    /// How long the proxy may take to answer, its own connecting included; 8 seconds unless set. Connecting to the
    /// proxy itself has the limits of [`TcpConnector`].
    #[must_use]
    pub fn timeout(mut self, within: Duration) -> Self {
        self.timeout = within;
        self
    }

    /// A stream that ends at `target`.
    pub(crate) async fn dial(
        &self,
        tcp: &TcpConnector,
        target: &Endpoint,
    ) -> Result<TcpStream, TransportError> {
        let proxy = self.endpoint.clone()?;
        let request = self.request(target)?;
        let mut stream = tcp.dial(&proxy).await.map_err(|error| error.about("connecting to the proxy"))?;
        match timeout(self.timeout, ask(&mut stream, &request, &proxy, target)).await {
            Ok(asked) => asked.map(|()| stream),
            Err(_) => Err(TransportError::new(
                Kind::TimedOut,
                format!(
                    "the proxy {} did not connect to {} within {:?}; can it reach that host?",
                    proxy.address(),
                    target.address(),
                    self.timeout
                ),
            )),
        }
    }

    fn request(&self, target: &Endpoint) -> Result<String, TransportError> {
        if target.port().is_none() {
            let context = "the URL needs a port to be connected to through a proxy";
            return Err(TransportError::new(Kind::InvalidEndpoint, context));
        }
        let place = target.address();
        let authorization = match &self.credentials {
            None => String::new(),
            Some((login, passcode)) => {
                let value = http::basic(login, passcode)
                    .ok_or_else(|| invalid("HTTP Basic has no way to write a login with a colon"))?;
                format!("Proxy-Authorization: {value}\r\n")
            }
        };
        Ok(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{authorization}\r\n"))
    }
}

/// Neither login nor passcode.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.endpoint.as_ref().map_or_else(|_| "?".to_owned(), Endpoint::address);
        f.debug_struct("Proxy")
            .field("address", &address)
            .field("credentials", &self.credentials.is_some())
            .field("timeout", &self.timeout)
            .finish()
    }
}

fn parse(address: &str) -> Result<Endpoint, TransportError> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint =
        Endpoint::parse(&address).map_err(|error| invalid(format!("the proxy's address: {error}")))?;
    if endpoint.scheme() != "http" {
        return Err(invalid("a proxy is reached over http:, and by no other scheme"));
    }
    if endpoint.port().is_none() || endpoint.host().is_empty() {
        return Err(invalid("the proxy needs a host and a port, as in proxy.example.org:3128"));
    }
    if !matches!(endpoint.path(), "" | "/") {
        return Err(invalid("a proxy has no path; its address is host:port"));
    }
    Ok(endpoint)
}

/// Asks for a way through, and judges the answer.
async fn ask<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    request: &str,
    proxy: &Endpoint,
    target: &Endpoint,
) -> Result<(), TransportError> {
    http::write(io, request).await.map_err(broken)?;
    let no_answer =
        |what: &str| TransportError::new(Kind::Handshake, format!("the proxy {}: {what}", proxy.address()));
    let (head, rest) = match http::read_answer(io).await {
        Ok(read) => read,
        Err(HeadError::Io(error)) => return Err(broken(error)),
        Err(HeadError::NotHttp) => return Err(no_answer("it does not speak HTTP; is this its port?")),
        Err(HeadError::TooLong) => return Err(no_answer("the head of its answer is longer than 16 KiB")),
        Err(HeadError::Closed { partly: false }) => {
            return Err(no_answer("it closed the connection instead of answering; is this its port?"));
        }
        Err(HeadError::Closed { partly: true }) => {
            return Err(no_answer("it closed the connection in the middle of its answer"));
        }
    };
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = Response::new(&mut fields);
    let parsed = response.parse(&head);
    let (Ok(_), Some(status)) = (&parsed, response.code) else {
        let error = no_answer("its answer is not HTTP");
        return Err(parsed.err().map_or(error.clone(), |cause| error.with_source(cause)));
    };
    // Any 2xx: that is what RFC 9110 says.
    if !(200..=299).contains(&status) {
        let advice = match status {
            407 => "; it wants credentials, or others: Proxy::basic gives them",
            403 | 405 => "; it does not let through to that host or port",
            502..=504 => "; it could not reach the broker",
            _ => "",
        };
        let context = format!(
            "the proxy {} refused the way to {} with HTTP status {status}{advice}",
            proxy.address(),
            target.address()
        );
        let response = http::response(io, status, response.headers, rest).await;
        return Err(TransportError::new(Kind::ProxyRefused { status }, context).with_response(response));
    }
    if !rest.is_empty() {
        // No broker speaks before it is spoken to, so this is the proxy.
        return Err(no_answer("it sent more than its answer"));
    }
    Ok(())
}

fn broken(error: std::io::Error) -> TransportError {
    TransportError::from_io(error, "the connection to the proxy broke before it had answered")
}
