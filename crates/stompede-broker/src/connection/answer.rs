//! What a client says, and what it is answered.

use stompede_codec::{Command, DecodeErrorKind, EncodeError, Frame, Item, Version};
use stompede_transport::CloseReason;
use tokio::time::Instant;

use super::{Connection, State, decoder};
use crate::handshake::{Unwelcome, Welcome, welcome};
use crate::heartbeat::HeartBeats;
use crate::personality::{Errors, ReceiptOrder, Receipts};
use crate::place::Greeted;
use crate::refusal::Refusal;
use crate::requests::Requests;

impl Connection {
    /// The next frame or heart-beat of what has arrived.
    pub(super) fn next_item(&mut self) -> Option<Item> {
        if self.place.entry.outbox.load().1 {
            return None;
        }
        let left = self.decoder.buffered();
        match self.decoder.next() {
            Ok(Some(item)) => Some(item),
            Ok(None) => {
                self.beginning.settle(self.decoder.buffered());
                None
            }
            Err(error) => {
                let receipt = self.beginning.receipt(left, self.decoder.version());
                let refusal = Refusal::bad_frame(&error);
                if let (Some(code), None) = (self.habits().ws.broken, refusal.limit) {
                    let escape = self.beginning.bad_escape(left);
                    let escape = escape.filter(|_| error.kind() == DecodeErrorKind::UndefinedEscape);
                    let words = escape.map_or_else(|| error.to_string(), erlang_bad_escape);
                    self.wire.set_goodbye(CloseReason::new(code, words));
                }
                self.refuse(&refusal, receipt.as_deref());
                None
            }
        }
    }

    /// Takes the first frame of a WebSocket message, and forgets what is behind it.
    pub(super) fn answer_message(&mut self, now: Instant) {
        let Some(item) = self.next_item() else {
            if self.place.entry.outbox.load().1 {
                return;
            }
            let text = "there is no whole frame in this WebSocket message";
            let receipt = self.beginning.receipt(self.decoder.buffered(), self.decoder.version());
            return self.refuse(&Refusal::new("bad frame", text), receipt.as_deref());
        };
        self.answer(item, now);
        let version = self.decoder.version();
        self.decoder = decoder(&self.shared().settings);
        version.into_iter().for_each(|version| self.decoder.set_version(version));
    }

    pub(super) fn answer(&mut self, item: Item, now: Instant) {
        let Item::Frame(frame) = item else { return };
        self.frames += 1;
        let receipt = frame.header("receipt").map(String::from);
        if self.faults.faults.error_at == Some(self.frames) {
            let refusal = Refusal::new("asked for", "this ERROR was asked for");
            self.say_error(&refusal, &refusal.frame(receipt.as_deref()));
            return self.place.entry.outbox.end();
        }
        let requests = match &mut self.state {
            State::Greeting { .. } => return self.connect(&frame, now),
            State::Open { requests, .. } => requests,
            State::Leaving { .. } | State::Ended => return,
        };
        let command = frame.command();
        let comes_first = self.place.shared.settings.personality.order == ReceiptOrder::First;
        let before = (comes_first && command == Command::Send).then(|| self.place.entry.outbox.len());
        let due = match requests.handle(frame) {
            Ok(due) => due,
            Err(refusal) => return self.refuse_request(command, &refusal, receipt.as_deref()),
        };
        if command == Command::Disconnect {
            return self.take_leave(receipt.as_deref(), now);
        }
        if self.habits().receipts == Receipts::All {
            self.confirm(receipt.as_deref().filter(|_| !due.own_is_late), before);
            due.earlier.iter().for_each(|receipt| self.confirm(Some(receipt), None));
        }
    }

    fn take_leave(&mut self, receipt: Option<&str>, now: Instant) {
        let until = now.checked_add(self.shared().settings.limits.connect_within);
        let answers = self.habits().ws.answers_disconnect || !self.place.entry.is_ws();
        let version = self.version();
        // Before its RECEIPT: a client that reconnects at once finds its messages.
        self.state = State::Leaving { until };
        if let Some(receipt) = receipt.filter(|_| answers && !self.faults.faults.lose_receipts) {
            self.push(version, &Frame::new(Command::Receipt).with_header("receipt-id", receipt));
        }
        if !self.habits().waits_for_close {
            self.place.entry.outbox.end();
        }
    }

