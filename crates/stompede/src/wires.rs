//! The transports of this crate and their settings.

use std::sync::Arc;

use stompede_codec::Limits;
use stompede_transport::Connector;

use crate::Error;

/// What a builder was told about TCP and WebSocket.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Wires {
    #[cfg(feature = "tcp")]
    pub(crate) keepalive: Option<std::time::Duration>,
    #[cfg(feature = "ws")]
    pub(crate) upgrade_headers: Vec<(String, String)>,
    #[cfg(feature = "ws")]
    pub(crate) binary: bool,
}

#[cfg(feature = "tcp")]
impl Wires {
    /// A connector with these settings, for a session with these limits.
    pub(crate) fn connector(self, limits: Limits) -> Result<Arc<dyn Connector>, Error> {
        use stompede_transport::{DefaultConnector, TcpConnector};

        // The session has a limit of its own, which may be longer.
        let mut tcp = TcpConnector::new().write_timeout(None);
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
        Ok(Arc::new(connector))
    }

    #[cfg(feature = "ws")]
    fn ws(&self, limits: Limits) -> Result<stompede_transport::WsConfig, Error> {
        use stompede_transport::{WsConfig, WsMessageKind, ws};

        let kind = if self.binary { WsMessageKind::Binary } else { WsMessageKind::Auto };
        // Never less than the default: limits are for what comes in, and this bounds what goes out as well.
        let longest = ws::max_message_for(limits.max_head, limits.max_body).max(ws::DEFAULT_MAX_MESSAGE);
        let mut config = WsConfig::new().message_kind(kind).max_message(longest).write_timeout(None);
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
            let text = format!("{}: enable the feature tcp or ws, or give a connector", endpoint.scheme());
            Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::UnsupportedScheme, text))
        }))
    }
}
