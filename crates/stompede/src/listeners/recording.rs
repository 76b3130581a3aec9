use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::{Connected, Endpoint, Error, Frame, Listener, Message, SubscriptionId};

/// Writes down everything that it hears, and lets a test wait for it.
///
/// The last 10,000 entries are kept. Its waits look at what has been heard already and was not taken by an earlier wait, so
/// nothing is missed between two of them.
#[derive(Debug, Default)]
pub struct RecordingListener {
    inner: Mutex<Inner>,
    heard: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Heard>,
    /// Messages and heart-beats that no wait has taken.
    messages: VecDeque<Message>,
    heartbeats: VecDeque<Duration>,
}

/// One callback, with what it was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Heard {
    /// [`Listener::on_connecting`].
    Connecting(Endpoint),
    /// [`Listener::on_connected`].
    Connected(Arc<Connected>),
    /// [`Listener::on_message`].
    Message(Message),
    /// [`Listener::on_subscription_ended`].
    SubscriptionEnded {
        /// Which one.
        subscription: SubscriptionId,
        /// What it was to.
        destination: String,
        /// Why.
        cause: Error,
    },
    /// [`Listener::on_receipt`].
    Receipt(String),
    /// [`Listener::on_error`].
    Error(Frame),
    /// [`Listener::on_send`].
    Send(Frame),
    /// [`Listener::on_heartbeat`].
    HeartBeat(Duration),
    /// [`Listener::on_heartbeat_timeout`].
    HeartBeatTimeout(Duration),
    /// [`Listener::on_disconnecting`].
    Disconnecting,
    /// [`Listener::on_disconnected`].
    Disconnected(Option<Error>),
    /// [`Listener::on_reconnecting`].
    Reconnecting {
        /// Why there is no connection.
        cause: Error,
        /// Counts from 1 since the last stable connection.
        attempt: u32,
        /// When it begins.
        delay: Duration,
    },
    /// [`Listener::on_closed`].
    Closed(Option<Error>),
}

/// What was waited for did not come in time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WaitError {
    what: &'static str,
    within: Duration,
    /// What had been heard, shortened.
    heard: String,
}

impl RecordingListener {
    /// A listener that has heard nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything so far, the oldest first.
    pub fn heard(&self) -> Vec<Heard> {
        self.lock().entries.iter().cloned().collect()
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`WaitError`] if none comes in time.
    ///
    /// # Cancel safety
    /// Nothing is lost: dropped before it is ready, it has taken no message.
    pub async fn wait_for_message(&self, within: Duration) -> Result<Message, WaitError> {
        self.wait("a message", within, |inner| inner.messages.pop_front()).await
    }

    /// Waits for the next heart-beat; gives how long nothing had arrived before it.
    ///
    /// # Errors
    /// [`WaitError`] if none comes in time.
    ///
    /// # Cancel safety
    /// As [`wait_for_message`](Self::wait_for_message).
    pub async fn wait_for_heartbeat(&self, within: Duration) -> Result<Duration, WaitError> {
        self.wait("a heart-beat", within, |inner| inner.heartbeats.pop_front()).await
    }

    /// Waits until something has been heard that `wanted` accepts, also if that was long ago. Takes nothing.
    ///
    /// # Errors
    /// [`WaitError`] if it does not come in time.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_for(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&Heard) -> bool,
    ) -> Result<Heard, WaitError> {
        let find = |inner: &mut Inner| inner.entries.iter().find(|entry| wanted(entry)).cloned();
        self.wait("what was wanted", within, find).await
    }

    async fn wait<T>(
        &self,
        what: &'static str,
        within: Duration,
        mut find: impl FnMut(&mut Inner) -> Option<T>,
    ) -> Result<T, WaitError> {
        let found = tokio::time::timeout(within, async {
            loop {
                let heard = self.heard.notified();
                tokio::pin!(heard);
                // Registered before looking, so that nothing falls in between.
                heard.as_mut().enable();
                if let Some(found) = find(&mut self.lock()) {
                    return found;
                }
                heard.await;
            }
        });
        match found.await {
            Ok(found) => Ok(found),
            Err(_) => Err(WaitError { what, within, heard: self.summary() }),
        }
    }

    fn summary(&self) -> String {
        let inner = self.lock();
        let words: Vec<_> = inner.entries.iter().rev().take(SUMMARY).rev().map(Heard::name).collect();
        words.join(", ")
    }

    fn note(&self, entry: Heard) {
        let mut inner = self.lock();
        match &entry {
            Heard::Message(message) => push(&mut inner.messages, message.clone()),
            Heard::HeartBeat(gap) => push(&mut inner.heartbeats, *gap),
            _ => {}
        }
        push(&mut inner.entries, entry);
        drop(inner);
        self.heard.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MAX_ENTRIES {
        queue.pop_front();
    }
    queue.push_back(item);
}

impl Heard {
    fn name(&self) -> &'static str {
        match self {
            Self::Connecting(_) => "connecting",
            Self::Connected(_) => "connected",
            Self::Message(_) => "message",
            Self::SubscriptionEnded { .. } => "subscription ended",
            Self::Receipt(_) => "receipt",
            Self::Error(_) => "error",
            Self::Send(_) => "send",
            Self::HeartBeat(_) => "heart-beat",
            Self::HeartBeatTimeout(_) => "heart-beat time-out",
            Self::Disconnecting => "disconnecting",
            Self::Disconnected(_) => "disconnected",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Closed(_) => "closed",
        }
    }
}

impl Listener for RecordingListener {
    async fn on_connecting(&self, endpoint: &Endpoint) {
        self.note(Heard::Connecting(endpoint.clone()));
    }

    async fn on_connected(&self, broker: &Connected) {
        self.note(Heard::Connected(Arc::new(broker.clone())));
    }

    async fn on_message(&self, message: &Message) {
        self.note(Heard::Message(message.clone()));
    }

    async fn on_subscription_ended(&self, subscription: SubscriptionId, destination: &str, cause: &Error) {
        let (destination, cause) = (destination.to_owned(), cause.clone());
        self.note(Heard::SubscriptionEnded { subscription, destination, cause });
    }

    async fn on_receipt(&self, receipt_id: &str) {
        self.note(Heard::Receipt(receipt_id.to_owned()));
    }

    async fn on_error(&self, frame: &Frame) {
        self.note(Heard::Error(frame.clone()));
    }

    async fn on_send(&self, frame: &Frame) {
        self.note(Heard::Send(frame.clone()));
    }

    async fn on_heartbeat(&self, gap: Duration) {
        self.note(Heard::HeartBeat(gap));
    }

    async fn on_heartbeat_timeout(&self, silent_for: Duration) {
        self.note(Heard::HeartBeatTimeout(silent_for));
    }

    async fn on_disconnecting(&self) {
        self.note(Heard::Disconnecting);
    }

    async fn on_disconnected(&self, cause: Option<&Error>) {
        self.note(Heard::Disconnected(cause.cloned()));
    }

    async fn on_reconnecting(&self, cause: &Error, attempt: u32, delay: Duration) {
        self.note(Heard::Reconnecting { cause: cause.clone(), attempt, delay });
    }

    async fn on_closed(&self, cause: Option<&Error>) {
        self.note(Heard::Closed(cause.cloned()));
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, within, heard } = self;
        let heard = if heard.is_empty() { "nothing" } else { heard };
        write!(f, "{what} did not come within {within:?}; heard at last: {heard}")
    }
}

impl std::error::Error for WaitError {}

/// A test that needs more has to look meanwhile.
const MAX_ENTRIES: usize = 10_000;

/// Entries that an error names.
const SUMMARY: usize = 20;
