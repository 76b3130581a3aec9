//! How a byte stream to an endpoint comes about: TCP, perhaps through a proxy, and TLS around it, in one place for all that need one.

mod race;
mod stream;

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

pub(crate) use race::{interleaved, race};
pub(crate) use stream::NetStream;

#[cfg(feature = "tls")]
use crate::TlsConfig;
use crate::{Endpoint, TcpConnector, TransportError, TransportErrorKind as Kind};

/// How long each stage of connecting may take unless set: the look-up, connecting, the proxy's answer, the TLS handshake
/// and the WebSocket upgrade. Below the 10 seconds that a session gives all of them together, so that the stage that
/// hangs is the one that is named; and a lost SYN is repeated after 1, 3 and 7 seconds.
pub(crate) const STAGE_TIMEOUT: Duration = Duration::from_secs(8);

/// Has what is flushed go out at once.
pub(crate) fn no_delay(stream: &TcpStream) {
    // Only tuning, and nobody asked for it: a system that refuses it is no reason to fail.
    let _ = stream.set_nodelay(true);
}

/// What all connectors that speak over TCP dial with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialer {
    pub(crate) tcp: TcpConnector,
    #[cfg(feature = "tls")]
    pub(crate) tls: TlsConfig,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<crate::Proxy>,
}

impl Dialer {
    /// A stream on which the next layer may speak at once: STOMP, or HTTP for the upgrade.
    pub(crate) async fn dial(&self, endpoint: &Endpoint) -> Result<NetStream, TransportError> {
        if !is_encrypted(endpoint) {
            return Ok(NetStream::plain(self.bytes(endpoint).await?));
        }
        #[cfg(feature = "tls")]
        {
            let stream = self.bytes(endpoint).await?;
            return Ok(NetStream::Tls(Box::new(crate::tls::connect(stream, endpoint, &self.tls).await?)));
        }
        // What is meant to be encrypted must not go out in the clear.
        #[cfg(not(feature = "tls"))]
        Err(TransportError::new(
            Kind::UnsupportedScheme,
            format!("cannot connect to {}: URLs: the feature `tls` is switched off", endpoint.scheme()),
        ))
    }

    /// A TCP connection whose far end is the broker's.
    async fn bytes(&self, endpoint: &Endpoint) -> Result<TcpStream, TransportError> {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            return proxy.dial(&self.tcp, endpoint).await;
        }
        self.tcp.dial(endpoint).await
    }
}

fn is_encrypted(endpoint: &Endpoint) -> bool {
    matches!(endpoint.scheme(), "tls" | "wss")
}

/// Kind and advice for an I/O error that is one of TLS.
pub(crate) fn reason(error: &io::Error) -> Option<(Kind, &'static str)> {
    if error.get_ref().is_some_and(|inner| inner.is::<stream::SpeaksTls>()) {
        return Some((Kind::TlsRequired, "it speaks TLS; the URL should begin with tls: or wss:"));
    }
    #[cfg(feature = "tls")]
    return crate::tls::error::later(error);
    #[cfg(not(feature = "tls"))]
    None
}
