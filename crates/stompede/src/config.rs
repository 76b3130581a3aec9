//! A client's settings as a service keeps them in its own file (feature `config`).

#[cfg(feature = "tls")]
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Client, ClientBuilder, Error, HeartBeat, Version};
#[cfg(feature = "tls")]
pub use tls::TlsSettings;

/// The settings of a client, for serde to read from whatever a service keeps its own settings in.
///
/// Only `url` has to be there. A name that is not known is an error. Times are texts such as `"500ms"`, `"10s"`, `"2m"` or
/// `"1h"`.
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
///     "receipt_timeout": "5s"
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
    pub url: Secret,
    /// The `login` header.
    #[serde(default)]
    pub login: Option<Secret>,
    /// The `passcode` header.
    #[serde(default)]
    pub passcode: Option<Secret>,
    /// The virtual host; see [`ClientBuilder::host`].
    #[serde(default)]
    pub host: Option<String>,
    /// The versions to offer, such as `["1.1", "1.2"]`.
    #[serde(default)]
    pub versions: Option<Vec<VersionText>>,
    /// See [`ClientBuilder::auto_content_length`].
    #[serde(default)]
    pub auto_content_length: Option<bool>,
    /// More headers of CONNECT.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// See [`ClientBuilder::heart_beat`].
    #[serde(default)]
    pub heart_beat: Option<HeartBeatConfig>,
    /// See [`ClientBuilder::connect_timeout`].
    #[serde(default)]
    pub connect_timeout: Option<Span>,
    /// See [`ClientBuilder::handshake_timeout`].
    #[serde(default)]
    pub handshake_timeout: Option<Span>,
    /// See [`ClientBuilder::total_connect_timeout`].
    #[serde(default)]
    pub total_connect_timeout: Option<Span>,
    /// See [`ClientBuilder::write_timeout`].
    #[serde(default)]
    pub write_timeout: Option<Span>,
    /// See [`ClientBuilder::idle_timeout`].
    #[serde(default)]
    pub idle_timeout: Option<Span>,
    /// See [`ClientBuilder::stall_timeout`].
    #[serde(default)]
    pub stall_timeout: Option<Span>,
    /// See [`ClientBuilder::overflow_bytes`].
    #[serde(default)]
    pub overflow_bytes: Option<usize>,
    /// See [`ClientBuilder::receipt_timeout`].
    #[serde(default)]
    pub receipt_timeout: Option<Span>,
    /// See [`ClientBuilder::disconnect_timeout`].
    #[serde(default)]
    pub disconnect_timeout: Option<Span>,
    /// See [`ClientBuilder::keepalive`].
    #[cfg(feature = "tcp")]
    #[serde(default)]
    pub keepalive: Option<Span>,
    /// See [`ClientBuilder::bind`].
    #[cfg(feature = "tcp")]
    #[serde(default)]
    pub bind: Option<std::net::IpAddr>,
    /// See [`ClientBuilder::upgrade_header`].
    #[cfg(feature = "ws")]
    #[serde(default)]
    pub upgrade_headers: BTreeMap<String, Secret>,
    /// See [`ClientBuilder::binary_mode`].
    #[cfg(feature = "ws")]
    #[serde(default)]
    pub binary_mode: Option<bool>,
    /// See [`ClientBuilder::tls`].
    #[cfg(feature = "tls")]
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// `host:port` or `http://login:passcode@host:port`; see [`ClientBuilder::proxy`].
    #[cfg(feature = "proxy")]
    #[serde(default)]
    pub proxy: Option<Secret>,
}

/// The two periods of [`HeartBeat`]; one that is missing is off.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeartBeatConfig {
    /// How often we can send.
    #[serde(default)]
    pub send: Span,
    /// How often we want to hear from the broker.
    #[serde(default)]
    pub receive: Span,
}

/// A text that may be secret: as it is, or where it stands.
///
/// It is read when [`ClientConfig::builder`] is called. A line end at the end of a file is not part of it.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Secret {
    /// The text itself.
    Plain(String),
    /// `{ "env": "NAME" }`: the value of an environment variable.
    Env(FromEnv),
    /// `{ "file": "/run/secrets/passcode" }`: the content of a file.
    File(FromFile),
}

/// The name of an environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a name and nothing else")]
pub struct FromEnv {
    /// The name.
    pub env: String,
}

/// The path of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a path and nothing else")]
pub struct FromFile {
    /// The path.
    pub file: PathBuf,
}

/// A time such as `"500ms"`, `"10s"`, `"2m"` or `"1h"`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper: made and taken apart by its one field")]
pub struct Span(pub Duration);

/// A STOMP version such as `"1.2"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper: made and taken apart by its one field")]
pub struct VersionText(pub Version);

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
        self.set_wires(builder)
    }

    /// What concerns the transports of this crate.
    fn set_wires(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        #[cfg(feature = "tcp")]
        let builder = {
            let kept = match self.keepalive {
                Some(Span(idle)) => builder.keepalive(idle),
                None => builder,
            };
            match self.bind {
                Some(address) => kept.bind(address),
                None => kept,
            }
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

impl Secret {
    fn read(&self, setting: &str) -> Result<String, Error> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Env(FromEnv { env }) => std::env::var(env).map_err(|error| {
                let what = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not UTF-8",
                };
                Error::invalid(format!("{setting}: the environment variable {env} {what}"))
            }),
            Self::File(FromFile { file }) => match std::fs::read_to_string(file) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => {
                    Err(Error::invalid(format!("{setting}: cannot read {}: {error}", file.display())))
                }
            },
        }
    }
}

/// Never the text.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("***"),
            Self::Env(from) => from.fmt(f),
            Self::File(from) => from.fmt(f),
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

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time with its unit, such as \"500ms\", \"10s\", \"2m\" or \"1h\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        parse(text).map(Span).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim_start() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

impl<'de> Deserialize<'de> for VersionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::invalid_value(Unexpected::Str(&text), &"a STOMP version: \"1.0\", \"1.1\" or \"1.2\"")
        })
    }
}
