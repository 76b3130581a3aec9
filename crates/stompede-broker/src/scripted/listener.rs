use stompede_transport::TransportError;
use stompede_transport::server::{AcceptConfig, accept_tcp, accept_ws};
use tokio::net::TcpListener;

use super::ScriptedPeer;

/// Accepts connections at a socket for scripts to talk to.
#[derive(Debug)]
pub struct ScriptedListener {
    listener: TcpListener,
    ws: Option<AcceptConfig>,
    url: String,
}

impl ScriptedListener {
    /// Listens for TCP on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn tcp() -> Result<Self, TransportError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("tcp://{}", listener.local_addr()?);
        Ok(Self { listener, ws: None, url })
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
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("ws://{}/stomp", listener.local_addr()?);
        Ok(Self { listener, ws: Some(config), url })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the next connection, the WebSocket upgrade included. It waits as long as it takes.
    ///
    /// # Errors
    /// What accepting and upgrading fail with.
    ///
    /// # Cancel safety
    /// Dropping the future may drop a connection that is being upgraded.
    pub async fn accept(&self) -> Result<ScriptedPeer, TransportError> {
        let (stream, _) = self.listener.accept().await?;
        Ok(ScriptedPeer::over(match &self.ws {
            None => accept_tcp(stream)?,
            Some(config) => accept_ws(stream, config).await?,
        }))
    }
}
