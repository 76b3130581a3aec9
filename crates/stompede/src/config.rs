//! A client's settings as a service keeps them in its own file (feature `config`).

mod named;
mod reliability;
#[cfg(feature = "tls")]
mod tls;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

pub use self::reliability::{
    GuaranteeText, HostOrderText, OutboxSettings, ReconnectSettings, SendingSettings, WhileOfflineText,
};
#[cfg(feature = "tls")]
pub use self::tls::TlsSettings;
pub use self::values::{FromEnv, FromFile, Secret, Span, VersionText};
use crate::{BrokerProfile, Client, ClientBuilder, Error, HeartBeat, Limits};

/// The settings of a client, for serde to read from whatever a service keeps its own settings in.
///
/// Only `url` has to be there. A name that is not known is an error, and an error about a value begins with the name of its
/// setting. Times are texts such as `"500ms"`, `"10s"`, `"2m"` or `"1h"`.
///
/// ```
/// use stompede::config::ClientConfig;
///
/// let config: ClientConfig = serde_json::from_str(r#"{
///     "url": "ws://localhost:15674/ws",
///     "login": "orders",
///     "passcode": { "env": "ORDERS_PASSCODE" },
///     "host": "/",
///     "heart_beat": { "send": "10s", "receive": "10s" },
///     "receipt_timeout": "5s",
///     "failover": ["ws://other.example:15674/ws"],
///     "reconnect": { "initial": "100ms", "max": "30s", "attempts": 100 },
///     "sending": { "guarantee": "at_least_once", "while_offline": "queue", "outbox": { "messages": 1000 } }
/// }"#)?;
/// # fn connect(config: &ClientConfig) -> Result<(), stompede::Error> {
/// let builder = config.builder()?; // reads ORDERS_PASSCODE now
/// # drop(builder); Ok(())
/// # }
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Where the broker is. May hold credentials; `login` and `passcode` go before them.
    #[serde(deserialize_with = "named::url")]
    pub url: Secret,
    /// The `login` header.
    #[serde(default, deserialize_with = "named::login")]
    pub login: Option<Secret>,
    /// The `passcode` header.
    #[serde(default, deserialize_with = "named::passcode")]
    pub passcode: Option<Secret>,
    /// The virtual host; see [`ClientBuilder::host`].
    #[serde(default, deserialize_with = "named::host")]
    pub host: Option<String>,
    /// The versions to offer, such as `["1.1", "1.2"]`.
    #[serde(default, deserialize_with = "named::versions")]
    pub versions: Option<Vec<VersionText>>,
    /// See [`ClientBuilder::auto_content_length`].
    #[serde(default, deserialize_with = "named::auto_content_length")]
    pub auto_content_length: Option<bool>,
    /// More headers of CONNECT.
    #[serde(default, deserialize_with = "named::headers")]
    pub headers: BTreeMap<String, Secret>,
    /// See [`ClientBuilder::heart_beat`].
    #[serde(default, deserialize_with = "named::heart_beat")]
    pub heart_beat: Option<HeartBeatConfig>,
    /// See [`ClientBuilder::heart_beat_tolerance`].
    #[serde(default, deserialize_with = "named::heart_beat_tolerance")]
    pub heart_beat_tolerance: Option<ToleranceSettings>,
    /// See [`ClientBuilder::connect_timeout`].
    #[serde(default, deserialize_with = "named::connect_timeout")]
    pub connect_timeout: Option<Span>,
    /// See [`ClientBuilder::handshake_timeout`].
    #[serde(default, deserialize_with = "named::handshake_timeout")]
    pub handshake_timeout: Option<Span>,
    /// See [`ClientBuilder::total_connect_timeout`].
    #[serde(default, deserialize_with = "named::total_connect_timeout")]
    pub total_connect_timeout: Option<Span>,
    /// See [`ClientBuilder::write_timeout`].
    #[serde(default, deserialize_with = "named::write_timeout")]
    pub write_timeout: Option<Span>,
    /// See [`ClientBuilder::idle_timeout`].
    #[serde(default, deserialize_with = "named::idle_timeout")]
    pub idle_timeout: Option<Span>,
    /// See [`ClientBuilder::stall_timeout`].
    #[serde(default, deserialize_with = "named::stall_timeout")]
    pub stall_timeout: Option<Span>,
    /// See [`ClientBuilder::overflow_bytes`].
    #[serde(default, deserialize_with = "named::overflow_bytes")]
    pub overflow_bytes: Option<usize>,
    /// See [`ClientBuilder::receipt_timeout`].
    #[serde(default, deserialize_with = "named::receipt_timeout")]
    pub receipt_timeout: Option<Span>,
    /// See [`ClientBuilder::disconnect_timeout`].
    #[serde(default, deserialize_with = "named::disconnect_timeout")]
    pub disconnect_timeout: Option<Span>,
    /// What a frame from the broker may measure.
    #[serde(default, deserialize_with = "named::limits")]
    pub limits: LimitSettings,
    /// What the broker does differently: `"generic"`, `"rabbitmq"`, `"activemq"`, `"artemis"` or `"spring_simple"`. Found out
    /// from CONNECTED unless set.
    #[serde(default, deserialize_with = "named::profile")]
    pub profile: Option<ProfileText>,
    /// URLs of hosts to be tried after [`url`](Self::url); see [`ClientBuilder::failover`].
    #[serde(default, deserialize_with = "named::failover")]
    pub failover: Vec<Secret>,
    /// See [`ClientBuilder::host_order`].
    #[serde(default, deserialize_with = "named::host_order")]
    pub host_order: Option<HostOrderText>,
    /// See [`ClientBuilder::prefer_localhost`].
    #[serde(default, deserialize_with = "named::prefer_localhost")]
    pub prefer_localhost: Option<bool>,
    /// See [`ClientBuilder::try_loopback_connect`].
    #[serde(default, deserialize_with = "named::try_loopback_connect")]
    pub try_loopback_connect: Option<bool>,
    /// See [`ClientBuilder::reconnect`].
    #[serde(default, deserialize_with = "named::reconnect")]
    pub reconnect: Option<ReconnectSettings>,
    /// See [`ClientBuilder::sending`].
    #[serde(default, deserialize_with = "named::sending")]
    pub sending: Option<SendingSettings>,
    /// See [`ClientBuilder::keepalive`].
    #[cfg(feature = "tcp")]
    #[serde(default, deserialize_with = "named::keepalive")]
    pub keepalive: Option<Span>,
    /// See [`ClientBuilder::keepalive_interval`].
    #[cfg(feature = "tcp")]
    #[serde(default, deserialize_with = "named::keepalive_interval")]
    pub keepalive_interval: Option<Span>,
    /// See [`ClientBuilder::keepalive_count`].
    #[cfg(feature = "tcp")]
    #[serde(default, deserialize_with = "named::keepalive_count")]
    pub keepalive_count: Option<u32>,
    /// See [`ClientBuilder::bind`].
    #[cfg(feature = "tcp")]
    #[serde(default, deserialize_with = "named::bind")]
    pub bind: Option<std::net::IpAddr>,
    /// See [`ClientBuilder::upgrade_header`].
    #[cfg(feature = "ws")]
    #[serde(default, deserialize_with = "named::upgrade_headers")]
    pub upgrade_headers: BTreeMap<String, Secret>,
    /// See [`ClientBuilder::binary_mode`].
    #[cfg(feature = "ws")]
    #[serde(default, deserialize_with = "named::binary_mode")]
    pub binary_mode: Option<bool>,
    /// See [`ClientBuilder::tls`].
    #[cfg(feature = "tls")]
    #[serde(default, deserialize_with = "named::tls")]
    pub tls: Option<TlsSettings>,
    /// `host:port` or `http://login:passcode@host:port`; see [`ClientBuilder::proxy`].
    #[cfg(feature = "proxy")]
    #[serde(default, deserialize_with = "named::proxy")]
    pub proxy: Option<Secret>,
}

