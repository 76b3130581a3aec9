//! Accepting connections: what a broker needs.
//!
//! The caller listens, bounds the number of connections and the time that accepting may take. TLS is not built yet.

use tokio::net::TcpStream;

use crate::{BoxTransport, TransportError, from_io};

#[cfg(feature = "ws")]
pub use crate::ws::accept::{AcceptConfig, accept_ws, accept_ws_over};

/// Makes a transport of an accepted TCP connection, and sets `TCP_NODELAY`.
///
/// # Errors
/// None today; the peer may be gone already, which shows at the first read.
pub fn accept_tcp(stream: TcpStream) -> Result<BoxTransport, TransportError> {
    // Only tuning: a system that refuses it is no reason to fail.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(from_io(stream)))
}
