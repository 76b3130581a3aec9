use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::checks;
use super::clock::Clock;
use super::rig::{Rig, Stop, failed};
use super::{Check, Peer, Report, Verdict};
use crate::{Connector, Endpoint, TransportError};

type Accepting<'s> = Pin<Box<dyn Future<Output = Result<Peer, TransportError>> + Send + 's>>;

/// A transport to be checked, and what is known about it.
pub struct Suite<'s> {
    pub(super) connector: &'s dyn Connector,
    pub(super) endpoint: Endpoint,
    /// Accepts one connection.
    pub(super) accept: Box<dyn Fn() -> Accepting<'s> + Send + Sync + 's>,
    pub(super) patience: Duration,
    pub(super) max_buffered: usize,
    pub(super) messages: bool,
    pub(super) half_close: bool,
}

impl<'s> Suite<'s> {
    /// Checks what `connector` makes of `endpoint`; `accept` accepts one connection each time it is called.
    pub fn new<F, Fut>(connector: &'s dyn Connector, endpoint: Endpoint, accept: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 's,
        Fut: Future<Output = Result<Peer, TransportError>> + Send + 's,
    {
        Self {
            connector,
            endpoint,
            accept: Box::new(move || Box::pin(accept())),
            patience: Duration::from_secs(5),
            max_buffered: 64 * 1024 * 1024,
            messages: false,
            half_close: false,
        }
    }

    /// How long is waited for something that has to come; 5 s unless set. Only what fails is waited for that long.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How much may be sent to a peer that reads nothing before that counts as unbounded; 64 MiB unless set. The
    /// buffers of the operating system are in it.
    #[must_use]
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// Says that this is a message transport: each item must arrive as one chunk.
    ///
    /// The peer has to hand on each message by itself; `AcceptConfig::separate_messages` does that for WebSocket.
    #[must_use]
    pub fn messages(mut self) -> Self {
        self.messages = true;
        self
    }

    /// Says that a side that has closed can still receive, as over TCP.
    #[must_use]
    pub fn half_close(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// Makes all checks, one after the other, each with connections of its own.
    ///
    /// A check that fails, or panics in the transport, does not keep the others from being made.
    ///
    /// # Cancel safety
    /// Dropping the future drops the connections.
    pub async fn run(self) -> Report {
        let clock = match Clock::start() {
            Ok(clock) => clock,
            Err(error) => return unstarted(&error),
        };
        // Each wait has its own limit; this is for a check that never stops waiting.
        let limit = self.patience.saturating_mul(WAITS);
        let rig = Rig { suite: self, clock };
        let mut checks = Vec::new();
        for check in checks::ALL {
            let outcome = rig.clock.limit(limit, (check.run)(&rig)).await;
            let verdict = match outcome.unwrap_or_else(|| Err(failed("the check came to no end"))) {
                Ok(()) => Verdict::Passed,
                Err(Stop::Failed(what)) => Verdict::Failed(what),
                Err(Stop::Skipped(why)) => Verdict::Skipped(why.into()),
            };
            checks.push(Check { name: check.name, sentence: check.sentence, verdict });
        }
        Report { checks }
    }
}

/// How many times the patience a check may take.
const WAITS: u32 = 20;

impl fmt::Debug for Suite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("endpoint", &self.endpoint)
            .field("patience", &self.patience)
            .field("max_buffered", &self.max_buffered)
            .field("messages", &self.messages)
            .field("half_close", &self.half_close)
            .finish_non_exhaustive()
    }
}

/// The system has no thread left: nothing passed, and that is no fault of the transport.
fn unstarted(error: &std::io::Error) -> Report {
    let failed = |check: &checks::Entry| Check {
        name: check.name,
        sentence: check.sentence,
        verdict: Verdict::Failed(format!("the suite could not start the thread of its clock: {error}")),
    };
    Report { checks: checks::ALL.iter().map(failed).collect() }
}