/// The two periods of [`HeartBeat`]; one that is missing is off.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeartBeatConfig {
    /// How often we can send.
    #[serde(default, deserialize_with = "named::send")]
    pub send: Span,
    /// How often we want to hear from the broker.
    #[serde(default, deserialize_with = "named::receive")]
    pub receive: Span,
}

/// How much silence beyond what it promised the broker is granted; each that is missing is 1.5 or 500 ms.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToleranceSettings {
    /// So many times the period.
    #[serde(default, deserialize_with = "named::scale")]
    pub scale: Option<f64>,
    /// And so much on top.
    #[serde(default, deserialize_with = "named::slack")]
    pub slack: Option<Span>,
}

/// What a frame from the broker may measure; each that is missing is as in [`Limits::default`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitSettings {
    /// See [`Limits::max_header_count`].
    #[serde(default, deserialize_with = "named::max_header_count")]
    pub max_header_count: Option<usize>,
    /// See [`Limits::max_header_line`].
    #[serde(default, deserialize_with = "named::max_header_line")]
    pub max_header_line: Option<usize>,
    /// See [`Limits::max_head`].
    #[serde(default, deserialize_with = "named::max_head")]
    pub max_head: Option<usize>,
    /// See [`Limits::max_body`].
    #[serde(default, deserialize_with = "named::max_body")]
    pub max_body: Option<usize>,
}