    /// Sends the RECEIPT that was asked for; before what has been queued since `before` frames waited, if that is said.
    fn confirm(&self, receipt: Option<&str>, before: Option<usize>) {
        let Some(receipt) = receipt.filter(|_| !self.faults.faults.lose_receipts) else { return };
        let frame = Frame::new(Command::Receipt).with_header("receipt-id", receipt);
        let (outbox, version) = (&self.place.entry.outbox, self.version());
        self.check_written(match before {
            Some(at) => outbox.push_at(at, version, &frame),
            None => outbox.push(version, &frame),
        });
    }

    fn connect(&mut self, frame: &Frame, now: Instant) {
        if !matches!(frame.command(), Command::Connect | Command::Stomp) {
            let text = format!("{} came before CONNECT", frame.command());
            let Errors { end, name_receipts, .. } = self.habits().errors;
            let refusal = Refusal::new("not connected", text);
            let receipt = frame.header("receipt").filter(|_| name_receipts);
            self.say_error(&refusal, &refusal.frame(receipt.as_deref()));
            if end {
                self.place.entry.outbox.end();
            }
            return;
        }
        match welcome(frame, self.shared(), self.place.entry.id) {
            Ok(Welcome { version, connected, beats, login, host, router }) => {
                self.decoder.set_version(self.place.entry.outbox.form(version));
                self.place.greet(Greeted { version, login, host, beats });
                let requests = Requests::new(self.shared().clone(), router, version, &self.place.entry);
                let eager = self.habits().greeting.beats_eagerly;
                self.state = State::Open { requests, beats: HeartBeats::new(beats, eager, now) };
                self.push(version, &connected);
                if eager && beats.send.is_some() {
                    self.place.entry.outbox.beat();
                }
            }
            Err(Unwelcome { refusal, lists_versions }) => self.refuse_connect(&refusal, lists_versions),
        }
    }

    fn refuse_connect(&mut self, refusal: &Refusal, lists_versions: bool) {
        let mut error = refusal.frame(None);
        if lists_versions {
            error.headers_mut().push("version", "1.0,1.1,1.2");
        }
        self.say_error(refusal, &error);
        if self.habits().errors.end_connect {
            self.place.entry.outbox.end();
        }
    }

    /// Answers a frame that asks for what cannot be had.
    fn refuse_request(&mut self, command: Command, refusal: &Refusal, receipt: Option<&str>) {
        let Errors { end, name_receipts, subscribe_fails_late, .. } = self.habits().errors;
        let fails_late = subscribe_fails_late && command == Command::Subscribe;
        if fails_late && self.place.entry.is_ws() {
            refusal.limit.into_iter().for_each(|limit| self.shared().hub.counters.hit(limit));
            return self.place.entry.outbox.end();
        }
        self.say_error(refusal, &refusal.frame(receipt.filter(|_| name_receipts)));
        if fails_late {
            self.confirm(receipt, None);
        }
        if end || fails_late {
            self.place.entry.outbox.end();
        }
    }

    /// Sends an ERROR and ends: nothing that comes from this client makes sense, or nothing comes at all.
    pub(super) fn refuse(&mut self, refusal: &Refusal, receipt: Option<&str>) {
        if self.habits().errors.silent_when_broken {
            refusal.limit.into_iter().for_each(|limit| self.shared().hub.counters.hit(limit));
        } else {
            self.say_error(refusal, &refusal.frame(receipt));
        }
        self.place.entry.outbox.end();
    }

    fn say_error(&self, refusal: &Refusal, error: &Frame) {
        self.shared().hub.refused(self.place.entry.id, refusal);
        self.push(self.version(), error);
    }

    fn version(&self) -> Version {
        match &self.state {
            State::Open { requests, .. } => requests.version(),
            State::Greeting { .. } | State::Leaving { .. } | State::Ended => Version::V1_2,
        }
    }

    fn push(&self, version: Version, frame: &Frame) {
        self.check_written(self.place.entry.outbox.push(version, frame));
    }

    fn check_written(&self, outcome: Result<(), EncodeError>) {
        if let Err(error) = outcome {
            // A receipt id of a newer version's making, say. Without its answer the client must not wait for ever.
            tracing::debug!(%error, "an answer cannot be written");
            self.place.entry.outbox.end();
        }
    }
}

/// How RabbitMQ names a backslash that begins no escape.
fn erlang_bad_escape(behind: u8) -> String {
    match behind {
        b'"' => r#"{bad_escape,"\\\""}"#.into(),
        b' '..=b'~' => format!(r#"{{bad_escape,"\\{}"}}"#, char::from(behind)),
        _ => format!("{{bad_escape,[92,{behind}]}}"),
    }
}
