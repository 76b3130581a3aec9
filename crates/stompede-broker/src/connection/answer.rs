//! What a client says, and what it is answered.

use stompede_codec::{Command, Frame, Item, Version};
use tokio::time::Instant;

use super::{Connection, State};
use crate::handshake::{Unwelcome, Welcome, welcome};
use crate::heartbeat::HeartBeats;
use crate::place::Greeted;
use crate::refusal::Refusal;
use crate::requests::Requests;

impl Connection {
    /// The next frame or heart-beat of what has arrived.
    pub(super) fn next_item(&mut self) -> Option<Item> {
        if self.place.entry.outbox.load().1 {
            return None;
        }
        match self.decoder.next() {
            Ok(item) => item,
            Err(error) => {
                self.refuse(&Refusal::bad_frame(&error), None);
                None
            }
        }
    }

    pub(super) fn answer(&mut self, item: Item, now: Instant) {
        let Item::Frame(frame) = item else { return };
        self.frames += 1;
        if self.faults.faults.error_at == Some(self.frames) {
            let receipt = frame.header("receipt");
            return self.refuse(&Refusal::new("asked for", "this ERROR was asked for"), receipt.as_deref());
        }
        let requests = match &mut self.state {
            State::Greeting { .. } => return self.connect(&frame, now),
            State::Open { requests, .. } => requests,
            State::Ended => return,
        };
        let receipt = frame.header("receipt").map(String::from);
        let leaves = frame.command() == Command::Disconnect;
        if let Err(refusal) = requests.handle(frame) {
            return self.refuse(&refusal, receipt.as_deref());
        }
        let version = self.version();
        if leaves {
            // Before its RECEIPT: a client that reconnects at once finds its messages.
            self.state = State::Ended;
        }
        if let Some(receipt) = receipt.filter(|_| !self.faults.faults.lose_receipts) {
            self.push(version, &Frame::new(Command::Receipt).with_header("receipt-id", receipt));
        }
        if leaves {
            self.place.entry.outbox.end();
        }
    }

    fn connect(&mut self, frame: &Frame, now: Instant) {
        if !matches!(frame.command(), Command::Connect | Command::Stomp) {
            let text = format!("{} came before CONNECT", frame.command());
            return self.refuse(&Refusal::new("not connected", text), None);
        }
        match welcome(frame, self.shared(), self.place.entry.id) {
            Ok(Welcome { version, connected, beats, login, host, router }) => {
                self.decoder.set_version(version);
                self.place.greet(Greeted { version, login, host, beats });
                let requests = Requests::new(self.shared().clone(), router, version, &self.place.entry);
                self.state = State::Open { requests, beats: HeartBeats::new(beats, now) };
                self.push(version, &connected);
            }
            Err(Unwelcome { refusal, lists_versions }) => {
                let mut error = refusal.frame(None);
                if lists_versions {
                    error.headers_mut().push("version", "1.0,1.1,1.2");
                }
                self.shared().hub.refused(self.place.entry.id, &refusal);
                self.push(Version::V1_2, &error);
                self.place.entry.outbox.end();
            }
        }
    }

    /// Sends an ERROR and ends.
    pub(super) fn refuse(&mut self, refusal: &Refusal, receipt: Option<&str>) {
        self.shared().hub.refused(self.place.entry.id, refusal);
        self.push(self.version(), &refusal.frame(receipt));
        self.place.entry.outbox.end();
    }

    fn version(&self) -> Version {
        match &self.state {
            State::Open { requests, .. } => requests.version(),
            State::Greeting { .. } | State::Ended => Version::V1_2,
        }
    }

    fn push(&self, version: Version, frame: &Frame) {
        let outbox = &self.place.entry.outbox;
        if let Err(error) = outbox.push(version, frame) {
            // A receipt id of a newer version's making, say. Without its answer the client must not wait for ever.
            tracing::debug!(%error, "an answer cannot be written");
            outbox.end();
        }
    }
}
