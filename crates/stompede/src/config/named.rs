//! Readers of settings whose errors begin with the name of the setting.
#![allow(unreachable_pub, reason = "what serde's derive writes asks for it")]

use serde::de::Error;
use serde::{Deserialize, Deserializer};

macro_rules! named {
    ($($setting:ident)*) => { $(
        pub(in crate::config) fn $setting<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
            deserializer: D,
        ) -> Result<T, D::Error> {
            T::deserialize(deserializer)
                .map_err(|error| D::Error::custom(format_args!(concat!(stringify!($setting), ": {}"), error)))
        }
    )* };
}

// One for each field of a struct in this module.
named! {
    url login passcode host versions headers auto_content_length heart_beat heart_beat_tolerance
    connect_timeout handshake_timeout total_connect_timeout write_timeout idle_timeout stall_timeout
    overflow_bytes receipt_timeout disconnect_timeout limits profile
    failover host_order prefer_localhost try_loopback_connect reconnect sending
    send receive scale slack
    max_header_count max_header_line max_head max_body
    initial multiplier jitter max attempts stable retry_initial_connect retry_refused_login
    guarantee while_offline outbox duplicate_header messages bytes expiry
}

#[cfg(feature = "tcp")]
named! { keepalive keepalive_interval keepalive_count bind }

#[cfg(feature = "ws")]
named! { upgrade_headers binary_mode }

#[cfg(feature = "tls")]
named! { tls ca cert key server_name }

#[cfg(feature = "proxy")]
named! { proxy }
