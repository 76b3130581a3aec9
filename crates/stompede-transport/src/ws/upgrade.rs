use std::fmt::Write as _;

use bytes::BytesMut;
use httparse::{EMPTY_HEADER, Header, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

use super::WsConfig;
use super::transport::{Settings, WsTransport};
use crate::http::{self, HeadError, MAX_FIELDS};
use crate::net::Dialer;
use crate::{
    CloseReason, Connecting, Connector, Endpoint, TcpConnector, TransportError, TransportErrorKind as Kind,
};

/// Dials `ws://` endpoints, and with the feature `tls` also `wss://`.
#[derive(Clone, Debug, Default)]
pub struct WsConnector {
    config: WsConfig,
    dialer: Dialer,
}

impl WsConnector {
    /// A connector that upgrades as `config` says.
    pub fn new(config: WsConfig) -> Self {
        Self { config, dialer: Dialer::default() }
    }

    pub(crate) fn with_dialer(config: WsConfig, dialer: Dialer) -> Self {
        Self { config, dialer }
    }

    /// Replaces what the TCP connection is dialled with.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpConnector) -> Self {
        self.dialer.tcp = tcp;
        self
    }

    /// Goes through this proxy.
    #[cfg(feature = "proxy")]
    #[must_use]
    pub fn proxy(mut self, proxy: crate::Proxy) -> Self {
        self.dialer.proxy = Some(proxy);
        self
    }

    /// Replaces whom `wss` trusts, and who we are.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::TlsConfig) -> Self {
        self.dialer.tls = tls;
        self
    }
}

impl Connector for WsConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        let connector = self.clone();
        Box::pin(async move {
            if !matches!(endpoint.scheme(), "ws" | "wss") {
                let context = format!("this connector speaks ws: and wss:, and not {}:", endpoint.scheme());
                return Err(TransportError::new(Kind::UnsupportedScheme, context));
            }
            let stream = connector.dialer.dial(&endpoint).await?;
            let (config, limit) = (&connector.config, connector.config.upgrade_timeout);
            match timeout(limit, upgrade(stream, &endpoint, config)).await {
                Ok(upgraded) => Ok(Box::new(upgraded?) as _),
                Err(_) => {
                    let place = endpoint.address();
                    let context = format!("{place}: no answer to the WebSocket upgrade within {limit:?}");
                    Err(TransportError::new(Kind::TimedOut, context))
                }
            }
        })
    }
}

/// Upgrades a connected byte stream to WebSocket, as a client.
///
/// Of `endpoint`, the authority and the path are used, and with [`WsConfig::basic_auth`] the credentials. Redirects are
/// not followed. The caller bounds the time.
///
/// # Errors
/// - [`UpgradeRefused`](Kind::UpgradeRefused), [`Unauthorized`](Kind::Unauthorized) and [`Forbidden`](Kind::Forbidden),
///   with what the server answered as [`TransportError::response`].
/// - [`Handshake`](Kind::Handshake) if the answer was no answer to the upgrade.
/// - What reading and writing fail with.
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn upgrade<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    endpoint: &Endpoint,
    config: &WsConfig,
) -> Result<WsTransport<IO>, TransportError> {
    let key = generate_key();
    let request = request(endpoint, config, &key)?;
    http::write(&mut io, &request).await.map_err(broken)?;
    let (head, rest) = match http::read_answer(&mut io).await {
        Ok(read) => read,
        Err(error) => return Err(no_answer(error, endpoint)),
    };
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = Response::new(&mut fields);
    let parsed = response.parse(&head);
    let (Ok(_), Some(status)) = (&parsed, response.code) else {
        let error = handshake(endpoint, "its answer to the WebSocket upgrade is not HTTP");
        return Err(parsed.err().map_or(error.clone(), |cause| error.with_source(cause)));
    };
    if status != 101 {
        return Err(refusal(io, endpoint, status, response.headers, rest).await);
    }
    judge(endpoint, response.headers, &key)?;
    let subprotocol = http::list(response.headers, "sec-websocket-protocol").next().map(Box::from);
    let settings = Settings {
        role: Role::Client,
        speech: config.speech.clone(),
        subprotocol,
        goodbye: CloseReason::new(1000, ""),
    };
    Ok(WsTransport::new(io, rest.freeze(), settings))
}

