use std::future::Future;
use std::pin::Pin;

use crate::{BoxTransport, Endpoint, Transport, TransportError};

/// A dial under way: lazy (nothing happens before the first poll), and dropping it stops it.
pub type Connecting = Pin<Box<dyn Future<Output = Result<BoxTransport, TransportError>> + Send>>;

/// Dials an [`Endpoint`] and gives back a connected [`Transport`].
///
/// A connector is asked anew for every attempt, so it holds what all attempts share: certificates, proxies, limits.
/// It covers everything up to the first STOMP byte: name look-up, TCP, TLS, the WebSocket upgrade. It need not watch
/// the clock: the session drops the future when the attempt's time is over.
///
/// An async closure is a connector:
///
/// ```
/// use stompede_transport::{Connector, Endpoint, Transport, TransportError};
///
/// fn assert_connector(_: impl Connector) {}
///
/// # async fn dial(_: &str) -> Result<Box<dyn Transport + Send>, TransportError> { unimplemented!() }
/// assert_connector(|endpoint: Endpoint| async move { dial(endpoint.host()).await });
/// ```
pub trait Connector: Send + Sync {
    /// Starts an attempt to connect to `endpoint`.
    ///
    /// # Errors
    /// The future resolves to an error whose [kind](TransportError::kind) says what failed.
    fn connect(&self, endpoint: Endpoint) -> Connecting;
}

impl<F, Fut, T> Connector for F
where
    F: Fn(Endpoint) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, TransportError>> + Send + 'static,
    T: Transport + Send + 'static,
{
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        let attempt = self(endpoint);
        Box::pin(async move { Ok(Box::new(attempt.await?) as BoxTransport) })
    }
}
