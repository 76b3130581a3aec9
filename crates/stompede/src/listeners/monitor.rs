use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::{Connected, Error, Listener, Message, clock};

/// Watches the broker's heart-beats: when the last one came, how far apart they are, whether the connection is healthy.
///
/// It only looks. That a silent broker's connection is given up is the session's own doing, whatever is registered.
#[derive(Debug)]
pub struct HeartbeatMonitor {
    inner: Mutex<Inner>,
    connected: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How often the broker promised to be heard of; `None` without heart-beats.
    promised: Option<Duration>,
    last_beat: Option<Instant>,
    /// When anything at all was last told: a beat, a message, a receipt.
    last_life: Option<Instant>,
    beats: u64,
    gaps: Gaps,
    timeouts: u64,
    connected: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Gaps {
    last: Option<Duration>,
    longest: Duration,
    sum: Duration,
    count: u32,
}

impl HeartbeatMonitor {
    /// A monitor that has heard nothing yet.
    pub fn new() -> Self {
        Self { inner: Mutex::default(), connected: watch::Sender::new(false) }
    }

    /// Whether the connection is open and the broker has been heard of within 1.5 times the period that it promised, and
    /// half a second. A connection without heart-beats is healthy as long as it is open.
    pub fn is_healthy(&self) -> bool {
        let now = clock::now();
        let inner = self.lock();
        let Some(promised) = inner.promised else { return inner.connected };
        let allowed = promised.saturating_mul(3) / 2 + SLACK;
        inner.connected && inner.last_life.is_some_and(|last| now.saturating_duration_since(last) <= allowed)
    }

    /// How often the broker promised to be heard of; `None` without heart-beats, and before the first connection.
    pub fn promised(&self) -> Option<Duration> {
        self.lock().promised
    }

    /// Heart-beats so far.
    pub fn beats(&self) -> u64 {
        self.lock().beats
    }

    /// How long ago the last heart-beat was; `None` before the first.
    pub fn since_last_beat(&self) -> Option<Duration> {
        let now = clock::now();
        self.lock().last_beat.map(|last| now.saturating_duration_since(last))
    }

    /// How long nothing had arrived before the last heart-beat.
    pub fn last_gap(&self) -> Option<Duration> {
        self.lock().gaps.last
    }

    /// The longest such time so far; zero before the first heart-beat.
    pub fn longest_gap(&self) -> Duration {
        self.lock().gaps.longest
    }

    /// The average of such times; `None` before the first heart-beat.
    pub fn average_gap(&self) -> Option<Duration> {
        let gaps = self.lock().gaps;
        gaps.sum.checked_div(gaps.count)
    }

    /// Times that a broker was silent for too long.
    pub fn timeouts(&self) -> u64 {
        self.lock().timeouts
    }

    /// Whether the connection is open, as a value to watch: it turns false when a stale connection is given up.
    pub fn watch_connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) {
        self.lock().last_life = Some(clock::now());
    }
}

impl Default for HeartbeatMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener for HeartbeatMonitor {
    async fn on_connected(&self, broker: &Connected) {
        let receive = broker.heart_beat().receive;
        let mut inner = self.lock();
        inner.promised = (!receive.is_zero()).then_some(receive);
        inner.connected = true;
        inner.last_life = Some(clock::now());
        drop(inner);
        self.connected.send_replace(true);
    }

    async fn on_message(&self, _: &Message) {
        self.alive();
    }

    async fn on_receipt(&self, _: &str) {
        self.alive();
    }

    async fn on_heartbeat(&self, gap: Duration) {
        let now = clock::now();
        let mut inner = self.lock();
        inner.last_beat = Some(now);
        inner.last_life = Some(now);
        inner.beats += 1;
        let gaps = &mut inner.gaps;
        gaps.last = Some(gap);
        gaps.longest = gaps.longest.max(gap);
        gaps.sum = gaps.sum.saturating_add(gap);
        gaps.count = gaps.count.saturating_add(1);
    }

    async fn on_heartbeat_timeout(&self, _: Duration) {
        self.lock().timeouts += 1;
    }

    async fn on_disconnected(&self, _: Option<&Error>) {
        self.lock().connected = false;
        self.connected.send_replace(false);
    }
}

/// Delays of timers and of the network do not shrink with the period.
const SLACK: Duration = Duration::from_millis(500);
