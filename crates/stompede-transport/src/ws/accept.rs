use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use httparse::{EMPTY_HEADER, Header, Request};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::coding::CloseCode;

use super::WsMessageKind;
use super::config::{Speech, clamp_interval, clamp_read_buffer, is_token};
use super::transport::{MAX_REASON, Settings, WsTransport};
use crate::error::invalid_setting;
use crate::http::{self, HeadError, MAX_FIELDS, read_head};
use crate::net::no_delay;
use crate::{BoxTransport, CloseReason, TransportError, TransportErrorKind as Kind};

/// What a server can choose from, best first.
const SUBPROTOCOLS: [&str; 3] = ["v12.stomp", "v11.stomp", "v10.stomp"];

/// How to accept WebSocket connections, and how to speak to them.
#[derive(Clone, Debug)]
pub struct AcceptConfig {
    path: Option<Box<str>>,
    subprotocols: Vec<Box<str>>,
    speech: Speech,
    goodbye: CloseReason,
}

impl AcceptConfig {
    /// The defaults: any path, [`Auto`](WsMessageKind::Auto) messages of up to
    /// [`DEFAULT_MAX_MESSAGE`](crate::ws::DEFAULT_MAX_MESSAGE) bytes.
    pub fn new() -> Self {
        let subprotocols = SUBPROTOCOLS.map(Box::from).into();
        let speech = Speech { write_timeout: None, ..Speech::default() };
        Self { path: None, subprotocols, speech, goodbye: CloseReason::new(1000, "") }
    }

    /// Chooses among these subprotocols, best first; `v12.stomp`, `v11.stomp` and `v10.stomp` unless set.
    ///
    /// Names that no client can offer, because they are not HTTP tokens, are never chosen.
    #[must_use]
    pub fn subprotocols<S: Into<Box<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Accepts only this path, compared byte by byte and without its query; others get a 404.
    #[must_use]
    pub fn path(mut self, path: impl Into<Box<str>>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How STOMP frames are sent.
    #[must_use]
    pub fn message_kind(mut self, kind: WsMessageKind) -> Self {
        self.speech.kind = kind;
        self
    }

    /// Whether everything is sent as text, also what is not UTF-8.
    ///
    /// RabbitMQ does so by default, and RFC 6455 forbids it: browsers end the connection. For brokers that imitate it.
    #[must_use]
    pub fn any_as_text(mut self, any: bool) -> Self {
        self.speech.any_as_text = any;
        self
    }

    /// Whether binary messages from the client are thrown away, silently, as ActiveMQ Classic does.
    #[must_use]
    pub fn text_only(mut self, text_only: bool) -> Self {
        self.speech.text_only = text_only;
        self
    }

    /// Whether each message that comes in is a chunk by itself, for a server that wants one frame in each.
    ///
    /// It costs an allocation or a copy for each; otherwise small ones are put together.
    #[must_use]
    pub fn separate_messages(mut self, separate: bool) -> Self {
        self.speech.separate = separate;
        self
    }

    /// What the close frame says when this side closes; code 1000 and no words unless set.
    ///
    /// # Errors
    /// [`InvalidSetting`](Kind::InvalidSetting) if a close frame may not carry the code, or the words are longer than
    /// 123 bytes.
    pub fn goodbye(mut self, reason: CloseReason) -> Result<Self, TransportError> {
        if !CloseCode::from(reason.code).is_allowed() || reason.reason.len() > MAX_REASON {
            return Err(invalid_setting(format!("a WebSocket close frame cannot say {reason}")));
        }
        self.goodbye = reason;
        Ok(self)
    }

    /// The longest message in bytes, either way. [`max_message_for`](crate::ws::max_message_for) says what goes with a
    /// decoder's limits.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.speech.max_message = bytes;
        self
    }

    /// As [`WsConfig::max_frame`](crate::WsConfig::max_frame).
    #[must_use]
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.speech.max_frame = Some(bytes);
        self
    }

    /// As [`WsConfig::read_buffer`](crate::WsConfig::read_buffer).
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> Self {
        self.speech.read_buffer = clamp_read_buffer(bytes);
        self
    }

    /// As [`WsConfig::ping_interval`](crate::WsConfig::ping_interval).
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.speech.ping_interval = clamp_interval(interval);
        self
    }

    /// As [`WsConfig::write_timeout`](crate::WsConfig::write_timeout), but none unless set: a server has its own way with
    /// clients that do not read.
    #[must_use]
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.speech.write_timeout = limit.into();
        self
    }
}

impl Default for AcceptConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers the WebSocket upgrade on an accepted TCP connection, and sets `TCP_NODELAY`.
///
/// The best of the configured subprotocols that the client offers is chosen, none if it offers none of them. The `Origin` is not checked, so any web page may connect: check credentials. The caller bounds the time.
///
/// # Errors
/// - [`UpgradeRefused`](Kind::UpgradeRefused) if the client was sent an HTTP error status.
/// - [`Handshake`](Kind::Handshake) if it closed before the end of its request.
/// - What reading and writing fail with.
///
/// # Cancel safety
/// Dropping the future drops the connection.
pub async fn accept_ws(stream: TcpStream, config: &AcceptConfig) -> Result<BoxTransport, TransportError> {
    no_delay(&stream);
    Ok(Box::new(accept_ws_over(stream, config).await?))
}

