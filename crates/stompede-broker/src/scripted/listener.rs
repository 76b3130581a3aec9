use stompede_transport::TransportError;
use stompede_transport::server::AcceptConfig;
#[cfg(feature = "tls")]
use stompede_transport::server::TlsAcceptConfig;
use tokio::net::TcpListener;

use super::ScriptedPeer;
use crate::listener::{Kind, accept};

/// Accepts connections at a socket for scripts to talk to.
#[derive(Debug)]
pub struct ScriptedListener {
    listener: TcpListener,
    kind: Kind,
    url: String,
}

impl ScriptedListener {
    /// Listens for TCP on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn tcp() -> Result<Self, TransportError> {
        Self::bind(Kind::Tcp, "tcp", "").await
    }

    /// Listens for WebSocket on a free port of 127.0.0.1, on any path.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn ws() -> Result<Self, TransportError> {
        Self::ws_with(AcceptConfig::new()).await
    }

    /// Listens for WebSocket with settings of its own.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn ws_with(config: AcceptConfig) -> Result<Self, TransportError> {
        Self::bind(Kind::Ws(config), "ws", "/stomp").await
    }

    /// Listens for STOMP over TLS on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no free port.
    #[cfg(feature = "tls")]
    pub async fn tls(tls: TlsAcceptConfig) -> Result<Self, TransportError> {
        Self::bind(Kind::Tls(tls), "tls", "").await
    }

    /// Listens for WebSocket over TLS on a free port of 127.0.0.1, on any path.
    ///
    /// # Errors
    /// If there is no free port.
    #[cfg(feature = "tls")]
    pub async fn wss(tls: TlsAcceptConfig) -> Result<Self, TransportError> {
        Self::bind(Kind::Wss(AcceptConfig::new(), tls), "wss", "/stomp").await
    }

    async fn bind(kind: Kind, scheme: &str, path: &str) -> Result<Self, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{scheme}://{}{path}", listener.local_addr()?);
        Ok(Self { listener, kind, url })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the next connection, TLS handshake and WebSocket upgrade included. It waits as long as it takes.
    ///
    /// # Errors
    /// What accepting, the handshake and upgrading fail with.
    ///
    /// # Cancel safety
    /// Dropping the future may drop a connection that is being upgraded.
    pub async fn accept(&self) -> Result<ScriptedPeer, TransportError> {
        let (stream, _) = self.listener.accept().await?;
        Ok(ScriptedPeer::over(accept(stream, self.kind.clone(), false).await?))
    }
}