/// The name of a [`BrokerProfile`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProfileText {
    /// [`BrokerProfile::GENERIC`].
    Generic,
    /// [`BrokerProfile::RABBITMQ`].
    Rabbitmq,
    /// [`BrokerProfile::ACTIVEMQ`].
    Activemq,
    /// [`BrokerProfile::ARTEMIS`].
    Artemis,
    /// [`BrokerProfile::SPRING_SIMPLE`].
    SpringSimple,
}

impl ClientConfig {
    /// A builder with these settings, to which listeners and the like can be added.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument), naming the setting, if an environment variable or a
    /// file is not there. Everything else is reported by [`ClientBuilder::connect`].
    pub fn builder(&self) -> Result<ClientBuilder, Error> {
        let mut builder = Client::builder(self.url.read("url")?);
        if let Some(login) = &self.login {
            builder = builder.login(login.read("login")?);
        }
        if let Some(passcode) = &self.passcode {
            builder = builder.passcode(passcode.read("passcode")?);
        }
        if let Some(host) = &self.host {
            builder = builder.host(host);
        }
        if let Some(versions) = &self.versions {
            builder = builder.versions(versions.iter().map(|version| version.0));
        }
        for (name, value) in &self.headers {
            builder = builder.header(name, value.read(name)?);
        }
        if let Some(HeartBeatConfig { send, receive }) = self.heart_beat {
            builder = builder.heart_beat(HeartBeat { send: send.0, receive: receive.0 });
        }
        type Setter = fn(ClientBuilder, Duration) -> ClientBuilder;
        let times: [(Option<Span>, Setter); 8] = [
            (self.connect_timeout, ClientBuilder::connect_timeout),
            (self.handshake_timeout, ClientBuilder::handshake_timeout),
            (self.total_connect_timeout, ClientBuilder::total_connect_timeout),
            (self.write_timeout, ClientBuilder::write_timeout),
            (self.idle_timeout, |builder, within| builder.idle_timeout(Some(within))),
            (self.stall_timeout, ClientBuilder::stall_timeout),
            (self.receipt_timeout, ClientBuilder::receipt_timeout),
            (self.disconnect_timeout, ClientBuilder::disconnect_timeout),
        ];
        for (time, set) in times {
            if let Some(Span(time)) = time {
                builder = set(builder, time);
            }
        }
        if let Some(write) = self.auto_content_length {
            builder = builder.auto_content_length(write);
        }
        if let Some(bytes) = self.overflow_bytes {
            builder = builder.overflow_bytes(bytes);
        }
        if let Some(ToleranceSettings { scale, slack }) = self.heart_beat_tolerance {
            builder = builder.set(|config| {
                reliability::put(&mut config.receive_scale, scale);
                reliability::put(&mut config.receive_slack, slack.map(|slack| slack.0));
            });
        }
        if let Some(profile) = self.profile {
            builder = builder.profile(profile.into());
        }
        builder = builder.limits(self.limits.limits());
        self.set_wires(self.set_reliability(builder)?)
    }

