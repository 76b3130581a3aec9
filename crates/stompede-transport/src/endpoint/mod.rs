mod list;
mod parse;

use std::fmt;
use std::str::FromStr;

use crate::TransportError;

pub use list::Endpoints;

/// Where to connect to: a parsed URL.
///
/// | scheme | also written | default port | path |
/// |---|---|---|---|
/// | `tcp` | `stomp` | 61613 | as written, else empty |
/// | `tls` | `ssl`, `stomp+ssl` | 61614 | as written, else empty |
/// | `ws` | | 80 | as written, else `/` |
/// | `wss` | | 443 | as written, else `/` |
/// | any other | | none | as written; the host may be missing, as in `unix:/run/broker.sock` |
///
/// Scheme and host are lower-cased; path and query stay as they were written, percent-encoding included. A fragment
/// (`#…`) is refused: no broker ever sees it, so it is a mistake. So are spaces, control characters, and, in the
/// schemes of the table, an unescaped `@` behind the host: that is what a password with a `/` in it looks like.
///
/// Neither [`Display`](fmt::Display) nor [`Debug`](fmt::Debug) shows the passcode, or the query, which may hold a
/// token. Parse errors do not repeat the URL.
///
/// ```
/// use stompede_transport::Endpoint;
///
/// let endpoint: Endpoint = "ws://guest:s3cret@[::1]:15674/ws".parse()?;
/// assert_eq!((endpoint.scheme(), endpoint.host(), endpoint.port()), ("ws", "::1", Some(15674)));
/// assert_eq!((endpoint.authority().as_str(), endpoint.path()), ("[::1]:15674", "/ws"));
/// assert_eq!(endpoint.credentials().and_then(|credentials| credentials.passcode()), Some("s3cret"));
/// assert_eq!(endpoint.to_string(), "ws://guest:***@[::1]:15674/ws");
/// # Ok::<(), stompede_transport::TransportError>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Endpoint {
    scheme: Box<str>,
    credentials: Option<Credentials>,
    host: Box<str>,
    port: Option<u16>,
    path: Box<str>,
}

/// The `login:passcode@` of a URL, percent-decoded.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Credentials {
    login: Box<str>,
    passcode: Option<Box<str>>,
}

impl Endpoint {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`InvalidEndpoint`](crate::TransportErrorKind::InvalidEndpoint), with what is wrong, but not the URL.
    pub fn parse(url: &str) -> Result<Self, TransportError> {
        parse::endpoint(url)
    }

    /// The scheme in lower case; `stomp` has become `tcp`, `ssl` and `stomp+ssl` have become `tls`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host name or address, without the brackets of an IPv6 address; empty if a foreign scheme has none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, or the scheme's default; `None` only for a foreign scheme.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Path and query as they were written; `/` if a `ws` or `wss` URL has no path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `host` or `host:port`, as an HTTP `Host` header wants it: IPv6 in brackets, no default port.
    pub fn authority(&self) -> String {
        let default = default_port(&self.scheme);
        let host = Bracketed(&self.host);
        match self.port {
            Some(port) if default != Some(port) => format!("{host}:{port}"),
            _ => host.to_string(),
        }
    }

    /// What stood before the `@`.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// `host:port` for a person, the port always shown.
    #[cfg(feature = "tcp")]
    pub(crate) fn address(&self) -> String {
        let host = Bracketed(&self.host);
        self.port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
    }
}

impl Credentials {
    /// The user name; may be empty.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password, if there was a colon.
    pub fn passcode(&self) -> Option<&str> {
        self.passcode.as_deref()
    }
}

impl FromStr for Endpoint {
    type Err = TransportError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = TransportError;

    fn try_from(url: &str) -> Result<Self, Self::Error> {
        Self::parse(url)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = TransportError;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        Self::parse(&url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if !self.host.is_empty() {
            f.write_str("//")?;
            if let Some(credentials) = &self.credentials {
                let passcode = if credentials.passcode.is_some() { ":***" } else { "" };
                write!(f, "{}{passcode}@", credentials.login)?;
            }
            f.write_str(&self.authority())?;
        }
        match self.path.split_once('?') {
            Some((path, _)) => write!(f, "{path}?***"),
            None => f.write_str(&self.path),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("login", &self.login)
            .field("passcode", &self.passcode.as_ref().map(|_| "***"))
            .finish()
    }
}

/// A host as it stands in a URL.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "ws" => Some(80),
        "wss" => Some(443),
        "tcp" => Some(61613),
        "tls" => Some(61614),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
