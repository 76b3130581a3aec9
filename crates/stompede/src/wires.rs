//! The transports of this crate and their settings.

use std::sync::Arc;
#[cfg(feature = "tcp")]
use std::time::Duration;

use stompede_codec::Limits;
use stompede_transport::Connector;

use crate::Error;

/// What a builder was told about TCP, TLS, WebSocket and proxies.
#[derive(Clone, Default)]
pub(crate) struct Wires {
    #[cfg(feature = "tcp")]
    pub(crate) keepalive: Option<Duration>,
    #[cfg(feature = "tcp")]
    pub(crate) keepalive_interval: Option<Duration>,
    #[cfg(feature = "tcp")]
    pub(crate) keepalive_count: Option<u32>,
    #[cfg(feature = "tcp")]
    pub(crate) bind: Option<std::net::IpAddr>,
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
            #[cfg(feature = "tcp")]
            ("keepalive_interval", self.keepalive_interval.is_some()),
            #[cfg(feature = "tcp")]
            ("keepalive_count", self.keepalive_count.is_some()),
            #[cfg(feature = "tcp")]
            ("bind", self.bind.is_some()),
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
    /// A connector with these settings, for a session with these limits that gives it so much time.
    pub(crate) fn connector(self, limits: Limits, within: Duration) -> Result<Arc<dyn Connector>, Error> {
        use stompede_transport::DefaultConnector;

        // A stage gets less, so that the one that hangs is the one that the error names.
        let stage = (within / 5 * 4).max(STAGE);
        let connector =
            DefaultConnector::new().tcp(self.tcp()?.resolve_timeout(stage).connect_timeout(stage));
        #[cfg(not(feature = "ws"))]
        let _ = limits;
        #[cfg(feature = "ws")]
        let connector = connector.ws(self.ws(limits)?.upgrade_timeout(stage));
        #[cfg(feature = "tls")]
        let connector = {
            let unless_given = || stompede_transport::TlsConfig::new().handshake_timeout(stage);
            connector.tls(self.tls.unwrap_or_else(unless_given))
        };
        #[cfg(feature = "proxy")]
        let connector = match self.proxy {
            Some(proxy) => connector.proxy(proxy),
            None => connector,
        };
        Ok(Arc::new(connector))
    }

    /// How TCP connections are made, those below WebSocket included.
    fn tcp(&self) -> Result<stompede_transport::TcpConnector, Error> {
        let seconds = |name: &str, time: Duration| match time.as_secs() {
            0 => Err(Error::invalid(format!("{name}: systems count in whole seconds; at least one"))),
            LONGEST_KEEPALIVE.. => {
                Err(Error::invalid(format!("{name}: systems take no more than nine hours")))
            }
            _ => Ok(time),
        };
        // The session has a limit of its own for writing, which may be longer.
        let mut tcp = stompede_transport::TcpConnector::new().write_timeout(None);
        if let Some(idle) = self.keepalive {
            tcp = tcp.keepalive(seconds("keepalive", idle)?);
        }
        if let Some(interval) = self.keepalive_interval {
            tcp = tcp.keepalive_interval(seconds("keepalive_interval", interval)?);
        }
        match self.keepalive_count {
            Some(0) => {
                return Err(Error::invalid("keepalive_count: at least one probe has to go unanswered"));
            }
            Some(MOST_PROBES..) => {
                return Err(Error::invalid("keepalive_count: systems send no more than 127 probes"));
            }
            Some(count) => tcp = tcp.keepalive_count(count),
            None => {}
        }
        if let Some(address) = self.bind {
            tcp = tcp.bind(address);
        }
        Ok(tcp)
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
            let added = match name.eq_ignore_ascii_case("origin") {
                true => config.origin(value),
                false => config.header(name, value),
            };
            config = added.map_err(|error| Error::invalid(format!("upgrade_header: {error}")))?;
        }
        Ok(config)
    }
}

/// What the transports give each stage: four fifths of the time for opening a connection, as it is unless set.
#[cfg(feature = "tcp")]
const STAGE: Duration = Duration::from_secs(8);

/// Seconds that are too many for Linux (32,767 are the most): the error would come with each dial.
#[cfg(feature = "tcp")]
const LONGEST_KEEPALIVE: u64 = 9 * 60 * 60 + 1;

/// Probes that are too many for Linux.
#[cfg(feature = "tcp")]
const MOST_PROBES: u32 = 128;

#[cfg(not(feature = "tcp"))]
impl Wires {
    /// Without a transport of its own this build knows no scheme.
    pub(crate) fn connector(self, _: Limits, _: std::time::Duration) -> Result<Arc<dyn Connector>, Error> {
        use stompede_transport::{BoxTransport, Endpoint, TransportError, TransportErrorKind};

        Ok(Arc::new(|endpoint: Endpoint| async move {
            let text =
                format!("{}: enable the feature tcp, ws or tls, or give a connector", endpoint.scheme());
            Err::<BoxTransport, _>(TransportError::new(TransportErrorKind::UnsupportedScheme, text))
        }))
    }
}
