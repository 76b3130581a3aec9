//! The last events of a session, for a bug report.

use std::collections::VecDeque;
use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Event;

/// The last 64 events of a session, and how many there were of those that tell nothing one by one.
///
/// `Display` writes a line for each, without bodies and without the values of headers that carry secrets.
#[derive(Clone, Debug, Default)]
pub struct History {
    start: Option<Instant>,
    records: VecDeque<Record>,
    messages: u64,
    receipts: u64,
    beats: u64,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// How long after the session began.
    pub after: Duration,
    /// What happened, on one line.
    pub text: String,
}

impl History {
    /// The events that are kept, the oldest first. Messages, receipts, heart-beats and sent frames are only counted.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
    }

    /// Messages that were put into the queues of subscriptions.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// RECEIPT frames.
    pub fn receipts(&self) -> u64 {
        self.receipts
    }

    /// Heart-beats of the broker.
    pub fn heart_beats(&self) -> u64 {
        self.beats
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.start.get_or_insert(now);
    }

    pub(super) fn count_messages(&mut self, messages: usize) {
        self.messages += messages as u64;
    }

    pub(super) fn count_receipt(&mut self) {
        self.receipts += 1;
    }

    pub(super) fn note(&mut self, now: Instant, event: &Event) {
        match event {
            Event::Delivered { messages, .. } => self.count_messages(*messages),
            Event::Receipt(_) => self.count_receipt(),
            Event::HeartBeat { .. } => self.beats += 1,
            // A reconnect with thousands of subscriptions would leave room for nothing else.
            Event::HeartBeatSent | Event::Sent(_) | Event::Gap(_) => {}
            event => self.keep(now, describe(event)),
        }
    }

    fn keep(&mut self, now: Instant, text: Line) {
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        let after = self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start));
        self.records.push_back(Record { after, text: text.0 });
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} messages, {} receipts, {} heart-beats", self.messages, self.receipts, self.beats)?;
        self.records
            .iter()
            .try_for_each(|Record { after, text }| writeln!(f, "{:10.3} s {text}", after.as_secs_f64()))
    }
}

/// A text that keeps its beginning: a broker decides how long its messages are.
#[derive(Default)]
struct Line(String);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() >= MAX_LINE {
                break;
            }
            self.0.push(if character.is_control() { ' ' } else { character });
        }
        Ok(())
    }
}

fn describe(event: &Event) -> Line {
    let mut line = Line::default();
    // Writing to a string does not fail.
    let _ = match event {
        Event::Connecting(endpoint) => write!(line, "connecting to {endpoint}"),
        Event::Connected(peer) => {
            let (server, agreed) = (peer.server().unwrap_or_default(), peer.heart_beat());
            write!(
                line,
                "connected to {}: STOMP {}, {server:?}, heart-beat {agreed}",
                peer.host(),
                peer.version()
            )
        }
        Event::Disconnected(cause) => write!(line, "disconnected: {cause}"),
        Event::Reconnecting { cause, attempt, next_in } => {
            write!(line, "attempt {attempt} in {next_in:.3?}, after: {cause}")
        }
        Event::Unrouted(frame) | Event::Error(frame) => {
            // What messages say is nobody's business, and an ERROR may repeat the one that it is about.
            let mut head = frame.clone();
            head.set_body(Bytes::new());
            write!(line, "{head}")
        }
        Event::Dropped { subscription, messages } => write!(line, "dropped {messages} of {subscription:?}"),
        Event::SubscriptionEnded { subscription, cause } => write!(line, "{subscription:?} ended: {cause}"),
        Event::Unsettled { subscription, messages } => {
            write!(line, "{messages} of {subscription:?} unsettled")
        }
        Event::Stalled { subscription, bytes } => {
            write!(line, "stalled by {subscription:?} with {bytes} bytes")
        }
        Event::Resumed { after } => write!(line, "resumed after {after:.3?}"),
        Event::HeartBeatLate { gap } => write!(line, "late: nothing had arrived for {gap:.3?}"),
        Event::HeartBeatTimeout { silent_for } => {
            write!(line, "heart-beat missed: silent for {silent_for:.3?}")
        }
        Event::Disconnecting => write!(line, "disconnecting"),
        Event::Closed(None) => write!(line, "closed in order"),
        Event::Closed(Some(cause)) => write!(line, "closed: {cause}"),
        Event::Delivered { .. }
        | Event::Gap(_)
        | Event::Receipt(_)
        | Event::HeartBeat { .. }
        | Event::HeartBeatSent
        | Event::Sent(_) => Ok(()),
    };
    line
}

/// Events that are kept: the story of a connection or two, a few kilobytes.
const KEPT: usize = 64;

/// Bytes of one line, about: enough for what a broker says, too few for a stack trace.
const MAX_LINE: usize = 240;
