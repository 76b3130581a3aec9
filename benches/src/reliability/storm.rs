//! A broker restarts, and all its sessions come back.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stompede_broker::Broker;
use stompede_session::{Config, ReconnectPolicy, Session};
use stompede_transport::DefaultConnector;
use tokio::time::timeout;

use super::DEADLINE;
use super::watch::{Noted, Watch};
use crate::flavor::Flavor;
use crate::harness;
use crate::memory::{self, many_files};

/// What this part is called on the command line.
pub(super) const NAME: &str = "storm";

/// Prints how the attempts are spread, and when all are back.
///
/// # Panics
/// If `program`, which calls [`session_storm`], does not do its work.
pub(super) fn measure(program: &str) {
    print!("{}", run(program, SESSIONS, DOWN));
}

/// A few sessions, and a moment.
///
/// # Panics
/// If one does not come back, or not as the policy has it.
pub(super) fn check(program: &str) {
    let text = run(program, 20, Duration::from_millis(200));
    assert!(text.contains("20 of 20 sessions are back"), "{text}");
}

fn run(program: &str, sessions: usize, down: Duration) -> String {
    let mut command = many_files(program);
    command.args([sessions.to_string(), down.as_millis().to_string()]);
    let output = command.output().expect("a process can be started");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Connects sessions to a broker, restarts it, and prints what happened. The arguments: how many sessions, and for how
/// many milliseconds the broker is down.
///
/// # Panics
/// If a session does not come back, or its delays are not within the bounds of the policy.
pub fn session_storm(args: impl Iterator<Item = String>) -> ExitCode {
    let numbers: Option<Vec<u64>> = args.map(|arg| arg.parse().ok()).collect();
    let Some([wanted, down]) = numbers.as_deref() else {
        eprintln!("how many sessions, and for how many milliseconds is the broker down?");
        return ExitCode::FAILURE;
    };
    // Each has a descriptor at both ends.
    let sessions = usize::try_from(*wanted).unwrap_or(usize::MAX).min(memory::files() / 2);
    let storm = Flavor::TwoWorkers.runtime().block_on(storm(sessions, Duration::from_millis(*down)));
    print!("{}", storm.report(usize::try_from(*wanted).unwrap_or(usize::MAX)));
    ExitCode::SUCCESS
}

struct Storm {
    stopped: Instant,
    restarted: Instant,
    policy: ReconnectPolicy,
    /// What happened in each session since the broker stopped.
    sessions: Vec<Vec<(Instant, Noted)>>,
}

async fn storm(sessions: usize, down: Duration) -> Storm {
    let broker = Broker::start().await.expect("127.0.0.1 has free ports");
    let url = broker.tcp_url().expect("it listens").to_owned();
    let config = Config::for_url(&url).expect("its own URL");
    let policy = config.reconnect;
    let mut all = Vec::with_capacity(sessions);
    for _ in 0..sessions {
        let watch = Arc::<Watch>::default();
        let connector = Arc::new(DefaultConnector::new());
        let connecting = Session::connect_observed(config.clone(), connector, Some(watch.clone()));
        all.push((connecting.await.expect("the broker answers"), watch));
    }
    let stopped = harness::now();
    broker.stop().await;
    // By its own clock: attempts go on meanwhile.
    tokio::time::sleep(down.saturating_sub(stopped.elapsed())).await;
    let address = url.trim_start_matches("tcp://").to_owned();
    let restarted = harness::now();
    let broker = Broker::builder().tcp(address).start().await.expect("its port is free again");
    let mut seen = Vec::with_capacity(sessions);
    for (_, watch) in &all {
        let back = timeout(DEADLINE, watch.until(stopped, |noted| *noted == Noted::Connected)).await;
        back.expect("it comes back");
        seen.push(watch.all().into_iter().filter(|(at, _)| *at >= stopped).collect());
    }
    all.iter().for_each(|(session, _)| session.abort());
    broker.stop().await;
    Storm { stopped, restarted, policy, sessions: seen }
}

impl Storm {
    fn report(&self, wanted: usize) -> String {
        let count = self.sessions.len();
        let down = self.restarted.saturating_duration_since(self.stopped).as_secs_f64();
        let mut text = format!(
            "\n{count} of {wanted} sessions are back over TCP after a broker was down for {down:.2} s\n"
        );
        let back: Vec<_> = self.sessions.iter().map(|session| self.back(session)).collect();
        let mut since: Vec<_> = back.iter().map(|at| at.saturating_duration_since(self.restarted)).collect();
        since.sort_unstable();
        let at = |share: f64| since[((count - 1) as f64 * share) as usize].as_secs_f64();
        let late = self.sessions.iter().zip(&back).map(|(session, back)| self.beyond(session, *back));
        text += &format!(
            "back after its restart: half within {:.2} s, 99 % within {:.2} s, all within {:.2} s; the policy allows {:.2} s\n",
            at(0.5),
            at(0.99),
            at(1.0),
            self.bound().as_secs_f64(),
        );
        text += &format!(
            "from the moment that the policy had chosen to CONNECTED: {:.0} ms at most\n",
            late.max().unwrap_or_default().as_secs_f64() * 1e3
        );
        text + &self.histogram()
    }

    fn back(&self, session: &[(Instant, Noted)]) -> Instant {
        let connected = session.iter().find(|(_, noted)| *noted == Noted::Connected);
        connected.map_or(self.stopped, |(at, _)| *at)
    }

    /// How much later than its last delay had it a session was back.
    ///
    /// # Panics
    /// If a delay is not within the bounds of the policy.
    fn beyond(&self, session: &[(Instant, Noted)], back: Instant) -> Duration {
        let mut due = back;
        for (at, noted) in session.iter().take_while(|(at, _)| *at < back) {
            let Noted::Reconnecting(attempt, nanoseconds) = noted else { continue };
            let delay = Duration::from_nanos(*nanoseconds);
            let (least, most) = self.delays(*attempt);
            assert!(least <= delay && delay <= most, "attempt {attempt} in {delay:?}: {least:?} to {most:?}");
            due = *at + delay;
        }
        back.saturating_duration_since(due)
    }

    /// Between what the delay before this attempt has to be, with a nanosecond for rounding.
    fn delays(&self, attempt: u32) -> (Duration, Duration) {
        let ReconnectPolicy { initial, multiplier, jitter, max, .. } = self.policy;
        let exponent = i32::try_from(attempt).unwrap_or(i32::MAX) - 1;
        let plain = initial.as_secs_f64() * multiplier.powi(exponent);
        let most = (plain * (1.0 + jitter)).min(max.as_secs_f64());
        let nanosecond = Duration::from_nanos(1);
        let least = Duration::from_secs_f64(most / (1.0 + jitter)).saturating_sub(nanosecond);
        (least, Duration::from_secs_f64(most) + nanosecond)
    }

    /// When the last one has to dial again at the latest, counted from the restart: it may have failed just before.
    fn bound(&self) -> Duration {
        let down = self.restarted.saturating_duration_since(self.stopped);
        let mut latest = Duration::ZERO;
        let mut attempt = 0;
        while latest < down {
            attempt += 1;
            latest += self.delays(attempt).1;
        }
        // With shorter delays before it, the last attempt in vain may have been as late as the restart itself.
        self.delays(attempt).1
    }

    /// Attempts by the time since the broker stopped; those in vain and those that succeeded.
    fn histogram(&self) -> String {
        let mut bars: Vec<(usize, usize)> = Vec::new();
        for session in &self.sessions {
            let back = self.back(session);
            let dials: Vec<_> =
                session.iter().filter(|(at, noted)| *noted == Noted::Connecting && *at < back).collect();
            for (n, (at, _)) in dials.iter().enumerate() {
                let since = at.saturating_duration_since(self.stopped);
                let bar = (since.as_millis() / BAR.as_millis()) as usize;
                bars.resize(bars.len().max(bar + 1), (0, 0));
                let (vain, good) = &mut bars[bar];
                *if n + 1 == dials.len() { good } else { vain } += 1;
            }
        }
        let mut text = format!(
            "\nattempts in each {} ms since it stopped: `-` in vain, `#` successful, {} to a character\n\n",
            BAR.as_millis(),
            ATTEMPTS_TO_A_CHARACTER
        );
        for (n, (vain, good)) in bars.iter().enumerate() {
            let from = BAR.as_secs_f64() * n as f64;
            let bar = |sign: &str, count: usize| sign.repeat(count.div_ceil(ATTEMPTS_TO_A_CHARACTER));
            text += &format!("{from:5.1} s {:5} {}{}\n", vain + good, bar("-", *vain), bar("#", *good));
        }
        text
    }
}

const SESSIONS: usize = 1000;

/// A quick restart.
const DOWN: Duration = Duration::from_secs(3);

const BAR: Duration = Duration::from_millis(200);

const ATTEMPTS_TO_A_CHARACTER: usize = 20;
