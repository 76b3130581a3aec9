//! How a byte stream to an endpoint comes about: TCP today, the one place where a proxy and TLS are added.

mod race;
mod stream;

pub(crate) use race::{interleaved, race};
pub(crate) use stream::NetStream;

use crate::{Endpoint, TcpConnector, TransportError};

/// What all connectors that speak over TCP dial with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialer {
    pub(crate) tcp: TcpConnector,
}

impl Dialer {
    /// A stream on which the next layer may speak at once: STOMP, or HTTP for the upgrade.
    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<NetStream, TransportError> {
        Ok(NetStream::Plain(self.tcp.dial(endpoint).await?))
    }
}
