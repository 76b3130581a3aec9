use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use stompede_codec::{DecodeError, EncodeError, Frame};
use stompede_transport::TransportError;

/// Why something could not be done, or why a session ended.
///
/// Cheap to clone: everybody who waits on a session learns the same cause. Its text says what happened and, where
/// there is something to do about it, what; it never holds a passcode.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    context: String,
    cause: Cause,
}

enum Cause {
    None,
    Transport(TransportError),
    Decode(DecodeError),
    Encode(EncodeError),
    /// The ERROR frame that the broker sent.
    Frame(Frame),
    Other(Box<dyn StdError + Send + Sync>),
}

/// What went wrong, for a program to decide on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or a setting makes no sense: an empty destination, a subscription id in use, a zero time limit.
    InvalidArgument,
    /// A header or body cannot be written in the STOMP version that was negotiated.
    Unencodable,
    /// No connection could be opened; [`Error::transport`] says why.
    DialFailed,
    /// `before_connect` did not let an attempt begin; the source says why.
    NotPrepared,
    /// The connection was not open (name, TCP, WebSocket upgrade) within its time limit.
    ConnectTimedOut,
    /// The connection was open, and no CONNECTED came within its time limit.
    HandshakeTimedOut,
    /// The broker answered CONNECT with ERROR; [`Error::frame`] is that frame.
    LoginRefused,
    /// The broker and we have no STOMP version in common, or it chose one that we did not offer.
    VersionMismatch,
    /// The broker sent ERROR, which ends the connection; [`Error::frame`] is that frame.
    BrokerError,
    /// The connection ended without being asked to.
    ConnectionLost,
    /// The peer sent what STOMP does not allow.
    Protocol,
    /// Nothing came from the broker for longer than it promised in the heart-beat negotiation.
    HeartBeatMissed,
    /// The connection took nothing within the `write_timeout`, so the peer counts as dead.
    WriteStuck,
    /// No frame went either way within the `idle_timeout`.
    IdleTimedOut,
    /// The connection took no more bytes within the time limit of a call.
    WriteTimedOut,
    /// No RECEIPT came within its time limit.
    ReceiptTimedOut,
    /// The outbox holds as much as it may, so the message was not taken.
    OutboxFull,
    /// The [`Outbox`](crate::Outbox) that stands behind the session could not do what it was asked; the source says why.
    OutboxFailed,
    /// Consumers had not finished within the time limit of `drain()`.
    DrainTimedOut,
    /// The connection did not end in order within the time limit of `disconnect()`.
    DisconnectTimedOut,
    /// Reading has stopped because a consumer does not take its messages, so what was awaited could not be seen.
    Stalled,
    /// The consumer of a subscription fell further behind than the subscription allows.
    Overflowed,
    /// The transaction is not open: committed, aborted, or gone with its connection.
    TransactionEnded,
    /// The message was delivered on a connection that is gone; the broker will deliver it again.
    StaleAck,
    /// The message was acknowledged or rejected before.
    AlreadySettled,
    /// An interceptor held the frame back.
    HeldBack,
    /// The session has been closed by this side.
    Closed,
}

