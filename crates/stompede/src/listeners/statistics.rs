use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Connected, Endpoint, Error, Frame, Listener, Message, SubscriptionId};

/// Counts what happens.
#[derive(Debug, Default)]
pub struct StatisticsListener {
    numbers: Mutex<Statistics>,
}

/// What a [`StatisticsListener`] has counted so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Attempts to connect.
    pub attempts: u64,
    /// Connections that were logged in.
    pub connections: u64,
    /// Connections that ended, in order or not.
    pub disconnects: u64,
    /// Connections that ended for a reason.
    pub failures: u64,
    /// Times that a lost connection, or one that could not be had, was to be tried again.
    pub retries: u64,
    /// Messages received.
    pub messages: u64,
    /// Bytes of their bodies.
    pub message_bytes: u64,
    /// Subscriptions made with `listen()` or `handle()` that ended for a reason of their own.
    pub subscriptions_ended: u64,
    /// Frames sent of any kind: CONNECT, SUBSCRIBE, ACK and DISCONNECT too, heart-beats not.
    pub sent: u64,
    /// SEND frames among them.
    pub messages_sent: u64,
    /// Receipts received.
    pub receipts: u64,
    /// ERROR frames received.
    pub errors: u64,
    /// Heart-beats received.
    pub heartbeats: u64,
    /// Times that a broker was silent for too long.
    pub heartbeat_timeouts: u64,
}

impl StatisticsListener {
    /// All numbers at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers now.
    pub fn read(&self) -> Statistics {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Statistics> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for StatisticsListener {
    async fn on_connecting(&self, _: &Endpoint) {
        self.lock().attempts += 1;
    }

    async fn on_connected(&self, _: &Connected) {
        self.lock().connections += 1;
    }

    async fn on_message(&self, message: &Message) {
        let mut numbers = self.lock();
        numbers.messages += 1;
        numbers.message_bytes += message.body().len() as u64;
    }

    async fn on_subscription_ended(&self, _: SubscriptionId, _: &str, _: &Error) {
        self.lock().subscriptions_ended += 1;
    }

    async fn on_receipt(&self, _: &str) {
        self.lock().receipts += 1;
    }

    async fn on_error(&self, _: &Frame) {
        self.lock().errors += 1;
    }

    async fn on_send(&self, frame: &Frame) {
        let mut numbers = self.lock();
        numbers.sent += 1;
        numbers.messages_sent += u64::from(frame.command() == crate::Command::Send);
    }

    async fn on_heartbeat(&self, _: Duration) {
        self.lock().heartbeats += 1;
    }

    async fn on_heartbeat_timeout(&self, _: Duration) {
        self.lock().heartbeat_timeouts += 1;
    }

    async fn on_disconnected(&self, cause: Option<&Error>) {
        let mut numbers = self.lock();
        numbers.disconnects += 1;
        numbers.failures += u64::from(cause.is_some());
    }

    async fn on_reconnecting(&self, _: &Error, _: u32, _: Duration) {
        self.lock().retries += 1;
    }
}

/// One line with every number.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, connections, disconnects, failures, messages, message_bytes, .. } = self;
        let Self { retries, sent, messages_sent, receipts, errors, heartbeats, heartbeat_timeouts, .. } =
            self;
        let ended = self.subscriptions_ended;
        write!(
            f,
            "attempts {attempts}, connections {connections}, disconnects {disconnects} (failures {failures}), \
             retries {retries}, \
             messages {messages} ({message_bytes} B), subscriptions ended {ended}, sent {sent} (messages {messages_sent}), receipts {receipts}, \
             errors {errors}, heart-beats {heartbeats} (time-outs {heartbeat_timeouts})"
        )
    }
}
