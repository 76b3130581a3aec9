use std::fmt;
use std::time::Duration;

use crate::TransportError;
use crate::error::invalid_setting as invalid;
use crate::net::STAGE_TIMEOUT;
use crate::stall::WRITE_TIMEOUT;

/// The longest WebSocket message by default: what `stompede-codec` takes by default, that is a head of 256 KiB and a
/// body of 16 MiB, and 1 KiB for its NUL and the line ends that some brokers put behind it.
///
/// So it is the decoder that judges a frame, and the transport keeps a peer from sending what could be none.
pub const DEFAULT_MAX_MESSAGE: usize = max_message_for(256 * 1024, 16 * 1024 * 1024);

/// The longest WebSocket message that a frame needs with a head and a body of at most so many bytes.
pub const fn max_message_for(max_head: usize, max_body: usize) -> usize {
    max_head.saturating_add(max_body).saturating_add(1024)
}

/// What is read at a time unless set; see [`WsConfig::read_buffer`].
pub const DEFAULT_READ_BUFFER: usize = 16 * 1024;

/// The read buffers that make sense: below, frame headers make it slow; above, nothing becomes quicker.
const READ_BUFFERS: std::ops::RangeInclusive<usize> = 1024..=1024 * 1024;

/// The longest interval between pings. Nobody needs longer ones, and a clock can overflow.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest character: a smaller piece could not hold it.
const MIN_PIECE: usize = 4;

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
    /// Text only; a frame that is not UTF-8 is refused with [`NotText`](crate::TransportErrorKind::NotText).
    Text,
    /// Binary only.
    Binary,
}

/// Whether a frame is one message of one WebSocket frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Split {
    #[default]
    No,
    /// Messages of at most so many bytes.
    Messages(usize),
    /// One message, in WebSocket frames of at most so many bytes.
    Fragments(usize),
}

impl Split {
    /// Up to how many bytes an item stays whole.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::No => usize::MAX,
            Self::Messages(max) | Self::Fragments(max) => max,
        }
    }
}

/// How a side speaks once it is connected; what both kinds of configuration set, each as far as it makes sense there.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    pub(super) kind: WsMessageKind,
    /// Whether text is sent without looking whether it is.
    pub(super) any_as_text: bool,
    /// Whether binary messages of the peer are thrown away.
    pub(super) text_only: bool,
    /// Whether each message of the peer is a chunk by itself.
    pub(super) separate: bool,
    /// The longest message, either way.
    pub(super) max_message: usize,
    /// The longest frame from the peer.
    pub(super) max_frame: Option<usize>,
    /// What is read at a time.
    pub(super) read_buffer: usize,
    pub(super) split: Split,
    pub(super) ping_interval: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            kind: WsMessageKind::default(),
            any_as_text: false,
            text_only: false,
            separate: false,
            max_message: DEFAULT_MAX_MESSAGE,
            max_frame: None,
            read_buffer: DEFAULT_READ_BUFFER,
            split: Split::No,
            ping_interval: None,
            write_timeout: Some(WRITE_TIMEOUT),
        }
    }
}

