//! What times mean together, and those that nobody means.

use std::time::Duration;

use stompede_session::Config;

use crate::{Error, HeartBeat};

/// Checks that no time is absurdly long; that it is not zero is for the session to check.
pub(crate) fn check_times(config: &Config) -> Result<(), Error> {
    let reconnect = &config.reconnect;
    let times = [
        ("connect_timeout", config.connect_timeout),
        ("handshake_timeout", config.handshake_timeout),
        ("total_connect_timeout", config.total_connect_timeout),
        ("write_timeout", config.write_timeout),
        ("idle_timeout", config.idle_timeout.unwrap_or_default()),
        ("stall_timeout", config.stall_timeout),
        ("receipt_timeout", config.receipt_timeout),
        ("disconnect_timeout", config.disconnect_timeout),
        ("heart_beat_tolerance", config.receive_slack),
        ("reconnect.initial (reconnect_sleep_initial)", reconnect.initial),
        ("reconnect.max (reconnect_sleep_max)", reconnect.max),
        ("reconnect.stable", reconnect.stable),
        ("sending.outbox.expiry", config.sending.outbox.expiry.unwrap_or_default()),
    ];
    if let Some((name, _)) = times.into_iter().find(|(_, time)| *time > LONGEST) {
        return Err(Error::invalid(format!("{name}: more than a year is no time limit but a mistake")));
    }
    let HeartBeat { send, receive } = config.heart_beat;
    if send.max(receive) > LONGEST_BEAT {
        let text = "heart_beat: its header has no room for more than 49 days; zero is never";
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// Grows the limit for all steps to a connection by what single ones were given beyond their defaults: a limit that was set
/// is not to be cut short by one that nobody set.
pub(crate) fn stretch_total(config: &mut Config) {
    let defaults = Config::new(config.endpoint.clone());
    let more = config.connect_timeout.saturating_sub(defaults.connect_timeout);
    let more = more.saturating_add(config.handshake_timeout.saturating_sub(defaults.handshake_timeout));
    config.total_connect_timeout = config.total_connect_timeout.saturating_add(more);
}

/// Whoever waits for longer has mistaken the unit, or wants no limit; every wait here has one.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What brokers read as a number of 32 bits.
const LONGEST_BEAT: Duration = Duration::from_millis(u32::MAX as u64);
