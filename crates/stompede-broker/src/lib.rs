//! A STOMP broker in memory, in one process, for development, demos and tests; production runs on RabbitMQ, ActiveMQ or
//! Artemis with the same client settings.
//!
//! It forgets everything when it stops. A client that works with it needs another URL for production, and the login that
//! you made there:
//!
//! ```
//! use stompede_broker::{Faults, TestBroker};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let broker = TestBroker::start().await; // WebSocket and TCP on free ports of 127.0.0.1
//! println!("{} {}", broker.ws_url(), broker.tcp_url());
//! broker.inject_next(Faults::new().hang_up_after(3)); // what does the client do then?
//! # }
//! ```
//!
//! [`TestBroker`] panics where a test would unwrap; [`Broker::builder`] has all the settings.
//!
//! # What it does
//!
//! STOMP 1.0, 1.1 and 1.2 with every client frame, receipts, transactions that happen whole or not at all, and
//! heart-beats. An ERROR says what was wrong and ends the connection. It names the receipt of the frame that it is about;
//! if that frame cannot be read, then only where its `receipt` stood in the first 8 KiB and had come when it was refused.
//!
//! - `/topic/NAME` goes to every subscriber and is not kept; after NACK it comes again to the subscriber who refused it.
//!   Names are words with dots between them; SUBSCRIBE may use `*` for one word and `#` for any number, as with RabbitMQ.
//! - `/queue/NAME` goes to one subscriber in turn, as many at a time as its `prefetch-count` (or
//!   `activemq.prefetchSize`) says. It is held until somebody subscribes, and comes again, in order and with
//!   `redelivered:true`, after NACK or a lost connection.
//! - `/temp-queue/NAME` is a queue of each client's own. Named in `reply-to`, it becomes a destination that others can
//!   send to; replies come to the client's subscription to it or, without one, under the id `/temp-queue/NAME`.
//!
//! Clients log in by a table or a closure; virtual hosts have destinations of their own; [`BrokerLimits`] bound what a
//! client may take. [`Faults`] make it fail on command, and a [`Personality`] makes it answer as another broker does.
//!
//! # What it does not do
//!
//! Selectors are refused. `Origin` is not checked: a web page that knows the port may connect.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `tls` listens for `tls://` and `wss://` too, with a certificate of the caller's, and asks clients for theirs if told
//!   to: `BrokerBuilder::tls` and `wss`, `TlsAcceptConfig`.
//! - `scripted` brings `scripted::ScriptedPeer`, whose every word a test writes.
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
mod storage;
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
#[cfg(feature = "tls")]
pub use stompede_transport::{TransportError, server::TlsAcceptConfig};
pub use test_broker::TestBroker;
