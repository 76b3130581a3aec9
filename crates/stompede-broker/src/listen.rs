use stompede_transport::WsMessageKind;
use stompede_transport::server::AcceptConfig;
#[cfg(feature = "tls")]
use stompede_transport::server::TlsAcceptConfig;

use crate::listener::Kind;

/// Where to listen, and for what.
///
/// ```
/// use stompede_broker::{Broker, Listen};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::builder()
///     .listen(Listen::ws("127.0.0.1:0").path("/ws"))
///     .listen(Listen::tcp("127.0.0.1:0"))
///     .listen(Listen::tcp("127.0.0.1:0"))
///     .start()
///     .await?;
/// assert_eq!(broker.urls().len(), 3);
/// # broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing listens before the broker starts"]
pub struct Listen {
    pub(crate) address: String,
    pub(crate) kind: Kind,
    path: Option<String>,
}

impl Listen {
    /// TCP at `host:port`; port 0 is a free one.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self { address: address.into(), kind: Kind::Tcp, path: None }
    }

    /// WebSocket at `host:port`, on any path; port 0 is a free one.
    pub fn ws(address: impl Into<String>) -> Self {
        Self { address: address.into(), kind: Kind::Ws(AcceptConfig::new()), path: None }
    }

    /// STOMP over TLS at `host:port`; port 0 is a free one.
    ///
    /// Clients look for the URL's host in the certificate, and the URL has the address: `127.0.0.1`, say.
    ///
    /// ```no_run
    /// use stompede_broker::{Broker, Listen, TlsAcceptConfig};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = TlsAcceptConfig::from_pem(std::fs::read("broker.pem")?, std::fs::read("broker.key")?)?;
    /// let broker = Broker::builder()
    ///     .listen(Listen::tls("127.0.0.1:0", tls.clone()))
    ///     .listen(Listen::wss("127.0.0.1:0", tls).path("/ws"))
    ///     .start()
    ///     .await?;
    /// assert_eq!(broker.urls().len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(address: impl Into<String>, tls: TlsAcceptConfig) -> Self {
        Self { address: address.into(), kind: Kind::Tls(tls), path: None }
    }

    /// WebSocket over TLS at `host:port`, on any path; see [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    pub fn wss(address: impl Into<String>, tls: TlsAcceptConfig) -> Self {
        Self { address: address.into(), kind: Kind::Wss(AcceptConfig::new(), tls), path: None }
    }

    /// Accepts WebSocket on this path only; others get a 404. No effect on TCP.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.path = Some(path.clone());
        self.map(|config| config.path(path))
    }

    /// Chooses among these WebSocket sub-protocols, best first; `v12.stomp`, `v11.stomp`, `v10.stomp` unless set.
    /// With none, none is ever named. No effect on TCP.
    pub fn subprotocols<S: Into<Box<str>>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.map(|config| config.subprotocols(names))
    }

    /// Sends WebSocket messages as text, binary or as needed. No effect on TCP.
    pub fn message_kind(self, kind: WsMessageKind) -> Self {
        self.map(|config| config.message_kind(kind))
    }

    fn map(mut self, change: impl FnOnce(AcceptConfig) -> AcceptConfig) -> Self {
        self.kind = self.kind.map_ws(change);
        self
    }

    /// The URL of this listener, once it is known where it is.
    pub(crate) fn url(&self, local: std::net::SocketAddr) -> String {
        let path = || self.path.as_deref().unwrap_or("/stomp");
        match &self.kind {
            Kind::Tcp => format!("tcp://{local}"),
            Kind::Ws(_) => format!("ws://{local}{}", path()),
            #[cfg(feature = "tls")]
            Kind::Tls(_) => format!("tls://{local}"),
            #[cfg(feature = "tls")]
            Kind::Wss(..) => format!("wss://{local}{}", path()),
        }
    }

    /// Whether this is WebSocket, with TLS or without; else it is STOMP alone.
    pub(crate) fn is_ws(&self) -> bool {
        match self.kind {
            Kind::Ws(_) => true,
            Kind::Tcp => false,
            #[cfg(feature = "tls")]
            Kind::Wss(..) => true,
            #[cfg(feature = "tls")]
            Kind::Tls(_) => false,
        }
    }
}
