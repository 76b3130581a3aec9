//! Where the client tries to connect, and when again, under the names that stomp.py has for it.

use std::time::Duration;

use stompede_session::protocol::Attempt;
use stompede_session::{BeforeConnect, Config, Error, HostOrder, Postponed, ReconnectPolicy};
use stompede_transport::Endpoint;

use crate::{ClientBuilder, HeartBeat};

impl ClientBuilder {
    /// The hosts to try, in this order, as in stomp.py. Scheme, path and credentials stay those of the URL; its own host and
    /// port are used no longer.
    ///
    /// An IPv6 address may be given with brackets or without. For hosts that differ in more than that see
    /// [`failover`](Self::failover).
    pub fn host_and_ports<H: AsRef<str>>(self, hosts: impl IntoIterator<Item = (H, u16)>) -> Self {
        self.try_set(|config| {
            let mut endpoints = Vec::new();
            for (host, port) in hosts {
                endpoints.push(elsewhere(&config.endpoint, host.as_ref(), port)?);
            }
            let mut endpoints = endpoints.into_iter();
            let Some(first) = endpoints.next() else {
                return Err(Error::invalid("host_and_ports: the list is empty; name at least one host"));
            };
            (config.endpoint, config.failover) = (first, endpoints.collect());
            Ok(())
        })
    }

