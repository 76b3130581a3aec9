//! Where else to connect, when again, and what is done for a message meanwhile.

use serde::Deserialize;

use super::{Secret, Span, named};
use crate::{
    ClientBuilder, Endpoint, Error, Guarantee, HostOrder, OutboxLimits, ReconnectPolicy, SendPolicy,
    WhileOffline,
};

/// How a client comes back; each that is missing is as in [`ReconnectPolicy::default`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReconnectSettings {
    /// See [`ReconnectPolicy::initial`].
    #[serde(default, deserialize_with = "named::initial")]
    pub initial: Option<Span>,
    /// See [`ReconnectPolicy::multiplier`].
    #[serde(default, deserialize_with = "named::multiplier")]
    pub multiplier: Option<f64>,
    /// See [`ReconnectPolicy::jitter`].
    #[serde(default, deserialize_with = "named::jitter")]
    pub jitter: Option<f64>,
    /// See [`ReconnectPolicy::max`].
    #[serde(default, deserialize_with = "named::max")]
    pub max: Option<Span>,
    /// See [`ReconnectPolicy::attempts`]: 0 is never, and without it there is no limit.
    #[serde(default, deserialize_with = "named::attempts")]
    pub attempts: Option<u32>,
    /// See [`ReconnectPolicy::stable`].
    #[serde(default, deserialize_with = "named::stable")]
    pub stable: Option<Span>,
    /// See [`ReconnectPolicy::retry_initial_connect`].
    #[serde(default, deserialize_with = "named::retry_initial_connect")]
    pub retry_initial_connect: Option<bool>,
    /// See [`ReconnectPolicy::retry_refused_login`].
    #[serde(default, deserialize_with = "named::retry_refused_login")]
    pub retry_refused_login: Option<bool>,
}

/// In which order hosts are tried: `"listed"`, `"shuffled"` or `"raced"`; see [`HostOrder`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostOrderText {
    /// [`HostOrder::Listed`].
    Listed,
    /// [`HostOrder::Shuffled`].
    Shuffled,
    /// [`HostOrder::Raced`].
    Raced,
}

/// What is done for a message; each that is missing is as in [`SendPolicy::default`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SendingSettings {
    /// See [`SendPolicy::guarantee`].
    #[serde(default, deserialize_with = "named::guarantee")]
    pub guarantee: Option<GuaranteeText>,
    /// See [`SendPolicy::while_offline`].
    #[serde(default, deserialize_with = "named::while_offline")]
    pub while_offline: Option<WhileOfflineText>,
    /// See [`SendPolicy::outbox`].
    #[serde(default, deserialize_with = "named::outbox")]
    pub outbox: OutboxSettings,
    /// See [`SendPolicy::duplicate_header`].
    #[serde(default, deserialize_with = "named::duplicate_header")]
    pub duplicate_header: Option<String>,
}

/// What may wait in the outbox; each that is missing is as in [`OutboxLimits::default`].
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboxSettings {
    /// See [`OutboxLimits::messages`].
    #[serde(default, deserialize_with = "named::messages")]
    pub messages: Option<usize>,
    /// See [`OutboxLimits::bytes`].
    #[serde(default, deserialize_with = "named::bytes")]
    pub bytes: Option<usize>,
    /// See [`OutboxLimits::expiry`].
    #[serde(default, deserialize_with = "named::expiry")]
    pub expiry: Option<Span>,
}

/// `"at_most_once"` or `"at_least_once"`; see [`Guarantee`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GuaranteeText {
    /// [`Guarantee::AtMostOnce`].
    AtMostOnce,
    /// [`Guarantee::AtLeastOnce`].
    AtLeastOnce,
}

/// `"fail"` or `"queue"`; see [`WhileOffline`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhileOfflineText {
    /// [`WhileOffline::Fail`].
    Fail,
    /// [`WhileOffline::Queue`].
    Queue,
}

impl ReconnectSettings {
    pub(super) fn policy(self) -> ReconnectPolicy {
        let mut policy = ReconnectPolicy::default();
        let times = [
            (&mut policy.initial, self.initial),
            (&mut policy.max, self.max),
            (&mut policy.stable, self.stable),
        ];
        for (time, set) in times {
            put(time, set.map(|span| span.0));
        }
        put(&mut policy.multiplier, self.multiplier);
        put(&mut policy.jitter, self.jitter);
        put(&mut policy.retry_initial_connect, self.retry_initial_connect);
        put(&mut policy.retry_refused_login, self.retry_refused_login);
        policy.attempts = self.attempts.or(policy.attempts);
        policy
    }
}

impl SendingSettings {
    pub(super) fn policy(&self) -> SendPolicy {
        let mut policy = SendPolicy::default();
        put(&mut policy.guarantee, self.guarantee.map(Guarantee::from));
        put(&mut policy.while_offline, self.while_offline.map(WhileOffline::from));
        let OutboxLimits { messages, bytes, expiry, .. } = &mut policy.outbox;
        put(messages, self.outbox.messages);
        put(bytes, self.outbox.bytes);
        *expiry = self.outbox.expiry.map(|span| span.0).or(*expiry);
        policy.duplicate_header.clone_from(&self.duplicate_header);
        policy
    }
}

impl From<GuaranteeText> for Guarantee {
    fn from(text: GuaranteeText) -> Self {
        match text {
            GuaranteeText::AtMostOnce => Self::AtMostOnce,
            GuaranteeText::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

impl From<WhileOfflineText> for WhileOffline {
    fn from(text: WhileOfflineText) -> Self {
        match text {
            WhileOfflineText::Fail => Self::Fail,
            WhileOfflineText::Queue => Self::Queue,
        }
    }
}

impl From<HostOrderText> for HostOrder {
    fn from(text: HostOrderText) -> Self {
        match text {
            HostOrderText::Listed => Self::Listed,
            HostOrderText::Shuffled => Self::Shuffled,
            HostOrderText::Raced => Self::Raced,
        }
    }
}

/// Adds the hosts to be tried after the URL.
pub(super) fn add_failover(builder: ClientBuilder, urls: &[Secret]) -> Result<ClientBuilder, Error> {
    let mut endpoints = Vec::new();
    for url in urls {
        let endpoint = Endpoint::parse(&url.read("failover")?);
        endpoints.push(endpoint.map_err(|error| Error::invalid(format!("failover: {error}")))?);
    }
    Ok(builder.failover(endpoints))
}

pub(super) fn put<T>(place: &mut T, set: Option<T>) {
    if let Some(set) = set {
        *place = set;
    }
}