/// How to upgrade to WebSocket, and how to speak it.
///
/// Compression (permessage-deflate) is never offered, and a server that switches it on unasked is refused: its state
/// costs up to 300 KiB a connection, brokers rarely speak it, and compressed secrets next to text that others choose
/// can be guessed from the length.
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
    pub(super) speech: Speech,
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
            speech: Speech::default(),
            upgrade_timeout: STAGE_TIMEOUT,
        }
    }

    /// Replaces the subprotocols offered, best first; with none the header field is left out.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if a name is not an HTTP token.
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
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if HTTP does not allow the name or the value, or if the
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
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if HTTP does not allow the value.
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
        self.speech.kind = kind;
        self
    }

    /// The longest message in bytes, either way; [`DEFAULT_MAX_MESSAGE`] unless set. A longer one from the peer ends the
    /// connection with [`TooLarge`](crate::TransportErrorKind::TooLarge); a longer STOMP frame to be sent is refused, split or
    /// not.
    ///
    /// With limits of one's own for the decoder, [`max_message_for`] says what goes with them.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.speech.max_message = bytes;
        self
    }

    /// The longest WebSocket frame in bytes that is accepted; the longest message unless set, and never more.
    ///
    /// Memory for a frame is reserved as soon as its header has come, so this is also what a header alone can cost.
    #[must_use]
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.speech.max_frame = Some(bytes);
        self
    }

    /// How many bytes are read from the stream at a time: [`DEFAULT_READ_BUFFER`], 16 KiB, unless set; at least 1 KiB
    /// and at most 1 MiB.
    ///
    /// Each connection keeps as much memory while it is idle. A larger one saves system calls where messages come in
    /// floods or are large; docs/performance.md has the figures. It is filled with zeroes before each read, so that a
    /// large one costs time where messages come one by one.
    #[must_use]
    pub fn read_buffer(mut self, bytes: usize) -> Self {
        self.speech.read_buffer = clamp_read_buffer(bytes);
        self
    }

    /// Sends a STOMP frame of more than `max` bytes as several WebSocket messages of at most `max` bytes each.
    ///
    /// For servers that limit a message and put frames together themselves, as Spring's can. Most brokers want one
    /// frame in each message, so that this is off unless asked for. No character of UTF-8 is cut.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if `max` is below 4, the length of the longest character.
    pub fn split_messages(mut self, max: usize) -> Result<Self, TransportError> {
        self.speech.split = Split::Messages(piece(max)?);
        Ok(self)
    }

    /// Sends a STOMP frame of more than `max` bytes as one message in several WebSocket frames ("fragments") of at most
    /// `max` bytes each.
    ///
    /// For servers that limit a WebSocket frame, as Artemis does to 64 KiB. Off unless asked for. No character of UTF-8
    /// is cut.
    ///
    /// # Errors
    /// [`InvalidSetting`](crate::TransportErrorKind::InvalidSetting) if `max` is below 4, the length of the longest character.
    pub fn split_fragments(mut self, max: usize) -> Result<Self, TransportError> {
        self.speech.split = Split::Fragments(piece(max)?);
        Ok(self)
    }

    /// Sends a WebSocket ping each time this long has passed, unless something waits to be written anyway; none unless
    /// set. Zero switches it off, and nothing is longer than a day.
    ///
    /// For load balancers and servers that close what is silent, as RabbitMQ does after 60 s, where no STOMP heart-beats
    /// are sent. An answer is not waited for: whether the peer is alive is for heart-beats to find out. Pings are sent
    /// while [`poll_recv`](crate::Transport::poll_recv) is polled.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.speech.ping_interval = clamp_interval(interval);
        self
    }

    /// How long the peer may read nothing at all while something waits to be written; then sending fails with
    /// [`TimedOut`](crate::TransportErrorKind::TimedOut). 60 seconds unless set; `None` waits for ever.
    ///
    /// A broker under a memory or disk alarm, such as RabbitMQ, stops reading those who send for as long as the alarm
    /// lasts, and goes on afterwards: whoever wants to sit that out sets a longer one. Receiving goes on meanwhile. A peer
    /// that is slow but reads is never cut off. A session has a limit of its own, which is shorter by default; a longer
    /// one there needs a longer one here.
    #[must_use]
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.speech.write_timeout = limit.into();
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
            .field("speech", &self.speech)
            .field("upgrade_timeout", &self.upgrade_timeout)
            .finish()
    }
}

pub(super) fn clamp_read_buffer(bytes: usize) -> usize {
    bytes.clamp(*READ_BUFFERS.start(), *READ_BUFFERS.end())
}

pub(super) fn clamp_interval(interval: Duration) -> Option<Duration> {
    (!interval.is_zero()).then(|| interval.min(MAX_PING_INTERVAL))
}

fn piece(max: usize) -> Result<usize, TransportError> {
    if max < MIN_PIECE {
        return Err(invalid("a WebSocket message or fragment needs at least 4 bytes to hold any character"));
    }
    Ok(max)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportErrorKind;

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
    fn settings_out_of_range_are_refused_or_brought_into_it() {
        for max in 0..4 {
            assert_eq!(
                WsConfig::new().split_messages(max).unwrap_err().kind(),
                &TransportErrorKind::InvalidSetting
            );
            assert_eq!(
                WsConfig::new().split_fragments(max).unwrap_err().kind(),
                &TransportErrorKind::InvalidSetting
            );
        }
        assert_eq!(WsConfig::new().split_fragments(4).unwrap().speech.split, Split::Fragments(4));
        assert_eq!(WsConfig::new().read_buffer(0).speech.read_buffer, 1024);
        assert_eq!(WsConfig::new().read_buffer(usize::MAX).speech.read_buffer, 1024 * 1024);
        assert_eq!(WsConfig::new().ping_interval(Duration::ZERO).speech.ping_interval, None);
        assert_eq!(
            WsConfig::new().ping_interval(Duration::MAX).speech.ping_interval,
            Some(MAX_PING_INTERVAL)
        );
        assert_eq!(max_message_for(usize::MAX, usize::MAX), usize::MAX);
    }

    #[test]
    fn values_of_header_fields_are_not_shown() {
        let config = WsConfig::new().header("Authorization", "Bearer s3cret").unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("Authorization") && !shown.contains("s3cret"), "{shown}");
    }
}
