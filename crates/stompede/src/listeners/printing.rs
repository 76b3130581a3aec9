use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{Connected, Endpoint, Error, Frame, Listener, Message, SubscriptionId};

/// Writes a line for everything that happens. Frames are shown as [`Frame`]'s `Display` shows them: long values and bodies
/// abbreviated, passcodes and tokens masked.
///
/// Lines are written in the listener's task, which should not block for long. What cannot be written is lost.
pub struct PrintingListener {
    to: Mutex<Box<dyn Write + Send>>,
}

impl PrintingListener {
    /// Prints to the standard output.
    pub fn new() -> Self {
        Self::to(io::stdout())
    }

    /// Prints elsewhere.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self { to: Mutex::new(Box::new(writer)) }
    }

    fn line(&self, line: fmt::Arguments<'_>) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can be told that telling failed.
        let _ = writeln!(to, "{line}").and_then(|()| to.flush());
    }
}

impl Default for PrintingListener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener for PrintingListener {
    async fn on_connecting(&self, endpoint: &Endpoint) {
        self.line(format_args!("connecting to {endpoint}"));
    }

    async fn on_connected(&self, broker: &Connected) {
        let server = broker.server().unwrap_or_else(|| "unnamed broker".to_owned());
        self.line(format_args!("connected to {}: {server}, STOMP {}", broker.host(), broker.version()));
    }

    async fn on_message(&self, message: &Message) {
        self.line(format_args!("< {}", message.frame()));
    }

    async fn on_subscription_ended(&self, _: SubscriptionId, destination: &str, cause: &Error) {
        self.line(format_args!("the subscription to {destination} has ended: {cause}"));
    }

    async fn on_receipt(&self, receipt_id: &str) {
        self.line(format_args!("< RECEIPT {receipt_id}"));
    }

    async fn on_error(&self, frame: &Frame) {
        self.line(format_args!("< {frame}"));
    }

    async fn on_send(&self, frame: &Frame) {
        self.line(format_args!("> {frame}"));
    }

    async fn on_heartbeat(&self, gap: Duration) {
        self.line(format_args!("< heart-beat after {gap:.1?}"));
    }

    async fn on_heartbeat_timeout(&self, silent_for: Duration) {
        self.line(format_args!("no sign of life for {silent_for:.1?}"));
    }

    async fn on_disconnecting(&self) {
        self.line(format_args!("disconnecting"));
    }

    async fn on_disconnected(&self, cause: Option<&Error>) {
        match cause {
            Some(cause) => self.line(format_args!("disconnected: {cause}")),
            None => self.line(format_args!("disconnected")),
        }
    }

    async fn on_reconnecting(&self, cause: &Error, attempt: u32, delay: Duration) {
        self.line(format_args!("attempt {attempt} in {delay:.1?}: {cause}"));
    }

    async fn on_closed(&self, cause: Option<&Error>) {
        match cause {
            Some(cause) => self.line(format_args!("closed: {cause}")),
            None => self.line(format_args!("closed")),
        }
    }
}

impl fmt::Debug for PrintingListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrintingListener").finish_non_exhaustive()
    }
}
