use std::time::Duration;

use stompede_transport::server::AcceptConfig;
use stompede_transport::{CloseReason, WsMessageKind};

use crate::heartbeat::Offer;

/// As which broker to answer, where brokers differ; [`BrokerBuilder::personality`](crate::BrokerBuilder::personality)
/// chooses one.
///
/// It is about what goes over the wire. Limits, logins, topic patterns and the words of an ERROR stay this broker's own.
/// What each does was taken from a RabbitMQ 3.10, an ActiveMQ 5.17, and from Spring's source.
#[derive(Clone, Debug)]
pub struct Personality {
    pub(crate) greeting: Greeting,
    pub(crate) frames: Frames,
    pub(crate) errors: Errors,
    pub(crate) messages: Messages,
    pub(crate) ws: Ws,
    pub(crate) receipts: Receipts,
    pub(crate) order: ReceiptOrder,
    pub(crate) replies: Replies,
    /// The client closes first after DISCONNECT.
    pub(crate) waits_for_close: bool,
}

/// CONNECTED.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) server: Option<&'static str>,
    /// What stands before the number in the `session` header.
    pub(crate) session: Option<&'static str>,
    pub(crate) heart_beat: HeartBeatAnswer,
    /// The first heart-beat comes at once, the others after half of the time.
    pub(crate) beats_eagerly: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum HeartBeatAnswer {
    /// What the builder says.
    Own,
    /// What the client asks for, but no quicker than this many milliseconds, and in whole steps of so many.
    AsAsked {
        at_least: u64,
        in_steps_of: u64,
    },
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    /// A line feed follows each NUL.
    pub(crate) newline_behind: bool,
    /// `content-length` only where the sender had it, or a body holds NUL.
    pub(crate) length_as_sent: bool,
    /// Headers are escaped as in 1.2, whatever was agreed on.
    pub(crate) always_escaped: bool,
    /// A backslash that begins no escape stands for itself.
    pub(crate) lenient: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Errors {
    /// A refused request ends the connection.
    pub(crate) end: bool,
    /// A refused CONNECT ends the connection.
    pub(crate) end_connect: bool,
    pub(crate) name_receipts: bool,
    /// No ERROR for what is not STOMP, nor for what takes too long.
    pub(crate) silent_when_broken: bool,
    /// A refused SUBSCRIBE gets its RECEIPT behind the ERROR, and then the end. Over WebSocket only the end is seen.
    pub(crate) subscribe_fails_late: bool,
    /// What goes nowhere is ignored.
    pub(crate) ignore_unknown_destinations: bool,
    /// A SEND that chooses its `message-id` is refused.
    pub(crate) refuse_message_ids: bool,
    /// Two subscriptions of a client must not have the same id.
    pub(crate) refuse_second_ids: bool,
    /// From STOMP 1.1 on only SEND may have a body.
    pub(crate) refuse_bodies: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    /// The sender's `receipt`, `transaction`, `ack`, `subscription` and `redelivered` go on to subscribers.
    pub(crate) carry_everything: bool,
    /// A queue is a topic.
    pub(crate) queues_broadcast: bool,
    /// ACK, NACK and transactions mean something.
    pub(crate) settle: bool,
    /// A MESSAGE has `expires`, `priority` and `timestamp` also where the sender had not.
    pub(crate) add_properties: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Ws {
    kind: WsMessageKind,
    any_as_text: bool,
    text_only: bool,
    pub(crate) one_frame_a_message: bool,
    /// Code and words of the close frame.
    goodbye: Option<(u16, &'static str)>,
    pub(crate) answers_disconnect: bool,
    /// The code of the close frame for what is not STOMP, which then says what is wrong; and too large a message is
    /// closed without words.
    pub(crate) broken: Option<u16>,
    /// Who says nothing for so long is closed, without an ERROR.
    pub(crate) idle: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receipts {
    All,
    OnlyForDisconnect,
}

/// When a SEND is confirmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReceiptOrder {
    /// At once, behind what the client itself gets of it.
    Plain,
    /// Before what the client itself gets of it.
    First,
    /// Within a transaction behind COMMIT and its own RECEIPT.
    AfterCommit,
}

/// How `/temp-queue/NAME` works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replies {
    /// Either way.
    Both,
    /// A client names it in `reply-to` and may not subscribe to it.
    Implied,
    /// A client subscribes to it.
    Subscribed,
    None,
}

impl Personality {
    /// This broker's own: as the specification says, and a little more helpful.
    ///
    /// The others ignore a body where STOMP 1.1 and 1.2 allow none; here it is refused.
    pub fn stompede() -> Self {
        Self {
            greeting: Greeting {
                server: Some(concat!("stompede-broker/", env!("CARGO_PKG_VERSION"))),
                session: Some("session-"),
                heart_beat: HeartBeatAnswer::Own,
                beats_eagerly: false,
            },
            frames: Frames {
                newline_behind: false,
                length_as_sent: false,
                always_escaped: false,
                lenient: false,
            },
            errors: Errors {
                end: true,
                end_connect: true,
                name_receipts: true,
                silent_when_broken: false,
                subscribe_fails_late: false,
                ignore_unknown_destinations: false,
                refuse_message_ids: false,
                refuse_second_ids: true,
                refuse_bodies: true,
            },
            messages: Messages {
                carry_everything: false,
                queues_broadcast: false,
                settle: true,
                add_properties: false,
            },
            ws: Ws {
                kind: WsMessageKind::Auto,
                any_as_text: false,
                text_only: false,
                one_frame_a_message: false,
                goodbye: None,
                answers_disconnect: true,
                broken: None,
                idle: None,
            },
            receipts: Receipts::All,
            order: ReceiptOrder::Plain,
            replies: Replies::Both,
            waits_for_close: false,
        }
    }

    /// RabbitMQ with its STOMP and web-STOMP plugins.
    ///
    /// - A line feed follows each frame. Headers are escaped in every version, as in 1.2.
    /// - Heart-beats are as the client asks, but in whole seconds and no quicker than one. The first comes at once, the
    ///   others after half of the time.
    /// - The RECEIPT of a SEND in a transaction comes behind that of COMMIT. A SEND with a `message-id` is refused.
    /// - ERROR names no receipt and does not end the connection, also after a refused CONNECT. For what is not STOMP,
    ///   and for silence, there is no ERROR, only the end. A refused SUBSCRIBE gets its RECEIPT behind the ERROR.
    /// - A MESSAGE carries all of the sender's headers, also `receipt` and `ack`.
    /// - Over WebSocket everything is text, also what is not UTF-8. DISCONNECT gets no RECEIPT and a refused SUBSCRIBE
    ///   no ERROR: there is only a close with 1000 and "STOMP died". So it is after a missed heart-beat and after 60 s
    ///   without a word (a ping counts as none here, unlike there). For what is not STOMP the close has the code 1007 and
    ///   says why: for an escape that is none as RabbitMQ writes it, otherwise in this broker's words. For too large a
    ///   WebSocket message it has the code 1009 and no words.
    /// - `/temp-queue/NAME` is for `reply-to` only.
    pub fn rabbitmq() -> Self {
        let own = Self::stompede();
        Self {
            greeting: Greeting {
                server: Some("RabbitMQ/3.10.8"),
                session: Some("session-"),
                heart_beat: HeartBeatAnswer::AsAsked { at_least: 1000, in_steps_of: 1000 },
                beats_eagerly: true,
            },
            frames: Frames { newline_behind: true, always_escaped: true, ..own.frames },
            errors: Errors {
                end: false,
                end_connect: false,
                name_receipts: false,
                silent_when_broken: true,
                subscribe_fails_late: true,
                refuse_message_ids: true,
                refuse_bodies: false,
                ..own.errors
            },
            messages: Messages { carry_everything: true, ..own.messages },
            ws: Ws {
                kind: WsMessageKind::Text,
                any_as_text: true,
                goodbye: Some((1000, "STOMP died")),
                answers_disconnect: false,
                broken: Some(1007),
                idle: Some(RABBITMQ_IDLE),
                ..own.ws
            },
            order: ReceiptOrder::AfterCommit,
            replies: Replies::Implied,
            ..own
        }
    }

    /// ActiveMQ Classic.
    ///
    /// - A line feed follows each frame. `session` has colons in it. Heart-beats are as the client asks.
    /// - ERROR does not end the connection, except after a refused CONNECT and for what is not STOMP. An escape that is
    ///   none, such as `\t`, stands for itself.
    /// - Two subscriptions may have the same id: both get messages, and UNSUBSCRIBE ends the later one.
    /// - The RECEIPT of a SEND comes before what its sender gets of it.
    /// - A MESSAGE has `expires`, `priority` and `timestamp`. `content-length` is there only if the sender had it.
    /// - Over WebSocket everything is text, also what is not UTF-8; binary messages of the client are thrown away, and
    ///   of each message the first frame counts.
    /// - `/temp-queue/NAME` has to be subscribed to.
    pub fn activemq() -> Self {
        let own = Self::stompede();
        Self {
            greeting: Greeting {
                server: Some("ActiveMQ/5.17.2"),
                session: Some("ID:broker-61616-1700000000000-3:"),
                heart_beat: HeartBeatAnswer::AsAsked { at_least: 0, in_steps_of: 1 },
                beats_eagerly: false,
            },
            frames: Frames { newline_behind: true, length_as_sent: true, lenient: true, ..own.frames },
            errors: Errors { end: false, refuse_second_ids: false, refuse_bodies: false, ..own.errors },
            messages: Messages { add_properties: true, ..own.messages },
            ws: Ws {
                kind: WsMessageKind::Text,
                any_as_text: true,
                text_only: true,
                one_frame_a_message: true,
                ..own.ws
            },
            order: ReceiptOrder::First,
            replies: Replies::Subscribed,
            ..own
        }
    }

    /// The simple broker of Spring, as it is without a task scheduler.
    ///
    /// - CONNECTED has neither `server` nor `session`, and `heart-beat:0,0`.
    /// - Only DISCONNECT gets a RECEIPT, and then the client has to close.
    /// - ACK, NACK and transactions are ignored, and what is sent to no known destination too.
    /// - A queue is a topic: everybody gets the message, and it is not kept. There is no `/temp-queue/NAME`.
    /// - Over WebSocket the close behind an ERROR has the code 1002.
    pub fn spring_simple_broker() -> Self {
        let own = Self::stompede();
        Self {
            greeting: Greeting {
                server: None,
                session: None,
                heart_beat: HeartBeatAnswer::Never,
                beats_eagerly: false,
            },
            errors: Errors { ignore_unknown_destinations: true, refuse_bodies: false, ..own.errors },
            messages: Messages { queues_broadcast: true, settle: false, ..own.messages },
            ws: Ws { goodbye: Some((1002, "")), ..own.ws },
            receipts: Receipts::OnlyForDisconnect,
            replies: Replies::None,
            waits_for_close: true,
            ..own
        }
    }

    /// What a listener for WebSocket does, besides what it was told.
    pub(crate) fn accept(&self, config: AcceptConfig) -> AcceptConfig {
        let Ws { kind, any_as_text, text_only, one_frame_a_message, goodbye, .. } = &self.ws;
        let config = if *kind == WsMessageKind::Auto { config } else { config.message_kind(*kind) };
        let config =
            config.any_as_text(*any_as_text).text_only(*text_only).separate_messages(*one_frame_a_message);
        let Some((code, words)) = *goodbye else { return config };
        // The words above fit into a close frame; a test sees each of them.
        config.clone().goodbye(CloseReason::new(code, words)).unwrap_or(config)
    }
}

impl Default for Personality {
    fn default() -> Self {
        Self::stompede()
    }
}

impl HeartBeatAnswer {
    /// What CONNECTED says to a client that asks for `client`.
    pub(crate) fn to(self, client: Offer, own: Offer) -> Offer {
        match self {
            Self::Own => own,
            Self::AsAsked { at_least, in_steps_of } => {
                let whole = |millis: u64| millis - millis % in_steps_of;
                let raised = |millis: u64| if millis == 0 { 0 } else { whole(millis.max(at_least)) };
                Offer { sends: raised(client.wants), wants: raised(client.sends) }
            }
            Self::Never => Offer::default(),
        }
    }
}

/// RabbitMQ's `web_stomp.cowboy_opts.idle_timeout`.
const RABBITMQ_IDLE: Duration = Duration::from_secs(60);
