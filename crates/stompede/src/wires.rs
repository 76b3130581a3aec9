//! The transports of this crate and their settings.

use std::sync::Arc;

use stompede_codec::Limits;
use stompede_transport::Connector;

use crate::Error;

/// What a builder was told about TCP, TLS, WebSocket and proxies.
#[derive(Clone, Default)]
pub(crate) struct Wires {
    #[cfg(feature = "tcp")]
    pub(crate) keepalive: Option<std::time::Duration>,
    #[cfg(feature = "ws")]
    pub(crate) upgrade_headers: Vec<(String, String)>,
    #[cfg(feature = "ws")]
    pub(crate) binary: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<stompede_transport::TlsConfig>,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<stompede_transport::Proxy>,
}

impl Wires {
    /// Names the settings that were made, for a connector of the caller's that would not hear of them.
    pub(crate) fn told(&self) -> Vec<&'static str> {
        let said: &[(&'static str, bool)] = &[
            #[cfg(feature = "tcp")]
            ("keepalive", self.keepalive.is_some()),
            #[cfg(feature = "ws")]
            ("upgrade_header", !self.upgrade_headers.is_empty()),
            #[cfg(feature = "ws")]
            ("binary_mode", self.binary),
            #[cfg(feature = "tls")]
            ("tls", self.tls.is_some()),
            #[cfg(feature = "proxy")]
            ("proxy", self.proxy.is_some()),
        ];
        said.iter().filter(|(_, said)| *said).map(|(name, _)| *name).collect()
    }
}

#[cfg(feature = "tcp")]
impl Wires {
    /// A connector with these settings, for a session with these limits.
    pub(crate) fn connector(self, limits: Limits) -> Result<Arc<dyn Connector>, Error> {
        use stompede_transport::{DefaultConnector, TcpConnector};

        let mut tcp = TcpConnector::new();
        if let Some(idle) = self.keepalive {
            if idle.as_secs() == 0 {
                return Err(Error::invalid("keepalive: systems count in whole seconds; at least one"));
            }
            tcp = tcp.keepalive(idle);
        }
        let connector = DefaultConnector::new().tcp(tcp);
        #[cfg(not(feature = "ws"))]
        let _ = limits;
        #[cfg(feature = "ws")]
        let connector = connector.ws(self.ws(limits)?);
        #[cfg(feature = "tls")]
        let connector = match self.tls {
            Some(tls) => connector.tls(tls),
            None => connector,
        };
        #[cfg(feature = "proxy")]
        let connector = match self.proxy {
            Some(proxy) => connector.proxy(proxy),
            None => connector,
        };
        Ok(Arc::new(connector))
    }

    #[cfg(feature = "ws")]
    fn ws(&self, limits: Limits) -> Result<stompede_transport::WsConfig, Error> {
        use stompede_transport::{WsConfig, WsMessageKind, ws};

        let kind = if self.binary { WsMessageKind::Binary } else { WsMessageKind::Auto };
        // Never less than the default: limits are for what comes in, and this bounds what goes out as well.
        let longest = ws::max_message_for(limits.max_head, limits.max_body).max(ws::DEFAULT_MAX_MESSAGE);
        let mut config = WsConfig::new().message_kind(kind).max_message(longest);
        for (name, value) in &self.upgrade_headers {
            // The error names the field, never its value.
            config = config
                .header(name, value)
                .map_err(|error| Error::invalid(format!("upgrade_header: {error}")))?;
        }
        Ok(config)
    }
}

#[cfg(not(feature = "tcp"))]
impl Wires {
    /// Without a transport of its own this build knows no scheme.
    pub(crate) fn connector(self, _: Limits) -> Result<Arc<dyn Connector>, Error> {
        use stompede_transport::{BoxTransport, Endpoint, TransportError, TransportErrorKind};

        Ok(Arc::new(|endpoint: Endpoint| async move {
            let text =
                format!("{}: enable the feature tcp, ws or tls, or give a connector", endpoint.scheme());
            Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::UnsupportedScheme, text))
        }))
    }
}