    /// Asks `prepare` before each attempt to connect, the first one included: it may change host, credentials and headers, so
    /// that a token that has expired is followed by a new one. An error given with `?` makes it a failed attempt;
    /// [`Postponed::stop`](crate::Postponed::stop) ends the client instead.
    ///
    /// The time that it takes counts as part of [`connect_timeout`](Self::connect_timeout).
    ///
    /// ```no_run
    /// # async fn new_token() -> std::io::Result<String> { Ok(String::new()) }
    /// use stompede::{Attempt, Client};
    ///
    /// let builder = Client::builder("ws://broker.example/ws").before_connect(|mut attempt: Attempt| async move {
    ///     attempt.passcode = Some(new_token().await?);
    ///     Ok(attempt)
    /// });
    /// ```
    pub fn before_connect<F>(self, prepare: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Attempt, Postponed>> + Send + 'static,
    {
        self.set(|config| config.before_connect = Some(BeforeConnect::new(prepare)))
    }

    /// In which order the hosts are tried. As listed unless set.
    pub fn host_order(self, order: HostOrder) -> Self {
        self.set(|config| config.host_order = order)
    }

    /// Whether hosts that are this machine (`localhost`, a loopback address) are tried before the others. False unless set.
    pub fn prefer_localhost(self, prefer: bool) -> Self {
        self.set(|config| config.prefer_localhost = prefer)
    }

    /// Whether a host that is this machine by its own name is tried over the loopback address first, unless that address or
    /// `localhost` is in the list anyway. False unless set.
    ///
    /// Only for `ws://` and `tcp://`: no certificate is made out to a loopback address.
    pub fn try_loopback_connect(mut self, try_it: bool) -> Self {
        self.try_loopback = try_it;
        self
    }

    /// The delay before the first attempt to come back. 0.1 s unless set.
    pub fn reconnect_sleep_initial(self, delay: Duration) -> Self {
        self.set(|config| config.reconnect.initial = delay)
    }

    /// By what share of itself the delay grows with each attempt: 0.5 is half as much again. 1.0 unless set; 0.0 or more.
    pub fn reconnect_sleep_increase(self, increase: f64) -> Self {
        self.set(|config| config.reconnect.multiplier = 1.0 + increase)
    }

    /// How far delays are spread at random, as a share of them: 0.0 to 1.0. 0.5 unless set.
    pub fn reconnect_sleep_jitter(self, jitter: f64) -> Self {
        self.set(|config| config.reconnect.jitter = jitter)
    }

    /// No delay is longer than this, its jitter included. 30 s unless set.
    pub fn reconnect_sleep_max(self, delay: Duration) -> Self {
        self.set(|config| config.reconnect.max = delay)
    }

    /// How many attempts in a row may fail before the client gives up. `None`, which is the default, is stomp.py's -1: for ever.
    /// 0 is never to reconnect.
    ///
    /// An attempt goes once through the hosts. The first connection is one of them, and is tried again only where
    /// [`ReconnectPolicy::retry_initial_connect`] says so.
    pub fn reconnect_attempts_max(self, attempts: impl Into<Option<u32>>) -> Self {
        self.set(|config| config.reconnect.attempts = attempts.into())
    }

    /// The numbers of stomp.py: delays from 0.1 s growing by half to 60 s with a tenth of jitter, three attempts, the first
    /// connection included; no heart-beats, and a tolerance of 1.5 for them if they are set; this machine first.
    ///
    /// Set these before what should differ. Three attempts are over within a second; a RabbitMQ takes six to start.
    pub fn stomp_py_defaults(mut self) -> Self {
        self.try_loopback = true;
        self.set(|config| {
            config.reconnect = ReconnectPolicy::stomp_py_defaults();
            config.heart_beat = HeartBeat::OFF;
            config.receive_scale = 1.5;
            config.prefer_localhost = true;
        })
    }
}

/// The same scheme and path at another host.
fn elsewhere(endpoint: &Endpoint, host: &str, port: u16) -> Result<Endpoint, Error> {
    let brackets = host.contains(':') && !host.starts_with('[');
    let authority = if brackets { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // A separator would make it part of a path or of credentials, where it does not belong.
    let plain =
        !host.is_empty() && !host.contains(['/', '?', '#', '@', ',']) && (brackets || !host.starts_with(':'));
    let path = if matches!(endpoint.scheme(), "ws" | "wss") { endpoint.path() } else { "" };
    let parsed = Endpoint::parse(&format!("{}://{authority}{path}", endpoint.scheme()));
    match parsed {
        Ok(endpoint) if plain => Ok(endpoint),
        _ => Err(Error::invalid(format!("host_and_ports: {host:?} and {port} are no host and port"))),
    }
}

/// Puts the loopback address before hosts that are this machine by its name.
#[cfg(feature = "tcp")]
pub(crate) fn add_loopback(config: &mut Config) -> Result<(), Error> {
    let Some(name) = hostname::get().ok().and_then(|name| name.into_string().ok()) else { return Ok(()) };
    add_loopback_for(config, &name)
}

#[cfg(not(feature = "tcp"))]
pub(crate) fn add_loopback(_: &mut Config) -> Result<(), Error> {
    Err(Error::invalid("try_loopback_connect: enable the feature tcp; other connectors have no such address"))
}

#[cfg(feature = "tcp")]
fn add_loopback_for(config: &mut Config, name: &str) -> Result<(), Error> {
    const LOOPBACK: &str = "127.0.0.1";

    let hosts: Vec<_> = std::iter::once(&config.endpoint).chain(&config.failover).cloned().collect();
    let listed = |port: Option<u16>| {
        hosts.iter().any(|host| {
            host.port() == port && (host.host() == LOOPBACK || host.host().eq_ignore_ascii_case("localhost"))
        })
    };
    let mut all: Vec<Endpoint> = Vec::new();
    for host in &hosts {
        let ours = host.host().eq_ignore_ascii_case(name) && matches!(host.scheme(), "ws" | "tcp");
        if let (true, false, Some(port)) = (ours, listed(host.port()), host.port()) {
            let twin = elsewhere(host, LOOPBACK, port)?;
            if !all.contains(&twin) {
                all.insert(0, twin);
            }
        }
        all.push(host.clone());
    }
    let mut all = all.into_iter();
    if let Some(first) = all.next() {
        (config.endpoint, config.failover) = (first, all.collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config::for_url(url).expect("a URL")
    }

    fn hosts(config: &Config) -> Vec<String> {
        std::iter::once(&config.endpoint).chain(&config.failover).map(Endpoint::to_string).collect()
    }

    #[test]
    fn another_host_keeps_scheme_and_path() {
        let there = |url: &str, host| elsewhere(&config(url).endpoint, host, 61613).map(|at| at.to_string());
        let ws = elsewhere(&config("ws://me:s3cret@a:1/ws?x=1").endpoint, "b", 80).expect("a host");
        assert_eq!((ws.scheme(), ws.host(), ws.port(), ws.path()), ("ws", "b", Some(80), "/ws?x=1"));
        assert_eq!(there("tcp://a", "::1").expect("a host"), "tcp://[::1]");
        assert_eq!(there("tcp://a:1", "[::1]").expect("a host"), "tcp://[::1]");
        for nonsense in ["", "a/b", "u@a", "a b", ":", "a,b"] {
            let error = there("tcp://a", nonsense).expect_err("no host").to_string();
            assert!(error.contains("host_and_ports"), "{nonsense:?}: {error}");
        }
    }

    #[cfg(feature = "tcp")]
    #[test]
    fn the_loopback_address_goes_before_this_machine_and_nothing_else() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["tcp://box:61613"], &["tcp://127.0.0.1:61613", "tcp://box:61613"]),
            (&["tcp://other:61613"], &["tcp://other:61613"]),
            (&["tls://BOX:61614"], &["tls://BOX:61614"]),
            (&["tcp://box:61613", "tcp://localhost:61613"], &["tcp://box:61613", "tcp://localhost:61613"]),
            (
                &["ws://other:80/ws", "ws://Box:80/ws"],
                &["ws://127.0.0.1:80/ws", "ws://other:80/ws", "ws://Box:80/ws"],
            ),
        ];
        for (given, expected) in cases {
            let mut config = config(given[0]);
            config.failover = given[1..].iter().map(|url| url.parse().expect("a URL")).collect();
            let expected: Vec<_> =
                expected.iter().map(|url| Endpoint::parse(url).expect("a URL").to_string()).collect();
            add_loopback_for(&mut config, "box").expect("hosts");
            assert_eq!(hosts(&config), expected, "{given:?}");
        }
    }
}
