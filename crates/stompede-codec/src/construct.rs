//! Frames by what the specification wants in them.

use alloc::string::String;

use crate::headers::name;
use crate::{AckMode, Command, Frame, FrameError, FrameErrorKind, Version};

/// Frames that a client sends, with the headers that the specification requires.
///
/// The result is a plain frame: what is optional is added with [`with_header`](Frame::with_header) and
/// [`with_body`](Frame::with_body), and [`check`](Frame::check) judges the whole if need be. Values can be any text here; what the
/// version in use cannot write is refused by the [`Encoder`](crate::Encoder).
///
/// ```
/// use stompede_codec::{AckMode, Frame, Version};
///
/// let connect = Frame::connect("/", &Version::ALL)?
///     .with_header("login", "guest")
///     .with_header("passcode", "guest")
///     .with_header("heart-beat", "0,10000");
/// let subscribe = Frame::subscribe(Version::V1_2, "0", "/queue/a", AckMode::ClientIndividual)?;
/// let send = Frame::send("/queue/a")?.with_header("receipt", "17").with_body("hello");
/// # let message = Frame::message(Version::V1_2, "/queue/a", "m-1", Some("0"))?.with_header("ack", "a-1");
/// let ack = Frame::ack(Version::V1_2, &message)?; // of the MESSAGE that was received
/// assert_eq!(ack.header("id"), message.header("ack"));
/// # Ok::<(), stompede_codec::FrameError>(())
/// ```
impl Frame {
    /// CONNECT: opens a session on the virtual host `host` in the newest of `versions` that both sides have
    /// (section CONNECT or STOMP Frame).
    ///
    /// The name that the socket was opened to is the usual host; RabbitMQ wants the name of a virtual host, such
    /// as `/`.
    ///
    /// # Errors
    /// If `versions` is empty or not in order, the oldest first and each once, or if `host` has a line break or NUL.
    pub fn connect(host: &str, versions: &[Version]) -> Result<Self, FrameError> {
        opening(Command::Connect, host, versions)
    }

    /// STOMP: the same as [`connect`](Frame::connect), for servers of 1.1 and 1.2 that want to tell STOMP from other
    /// protocols by the first octets. CONNECT is understood by more servers.
    ///
    /// # Errors
    /// As [`connect`](Frame::connect), and if `versions` has nothing newer than 1.0.
    pub fn stomp(host: &str, versions: &[Version]) -> Result<Self, FrameError> {
        opening(Command::Stomp, host, versions)
    }

    /// SEND: a message to `destination` (section SEND).
    ///
    /// Optional: `transaction`, `content-type`, `receipt` and headers of the application's own; the encoder adds
    /// `content-length`.
    ///
    /// # Errors
    /// If `destination` is empty.
    pub fn send(destination: &str) -> Result<Self, FrameError> {
        Self::new(Command::Send).with_header("destination", destination).checked(Version::V1_2)
    }

    /// SUBSCRIBE: asks for the messages of `destination` under an `id` that no other subscription of the connection has
    /// (section SUBSCRIBE).
    ///
    /// In 1.0 the id is optional; with one, MESSAGE says in `subscription` whose it is.
    ///
    /// # Errors
    /// If `id` or `destination` is empty, or the version does not have the mode.
    pub fn subscribe(
        version: Version,
        id: &str,
        destination: &str,
        ack: AckMode,
    ) -> Result<Self, FrameError> {
        Self::new(Command::Subscribe)
            .with_header("id", id)
            .with_header("destination", destination)
            .with_header("ack", ack.as_str())
            .checked(version)
    }

    /// UNSUBSCRIBE: ends the subscription with this id (section UNSUBSCRIBE).
    ///
    /// # Errors
    /// If `id` is empty.
    pub fn unsubscribe(id: &str) -> Result<Self, FrameError> {
        Self::new(Command::Unsubscribe).with_header("id", id).checked(Version::V1_2)
    }

    /// ACK: `message`, which was received, has been consumed (section ACK).
    ///
    /// It repeats of the MESSAGE what the version wants: `message-id` in 1.0, `message-id` and `subscription` in
    /// 1.1, `ack` as `id` in 1.2. Optional: `transaction`.
    ///
    /// # Errors
    /// If `message` is no MESSAGE, or lacks a header that is to be repeated: under `ack:auto` there is nothing to
    /// acknowledge.
    pub fn ack(version: Version, message: &Self) -> Result<Self, FrameError> {
        settling(Command::Ack, version, message)
    }

    /// NACK: `message`, which was received, has not been consumed (section NACK). Not in 1.0.
    ///
    /// # Errors
    /// As [`ack`](Frame::ack), and in 1.0.
    pub fn nack(version: Version, message: &Self) -> Result<Self, FrameError> {
        settling(Command::Nack, version, message)
    }

