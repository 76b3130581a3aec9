//! A message as it is kept, and as each subscriber gets it.

use bytes::Bytes;
use stompede_codec::{Command, Frame, Headers, Version};

use super::destination::Destination;
use super::queue::Queued;
use super::subscriber::{Ack, Subscriber};
use crate::broker::Shared;
use crate::clock::unix_millis;
use crate::refusal::Refusal;
use crate::storage::Share;

/// A message that was sent.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Counts messages; queues keep this order, and `message-id` is made of it.
    pub(super) number: u64,
    pub(super) destination: Destination,
    /// The sender's headers that go on to subscribers.
    headers: Headers,
    body: Bytes,
    /// Subscribers get a `content-length` because the sender gave one.
    counted: bool,
    /// What it takes of the broker's memory.
    _share: Share,
}

impl Stored {
    /// What a SEND frame brings, if there is room for it. Whoever reads `reply_to` must be able to send there.
    pub(crate) fn new(
        destination: Destination,
        send: Frame,
        reply_to: Option<&Destination>,
        shared: &Shared,
    ) -> Result<Self, Refusal> {
        let habits = &shared.settings.personality;
        // Detached: a message may wait long and must not keep a read buffer alive; a large body keeps its own.
        let send = if send.body().len() > SHARE_FROM { send } else { send.detach() };
        let (_, headers, body) = send.into_parts();
        let counted = habits.frames.length_as_sent && headers.contains("content-length");
        let ours = if habits.messages.carry_everything { &OURS[..ALWAYS_OURS] } else { &OURS };
        let mut bytes = body.len();
        let others = headers.iter().filter(|(name, _)| !ours.contains(&&**name));
        let mut headers: Headers =
            others.inspect(|(name, value)| bytes += name.len() + value.len()).collect();
        if let Some(reply_to) = reply_to {
            headers.insert("reply-to", reply_to.text());
        }
        if habits.messages.add_properties {
            for (name, value) in
                [("expires", "0"), ("priority", "4"), ("timestamp", &unix_millis().to_string())]
            {
                if !headers.contains(name) {
                    headers.push(name, value);
                }
            }
        }
        let share = Share::take(&shared.hub, bytes, shared.settings.limits.max_stored_bytes)?;
        Ok(Self { number: 0, destination, headers, body, counted, _share: share })
    }

    /// Bytes of the body.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }
}

impl Queued {
    /// The MESSAGE frame for one subscriber, whose headers can be written in this form.
    pub(super) fn frame(&self, version: Version, form: Version, subscriber: &Subscriber, key: u64) -> Frame {
        let mut frame = self.first_headers();
        if let Some(id) = subscriber.name.id() {
            frame = frame.with_header("subscription", id);
        }
        if version == Version::V1_2 && subscriber.ack != Ack::Auto {
            frame = frame.with_header("ack", key.to_string());
        }
        self.complete(frame, |name, value| carries(form, name, value))
    }

    /// The MESSAGE frame without what depends on its subscriber.
    pub(super) fn plain_frame(&self) -> Frame {
        self.complete(self.first_headers(), |_, _| true)
    }

    fn first_headers(&self) -> Frame {
        Frame::new(Command::Message)
            .with_header("destination", self.message.destination.text())
            .with_header("message-id", self.message.number.to_string())
    }

    fn complete(&self, mut frame: Frame, carries: impl Fn(&str, &str) -> bool) -> Frame {
        if self.redelivered {
            frame = frame.with_header("redelivered", "true");
        }
        for (name, value) in &self.message.headers {
            if carries(&name, &value) {
                frame.headers_mut().push(name, value);
            }
        }
        if self.message.counted {
            frame = frame.with_header("content-length", self.message.len().to_string());
        }
        frame.with_body(self.message.body.clone())
    }
}

/// Whether a header can be written in a version. A subscriber with an old one gets the message without the header.
fn carries(version: Version, name: &str, value: &str) -> bool {
    let has = |c| name.contains(c) || value.contains(c);
    match version {
        Version::V1_0 => !has('\n') && !has('\r') && !name.contains(':'),
        Version::V1_1 => !has('\r'),
        Version::V1_2 => true,
    }
}

/// Headers of a SEND that are about the SEND itself, and those that a broker sets on MESSAGE.
const OURS: [&str; 8] = [
    "destination",
    "content-length",
    "message-id",
    "receipt",
    "transaction",
    "subscription",
    "ack",
    "redelivered",
];

/// How many of them no broker passes on.
const ALWAYS_OURS: usize = 3;

/// Bodies of more bytes than this stay in the buffer they came in, which is mostly theirs.
const SHARE_FROM: usize = 8 * 1024;
