use crate::net::Dialer;
use crate::{Connecting, Connector, Endpoint, TcpConnector, TransportError, TransportErrorKind, from_io};

/// Dials by the endpoint's scheme: `tcp`, and with the feature `ws` also `ws`.
///
/// `tls` and `wss` are recognised and refused: TLS is not built yet.
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

    /// Replaces what `tcp` and `ws` are dialled with.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpConnector) -> Self {
        self.dialer.tcp = tcp;
        self
    }

    /// Replaces the settings for `ws`.
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
            "tcp" => {
                let dialer = self.dialer.clone();
                Box::pin(async move { Ok(Box::new(from_io(dialer.dial(&endpoint).await?)) as _) })
            }
            #[cfg(feature = "ws")]
            "ws" => crate::WsConnector::with_dialer(self.ws.clone(), self.dialer.clone()).connect(endpoint),
            scheme => {
                let error = unsupported(scheme);
                Box::pin(async move { Err(error) })
            }
        }
    }
}

fn unsupported(scheme: &str) -> TransportError {
    let why = match scheme {
        "tls" | "wss" => "TLS is not built yet".to_owned(),
        "ws" => "the feature `ws` is switched off".to_owned(),
        _ => {
            let known =
                if cfg!(feature = "ws") { "tcp and ws" } else { "tcp; with the feature `ws` also ws" };
            format!("the schemes here are {known}; others need a connector of their own")
        }
    };
    TransportError::new(
        TransportErrorKind::UnsupportedScheme,
        format!("cannot connect to {scheme}: URLs: {why}"),
    )
}