/// What can be done about an [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "callers match it without a wildcard: a new answer must be handled"
)]
pub enum Recovery {
    /// A new connection may well work.
    Reconnect,
    /// The same call may work later, on the same connection.
    RetryLater,
    /// Only a change of arguments, settings or credentials helps.
    Fatal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self::with_cause(kind, context, Cause::None)
    }

    /// An argument or a setting that makes no sense ([`ErrorKind::InvalidArgument`]); `context` names it and says what would.
    pub fn invalid(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, context)
    }

    /// Somebody asks something of a session that this side has ended.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the session has been closed by this side")
    }

    pub(crate) fn with_transport(kind: ErrorKind, context: impl Into<String>, error: TransportError) -> Self {
        Self::with_cause(kind, context, Cause::Transport(error))
    }

    pub(crate) fn undecodable(error: DecodeError) -> Self {
        Self::with_cause(ErrorKind::Protocol, "the broker sent bytes that are no STOMP", Cause::Decode(error))
    }

    pub(crate) fn unencodable(error: EncodeError) -> Self {
        Self::with_cause(ErrorKind::Unencodable, "the frame cannot be written", Cause::Encode(error))
    }

    pub(crate) fn with_other(
        kind: ErrorKind,
        context: impl Into<String>,
        error: Box<dyn StdError + Send + Sync>,
    ) -> Self {
        Self::with_cause(kind, context, Cause::Other(error))
    }

    pub(crate) fn from_frame(kind: ErrorKind, context: impl Into<String>, frame: Frame) -> Self {
        Self::with_cause(kind, context, Cause::Frame(frame))
    }

    pub(crate) fn invalid_because(
        context: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::invalid_boxed(context, Box::new(source))
    }

    pub(crate) fn invalid_boxed(context: impl Into<String>, source: Box<dyn StdError + Send + Sync>) -> Self {
        Self::with_cause(ErrorKind::InvalidArgument, context, Cause::Other(source))
    }

    fn with_cause(kind: ErrorKind, context: impl Into<String>, cause: Cause) -> Self {
        Self(Arc::new(Inner { kind, context: context.into(), cause }))
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The ERROR frame behind this, if the broker sent one.
    pub fn frame(&self) -> Option<&Frame> {
        match &self.0.cause {
            Cause::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    /// The transport's error behind this, if it was the transport that failed.
    pub fn transport(&self) -> Option<&TransportError> {
        match &self.0.cause {
            Cause::Transport(error) => Some(error),
            _ => None,
        }
    }

    /// What can be done about it.
    pub fn recovery(&self) -> Recovery {
        match self.0.kind {
            ErrorKind::DialFailed
            | ErrorKind::NotPrepared
            | ErrorKind::ConnectTimedOut
            | ErrorKind::HandshakeTimedOut
            | ErrorKind::BrokerError
            | ErrorKind::ConnectionLost
            | ErrorKind::HeartBeatMissed
            | ErrorKind::WriteStuck
            | ErrorKind::IdleTimedOut
            | ErrorKind::DisconnectTimedOut
            | ErrorKind::DrainTimedOut
            | ErrorKind::StaleAck => Recovery::Reconnect,
            ErrorKind::WriteTimedOut
            | ErrorKind::ReceiptTimedOut
            | ErrorKind::OutboxFull
            | ErrorKind::OutboxFailed
            | ErrorKind::Stalled
            | ErrorKind::Overflowed
            | ErrorKind::TransactionEnded => Recovery::RetryLater,
            ErrorKind::InvalidArgument
            | ErrorKind::Unencodable
            | ErrorKind::LoginRefused
            | ErrorKind::VersionMismatch
            | ErrorKind::Protocol
            | ErrorKind::AlreadySettled
            | ErrorKind::HeldBack
            | ErrorKind::Closed => Recovery::Fatal,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.context)?;
        match &self.0.cause {
            Cause::None => Ok(()),
            Cause::Transport(error) => write!(f, ": {error}"),
            Cause::Decode(error) => write!(f, ": {error}"),
            Cause::Encode(error) => write!(f, ": {error}"),
            Cause::Other(error) => write!(f, ": {error}"),
            Cause::Frame(frame) => write_error_frame(f, frame),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::None | Cause::Frame(_) => None,
            Cause::Transport(error) => Some(error),
            Cause::Decode(error) => Some(error),
            Cause::Encode(error) => Some(error),
            Cause::Other(error) => Some(&**error),
        }
    }
}

/// The broker's own words: its `message`, and the first line of a body that says more.
fn write_error_frame(f: &mut fmt::Formatter<'_>, frame: &Frame) -> fmt::Result {
    let message = frame.header("message");
    let message = message.as_deref().unwrap_or("no reason given");
    write!(f, ": {message}")?;
    let body = frame.body_text_lossy();
    match body.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if line != message => {
            let line: String = line.chars().take(MAX_BODY_CHARS).collect();
            write!(f, " ({line})")
        }
        _ => Ok(()),
    }
}

/// Characters of an ERROR's body that an error's text repeats: enough for a sentence, too few for a stack trace.
const MAX_BODY_CHARS: usize = 200;