fn request(endpoint: &Endpoint, config: &WsConfig, key: &str) -> Result<String, TransportError> {
    let mut lines = vec![
        // An endpoint of a foreign scheme may have no path at all, or one that HTTP cannot carry.
        format!("GET {} HTTP/1.1", request_target(endpoint)?),
        format!("Host: {}", endpoint.authority()),
        "Upgrade: websocket".to_owned(),
        "Connection: Upgrade".to_owned(),
        format!("Sec-WebSocket-Key: {key}"),
        "Sec-WebSocket-Version: 13".to_owned(),
    ];
    if !config.subprotocols.is_empty() {
        lines.push(format!("Sec-WebSocket-Protocol: {}", config.subprotocols));
    }
    if let Some(origin) = &config.origin {
        lines.push(format!("Origin: {origin}"));
    }
    lines.extend(config.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if let Some(authorization) = basic(endpoint, config)? {
        lines.push(authorization);
    }
    let mut request = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = write!(request, "{line}\r\n");
    }
    request.push_str("\r\n");
    Ok(request)
}

fn request_target(endpoint: &Endpoint) -> Result<&str, TransportError> {
    match endpoint.path() {
        "" => Ok("/"),
        path if path.starts_with('/') && path.is_ascii() => Ok(path),
        _ => Err(TransportError::new(Kind::InvalidEndpoint, "the URL's path cannot be asked for over HTTP")),
    }
}

/// The `Authorization` line, if it is wanted and nobody has given another.
fn basic(endpoint: &Endpoint, config: &WsConfig) -> Result<Option<String>, TransportError> {
    let given = config.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let Some(credentials) = endpoint.credentials().filter(|_| config.basic_auth && !given) else {
        return Ok(None);
    };
    let Some(value) = http::basic(credentials.login(), credentials.passcode().unwrap_or_default()) else {
        let context = "HTTP Basic has no way to write a login with a colon";
        return Err(TransportError::new(Kind::InvalidEndpoint, context));
    };
    Ok(Some(format!("Authorization: {value}")))
}

/// Judges a 101. Only what makes the connection unusable counts.
fn judge(endpoint: &Endpoint, fields: &[Header<'_>], key: &str) -> Result<(), TransportError> {
    let expected = derive_accept_key(key.as_bytes());
    if http::values(fields, "sec-websocket-accept").next() != Some(expected.as_bytes()) {
        return Err(handshake(endpoint, "its 101 answer does not have the right Sec-WebSocket-Accept"));
    }
    if http::list(fields, "sec-websocket-extensions").next().is_some() {
        return Err(handshake(
            endpoint,
            "its 101 answer switches on a WebSocket extension that nobody asked for",
        ));
    }
    Ok(())
}

async fn refusal<IO: AsyncRead + Unpin>(
    mut io: IO,
    endpoint: &Endpoint,
    status: u16,
    fields: &[Header<'_>],
    body: BytesMut,
) -> TransportError {
    let response = http::response(&mut io, status, fields, body).await;
    let (kind, advice) = match status {
        401 => (Kind::Unauthorized, "; it wants credentials"),
        403 => (Kind::Forbidden, "; these credentials, or this origin, may not connect"),
        404 => (Kind::UpgradeRefused { status }, "; is the path right?"),
        407 => (Kind::UpgradeRefused { status }, "; a proxy on the way wants credentials"),
        300..=399 => (Kind::UpgradeRefused { status }, "; redirects are not followed"),
        200..=299 => (Kind::UpgradeRefused { status }, "; this is a web page and no WebSocket"),
        _ => (Kind::UpgradeRefused { status }, ""),
    };
    let mut context =
        format!("{} refused the WebSocket upgrade with HTTP status {status}{advice}", endpoint.address());
    if let Some(location) = response.header("location") {
        let _ = write!(context, " (to {})", location.escape_ascii());
    }
    TransportError::new(kind, context).with_response(response)
}

fn no_answer(error: HeadError, endpoint: &Endpoint) -> TransportError {
    let what = match error {
        HeadError::Io(error) => return broken(error),
        HeadError::NotHttp => "it does not speak HTTP; is this the broker's WebSocket port?",
        HeadError::Closed { partly: false } => {
            "it closed the connection instead of answering the WebSocket upgrade; is this its WebSocket port?"
        }
        HeadError::Closed { partly: true } => {
            "it closed the connection in the middle of its answer to the WebSocket upgrade"
        }
        HeadError::TooLong => "the head of its answer to the WebSocket upgrade is longer than 16 KiB",
    };
    handshake(endpoint, what)
}

fn handshake(endpoint: &Endpoint, what: &str) -> TransportError {
    TransportError::new(Kind::Handshake, format!("{}: {what}", endpoint.address()))
}

fn broken(error: std::io::Error) -> TransportError {
    TransportError::from_io(error, "the connection broke during the WebSocket upgrade")
}