/// Answers the WebSocket upgrade on any byte stream; see [`accept_ws`].
///
/// # Errors
/// As [`accept_ws`].
///
/// # Cancel safety
/// Dropping the future drops the stream.
pub async fn accept_ws_over<IO: AsyncRead + AsyncWrite + Unpin>(
    mut io: IO,
    config: &AcceptConfig,
) -> Result<WsTransport<IO>, TransportError> {
    let (head, rest) = match read_head(&mut io, BytesMut::new(), begins_like_a_request).await {
        Ok(read) => read,
        Err(HeadError::NotHttp) => return Err(refuse(io, &Refusal::NOT_HTTP).await),
        Err(HeadError::TooLong) => return Err(refuse(io, &Refusal::TOO_LONG).await),
        Err(HeadError::Closed { .. }) => {
            let context = "the client closed the connection before the end of its HTTP request";
            return Err(TransportError::new(Kind::Handshake, context));
        }
        Err(HeadError::Io(error)) => return Err(broken(error)),
    };
    let (accept_key, subprotocol) = match judge(&head, config) {
        Ok(accepted) => accepted,
        Err(refusal) => return Err(refuse(io, &refusal).await),
    };
    let named = subprotocol.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept_key}\r\n{named}\r\n"
    );
    http::write(&mut io, &answer).await.map_err(broken)?;
    let settings = Settings {
        role: Role::Server,
        speech: config.speech.clone(),
        subprotocol: subprotocol.map(Box::from),
        goodbye: config.goodbye.clone(),
    };
    Ok(WsTransport::new(io, rest.freeze(), settings))
}

/// An answer other than 101.
struct Refusal {
    status: u16,
    phrase: &'static str,
    /// A header field that goes with the status, line end included.
    field: &'static str,
    body: &'static str,
}

impl Refusal {
    const NOT_HTTP: Self = Self::new(400, "Bad Request", "", "This port speaks STOMP over WebSocket only.");
    const TOO_LONG: Self = Self::new(431, "Request Header Fields Too Large", "", "The request is too long.");
    const METHOD: Self = Self::new(405, "Method Not Allowed", "Allow: GET\r\n", "Only GET is allowed.");
    const HTTP_VERSION: Self = Self::new(400, "Bad Request", "", "WebSocket needs HTTP/1.1.");
    const PATH: Self = Self::new(404, "Not Found", "", "There is no STOMP endpoint here.");
    const NO_UPGRADE: Self = Self::new(
        426,
        "Upgrade Required",
        "Upgrade: websocket\r\n",
        "This is a STOMP endpoint over WebSocket, not a web page.",
    );
    const WS_VERSION: Self = Self::new(
        426,
        "Upgrade Required",
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Only version 13 of the WebSocket protocol is spoken here.",
    );
    const KEY: Self = Self::new(400, "Bad Request", "", "The Sec-WebSocket-Key is missing or malformed.");

    const fn new(status: u16, phrase: &'static str, field: &'static str, body: &'static str) -> Self {
        Self { status, phrase, field, body }
    }
}

/// The accept key and the subprotocol to answer with.
fn judge<'a>(head: &[u8], config: &'a AcceptConfig) -> Result<(String, Option<&'a str>), Refusal> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        Ok(_) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TOO_LONG),
        Err(_) => return Err(Refusal::NOT_HTTP),
    }
    if request.method != Some("GET") {
        return Err(Refusal::METHOD);
    }
    if request.version != Some(1) {
        return Err(Refusal::HTTP_VERSION);
    }
    let path = request.path.unwrap_or_default().split('?').next();
    if config.path.is_some() && config.path.as_deref() != path {
        return Err(Refusal::PATH);
    }
    let fields: &[Header<'_>] = request.headers;
    let has = |name, token| http::list(fields, name).any(|entry| entry.eq_ignore_ascii_case(token));
    if !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return Err(Refusal::NO_UPGRADE);
    }
    if http::values(fields, "sec-websocket-version").next() != Some(b"13") {
        return Err(Refusal::WS_VERSION);
    }
    let mut keys = http::values(fields, "sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Refusal::KEY);
    };
    if !BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        return Err(Refusal::KEY);
    }
    let mut known = config.subprotocols.iter().map(|name| &**name);
    let subprotocol = known.find(|name| is_token(name) && has("sec-websocket-protocol", name));
    Ok((derive_accept_key(key), subprotocol))
}

/// A method, or the beginning of one: TLS and binary protocols begin otherwise.
fn begins_like_a_request(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

/// Answers, and hangs up when `io` is dropped.
async fn refuse<IO: AsyncWrite + Unpin>(mut io: IO, refusal: &Refusal) -> TransportError {
    let Refusal { status, phrase, field, body } = *refusal;
    let answer = format!(
        "HTTP/1.1 {status} {phrase}\r\n{field}Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}\n",
        body.len() + 1
    );
    // The refusal is the news, whether it got through or not.
    let _ = http::write(&mut io, &answer).await;
    let _ = io.shutdown().await;
    let context = format!("a client's WebSocket upgrade was refused with HTTP status {status}: {body}");
    TransportError::new(Kind::UpgradeRefused { status }, context)
}

fn broken(error: std::io::Error) -> TransportError {
    TransportError::from_io(error, "the connection broke during the WebSocket upgrade")
}
