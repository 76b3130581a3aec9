//! Accepting connections: what a broker needs.
//!
//! The caller listens, bounds the number of connections and the time that accepting may take.

use tokio::net::TcpStream;

use crate::net::no_delay;
use crate::{BoxTransport, TransportError, from_io};

#[cfg(feature = "ws")]
pub use crate::ws::accept::{AcceptConfig, accept_ws, accept_ws_over};

#[cfg(feature = "tls")]
pub use crate::tls::accept::{TlsAcceptConfig, accept_tls_over};

/// Makes a transport of an accepted TCP connection, and sets `TCP_NODELAY`.
///
/// # Errors
/// None today; the peer may be gone already, which shows at the first read.
pub fn accept_tcp(stream: TcpStream) -> Result<BoxTransport, TransportError> {
    no_delay(&stream);
    Ok(Box::new(from_io(stream)))
}

/// Answers the TLS handshake on an accepted TCP connection, and sets `TCP_NODELAY`: STOMP over TLS.
///
/// The caller bounds the time.
///
/// # Errors
/// As [`accept_tls_over`].
///
/// # Cancel safety
/// Dropping the future drops the connection.
#[cfg(feature = "tls")]
pub async fn accept_tls(stream: TcpStream, tls: &TlsAcceptConfig) -> Result<BoxTransport, TransportError> {
    no_delay(&stream);
    Ok(Box::new(from_io(accept_tls_over(stream, tls, false).await?)))
}

/// Answers the TLS handshake and then the WebSocket upgrade on an accepted TCP connection, and sets `TCP_NODELAY`.
///
/// The caller bounds the time.
///
/// # Errors
/// As [`accept_tls_over`] and [`accept_ws`].
///
/// # Cancel safety
/// Dropping the future drops the connection.
#[cfg(all(feature = "tls", feature = "ws"))]
pub async fn accept_wss(
    stream: TcpStream,
    tls: &TlsAcceptConfig,
    config: &AcceptConfig,
) -> Result<BoxTransport, TransportError> {
    no_delay(&stream);
    Ok(Box::new(accept_ws_over(accept_tls_over(stream, tls, true).await?, config).await?))
}
