//! The pipe below a STOMP session.
//!
//! [`Transport`] moves chunks of bytes in and whole frames out; [`Connector`] dials one, to where an [`Endpoint`] says.
//! All three are small on purpose: a third party implements them for a pipe of its own, and a session neither knows
//! nor cares which it got. They need no runtime. What this crate brings itself stands behind features, none of which
//! is on by default:
//!
//! | feature | brings |
//! |---|---|
//! | `tcp` | `tcp://` through tokio, any other byte stream by `from_io`, and `DefaultConnector` |
//! | `ws` | `ws://` through tungstenite, with an upgrade of our own; switches `tcp` on |
//! | `memory` | a pair of connected transports in memory, for tests; needs no runtime |
//! | `server` | accepting `tcp://` and, with `ws`, `ws://`; switches `tcp` on |
//!
//! TLS (`tls://`, `wss://`) and proxies are not built yet; those schemes are refused and never dialled in the clear.
//!
//! # A transport of one's own
//!
//! An async closure is a connector, and what it gives back is any [`Transport`]. Over a byte stream `from_io` is all
//! it takes:
//!
#![cfg_attr(all(feature = "tcp", unix), doc = "```no_run")]
#![cfg_attr(not(all(feature = "tcp", unix)), doc = "```ignore")]
//! use stompede_transport::{Connector, Endpoint, from_io};
//! use tokio::net::UnixStream;
//!
//! # async fn example() -> Result<(), stompede_transport::TransportError> {
//! let connector = |endpoint: Endpoint| async move {
//!     Ok(from_io(UnixStream::connect(endpoint.path()).await?))
//! };
//! let transport = connector.connect(Endpoint::parse("unix:/run/broker.sock")?).await?;
//! # drop(transport);
//! # Ok(())
//! # }
//! ```

mod connector;
#[cfg(feature = "tcp")]
mod default_connector;
mod endpoint;
mod error;
#[cfg(feature = "ws")]
mod http;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "tcp")]
mod net;
mod outbound;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "ws")]
mod stall;
#[cfg(feature = "tcp")]
pub mod tcp;
mod transport;
#[cfg(feature = "ws")]
pub mod ws;

pub use connector::{Connecting, Connector};
#[cfg(feature = "tcp")]
pub use default_connector::DefaultConnector;
pub use endpoint::{Credentials, Endpoint, Endpoints};
pub use error::{HttpResponse, TransportError, TransportErrorKind};
pub use outbound::Outbound;
#[cfg(feature = "tcp")]
pub use tcp::{IoTransport, TcpConnector, TcpTransport, from_io};
pub use transport::{BoxTransport, CloseReason, Transport};
#[cfg(feature = "ws")]
pub use ws::{WsConfig, WsConnector, WsMessageKind, WsTransport};
