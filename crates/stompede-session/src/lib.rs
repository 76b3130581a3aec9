//! A STOMP session: what a client does between "connect" and "disconnect".
//!
//! [`protocol`] decides everything and touches nothing: no socket, no clock, no task. It builds without tokio
//! (`default-features = false`) and can be driven by hand. The feature `tokio` (on by default) adds a driver that
//! carries its decisions out, and the handles that applications hold: [`Session`], [`Subscription`], [`Message`].
//!
//! Most applications want the facade crate `stompede` instead, which adds URLs, named listeners and typed bodies.

mod before_connect;
#[cfg(feature = "tokio")]
mod body;
mod config;
mod error;
mod heart_beat;
mod outbox;
mod profile;
pub mod protocol;
mod reconnect;

#[cfg(feature = "tokio")]
mod driver;
#[cfg(feature = "tokio")]
mod handle;
#[cfg(feature = "tokio")]
mod message;
#[cfg(feature = "tokio")]
mod receipt;
#[cfg(feature = "tokio")]
mod rt;
#[cfg(feature = "tokio")]
mod send;
#[cfg(feature = "tokio")]
mod settlement;
#[cfg(feature = "tokio")]
mod state;
#[cfg(feature = "tokio")]
mod subscription;
#[cfg(feature = "tokio")]
mod transaction;

pub use before_connect::{BeforeConnect, Postponed};
pub use config::Config;
pub use error::{Error, ErrorKind, Recovery};
pub use heart_beat::HeartBeat;
pub use outbox::{Guarantee, Outbox, OutboxFuture, OutboxId, OutboxLimits, SendPolicy, Stored, WhileOffline};
pub use profile::{BrokerProfile, Cancellation, Cumulative, Durable};
pub use protocol::{Gap, WhenFull};
pub use reconnect::{HostOrder, ReconnectPolicy};
pub use stompede_codec::AckMode;

#[cfg(feature = "json")]
pub use body::Json;
#[cfg(feature = "tokio")]
pub use body::{Body, BodyError, BodyErrorKind, BoxError};
#[cfg(feature = "tokio")]
pub use driver::Observer;
#[cfg(feature = "tokio")]
pub use handle::Session;
#[cfg(feature = "tokio")]
pub use message::Message;
#[cfg(feature = "tokio")]
pub use send::{ConfirmFuture, Confirmed, SendBuilder, SendError, SendFuture, Unsent};
#[cfg(feature = "tokio")]
pub use state::SessionState;
#[cfg(feature = "tokio")]
pub use subscription::{SubscribeBuilder, Subscription};
#[cfg(feature = "tokio")]
#[doc(hidden)]
pub use transaction::TransactionRuns;
#[cfg(feature = "tokio")]
pub use transaction::{Transaction, TransactionError, TransactionPolicy};
