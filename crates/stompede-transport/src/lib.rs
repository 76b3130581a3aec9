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
//! | `tls` | `tls://`, and with `ws` also `wss://`, through rustls; the operating system says whom to trust; switches `tcp` on |
//! | `webpki-roots` | Mozilla's list of authorities, compiled in; switches `tls` on |
//! | `proxy` | HTTP proxies below all of them; switches `tcp` on |
//! | `stream` | any byte `Stream` that is a `Sink` as well, by `from_stream_sink`; needs no runtime |
//! | `memory` | a pair of connected transports in memory, for tests; needs no runtime |
//! | `conformance` | a suite that holds any transport to the contract, for tests; needs no runtime |
//! | `server` | accepting whatever of these is switched on; switches `tcp` on |
//!
//! A scheme whose feature is off is refused: nothing that is meant to be encrypted goes out in the clear.
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

#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
#[cfg(feature = "tcp")]
mod default_connector;
mod endpoint;
mod error;
mod frames;
#[cfg(any(feature = "proxy", feature = "ws"))]
mod http;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "tcp")]
mod net;
mod outbound;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "stream", feature = "tcp"))]
mod sides;
#[cfg(feature = "tcp")]
mod stall;
#[cfg(feature = "stream")]
mod stream_sink;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
mod transport;
#[cfg(feature = "ws")]
pub mod ws;

pub use connector::{Connecting, Connector};
#[cfg(feature = "tcp")]
pub use default_connector::DefaultConnector;
pub use endpoint::{Credentials, Endpoint, Endpoints};
pub use error::{CertificateFault, HttpResponse, TransportError, TransportErrorKind};
pub use frames::OutboundFrames;
pub use outbound::Outbound;
#[cfg(feature = "proxy")]
pub use proxy::Proxy;
#[cfg(feature = "stream")]
pub use stream_sink::{StreamSinkTransport, from_stream_sink};
#[cfg(feature = "tcp")]
pub use tcp::{IoTransport, TcpConnector, TcpTransport, from_io};
#[cfg(feature = "tls")]
pub use tls::TlsConfig;
pub use transport::{BoxTransport, CloseReason, Transport};
#[cfg(feature = "ws")]
pub use ws::{WsConfig, WsConnector, WsMessageKind, WsTransport};
