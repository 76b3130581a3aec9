//! What a client goes through, with the times.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use stompede::{Connected, Endpoint, Error, ErrorKind, Frame, Listener};

/// The present. An outage has to be lived through.
#[expect(
    clippy::disallowed_methods,
    reason = "times of a real broker are measured; nothing here is simulated"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits for something that another task or the broker brings about. Whoever waits too long is ended by the limit of
/// the whole run.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Keeps what a client is told.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Seen>);

/// What has happened so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// Connections that were opened.
    pub(crate) connections: Vec<Instant>,
    /// Connections that were lost, and why.
    pub(crate) losses: Vec<(Instant, ErrorKind)>,
    /// How long the broker had been silent when it was given up.
    pub(crate) silences: Vec<Duration>,
    /// The attempt to come back that was announced last: when, and after which delay it was to begin.
    announced: Option<(Instant, Duration)>,
    /// Attempts to come back: when each began, after which delay it was to begin, and how long that took.
    pub(crate) attempts: Vec<(Instant, Duration, Duration)>,
}

impl Watch {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("unpoisoned")
    }
}

impl Seen {
    /// The first loss from this time on.
    pub(crate) fn loss_after(&self, begin: Instant) -> Option<(Instant, ErrorKind)> {
        self.losses.iter().find(|(at, _)| *at >= begin).copied()
    }

    /// Whether an attempt to come back has begun since the first loss from this time on.
    pub(crate) fn has_tried_after(&self, begin: Instant) -> bool {
        let loss = self.loss_after(begin);
        loss.is_some_and(|(lost, _)| self.attempts.iter().any(|(at, ..)| *at >= lost))
    }

    /// The connection that followed the first loss from this time on.
    pub(crate) fn back_after(&self, begin: Instant) -> Option<Instant> {
        let (lost, _) = self.loss_after(begin)?;
        self.connections.iter().find(|at| **at >= lost).copied()
    }
}

impl Listener for Watch {
    async fn on_connecting(&self, _: &Endpoint) {
        let mut seen = self.seen();
        if let Some((at, delay)) = seen.announced.take() {
            let now = now();
            seen.attempts.push((now, delay, now - at));
        }
    }

    async fn on_connected(&self, _: &Connected) {
        self.seen().connections.push(now());
    }

    async fn on_disconnected(&self, cause: Option<&Error>) {
        let kind = cause.map_or(ErrorKind::Closed, Error::kind);
        self.seen().losses.push((now(), kind));
    }

    async fn on_reconnecting(&self, _: &Error, _: u32, delay: Duration) {
        self.seen().announced = Some((now(), delay));
    }

    async fn on_heartbeat_timeout(&self, silent_for: Duration) {
        self.seen().silences.push(silent_for);
    }

    /// It is how RabbitMQ answers an ACK for a message of another connection. Nothing else that is sent here is wrong, and
    /// messages that come too late for UNSUBSCRIBE are not told of here.
    async fn on_error(&self, frame: &Frame) {
        unreachable!("something that was sent is refused: {frame}");
    }
}
