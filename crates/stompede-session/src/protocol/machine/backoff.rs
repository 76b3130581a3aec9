//! When to try again, and where.

use std::time::Duration;

use stompede_transport::Endpoint;

use super::random::Random;
use crate::{HostOrder, ReconnectPolicy};

/// The attempts of one outage.
#[derive(Debug)]
pub(super) struct Backoff {
    failed: u32,
    pub(super) random: Random,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { failed: 0, random: Random::new(seed) }
    }

    /// The delay before the next attempt; `None` if there is to be none.
    pub(super) fn next_delay(&mut self, policy: &ReconnectPolicy) -> Option<Duration> {
        if policy.attempts.is_some_and(|attempts| self.failed >= attempts) {
            return None;
        }
        let exponent = i32::try_from(self.failed).unwrap_or(i32::MAX);
        self.failed = self.failed.saturating_add(1);
        let cap = policy.max.as_secs_f64();
        let plain = policy.initial.as_secs_f64() * policy.multiplier.powi(exponent);
        // Infinite sooner or later, and so is the product: `min` has the last word.
        let longest = (plain * (1.0 + policy.jitter)).min(cap);
        let shortest = longest / (1.0 + policy.jitter);
        let delay = shortest + (longest - shortest) * self.random.fraction();
        Some(Duration::try_from_secs_f64(delay).map_or(policy.max, |delay| delay.min(policy.max)))
    }

    /// The number of the attempt that [`next_delay`](Self::next_delay) gave last, from 1; 0 before the first.
    pub(super) fn attempt(&self) -> u32 {
        self.failed
    }

    /// A stable connection was made.
    pub(super) fn reset(&mut self) {
        self.failed = 0;
    }
}

/// The hosts of one attempt.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Those that this attempt has still to try, the next one last.
    left: Vec<Endpoint>,
    /// All of those are being dialled, and what ends that ends it for all.
    racing: bool,
}

impl Hosts {
    /// Begins an attempt.
    pub(super) fn begin(
        &mut self,
        hosts: impl Iterator<Item = Endpoint>,
        order: HostOrder,
        prefer_localhost: bool,
        random: &mut Random,
    ) {
        self.racing = false;
        self.left = hosts.collect();
        if order == HostOrder::Shuffled {
            random.shuffle(&mut self.left);
        }
        if prefer_localhost {
            // Stable: within the two groups the order stays.
            self.left.sort_by_key(|host| !is_loopback(host));
        }
        self.left.reverse();
    }

    /// The next host of this attempt; `None` once all have been tried.
    pub(super) fn next(&mut self) -> Option<Endpoint> {
        if std::mem::take(&mut self.racing) {
            self.left.clear();
        }
        self.left.pop()
    }

    /// All that are left are dialled together with this one, the first of them.
    pub(super) fn race(&mut self, first: Endpoint) -> impl Iterator<Item = &Endpoint> {
        self.racing = true;
        self.left.push(first);
        self.left.iter().rev()
    }

    /// This one is out of the race.
    pub(super) fn lose(&mut self, host: &Endpoint) {
        if let (true, Some(at)) = (self.racing, self.left.iter().rposition(|left| left == host)) {
            self.left.remove(at);
        }
    }

