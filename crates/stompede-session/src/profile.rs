use stompede_codec::{Frame, Strictness, Version};

use crate::Error;

/// What one kind of broker does differently, as data.
///
/// Chosen by the `server` header of CONNECTED, unless [`Config::profile`](crate::Config::profile) names one. Fields may
/// be changed one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BrokerProfile {
    /// What it is called in logs.
    pub name: &'static str,
    /// Whether a text is sent without `content-length`.
    ///
    /// ActiveMQ Classic and Artemis make a bytes message of a SEND that has one, and JMS consumers expect text. A text
    /// is a body without NUL, in UTF-8, under a `content-type` that says so; what has a `content-length` already
    /// keeps it.
    pub text_without_length: bool,
    /// The SUBSCRIBE header that says how many messages may be on their way unacknowledged; `None` if there is none.
    pub prefetch_header: Option<&'static str>,
    /// How a durable subscription is asked for.
    pub durable: Durable,
    /// Whether replies to `/temp-queue/…` come without a SUBSCRIBE, which would be an error.
    pub implicit_temp_queues: bool,
    /// Whether ACK and NACK mean anything. If not, none is sent.
    pub acknowledges: bool,
    /// What an ACK or NACK settles in ack mode client besides the message that it names.
    pub cumulative: Cumulative,
    /// Whether a NACK may be part of a transaction. If not, it is an error at once instead of a COMMIT that fails.
    pub transacted_nacks: bool,
    /// What the `id` of a subscription must not contain, because the broker cannot cope with it: such a SUBSCRIBE is an error at
    /// once.
    pub unfit_for_ids: &'static [&'static str],
    /// Part of the `message` of a refused login that will pass: the broker takes the connection before this one to be still
    /// there. On the way back it is then tried again, whatever
    /// [`retry_refused_login`](crate::ReconnectPolicy::retry_refused_login) says. `None` if nobody knows of such.
    pub refused_for_now: Option<&'static str>,
    /// The header of a NACK that is to keep the message from being delivered again; `None` where a NACK does that by itself,
    /// or where nothing does. See [`Message::reject`](crate::Message::reject).
    pub reject_header: Option<(&'static str, &'static str)>,
    /// How the body of an ERROR begins that ends nothing: a message was on its way to a subscription that has been ended
    /// meanwhile. It is told of as the message itself would be, as [`Event::Unrouted`](crate::protocol::Event::Unrouted).
    /// `None` where such a message is sent, or dropped without a word.
    pub late_message_error: Option<&'static str>,
    /// How the broker says that it has ended one subscription of its own accord, and goes on with the others; `None` if it does
    /// not do so, or nobody knows how. Such a subscription ends for its consumer with the ERROR as the cause, and is not made
    /// again: for [one without a SUBSCRIBE](Self::implicit_temp_queues) the connection ends, and the next one has it again.
    pub cancellation: Option<Cancellation>,
    /// Whether SEND and SUBSCRIBE get a RECEIPT. If not, asking for one is an error at once instead of a time-out.
    pub receipts: bool,
    /// What is let pass of what the specification forbids.
    pub strictness: Strictness,
    /// The SEND header by which the broker recognises a message that it has seen before; `None` if it has none.
    pub duplicate_header: Option<&'static str>,
}

/// How a broker is asked for a durable subscription: one that collects messages while nobody listens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Durable {
    /// It has none, or nobody knows how.
    Unsupported,
    /// By `durable:true` and `auto-delete:false`; the name is the subscription's id.
    ById,
    /// By this header, whose value is the name. CONNECT has to carry a `client-id` as well.
    ByHeader(&'static str),
}

/// How a broker says that it has ended a subscription of its own accord, because its queue has been deleted for instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cancellation {
    /// The `message` header of the ERROR. Its `subscription` header says which one has ended.
    pub message: &'static str,
    /// The `message` headers of the ERRORs that refuse what was on its way for it: acknowledgements, UNSUBSCRIBE. They end
    /// nothing either, once a subscription has been ended so.
    pub refusals: &'static [&'static str],
}

/// What an ACK or NACK settles in ack mode client besides the message that it names.
///
/// Where that is more than the specification says, the broker is asked for ack mode client-individual in its place, and gets an
/// ACK for each message that one is to cover. So [`Message::ack`](crate::Message::ack) means the same to every broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cumulative {
    /// From STOMP 1.1 on the earlier messages of its subscription, in 1.0 nothing: the specification.
    Specified,
    /// The earlier messages of its subscription, in 1.0 as well.
    EveryVersion,
    /// All earlier messages of the connection, those of other subscriptions too, and those that were not settled when their
    /// subscription ended; in every version. A second ACK for any of them ends the connection.
    Connection,
}

