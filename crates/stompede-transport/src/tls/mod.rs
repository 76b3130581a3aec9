//! TLS through rustls, with ring: below `tls://`, and with the feature `ws` below `wss://`.
//!
//! [`TlsConfig`] says whom to trust and who we are; by default the operating system decides whom to trust. TLS 1.2 and
//! 1.3 are spoken. What is refused, and how that shows, is a table in `docs/guide/tls.md`.
//!
//! A client certificate that the server does not want shows late: under TLS 1.3 the handshake is over for the client
//! before the server has looked at it, so the refusal arrives with the first read.

#[cfg(feature = "server")]
pub(crate) mod accept;
mod config;
pub(crate) mod error;
mod material;
mod stream;
mod verify;

pub use config::{Dangerous, TlsConfig};
pub use stream::{TlsStream, connect};
