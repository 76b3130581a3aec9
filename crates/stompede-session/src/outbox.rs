use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use stompede_codec::{Command, Encoder, Frame, Version};

use crate::Error;

/// How hard a session tries to get a message through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Guarantee {
    /// A message is written once or not at all. When the connection is lost before its RECEIPT, what became of it is
    /// unknown, and nothing is sent again.
    #[default]
    AtMostOnce,
    /// A message stays in the outbox until its RECEIPT and is written again, in order, on each new connection. The
    /// broker may get it twice; [`SendPolicy::duplicate_header`] lets it notice.
    ///
    /// Each message asks for a RECEIPT, whether somebody awaits it or not. Messages of transactions and frames other
    /// than SEND are not kept.
    AtLeastOnce,
}

/// What happens to a SEND while there is no connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhileOffline {
    /// As the [`Guarantee`] suggests: [`Fail`](Self::Fail) with at most once; [`Queue`](Self::Queue) with at least once, which
    /// promises to carry messages through an outage.
    #[default]
    ByGuarantee,
    /// It is not sent, and the caller learns it at once and has the frame back.
    Fail,
    /// It waits in the outbox, as do those that were not written when the connection was lost.
    Queue,
}

/// What a session does with messages beyond writing them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SendPolicy {
    /// How hard to try. At most once unless set.
    pub guarantee: Guarantee,
    /// Where a message goes while there is no connection. Unless set: into the outbox where it is sent at least once, else
    /// nowhere.
    pub while_offline: WhileOffline,
    /// What may wait.
    pub outbox: OutboxLimits,
    /// The header that carries a stable id of the message, for a broker that drops what it has seen before. The
    /// profile's unless set; only with [`Guarantee::AtLeastOnce`].
    pub duplicate_header: Option<String>,
}

impl SendPolicy {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let OutboxLimits { messages, bytes, expiry } = self.outbox;
        for (name, nothing) in [
            ("messages", messages == 0),
            ("bytes", bytes == 0),
            ("expiry", expiry.is_some_and(|expiry| expiry.is_zero())),
        ] {
            if nothing {
                let text =
                    format!("sending.outbox.{name}: zero lets no message wait; leave the policy out then");
                return Err(Error::invalid(text));
            }
        }
        let Some(header) = &self.duplicate_header else { return Ok(()) };
        let probe = Frame::new(Command::Send).with_header("destination", "/").with_header(header, "1");
        let written = Encoder::new(Version::V1_2).encode(&probe, &mut bytes::BytesMut::new());
        written
            .map_err(|error| Error::invalid_because("sending.duplicate_header: no name of a header", error))
    }

    /// Whether a message is written to the connection that there is, or not at all.
    pub(crate) fn is_plain(&self) -> bool {
        self.guarantee == Guarantee::AtMostOnce && !self.queues_offline()
    }

    /// Whether a message may wait for a connection.
    pub(crate) fn queues_offline(&self) -> bool {
        match self.while_offline {
            WhileOffline::ByGuarantee => self.guarantee == Guarantee::AtLeastOnce,
            WhileOffline::Fail => false,
            WhileOffline::Queue => true,
        }
    }
}

/// What an outbox may hold. A message that does not fit is not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OutboxLimits {
    /// Messages. 10,000 unless set: more than a connection has in flight, and an outage is noticed soon.
    pub messages: usize,
    /// Their bodies and headers, in bytes. 16 MiB unless set. A message larger than this never fits.
    pub bytes: usize,
    /// How long a message may wait for its RECEIPT, over all connections; `None`: as long as the session lives. Five
    /// minutes unless set. A message that has expired and was never written is not sent; else its outcome is unknown.
    /// Where nobody awaits its outcome, the log has a warning.
    ///
    /// Also what stands in an [`Outbox`] expires and is removed from it; for what an earlier session has left, the time
    /// begins anew. Who keeps messages there for longer outages sets more, or `None`.
    pub expiry: Option<Duration>,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { messages: 10_000, bytes: 16 * 1024 * 1024, expiry: Some(Duration::from_secs(300)) }
    }
}

/// Where messages of [`Guarantee::AtLeastOnce`] are kept beside the session's memory, so that they outlive the process: a
/// file, a database.
///
/// Without one, which is the default, they are kept in memory alone, within the same [`OutboxLimits`]. What is here is in
/// memory as well: it is written from there, and read from here only by [`load`](Self::load).
///
/// Messages expire here too: see [`OutboxLimits::expiry`], which is five minutes unless set.
///
/// A session asks for one thing at a time and waits for its end, so nothing has to be prepared for two calls at once. An
/// outbox serves one session at a time. The futures must not block the thread; give what does to a thread that may. Each is
/// given up after the session's `receipt_timeout`, which counts as an error.
///
/// A frame is kept as any bytes: [`Encoder`](stompede_codec::Encoder) and [`Decoder`](stompede_codec::Decoder) with version
/// 1.2 write and read all that a frame can hold.
pub trait Outbox: Send + Sync {
    /// Gives what an earlier session has left, in the order in which it was appended. Asked for once, before the first
    /// connection; an error, or none within the `total_connect_timeout`, fails `connect()`.
    ///
    /// All of it is held in memory then, also where that is more than the limits.
    fn load(&self) -> OutboxFuture<'_, Vec<Stored>>;

    /// Keeps these messages, all or none, behind those that are there. None of them is written to a connection, and no
    /// send ends, before this has.
    ///
    /// After an error the messages are not sent and their senders have them back. In case some have been kept all the same,
    /// they are [removed](Self::remove) then.
    fn append<'a>(&'a self, messages: &'a [Stored]) -> OutboxFuture<'a, ()>;

    /// Forgets these messages: their RECEIPT has come, or their senders know that they are given up. One that is not there
    /// is no error.
    ///
    /// After an error it is asked for again a second later. Until it has succeeded they count within the limits, and a
    /// `disconnect()` waits for it; left behind, they are sent again by the next session.
    fn remove<'a>(&'a self, ids: &'a [OutboxId]) -> OutboxFuture<'a, ()>;
}

/// What an [`Outbox`] gives for everything that it is asked for.
pub type OutboxFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>> + Send + 'a>>;

/// A message in an [`Outbox`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// Its name: the same for as long as it exists, over processes too.
    pub id: OutboxId,
    /// The SEND frame, as it was handed over.
    pub frame: Frame,
}

impl Stored {
    /// A message that was read back.
    pub fn new(id: OutboxId, frame: Frame) -> Self {
        Self { id, frame }
    }
}

/// Names one message in an outbox: unique among those of all sessions, and the same for each time it is sent.
///
/// As text it is what the [duplicate-detection header](SendPolicy::duplicate_header) carries.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OutboxId {
    /// Tells the sessions of all processes apart.
    pub(crate) session: u64,
    /// Messages of a session go out in this order.
    pub(crate) number: u64,
}

impl fmt::Display for OutboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.session, self.number)
    }
}

/// Reads what [`Display`](fmt::Display) has written.
impl FromStr for OutboxId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (session, number) = text.split_once('-')?;
            let session = u64::from_str_radix(session, 16).ok()?;
            let id = Self { session, number: number.parse().ok()? };
            // Nothing else that happens to read as these numbers.
            (id.to_string() == text).then_some(id)
        };
        read().ok_or_else(|| Error::invalid(format!("{text:?} is no id of a message in an outbox")))
    }
}
