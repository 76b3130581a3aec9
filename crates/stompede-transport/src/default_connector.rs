use crate::net::Dialer;
use crate::{Connecting, Connector, Endpoint, TcpConnector, TransportError, TransportErrorKind, from_io};

/// Dials by the endpoint's scheme: `tcp`, with the feature `ws` also `ws`, and with `tls` also `tls` and `wss`.
///
/// What lacks its feature is refused: nothing that is meant to be encrypted goes out in the clear.
///
/// Each stage has a time limit of its own, 8 seconds unless set: the look-up of the name
/// ([`TcpConnector::resolve_timeout`]), connecting ([`TcpConnector::connect_timeout`]), and where they take place the
/// proxy's answer, the TLS handshake and the WebSocket upgrade.
#[derive(Clone, Debug, Default)]
pub struct DefaultConnector {
    dialer: Dialer,
    #[cfg(feature = "ws")]
    ws: crate::WsConfig,
}

impl DefaultConnector {
    /// A connector with the defaults of each scheme.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces how TCP connections are made, for every scheme.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpConnector) -> Self {
        self.dialer.tcp = tcp;
        self
    }

    /// Goes through this proxy, whatever the scheme.
    #[cfg(feature = "proxy")]
    #[must_use]
    pub fn proxy(mut self, proxy: crate::Proxy) -> Self {
        self.dialer.proxy = Some(proxy);
        self
    }

    /// Replaces whom `tls` and `wss` trust, and who we are.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: crate::TlsConfig) -> Self {
        self.dialer.tls = config;
        self
    }

    /// Replaces the settings for `ws` and `wss`.
    #[cfg(feature = "ws")]
    #[must_use]
    pub fn ws(mut self, config: crate::WsConfig) -> Self {
        self.ws = config;
        self
    }
}

impl Connector for DefaultConnector {
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        match endpoint.scheme() {
            "tcp" | "tls" => {
                let dialer = self.dialer.clone();
                Box::pin(async move {
                    let stream = dialer.dial(&endpoint).await?;
                    Ok(Box::new(from_io(stream).write_timeout(dialer.tcp.write_timeout)) as _)
                })
            }
            #[cfg(feature = "ws")]
            "ws" | "wss" => {
                crate::WsConnector::with_dialer(self.ws.clone(), self.dialer.clone()).connect(endpoint)
            }
            scheme => {
                let error = unsupported(scheme);
                Box::pin(async move { Err(error) })
            }
        }
    }
}

fn unsupported(scheme: &str) -> TransportError {
    let why = match scheme {
        "ws" | "wss" => "the feature `ws` is switched off",
        _ => "the schemes here are tcp, tls, ws and wss; others need a connector of their own",
    };
    TransportError::new(
        TransportErrorKind::UnsupportedScheme,
        format!("cannot connect to {scheme}: URLs: {why}"),
    )
}
