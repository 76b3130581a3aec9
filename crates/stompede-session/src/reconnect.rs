use std::time::Duration;

use crate::Error;

/// How a session comes back after its connection is lost.
///
/// Plain data: the running count of attempts is the session's own. An attempt goes once through the list of hosts;
/// the delay lies between attempts, not between the hosts of one.
///
/// Whatever the policy, a session ends when no host can ever work: when each of them has an URL or a setting that cannot,
/// at once, or with `before_connect` at the second attempt in a row; when certificates are refused at all of them, for the
/// first connection at once, for a later one at the second attempt in a row. A host that cannot work beside others that may
/// is passed over.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReconnectPolicy {
    /// The delay before the first attempt. 0.1 s unless set.
    pub initial: Duration,
    /// Each further delay is this many times the one before. 2 unless set; at least 1.
    pub multiplier: f64,
    /// How far delays are spread, so that a thousand sessions do not come back at once: a delay is taken at random
    /// between itself and itself × (1 + jitter). 0.5 unless set; 0 means no spread, 1 is the most.
    pub jitter: f64,
    /// No delay is longer than this, jitter included; at this length the spread goes downwards. 30 s unless set.
    pub max: Duration,
    /// How many attempts in a row may fail before the session is given up. `None`: no limit, which is the default.
    /// `Some(0)`: never reconnect.
    pub attempts: Option<u32>,
    /// A connection that lasted this long counts as stable: the delays begin anew after it. 10 s unless set.
    ///
    /// Reset any earlier, a broker that takes each connection and drops it at once would be dialled ten times a
    /// second for ever.
    pub stable: Duration,
    /// Whether the first connection is tried again as well. If not, which is the default, `connect()` fails when no
    /// host could be reached once.
    pub retry_initial_connect: bool,
    /// Whether a refused login is tried again, one that a WebSocket upgrade is refused for (401, 403) included. If not,
    /// which is the default, it ends the session: the same credentials would be refused again, and some brokers lock the
    /// account.
    pub retry_refused_login: bool,
}

impl ReconnectPolicy {
    /// Never reconnects: the session ends with its connection.
    pub const fn never() -> Self {
        Self { attempts: Some(0), ..Self::new() }
    }

    /// The numbers of stomp.py: 0.1 s growing by half to 60 s, a tenth of jitter, three attempts, the first connection
    /// included.
    ///
    /// Three attempts are over in a second, and a RabbitMQ takes six to start.
    pub const fn stomp_py_defaults() -> Self {
        Self {
            multiplier: 1.5,
            jitter: 0.1,
            max: Duration::from_secs(60),
            attempts: Some(3),
            retry_initial_connect: true,
            ..Self::new()
        }
    }

    const fn new() -> Self {
        Self {
            initial: Duration::from_millis(100),
            multiplier: 2.0,
            jitter: 0.5,
            max: Duration::from_secs(30),
            attempts: None,
            stable: Duration::from_secs(10),
            retry_initial_connect: false,
            retry_refused_login: false,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(self.multiplier >= 1.0 && self.multiplier.is_finite()) {
            return Err(Error::invalid(
                "reconnect.multiplier (1 + reconnect_sleep_increase): delays do not shrink; 1.0 or more",
            ));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(Error::invalid(
                "reconnect.jitter (reconnect_sleep_jitter): a share of the delay; 0.0 to 1.0",
            ));
        }
        if self.attempts != Some(0) && (self.initial.is_zero() || self.max.is_zero()) {
            return Err(Error::invalid(
                "reconnect.initial, reconnect.max (reconnect_sleep_initial, reconnect_sleep_max): without a delay a dead \
                 broker would be dialled in a loop",
            ));
        }
        Ok(())
    }
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// In which order the hosts of a session are tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HostOrder {
    /// As they are listed; each attempt begins with the first, which is thus the preferred one.
    #[default]
    Listed,
    /// In a new random order for each attempt, which spreads clients over the hosts.
    Shuffled,
    /// All at once, each a moment after the one listed before it, or as soon as that has failed. The first connection that
    /// is open goes on, and the others are given up; should it give no CONNECTED, those that have not failed are raced again.
    ///
    /// Fast where hosts are often dead, and hard on those that are not: each gets a connection that may be dropped at once.
    /// Only one of them is logged in to. `before_connect` is asked for each.
    Raced,
}
