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
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum HeartBeatAnswer {
    /// What the builder says.
    Own,
    /// What the client asks for, but no quicker than this many milliseconds.
    AsAsked {
        at_least: u64,
    },
    Never,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    /// A line feed follows each NUL.
    pub(crate) newline_behind: bool,
    /// `content-length` only where the sender had it, or a body holds NUL.
    pub(crate) length_as_sent: bool,
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
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Messages {
    /// The sender's `receipt`, `transaction`, `ack`, `subscription` and `redelivered` go on to subscribers.
    pub(crate) carry_everything: bool,
    /// A queue is a topic.
    pub(crate) queues_broadcast: bool,
    /// ACK, NACK and transactions mean something.
    pub(crate) settle: bool,
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
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receipts {
    All,
    OnlyForDisconnect,
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
    pub fn stompede() -> Self {
        Self {
            greeting: Greeting {
                server: Some(concat!("stompede-broker/", env!("CARGO_PKG_VERSION"))),
                session: Some("session-"),
                heart_beat: HeartBeatAnswer::Own,
            },
            frames: Frames { newline_behind: false, length_as_sent: false },
            errors: Errors {
                end: true,
                end_connect: true,
                name_receipts: true,
                silent_when_broken: false,
                subscribe_fails_late: false,
                ignore_unknown_destinations: false,
            },
            messages: Messages { carry_everything: false, queues_broadcast: false, settle: true },
            ws: Ws {
                kind: WsMessageKind::Auto,
                any_as_text: false,
                text_only: false,
                one_frame_a_message: false,
                goodbye: None,
                answers_disconnect: true,
            },
            receipts: Receipts::All,
            replies: Replies::Both,
            waits_for_close: false,
        }
    }

    /// RabbitMQ with its STOMP and web-STOMP plugins.
    ///
    /// - A line feed follows each frame. Heart-beats are as the client asks, but no quicker than a second.
    /// - ERROR names no receipt and does not end the connection, also after a refused CONNECT. For what is not STOMP,
    ///   and for silence, there is no ERROR, only the end. A refused SUBSCRIBE gets its RECEIPT behind the ERROR.
    /// - A MESSAGE carries all of the sender's headers, also `receipt` and `ack`.
    /// - Over WebSocket everything is text, also what is not UTF-8. DISCONNECT gets no RECEIPT and a refused SUBSCRIBE
    ///   no ERROR: there is only a close with 1000 and "STOMP died".
    /// - `/temp-queue/NAME` is for `reply-to` only.
    pub fn rabbitmq() -> Self {
        let own = Self::stompede();
        Self {
            greeting: Greeting {
                server: Some("RabbitMQ/3.10.8"),
                session: Some("session-"),
                heart_beat: HeartBeatAnswer::AsAsked { at_least: 1000 },
            },
            frames: Frames { newline_behind: true, ..own.frames },
            errors: Errors {
                end: false,
                end_connect: false,
                name_receipts: false,
                silent_when_broken: true,
                subscribe_fails_late: true,
                ..own.errors
            },
            messages: Messages { carry_everything: true, ..own.messages },
            ws: Ws {
                kind: WsMessageKind::Text,
                any_as_text: true,
                goodbye: Some((1000, "STOMP died")),
                answers_disconnect: false,
                ..own.ws
            },
            replies: Replies::Implied,
            ..own
        }
    }

    /// ActiveMQ Classic.
    ///
    /// - A line feed follows each frame. `session` has colons in it. Heart-beats are as the client asks.
    /// - ERROR does not end the connection, except after a refused CONNECT and for what is not STOMP.
    /// - `content-length` is there only if the sender had it.
    /// - Over WebSocket everything is text, also what is not UTF-8; binary messages of the client are thrown away, and
    ///   of each message the first frame counts.
    /// - `/temp-queue/NAME` has to be subscribed to.
    pub fn activemq() -> Self {
        let own = Self::stompede();
        Self {
            greeting: Greeting {
                server: Some("ActiveMQ/5.17.2"),
                session: Some("ID:broker-61616-1700000000000-3:"),
                heart_beat: HeartBeatAnswer::AsAsked { at_least: 0 },
            },
            frames: Frames { newline_behind: true, length_as_sent: true },
            errors: Errors { end: false, ..own.errors },
            ws: Ws {
                kind: WsMessageKind::Text,
                any_as_text: true,
                text_only: true,
                one_frame_a_message: true,
                ..own.ws
            },
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
            greeting: Greeting { server: None, session: None, heart_beat: HeartBeatAnswer::Never },
            errors: Errors { ignore_unknown_destinations: true, ..own.errors },
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
            Self::AsAsked { at_least } => {
                let raised = |millis: u64| if millis == 0 { 0 } else { millis.max(at_least) };
                Offer { sends: raised(client.wants), wants: raised(client.sends) }
            }
            Self::Never => Offer::default(),
        }
    }
}