impl Cumulative {
    /// Whether it is more in this version than the specification says.
    pub(crate) fn reaches_too_far(self, version: Version) -> bool {
        match self {
            Self::Specified => false,
            Self::EveryVersion => version == Version::V1_0,
            Self::Connection => true,
        }
    }

    /// Whether an ACK that is to cover others goes out as one for each of them. In 1.0 none covers others.
    pub(crate) fn goes_one_by_one(self, version: Version) -> bool {
        self == Self::Connection && version > Version::V1_0
    }
}

impl BrokerProfile {
    /// A broker that nothing is known of: the specification, and nothing else.
    pub const GENERIC: Self = Self {
        name: "generic",
        text_without_length: false,
        prefetch_header: None,
        durable: Durable::Unsupported,
        implicit_temp_queues: false,
        acknowledges: true,
        cumulative: Cumulative::Specified,
        transacted_nacks: true,
        unfit_for_ids: &[],
        refused_for_now: None,
        reject_header: None,
        late_message_error: None,
        cancellation: None,
        receipts: true,
        strictness: Strictness::Strict,
        duplicate_header: None,
    };

    /// RabbitMQ.
    pub const RABBITMQ: Self = Self {
        name: "RabbitMQ",
        prefetch_header: Some("prefetch-count"),
        durable: Durable::ById,
        implicit_temp_queues: true,
        // Its delivery tags count the messages of the connection, and it acknowledges all up to one.
        cumulative: Cumulative::Connection,
        // They become part of what it sends without escapes, and part of what it reads by its `@@`.
        unfit_for_ids: &["@@", "\n", "\r"],
        // A NACK without it delivers the message again, at once.
        reject_header: Some(("requeue", "false")),
        // One for each message that it had on its way when UNSUBSCRIBE came. Its other ERRORs have other words.
        late_message_error: Some("There is no current subscription with tag"),
        cancellation: Some(Cancellation {
            message: "Server cancelled subscription",
            refusals: &["Subscription not found", "No subscription found"],
        }),
        // It writes `\r` in 1.1 too.
        strictness: Strictness::Lenient,
        ..Self::GENERIC
    };

    /// ActiveMQ Classic.
    pub const ACTIVEMQ: Self = Self {
        name: "ActiveMQ",
        text_without_length: true,
        prefetch_header: Some("activemq.prefetchSize"),
        durable: Durable::ByHeader("activemq.subscriptionName"),
        cumulative: Cumulative::EveryVersion,
        transacted_nacks: false,
        // It has not noticed yet that the connection with this client-id is gone.
        refused_for_now: Some("already connected from"),
        // It keeps undefined escapes as they are and sends them on.
        strictness: Strictness::Lenient,
        ..Self::GENERIC
    };

    /// ActiveMQ Artemis.
    pub const ARTEMIS: Self = Self {
        name: "Artemis",
        text_without_length: true,
        // Its `consumer-window-size` counts bytes, not messages.
        durable: Durable::ByHeader("durable-subscription-name"),
        duplicate_header: Some("_AMQ_DUPL_ID"),
        ..Self::GENERIC
    };

    /// The embedded broker of this project.
    pub const STOMPEDE: Self =
        Self { name: "stompede-broker", prefetch_header: Some("prefetch-count"), ..Self::GENERIC };

    /// The simple broker inside Spring. It sends no `server` header, so it has to be named.
    pub const SPRING_SIMPLE: Self =
        Self { name: "Spring's simple broker", acknowledges: false, receipts: false, ..Self::GENERIC };

    /// The profile of the broker that names itself so in the `server` header of CONNECTED.
    pub fn detect(server: Option<&str>) -> Self {
        // "ActiveMQ-Artemis/2.31.2 …" begins like "ActiveMQ/5.17.2".
        let product = server.unwrap_or_default().split(['/', ' ']).next().unwrap_or_default();
        match product {
            "RabbitMQ" => Self::RABBITMQ,
            "ActiveMQ" => Self::ACTIVEMQ,
            "ActiveMQ-Artemis" | "apache-activemq-artemis" => Self::ARTEMIS,
            "stompede-broker" => Self::STOMPEDE,
            _ => Self::GENERIC,
        }
    }

    /// Whether this frame goes out without `content-length`.
    #[inline]
    pub(crate) fn omits_length(&self, frame: &Frame) -> bool {
        self.text_without_length && is_surely_text(frame)
    }

