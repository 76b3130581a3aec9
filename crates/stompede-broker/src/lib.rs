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
//! Heart-beats (`0,0` is negotiated), selectors, wildcards, virtual hosts (any is accepted), TLS.
//!
//! It is written from the specification and shares only the codec and the transports with stompede's client, so that
//! a misreading on one side does not hide behind the same on the other.

mod broker;
mod builder;
mod connection;
mod error;
mod limits;
mod listener;
mod outbox;
mod refusal;
mod requests;
mod router;
mod stats;

pub use broker::Broker;
pub use builder::BrokerBuilder;
pub use error::BrokerError;
pub use limits::BrokerLimits;
pub use stats::BrokerStats;
