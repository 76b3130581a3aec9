//! STOMP 1.0, 1.1 and 1.2 client over WebSocket and TCP.
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
//! | to | see |
//! |---|---|
//! | connect | [`Client::builder`], [`ClientBuilder`] |
//! | send, and learn what became of it | [`Client::send`], [`SendBuilder`], [`SendError`] |
//! | receive as a stream | [`Client::subscribe`], [`Subscription`] |
//! | receive in named listeners | [`Listener`], [`SubscribeBuilder::listen`] |
//! | acknowledge | [`AckMode`], [`Message::ack`], [`Message::nack`] |
//! | know what went wrong | [`Error`], [`ErrorKind`], [`Recovery`] |
//! | bring a pipe of one's own | [`transport`], [`ClientBuilder::connector`] |
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `ws` | yes | `ws://` |
//! | `tcp` | yes | `tcp://` |
//! | `json` | yes | JSON bodies by serde |

mod builder;
mod client;
mod dispatch;
mod listener;
mod mailbox;
mod subscribe;

pub use stompede_codec as codec;
pub use stompede_transport as transport;

pub use builder::ClientBuilder;
pub use client::Client;
pub use listener::Listener;
pub use subscribe::SubscribeBuilder;

pub use stompede_codec::{Command, Frame, Headers, Limits, Version};
pub use stompede_session::protocol::{Connected, SubscriptionId};
pub use stompede_session::{
    AckMode, BrokerProfile, Confirmed, Durable, Error, ErrorKind, Guarantee, HeartBeat, HostOrder, Message,
    OutboxLimits, ReconnectPolicy, Recovery, SendBuilder, SendError, SendFuture, SendPolicy, SessionState,
    Subscription, Unsent, WhileOffline,
};
pub use stompede_transport::{Endpoint, TransportError, TransportErrorKind};

/// The code in the README and in the guides compiles.
#[cfg(all(doctest, feature = "json", feature = "ws"))]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/guide/heartbeats.md")]
    mod heartbeats {}
    #[doc = include_str!("../../../docs/guide/rabbitmq.md")]
    mod rabbitmq {}
    #[doc = include_str!("../../../docs/guide/testing.md")]
    mod testing {}
}