    /// What is wrong with the `id` of a subscription for which a SUBSCRIBE is sent.
    pub(crate) fn unfit_id(&self, id: &str) -> Option<&'static str> {
        let reserved = self.is_implicit(id).then_some("/temp-queue/");
        reserved.or_else(|| self.unfit_for_ids.iter().copied().find(|unfit| id.contains(unfit)))
    }

    /// Whether a refused login will pass.
    pub(crate) fn is_refused_for_now(&self, error: &Error) -> bool {
        let message = error.frame().and_then(|frame| frame.header("message")).unwrap_or_default();
        self.refused_for_now.is_some_and(|text| message.contains(text))
    }

    /// Whether an ERROR only says that a message came too late for its subscription.
    pub(crate) fn is_late_message(&self, error: &Frame) -> bool {
        self.late_message_error.is_some_and(|text| error.body().starts_with(text.as_bytes()))
    }

    /// Whether an ERROR says that the broker has ended a subscription, and nothing else.
    pub(crate) fn is_cancellation(&self, error: &Frame) -> bool {
        let message = error.header("message");
        self.cancellation.is_some_and(|cancellation| message.as_deref() == Some(cancellation.message))
    }

    /// Whether an ERROR refuses something for a subscription that is not there.
    pub(crate) fn is_refusal_after_cancellation(&self, error: &Frame) -> bool {
        let message = error.header("message").unwrap_or_default();
        self.cancellation.is_some_and(|cancellation| cancellation.refusals.contains(&&*message))
    }

    /// Whether a MESSAGE comes from there without a SUBSCRIBE.
    pub(crate) fn is_implicit(&self, destination: &str) -> bool {
        self.implicit_temp_queues && destination.starts_with("/temp-queue/")
    }
}

/// Whether a frame says that its body is text, and it is, and can go without a length that nobody has set.
fn is_surely_text(frame: &Frame) -> bool {
    !frame.headers().contains("content-length")
        && frame.header("content-type").is_some_and(|content_type| says_text(&content_type))
        && !frame.body().contains(&0)
        && frame.body_text().is_ok()
}

impl Default for BrokerProfile {
    fn default() -> Self {
        Self::GENERIC
    }
}

fn says_text(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let media = media.as_str();
    media.starts_with("text/")
        || ["application/json", "application/xml"].contains(&media)
        || media.ends_with("+json")
        || media.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use stompede_codec::Command;

    use super::*;

    #[test]
    fn brokers_are_known_by_what_they_call_themselves() {
        let name = |server| BrokerProfile::detect(server).name;
        assert_eq!(name(Some("RabbitMQ/3.10.8")), "RabbitMQ");
        assert_eq!(name(Some("ActiveMQ/5.17.2")), "ActiveMQ");
        assert_eq!(name(Some("ActiveMQ-Artemis/2.31.2 ActiveMQ Artemis Messaging Engine")), "Artemis");
        for other in [None, Some(""), Some("coilmq/1.1.0"), Some("RabbitMQfake/1"), Some("activemq")] {
            assert_eq!(name(other), "generic", "{other:?}");
        }
    }

    #[test]
    fn acks_go_one_by_one_where_one_would_cover_too_much_and_has_to_cover_something() {
        let one_by_one = |profile: BrokerProfile| Version::ALL.map(|v| profile.cumulative.goes_one_by_one(v));
        assert_eq!(one_by_one(BrokerProfile::RABBITMQ), [false, true, true]);
        assert_eq!(one_by_one(BrokerProfile::ACTIVEMQ), [false; 3]);
        let individual = |profile: BrokerProfile| Version::ALL.map(|v| profile.cumulative.reaches_too_far(v));
        assert_eq!(individual(BrokerProfile::RABBITMQ), [true; 3]);
        assert_eq!(individual(BrokerProfile::ACTIVEMQ), [true, false, false]);
        assert_eq!(individual(BrokerProfile::GENERIC), [false; 3]);
    }

    #[test]
    fn only_what_is_surely_text_goes_without_a_length() {
        let send = |content_type: &str, body: &'static [u8]| {
            Frame::new(Command::Send).with_header("content-type", content_type).with_body(body)
        };
        let omits = |frame: &Frame| BrokerProfile::ACTIVEMQ.omits_length(frame);
        for text in ["text/plain", "TEXT/plain;charset=utf-8", "application/json", "application/hal+json"] {
            assert!(omits(&send(text, b"x")), "{text}");
            assert!(!BrokerProfile::RABBITMQ.omits_length(&send(text, b"x")));
        }
        assert!(!omits(&send("application/octet-stream", b"x")));
        assert!(!omits(&send("text/plain", b"a\0b")), "the body would end at the NUL");
        assert!(!omits(&send("text/plain", b"\xff")), "not UTF-8");
        assert!(!omits(&Frame::new(Command::Send).with_body("x")), "nobody says that it is text");
        assert!(!omits(&send("text/plain", b"x").with_header("content-length", "1")), "the caller's choice");
    }
}