    /// BEGIN: starts a transaction under an id that no other one of the connection has (section BEGIN).
    ///
    /// SEND, ACK and NACK take part in it with a header `transaction` of this id.
    ///
    /// # Errors
    /// If `transaction` is empty.
    pub fn begin(transaction: &str) -> Result<Self, FrameError> {
        of_transaction(Command::Begin, transaction)
    }

    /// COMMIT: carries a transaction out (section COMMIT).
    ///
    /// # Errors
    /// If `transaction` is empty.
    pub fn commit(transaction: &str) -> Result<Self, FrameError> {
        of_transaction(Command::Commit, transaction)
    }

    /// ABORT: rolls a transaction back (section ABORT).
    ///
    /// # Errors
    /// If `transaction` is empty.
    pub fn abort(transaction: &str) -> Result<Self, FrameError> {
        of_transaction(Command::Abort, transaction)
    }

    /// DISCONNECT: ends the session (section DISCONNECT).
    ///
    /// With a header `receipt` the server says when it has processed all that came before.
    pub const fn disconnect() -> Self {
        Self::new(Command::Disconnect)
    }
}

/// Frames that a server sends, with the headers that the specification requires.
impl Frame {
    /// CONNECTED: accepts a session in this version, which 1.0 does not say (section CONNECTED Frame).
    ///
    /// Optional: `session`, `server`, and `heart-beat` since 1.1.
    pub fn connected(version: Version) -> Self {
        let connected = Self::new(Command::Connected);
        match version {
            Version::V1_0 => connected,
            Version::V1_1 | Version::V1_2 => connected.with_header(name::VERSION, version.as_str()),
        }
    }

    /// MESSAGE: delivers a message (section MESSAGE).
    ///
    /// `subscription` is the id of the subscription; only one of 1.0 may have none. Since 1.2 a header `ack` is required
    /// unless the mode is `auto`. The headers of the SEND follow, and its body.
    ///
    /// # Errors
    /// If a value is empty, or `subscription` is missing in 1.1 and 1.2.
    pub fn message(
        version: Version,
        destination: &str,
        message_id: &str,
        subscription: Option<&str>,
    ) -> Result<Self, FrameError> {
        let mut message = Self::new(Command::Message)
            .with_header("destination", destination)
            .with_header("message-id", message_id);
        message.headers_mut().extend(subscription.map(|id| ("subscription", id)));
        message.checked(version)
    }

    /// RECEIPT: the frame with this `receipt` was processed (section RECEIPT).
    pub fn receipt(receipt_id: &str) -> Self {
        Self::new(Command::Receipt).with_header("receipt-id", receipt_id)
    }

    /// ERROR: `message` is what went wrong, in a few words; the session ends (section ERROR).
    ///
    /// Optional: `receipt-id` of the frame that failed, `content-type`, and a body with all that is to be said.
    pub fn error(message: &str) -> Self {
        Self::new(Command::Error).with_header("message", message)
    }

    fn checked(self, version: Version) -> Result<Self, FrameError> {
        self.check(version)?;
        Ok(self)
    }
}

fn opening(command: Command, host: &str, versions: &[Version]) -> Result<Frame, FrameError> {
    let newest = versions.last().copied().unwrap_or_default();
    if versions.is_empty() || !versions.is_sorted_by(|one, next| one < next) {
        let kind = FrameErrorKind::InvalidValue { expected: "one version or more, the oldest first" };
        return Err(FrameError::new(kind, command, newest).with_header(name::ACCEPT_VERSION));
    }
    let mut list = String::new();
    for version in versions {
        list.push_str(if list.is_empty() { "" } else { "," });
        list.push_str(version.as_str());
    }
    Frame::new(command).with_header(name::ACCEPT_VERSION, list).with_header("host", host).checked(newest)
}

fn settling(command: Command, version: Version, message: &Frame) -> Result<Frame, FrameError> {
    if message.command() != Command::Message {
        return Err(FrameError::new(FrameErrorKind::NotAMessage, command, version));
    }
    let repeated: &[_] = match version {
        Version::V1_0 => &[("message-id", "message-id")],
        Version::V1_1 => &[("message-id", "message-id"), ("subscription", "subscription")],
        Version::V1_2 => &[("ack", "id")],
    };
    let mut frame = Frame::new(command);
    for (theirs, ours) in repeated {
        frame.headers_mut().extend(message.header(theirs).map(|value| (ours, value)));
    }
    frame.checked(version)
}

fn of_transaction(command: Command, transaction: &str) -> Result<Frame, FrameError> {
    Frame::new(command).with_header("transaction", transaction).checked(Version::V1_2)
}
