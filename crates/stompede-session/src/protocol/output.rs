use std::time::Instant;

use stompede_transport::Endpoint;

use super::Event;

/// What has to be done outside.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a driver's whole vocabulary: one that ignores a word is broken")]
pub enum Output {
    /// Open a connection there, then report [`Input::Opened`](super::Input::Opened) or
    /// [`Input::DialFailed`](super::Input::DialFailed).
    Dial(Endpoint),
    /// Write what is left, close in order, and report [`Input::Closed`](super::Input::Closed).
    Close,
    /// Give the connection, or the attempt to open one, up now. Nothing needs to be reported.
    Abandon,
    /// Something that users want to know.
    Event(Event),
    /// Nothing more for now. Come back with [`Input::Timer`](super::Input::Timer) at this time, if there is one.
    Wait(Option<Instant>),
}
