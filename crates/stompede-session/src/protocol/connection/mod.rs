//! One physical connection: it dies with its socket.

mod handshake;
mod heartbeat;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stompede_codec::{Command, Decoder, Frame, Item, Version};
use stompede_transport::Endpoint;

pub use self::handshake::Connected;
pub(super) use self::heartbeat::{Due, Pulse};
pub(super) use self::state::{Goodbye, State};
use crate::{BrokerProfile, Config, Error, ErrorKind};

/// The reading side of a connection and where it stands.
#[derive(Debug)]
pub(super) struct Connection {
    host: Box<str>,
    decoder: Decoder,
    pub(super) state: State,
    pub(super) pulse: Pulse,
    /// Nothing has been decoded yet of what was received last.
    untouched: bool,
    /// Something has been received since the decoder last wanted more.
    fresh: bool,
}

/// What the next piece of input amounts to.
#[derive(Debug)]
pub(super) enum Signal {
    Connected(Arc<Connected>),
    /// A MESSAGE, and its bytes on the wire.
    Message(Frame, usize),
    Receipt(Frame),
    Error(Frame),
    HeartBeat,
    /// The connection cannot go on.
    Failed(Error),
}

impl Connection {
    pub(super) fn new(
        config: &Config,
        endpoint: &Endpoint,
        profile: &BrokerProfile,
        now: Instant,
        until: Option<Instant>,
    ) -> Self {
        Self {
            host: endpoint.authority().into(),
            decoder: Decoder::new(config.limits).with_strictness(profile.strictness),
            state: State::Handshaking { until },
            pulse: Pulse::new(config, now),
            untouched: false,
            fresh: false,
        }
    }

    /// Takes bytes in. Gives how long there had been none, and whether that was longer than the peer promised.
    pub(super) fn receive(&mut self, now: Instant, bytes: Bytes) -> (Duration, bool) {
        (self.untouched, self.fresh) = (true, true);
        self.decoder.push(bytes);
        self.pulse.on_received(now)
    }

    /// Whether all that was received has been looked at.
    pub(super) fn is_drained(&self) -> bool {
        !self.fresh
    }

    /// The next thing that what was received amounts to, or `None` until more is received.
    pub(super) fn next_signal(&mut self, config: &Config, now: Instant) -> Option<Signal> {
        loop {
            let before = self.decoder.buffered();
            let untouched = std::mem::take(&mut self.untouched);
            let frame = match self.decoder.next() {
                Ok(None) => {
                    if std::mem::take(&mut self.fresh) && self.decoder.is_mid_frame() {
                        self.pulse.on_frame(now);
                    }
                    return None;
                }
                Ok(Some(Item::HeartBeat)) if untouched => return Some(Signal::HeartBeat),
                // Padding behind a frame, which RabbitMQ and ActiveMQ send behind each one.
                Ok(Some(Item::HeartBeat)) => continue,
                // First, as nearly all are such: no frame is moved more often than it has to be.
                Ok(Some(Item::Frame(frame)))
                    if frame.command() == Command::Message && matches!(self.state, State::Open { .. }) =>
                {
                    self.pulse.on_frame(now);
                    return Some(Signal::Message(frame, before.saturating_sub(self.decoder.buffered())));
                }
                Ok(Some(Item::Frame(frame))) => frame,
                Err(error) => return Some(Signal::Failed(Error::undecodable(error))),
            };
            self.pulse.on_frame(now);
            return Some(match (&self.state, frame.command()) {
                (State::Handshaking { .. }, _) => self.shake_hands(config, now, frame),
                (State::Open { .. }, Command::Receipt) => Signal::Receipt(frame),
                (State::Open { .. }, Command::Error) => Signal::Error(frame),
                (State::Open { .. }, other) => Signal::Failed(Error::new(
                    ErrorKind::Protocol,
                    format!("the broker sent {other}, which has no place in an open connection"),
                )),
            });
        }
    }

    fn shake_hands(&mut self, config: &Config, now: Instant, frame: Frame) -> Signal {
        match handshake::judge(config, &self.host, frame) {
            Ok(connected) => {
                let connected = Arc::new(connected);
                self.decoder.set_version(connected.version());
                let detected = BrokerProfile::detect(connected.server().as_deref());
                let decoder = std::mem::replace(&mut self.decoder, Decoder::new(config.limits));
                self.decoder = decoder.with_strictness(config.profile.unwrap_or(detected).strictness);
                self.pulse.start(config, connected.heart_beat(), now);
                self.state = State::Open { peer: connected.clone(), goodbye: Goodbye::Unsaid };
                Signal::Connected(connected)
            }
            Err(error) => Signal::Failed(error),
        }
    }

    /// The negotiated version, once there is one.
    pub(super) fn version(&self) -> Option<Version> {
        match &self.state {
            State::Handshaking { .. } => None,
            State::Open { peer, .. } => Some(peer.version()),
        }
    }

    /// When the step that the connection is at has to be over.
    pub(super) fn state_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking { until } => *until,
            State::Open { goodbye: Goodbye::Unsaid, .. } => None,
            State::Open { goodbye: Goodbye::Waiting { until } | Goodbye::Said { until, .. }, .. } => *until,
        }
    }
}
