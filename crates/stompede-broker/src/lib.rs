//! A STOMP broker inside your process, for development, demos and tests only; production runs on RabbitMQ, ActiveMQ
//! or Artemis.
//!
//! It keeps everything in memory and forgets it when it stops. A client needs no other settings than for a real broker:
//!
//! ```
//! use stompede_broker::Broker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::start().await?; // WebSocket and TCP on free ports of 127.0.0.1
//! println!("{:?} {:?}", broker.ws_url(), broker.tcp_url());
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! STOMP 1.0, 1.1 and 1.2 with every client frame, receipts and transactions. `/topic/x` goes to every subscriber and
//! is not kept. `/queue/x` goes to one subscriber in turn, is held until somebody subscribes, and comes again with
//! `redelivered:true` after NACK or a lost connection. An ERROR says what was wrong and ends the connection.
//!
//! # What it does not do
//!
//! Selectors are refused. There is no TLS yet.
//!
//! It is written from the specification and shares only the codec and the transports with stompede's client, so that
//! a misreading on one side does not hide behind the same on the other.

mod access;
mod broker;
mod builder;
mod clock;
mod connection;
mod error;
mod event;
mod faults;
mod handshake;
mod heartbeat;
mod hosts;
mod hub;
mod inspect;
mod limits;
mod listen;
mod listener;
mod outbox;
mod personality;
mod place;
mod refusal;
mod requests;
mod router;
#[cfg(feature = "scripted")]
pub mod scripted;
mod stats;
mod test_broker;
mod wait;

pub use access::Login;
pub use broker::Broker;
pub use builder::BrokerBuilder;
pub use error::{BrokerError, WaitError};
pub use event::{BrokerEvent, Events};
pub use faults::{Faults, Queues};
pub use inspect::{ConnectionInfo, SessionInfo, SubscriptionInfo};
pub use limits::BrokerLimits;
pub use listen::Listen;
pub use personality::Personality;
pub use stats::{BrokerStats, Limit};
// In signatures here: whoever uses this crate alone can name them.
pub use stompede_codec::{Frame, Limits, Version};
pub use stompede_transport::WsMessageKind;
pub use stompede_transport::memory::MemoryTransport;
pub use test_broker::TestBroker;