    /// Where else to connect, and when again.
    fn set_reliability(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        if !self.failover.is_empty() {
            builder = reliability::add_failover(builder, &self.failover)?;
        }
        if let Some(order) = self.host_order {
            builder = builder.host_order(order.into());
        }
        if let Some(prefer) = self.prefer_localhost {
            builder = builder.prefer_localhost(prefer);
        }
        if let Some(try_it) = self.try_loopback_connect {
            builder = builder.try_loopback_connect(try_it);
        }
        if let Some(reconnect) = self.reconnect {
            builder = builder.reconnect(reconnect.policy());
        }
        if let Some(sending) = &self.sending {
            builder = builder.sending(sending.policy());
        }
        Ok(builder)
    }

    /// What concerns the transports of this crate.
    fn set_wires(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        #[cfg(feature = "tcp")]
        let builder = {
            let mut builder = builder;
            if let Some(Span(idle)) = self.keepalive {
                builder = builder.keepalive(idle);
            }
            if let Some(Span(interval)) = self.keepalive_interval {
                builder = builder.keepalive_interval(interval);
            }
            if let Some(probes) = self.keepalive_count {
                builder = builder.keepalive_count(probes);
            }
            if let Some(address) = self.bind {
                builder = builder.bind(address);
            }
            builder
        };
        #[cfg(feature = "ws")]
        let builder = {
            let mut builder = builder;
            for (name, value) in &self.upgrade_headers {
                builder = builder.upgrade_header(name, value.read(name)?);
            }
            match self.binary_mode {
                Some(binary) => builder.binary_mode(binary),
                None => builder,
            }
        };
        #[cfg(feature = "tls")]
        let builder = match &self.tls {
            Some(tls) => builder.tls(tls.read()?),
            None => builder,
        };
        #[cfg(feature = "proxy")]
        let builder = match &self.proxy {
            Some(address) => builder.proxy(crate::Proxy::http(address.read("proxy")?)),
            None => builder,
        };
        Ok(builder)
    }
}

impl LimitSettings {
    fn limits(self) -> Limits {
        let limits = Limits::default();
        Limits::default()
            .with_max_header_count(self.max_header_count.unwrap_or(limits.max_header_count))
            .with_max_header_line(self.max_header_line.unwrap_or(limits.max_header_line))
            .with_max_head(self.max_head.unwrap_or(limits.max_head))
            .with_max_body(self.max_body.unwrap_or(limits.max_body))
    }
}

impl From<ProfileText> for BrokerProfile {
    fn from(text: ProfileText) -> Self {
        match text {
            ProfileText::Generic => Self::GENERIC,
            ProfileText::Rabbitmq => Self::RABBITMQ,
            ProfileText::Activemq => Self::ACTIVEMQ,
            ProfileText::Artemis => Self::ARTEMIS,
            ProfileText::SpringSimple => Self::SPRING_SIMPLE,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &self.url)
            .field("login", &self.login)
            .field("passcode", &self.passcode)
            .field("host", &self.host)
            .field("versions", &self.versions)
            .field("headers", &self.headers)
            .field("heart_beat", &self.heart_beat)
            .finish_non_exhaustive()
    }
}
