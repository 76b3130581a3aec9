//! STOMP 1.0, 1.1 and 1.2 client over WebSocket and TCP, with TLS or without.
//!
//! ```no_run
//! use stompede::{AckMode, Client};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("ws://localhost:15674/ws").credentials("guest", "guest").host("/").connect().await?;
//!
//! let mut orders = client.subscribe("/queue/orders").ack(AckMode::ClientIndividual).await?;
//! client.send("/queue/orders").text("one coffee").confirm().await?;
//! if let Some(order) = orders.try_next().await? {
//!     println!("{}", order.text()?);
//!     order.ack()?;
//! }
//! client.disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The [guide](https://github.com/stompede/stompede/blob/main/docs/guide/getting-started.md) explains; users of stomp.py find
//! every name again in a [page of its own](https://github.com/stompede/stompede/blob/main/docs/from-stomp-py.md).
//!
//! | to | see |
//! |---|---|
//! | connect | [`Client::builder`], [`ClientBuilder`] |
//! | trust a private authority, show a certificate, go through a proxy | [`ClientBuilder`], features `tls` and `proxy` |
//! | send, and learn what became of it | [`Client::send`], [`SendBuilder`], [`SendError`] |
//! | receive as a stream | [`Client::subscribe`], [`Subscription`] |
//! | receive in named listeners | [`Listener`], [`SubscribeBuilder::listen`] |
//! | acknowledge | [`AckMode`], [`Message::ack`], [`Message::nack`], [`Message::ack_confirmed`] |
//! | work a queue off, with retries | [`process()`] |
//! | keep messages beyond the end of the process | [`Outbox`], [`ClientBuilder::outbox`] |
//! | do several things or nothing | [`Client::transaction`], [`TransactionPolicy`], [`TransactionError`]; [`Client::begin`], [`Transaction`] |
//! | keep a slow consumer in bounds | [`SubscribeBuilder::window`], [`SubscribeBuilder::when_full`], [`Message::gap`] |
//! | end without losing work | [`Client::drain`], [`Client::disconnect`] |
//! | watch, count, print, record | [`listeners`] |
//! | change frames on their way | [`Interceptor`] |
//! | give bodies a type | [`SendBuilder::value`], [`Message::read`], [`Body`] |
//! | ask and wait for an answer | [`Client::requester`], [`Client::reply`] |
//! | do without async | `blocking::Client`, feature `blocking` |
//! | do without a session | [`FramedTransport`], [`codec`] |
//! | keep settings in a file | `config::ClientConfig`, feature `config` |
//! | know what went wrong | [`Error`], [`ErrorKind`], [`Recovery`], [`Client::history`] |
//! | bring a pipe of one's own | [`transport`], [`ClientBuilder::connector`] |
//!
//! # Features
//!
//! Without any it takes 20 crates, with the default ones 61; features share some of what they bring.
//!
//! | feature | default | crates more | brings |
//! |---|---|---|---|
//! | `tcp` | yes | 5 | `tcp://` |
//! | `ws` | yes | 24 | `ws://`; switches `tcp` on |
//! | `tls` | yes | 18 | `tls://`, and with `ws` also `wss://`, by rustls; switches `tcp` on |
//! | `webpki-roots` | no | 1 beside `tls` | Mozilla's list of authorities, compiled in; switches `tls` on |
//! | `proxy` | no | none beside `ws`, else 7 | HTTP proxies; switches `tcp` on |
//! | `json` | yes | 6 | JSON bodies by serde |
//! | `blocking` | no | none beside `tcp`, else 3 | [`blocking`](https://docs.rs/stompede/latest/stompede/blocking/): the same client without async |
//! | `config` | no | none beside `json`, else 3 | [`config`](https://docs.rs/stompede/latest/stompede/config/): settings by serde |
//! | `encoding` | no | 6 | text bodies in the charset of their `content-type` |

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod client;
mod clock;
#[cfg(feature = "config")]
pub mod config;
mod dispatch;
mod framed;
mod hosts;
mod interceptor;
mod listener;
pub mod listeners;
mod mailbox;
mod process;
#[cfg(any(feature = "proxy", feature = "tls"))]
mod reach;
mod request;
mod sense;
mod subscribe;
mod wires;

pub use stompede_codec as codec;
pub use stompede_transport as transport;

pub use builder::ClientBuilder;
pub use client::Client;
pub use framed::{FramedError, FramedTransport};
pub use interceptor::{Interceptor, Verdict};
pub use listener::Listener;
pub use process::{Process, Processed, process};
pub use request::{ReplyTo, Request, RequestError, Requester};
pub use subscribe::{SubscribeBuilder, Subscribed};

pub use stompede_codec::{Command, Frame, Headers, Limits, Version};
#[cfg(feature = "json")]
pub use stompede_session::Json;
pub use stompede_session::protocol::{Attempt, Connected, History, SubscriptionId};
pub use stompede_session::{
    AckMode, Body, BodyError, BodyErrorKind, BoxError, BrokerProfile, Cancellation, ConfirmFuture, Confirmed,
    Cumulative, Durable, Error, ErrorKind, Gap, Guarantee, HeartBeat, HostOrder, Message, Outbox,
    OutboxFuture, OutboxId, OutboxLimits, Postponed, ReconnectPolicy, Recovery, SendBuilder, SendError,
    SendFuture, SendPolicy, SessionState, Stored, Subscription, Transaction, TransactionError,
    TransactionPolicy, Unsent, WhenFull, WhileOffline,
};
#[cfg(feature = "proxy")]
pub use stompede_transport::Proxy;
#[cfg(feature = "tls")]
pub use stompede_transport::TlsConfig;
pub use stompede_transport::{Endpoint, TransportError, TransportErrorKind};

/// The code in the README and in the guides compiles.
#[cfg(all(doctest, feature = "json", feature = "ws"))]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/guide/getting-started.md")]
    mod getting_started {}
    #[doc = include_str!("../../../docs/guide/connecting.md")]
    mod connecting {}
    #[cfg(all(feature = "proxy", feature = "tls"))]
    #[doc = include_str!("../../../docs/guide/tls.md")]
    mod tls {}
    #[doc = include_str!("../../../docs/guide/listeners.md")]
    mod listeners {}
    #[doc = include_str!("../../../docs/guide/streams-and-acks.md")]
    mod streams_and_acks {}
    #[doc = include_str!("../../../docs/guide/reliability.md")]
    mod reliability {}
    #[doc = include_str!("../../../docs/guide/heartbeats.md")]
    mod heartbeats {}
    #[doc = include_str!("../../../docs/guide/brokers.md")]
    mod brokers {}
    #[doc = include_str!("../../../docs/guide/rabbitmq.md")]
    mod rabbitmq {}
    #[cfg(feature = "tls")]
    #[doc = include_str!("../../../docs/guide/testing.md")]
    mod testing {}
    #[cfg(feature = "tls")]
    #[doc = include_str!("../../../docs/from-stomp-py.md")]
    mod from_stomp_py {}
    #[doc = include_str!("../../../docs/from-stompjs.md")]
    mod from_stompjs {}
    #[doc = include_str!("../../../docs/from-rust-clients.md")]
    mod from_rust_clients {}
}
