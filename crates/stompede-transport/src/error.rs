use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::CloseReason;

/// Why a transport could not be had, or ended.
///
/// Cheap to clone, so that everybody who waits on a connection learns the same cause.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    /// What was going on, in words for a person; never a secret.
    context: Arc<str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    response: Option<Arc<HttpResponse>>,
    close_reason: Option<Arc<CloseReason>>,
}

/// What an HTTP server answered instead of upgrading the connection, or a proxy instead of passing it on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The header fields in the order they came, names as they were written.
    pub headers: Vec<(String, Bytes)>,
    /// The beginning of the body, at most 4 KiB.
    pub body: Bytes,
}

/// What went wrong, for a program to decide on.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The URL makes no sense: no scheme, no host, a port that is no number.
    InvalidEndpoint,
    /// A setting makes no sense, for example a header field that HTTP does not allow.
    InvalidSetting,
    /// No connector here speaks the URL's scheme.
    UnsupportedScheme,
    /// The host name could not be resolved.
    NameNotFound,
    /// The host is there, and nothing listens on the port.
    Refused,
    /// No route to the host or its network.
    Unreachable,
    /// The peer did not answer in time.
    TimedOut,
    /// The peer did not speak the transport's handshake: no HTTP, no WebSocket, half an answer, none at all.
    Handshake,
    /// The proxy answered CONNECT with something else than success; 407 is about its credentials.
    ProxyRefused {
        /// The HTTP status code.
        status: u16,
    },
    /// The peer answered a TLS handshake with something that is no TLS.
    NotTls,
    /// The peer speaks TLS, and the URL says that it does not.
    TlsRequired,
    /// The peer's certificate was refused here.
    Certificate {
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// The server wants a client certificate, and got none. Under TLS 1.3 this shows at the first read.
    ClientCertificateRequired,
    /// The server refused the client certificate. Under TLS 1.3 this shows at the first read.
    ClientCertificateRefused,
    /// The two sides have no TLS version in common.
    TlsVersion,
    /// TLS failed for another reason; see the text and the source.
    Tls,
    /// An HTTP server answered the WebSocket upgrade with something else than 101.
    UpgradeRefused {
        /// The HTTP status code.
        status: u16,
    },
    /// The upgrade was refused with 401: credentials are missing or wrong.
    Unauthorized,
    /// The upgrade was refused with 403: these credentials, or this origin, may not.
    Forbidden,
    /// The peer closed a WebSocket with a code that is not an orderly end.
    Closed {
        /// The WebSocket close code. An end without a close frame is [`Lost`](Self::Lost).
        code: u16,
    },
    /// The connection broke: reset, aborted, or ended in the middle of a message.
    Lost,
    /// The peer broke the transport's own protocol, for example WebSocket framing.
    Protocol,
    /// A message is larger than a limit allows.
    TooLarge,
    /// A message is not UTF-8 and the transport was told to send text only.
    NotText,
    /// Another I/O error; see the source.
    Io,
}

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Nobody who is trusted has signed it; a self-signed one counts here.
    UnknownIssuer,
    /// Its time is over, by this machine's clock.
    Expired,
    /// Its time has not begun, by this machine's clock.
    NotYetValid,
    /// It is for another host.
    WrongHost,
    /// Its authority has revoked it.
    Revoked,
    /// It is malformed, for another purpose, or uses what is not understood.
    Unusable,
}

impl TransportError {
    /// An error of `kind`; `context` says in words what was going on. Keep secrets out of it.
    pub fn new(kind: TransportErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into().into(), source: None, response: None, close_reason: None }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error with what the HTTP server answered.
    #[must_use]
    pub fn with_response(mut self, response: HttpResponse) -> Self {
        self.response = Some(Arc::new(response));
        self
    }

    /// The same error with what the peer said when it closed.
    #[must_use]
    pub fn with_close_reason(mut self, reason: CloseReason) -> Self {
        self.close_reason = Some(Arc::new(reason));
        self
    }

    /// An I/O error, its kind read off the operating system's; off TLS's, if that is where it comes from.
    pub fn from_io(error: io::Error, context: impl Into<String>) -> Self {
        use TransportErrorKind as Kind;
        #[cfg(feature = "tcp")]
        if let Some((kind, advice)) = crate::net::reason(&error) {
            return Self::new(kind, format!("{}: {advice}", context.into())).with_source(error);
        }
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => Kind::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Kind::Unreachable,
            io::ErrorKind::TimedOut => Kind::TimedOut,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Kind::Lost,
            _ => Kind::Io,
        };
        Self::new(kind, context).with_source(error)
    }

    /// The same error, said to be about `what`.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.context = format!("{what}: {}", self.context).into();
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &TransportErrorKind {
        &self.kind
    }

    /// What an HTTP server answered, if it refused the WebSocket upgrade, or the way through a proxy.
    pub fn response(&self) -> Option<&HttpResponse> {
        self.response.as_deref()
    }

    /// What the peer said when it closed, and whether that was asked for, if it said anything.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.close_reason.as_deref()
    }
}

/// A setting that makes no sense.
#[cfg(any(feature = "proxy", feature = "tls", feature = "ws"))]
pub(crate) fn invalid_setting(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::InvalidSetting, why)
}

impl From<io::Error> for TransportError {
    /// For `?` in a connector of one's own; [`TransportError::from_io`] has room for what was going on.
    fn from(error: io::Error) -> Self {
        Self::from_io(error, "the connection failed")
    }
}

impl HttpResponse {
    /// The first header field of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let entry = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        entry.map(|(_, value)| value.as_ref())
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