    /// This one has won the race. The others are for when it fails later.
    pub(super) fn win(&mut self, host: &Endpoint) {
        self.lose(host);
        self.racing = false;
    }
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &ReconnectPolicy, seed: u64, count: usize) -> Vec<Option<f64>> {
        let mut backoff = Backoff::new(seed);
        (0..count).map(|_| backoff.next_delay(policy).map(|delay| delay.as_secs_f64())).collect()
    }

    #[test]
    fn delays_grow_to_the_cap_and_never_beyond() {
        let policy = ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::default() };
        let grown = delays(&policy, 0, 12);
        let expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0];
        for (delay, expected) in grown.iter().zip(expected) {
            let delay = delay.expect("no limit on attempts");
            assert!((delay - expected).abs() < 1e-6, "{delay} for {expected}");
        }
        // Long after the power has become infinite.
        let mut backoff = Backoff { failed: u32::MAX - 1, random: Random::new(0) };
        assert_eq!(backoff.next_delay(&policy), Some(policy.max));
        assert_eq!(backoff.next_delay(&policy), Some(policy.max));
    }

    #[test]
    fn jitter_spreads_every_delay_and_the_cap_comes_last() {
        let policy = ReconnectPolicy::default();
        for attempt in 0..12 {
            let plain = (0.1 * f64::from(2u32.pow(attempt))).min(30.0 / 1.5);
            let all: Vec<f64> =
                (0..500).filter_map(|seed| delays(&policy, seed, 12)[attempt as usize]).collect();
            let (least, most) = all.iter().fold((f64::MAX, 0.0f64), |(l, m), d| (l.min(*d), m.max(*d)));
            assert!(least >= plain * 0.999 && most <= plain * 1.5 + 1e-9, "{attempt}: {least} to {most}");
            assert!(most - least > plain * 0.4, "attempt {attempt} is hardly spread: {least} to {most}");
            assert!(most <= 30.0);
        }
    }

    #[test]
    fn attempts_are_counted_and_begin_anew_after_a_reset() {
        let three = ReconnectPolicy { attempts: Some(3), ..ReconnectPolicy::default() };
        let mut backoff = Backoff::new(7);
        for attempt in 1..=3 {
            assert!(backoff.next_delay(&three).is_some());
            assert_eq!(backoff.attempt(), attempt);
        }
        assert_eq!((backoff.next_delay(&three), backoff.attempt()), (None, 3));
        backoff.reset();
        assert!(backoff.next_delay(&three).is_some_and(|delay| delay < Duration::from_millis(151)));
        assert_eq!(Backoff::new(0).next_delay(&ReconnectPolicy::never()), None);
    }

    #[test]
    fn the_numbers_of_stomp_py() {
        let plain = ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::stomp_py_defaults() };
        let given = delays(&plain, 0, 4);
        for (delay, expected) in given.iter().zip([0.1, 0.15, 0.225]) {
            assert!((delay.unwrap_or_default() - expected).abs() < 1e-6, "{given:?}");
        }
        assert_eq!(given[3], None);
        let tenth = delays(&ReconnectPolicy::stomp_py_defaults(), 3, 1)[0].unwrap_or_default();
        assert!((0.1..=0.11).contains(&tenth), "{tenth}");
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let policy = ReconnectPolicy::default();
        assert_eq!(delays(&policy, 42, 20), delays(&policy, 42, 20));
        assert_ne!(delays(&policy, 42, 20), delays(&policy, 43, 20));
    }

    fn pass(order: HostOrder, prefer_localhost: bool, random: &mut Random) -> Vec<String> {
        let urls = ["tcp://a:1", "tcp://127.0.0.1:2", "tcp://b:3", "ws://[::1]:4/x", "tcp://LOCALHOST:5"];
        let mut hosts = Hosts::default();
        let all = urls.iter().map(|url| url.parse().expect("a URL"));
        hosts.begin(all, order, prefer_localhost, random);
        std::iter::from_fn(|| hosts.next()).map(|host| host.port().unwrap_or_default().to_string()).collect()
    }

    #[test]
    fn hosts_come_as_listed_or_with_this_machine_first() {
        let mut random = Random::new(0);
        assert_eq!(pass(HostOrder::Listed, false, &mut random).concat(), "12345");
        assert_eq!(pass(HostOrder::Listed, true, &mut random).concat(), "24513");
    }

    #[test]
    fn shuffled_hosts_each_come_once_and_every_one_comes_first_at_times() {
        let mut random = Random::new(0);
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut ports = pass(HostOrder::Shuffled, false, &mut random);
            first.insert(ports[0].clone());
            ports.sort();
            assert_eq!(ports.concat(), "12345");
            let local = pass(HostOrder::Shuffled, true, &mut random);
            assert!(local[3..].iter().all(|port| port == "1" || port == "3"), "{local:?}");
        }
        assert_eq!(first.len(), 5);
    }
}
