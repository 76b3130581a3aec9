//! Faults on command.

mod control;
mod room;
mod wire;

use std::time::Duration;

pub use self::control::Queues;
pub(crate) use self::room::{FaultRoom, InForce};
pub(crate) use self::wire::Wire;

/// What a broker does wrong, on purpose, on one connection or on all.
///
/// It is data: nothing happens before [`Broker::inject`](crate::Broker::inject) puts it in force. Faults may be
/// combined. Frames are counted from when they come into force; heart-beats are none.
///
/// ```
/// use stompede_broker::{Faults, TestBroker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let broker = TestBroker::start().await;
/// // The next client is cut off 10 bytes into the third frame that it gets. The one after it is served well.
/// broker.inject_next(Faults::new().hang_up_within(2, 10));
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "nothing happens before it is injected"]
pub struct Faults {
    pub(crate) refuse: bool,
    pub(crate) hang_up: Option<HangUp>,
    pub(crate) stall_reading: bool,
    pub(crate) stall_writing: bool,
    pub(crate) mute_heart_beats: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) lose_receipts: bool,
    pub(crate) error_at: Option<u64>,
    pub(crate) chunk: Option<usize>,
    pub(crate) join: Option<usize>,
    pub(crate) any_as_text: bool,
}

/// Where the broker stops in the middle of what it has to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct HangUp {
    pub(crate) frames: u64,
    /// How much of the next frame still goes out.
    pub(crate) bytes: usize,
}

impl Faults {
    /// No fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Closes a connection as soon as it is accepted, without a word. One that is open already stays.
    pub fn refuse(mut self) -> Self {
        self.refuse = true;
        self
    }

    /// Cuts the connection off, without a goodbye, once this many frames have been written to it.
    pub fn hang_up_after(self, frames: u64) -> Self {
        self.hang_up_within(frames, 0)
    }

    /// Cuts the connection off in the middle of a frame: `frames` are written whole, and of the next one `bytes`.
    pub fn hang_up_within(mut self, frames: u64, bytes: usize) -> Self {
        self.hang_up = Some(HangUp { frames, bytes });
        self
    }

    /// Reads nothing from the client, and lets it wait.
    pub fn stall_reading(mut self) -> Self {
        self.stall_reading = true;
        self
    }

    /// Writes nothing to the client, neither frames nor heart-beats, and lets them wait.
    pub fn stall_writing(mut self) -> Self {
        self.stall_writing = true;
        self
    }

    /// Sends no heart-beats, whatever was promised. Frames still go out.
    pub fn mute_heart_beats(mut self) -> Self {
        self.mute_heart_beats = true;
        self
    }

    /// Writes each frame and heart-beat this much later, in the old order. At most 1,024 wait so.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Does what the client asks for, and sends no RECEIPT for it.
    pub fn lose_receipts(mut self) -> Self {
        self.lose_receipts = true;
        self
    }

    /// Answers the client's frame of this number with an ERROR instead of doing what it asks; 1 is the first.
    pub fn error_at(mut self, frame: u64) -> Self {
        self.error_at = Some(frame);
        self
    }

    /// Writes what it has to say in pieces of this many bytes, each flushed, and over WebSocket each in a message of
    /// its own; 0 counts as 1. A piece that is not UTF-8 goes as binary, unless [`any_as_text`](Self::any_as_text).
    pub fn chunk(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes.max(1));
        self
    }

    /// Puts up to this many frames that wait at the same time into one piece, which is one message over WebSocket.
    pub fn join(mut self, frames: usize) -> Self {
        self.join = Some(frames.max(1));
        self
    }

    /// Sends all WebSocket messages as text, also what is not UTF-8, as RabbitMQ does.
    ///
    /// It must be in force when the client connects. No effect elsewhere than on WebSocket.
    pub fn any_as_text(mut self) -> Self {
        self.any_as_text = true;
        self
    }

    /// Whether bytes go another way than straight through.
    pub(crate) fn touch_the_wire(&self) -> bool {
        let plain = Self {
            refuse: self.refuse,
            lose_receipts: self.lose_receipts,
            error_at: self.error_at,
            any_as_text: self.any_as_text,
            ..Self::default()
        };
        *self != plain
    }
}
