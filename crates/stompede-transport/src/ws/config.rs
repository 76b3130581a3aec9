use std::fmt;
use std::time::Duration;

use crate::{TransportError, TransportErrorKind};

/// The longest WebSocket message by default: a STOMP body of 16 MiB, and 64 KiB for the rest of its frame.
pub const DEFAULT_MAX_MESSAGE: usize = 16 * 1024 * 1024 + 64 * 1024;

/// How long the upgrade may take; below the 10 seconds that a session gives all stages together.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(8);

/// Names of header fields that the upgrade itself sets, or that would change what the request is.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "origin",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "expect",
    "proxy-connection",
];

/// Whether STOMP frames are sent as WebSocket text or binary. What comes in may be either, always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WsMessageKind {
    /// Text; binary only for a frame that is not UTF-8. ActiveMQ Classic throws binary messages away silently.
    #[default]
    Auto,
    /// Text only; a frame that is not UTF-8 is refused with [`NotText`](TransportErrorKind::NotText).
    Text,
    /// Binary only.
    Binary,
}

/// How to upgrade to WebSocket, and how to speak it.
///
/// ```
/// use stompede_transport::{WsConfig, WsMessageKind};
///
/// let config = WsConfig::new()
///     .message_kind(WsMessageKind::Binary)
///     .origin("https://example.org")?
///     .header("Authorization", "Bearer s3cret")?;
/// # Ok::<(), stompede_transport::TransportError>(())
/// ```
#[derive(Clone)]
pub struct WsConfig {
    pub(super) subprotocols: Box<str>,
    pub(super) headers: Vec<(Box<str>, Box<str>)>,
    pub(super) origin: Option<Box<str>>,
    pub(super) basic_auth: bool,
    pub(super) message_kind: WsMessageKind,
    pub(super) max_message: usize,
    pub(super) upgrade_timeout: Duration,
}

impl WsConfig {
    /// The defaults: `v12.stomp`, `v11.stomp` and `v10.stomp` are offered, no header fields are added, messages are
    /// [`Auto`](WsMessageKind::Auto) and up to [`DEFAULT_MAX_MESSAGE`] bytes long.
    pub fn new() -> Self {
        Self {
            subprotocols: "v12.stomp, v11.stomp, v10.stomp".into(),
            headers: Vec::new(),
            origin: None,
            basic_auth: false,
            message_kind: WsMessageKind::default(),
            max_message: DEFAULT_MAX_MESSAGE,
            upgrade_timeout: UPGRADE_TIMEOUT,
        }
    }

    /// Replaces the subprotocols offered, best first; with none the header field is left out.
    ///
    /// # Errors
    /// [`InvalidSetting`](TransportErrorKind::InvalidSetting) if a name is not an HTTP token.
    pub fn subprotocols<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, TransportError> {
        let names: Vec<S> = names.into_iter().collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        if !names.iter().all(|name| is_token(name)) {
            return Err(invalid("a WebSocket subprotocol must be an HTTP token, such as v12.stomp"));
        }
        self.subprotocols = names.join(", ").into();
        Ok(self)
    }

    /// Adds a header field to the upgrade request.
    ///
    /// # Errors
    /// [`InvalidSetting`](TransportErrorKind::InvalidSetting) if HTTP does not allow the name or the value, or if the
    /// upgrade itself sets that field. The error does not repeat the value.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, TransportError> {
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            return Err(invalid("the name of an HTTP header field must be a token"));
        }
        if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
            return Err(invalid(format!("the header field {name} belongs to the WebSocket upgrade itself")));
        }
        self.headers.push((name.into(), field_value(name, value)?));
        Ok(self)
    }

    /// Sends an `Origin` header field, which browsers do and some servers ask for.
    ///
    /// # Errors
    /// [`InvalidSetting`](TransportErrorKind::InvalidSetting) if HTTP does not allow the value.
    pub fn origin(mut self, origin: &str) -> Result<Self, TransportError> {
        self.origin = Some(field_value("Origin", origin)?);
        Ok(self)
    }

    /// Whether the URL's credentials are sent as HTTP Basic too; by default they are for STOMP's CONNECT alone.
    ///
    /// An `Authorization` [`header`](Self::header) goes first.
    #[must_use]
    pub fn basic_auth(mut self, send: bool) -> Self {
        self.basic_auth = send;
        self
    }

    /// How STOMP frames are sent.
    #[must_use]
    pub fn message_kind(mut self, kind: WsMessageKind) -> Self {
        self.message_kind = kind;
        self
    }

    /// The longest message in bytes, either way. A longer one from the peer ends the connection; a longer one to be
    /// sent is refused.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How long a [`WsConnector`](crate::WsConnector) waits for the answer to its upgrade; 8 seconds unless set.
    #[must_use]
    pub fn upgrade_timeout(mut self, within: Duration) -> Self {
        self.upgrade_timeout = within;
        self
    }
}

impl Default for WsConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of header fields are secrets more often than not.
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("WsConfig")
            .field("subprotocols", &self.subprotocols)
            .field("headers", &names)
            .field("origin", &self.origin)
            .field("basic_auth", &self.basic_auth)
            .field("message_kind", &self.message_kind)
            .field("max_message", &self.max_message)
            .field("upgrade_timeout", &self.upgrade_timeout)
            .finish()
    }
}

/// A value that can neither end its line nor be taken for something else.
fn field_value(name: &str, value: &str) -> Result<Box<str>, TransportError> {
    let value = value.trim_matches([' ', '\t']);
    if value.is_ascii() && value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control()) {
        return Ok(value.into());
    }
    Err(invalid(format!(
        "the value of the HTTP header field {name} holds a line end, another control character, or is not ASCII"
    )))
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn invalid(why: impl Into<String>) -> TransportError {
    TransportError::new(TransportErrorKind::InvalidSetting, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_that_could_smuggle_a_request_are_refused() {
        for (name, value) in [
            ("", "x"),
            ("X Y", "x"),
            ("X:", "x"),
            ("X\r\nY", "x"),
            ("Xé", "x"),
            ("X", "s3cret\r\nHost: evil"),
            ("X", "s3cret\n"),
            ("X", "s3cret\0"),
            ("X", "s3cret\u{7f}"),
            ("X", "s3crét"),
            ("Host", "s3cret"),
            ("UPGRADE", "s3cret"),
            ("Sec-WebSocket-Key", "s3cret"),
            ("sec-websocket-extensions", "s3cret"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Origin", "s3cret"),
        ] {
            let error = WsConfig::new().header(name, value).unwrap_err();
            assert_eq!(error.kind(), &TransportErrorKind::InvalidSetting, "{name:?}: {value:?}");
            assert!(!format!("{error:?}").contains("s3c"), "{error:?}");
        }
        assert!(WsConfig::new().origin("https://a\r\n").is_err());
        assert!(WsConfig::new().subprotocols(["v12.stomp", "a, b"]).is_err());
        assert!(WsConfig::new().subprotocols([""]).is_err());
    }

    #[test]
    fn values_of_header_fields_are_not_shown() {
        let config = WsConfig::new().header("Authorization", "Bearer s3cret").unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("Authorization") && !shown.contains("s3cret"), "{shown}");
    }
}
