//! `ws://` through tungstenite, with an upgrade of our own.
//!
//! Brokers differ in what they take: [`WsConfig`] has the settings, and defaults that suit RabbitMQ, ActiveMQ and
//! Artemis. What a broker answers is judged leniently: any subprotocol or none, text frames that are not UTF-8.
//!
//! Compression (permessage-deflate) is never offered: see [`WsConfig`].

#[cfg(feature = "server")]
pub(crate) mod accept;
mod ahead;
mod config;
mod frame;
mod gather;
mod opcode;
mod outgoing;
mod pipe;
mod transport;
mod upgrade;

pub use config::{DEFAULT_MAX_MESSAGE, DEFAULT_READ_BUFFER, WsConfig, WsMessageKind, max_message_for};
pub use transport::WsTransport;
pub use upgrade::{WsConnector, upgrade};
