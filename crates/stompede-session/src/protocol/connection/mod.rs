//! One physical connection: it dies with its socket.

mod handshake;
mod state;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use stompede_codec::{Command, Decoder, Frame, Item, Version};

pub use self::handshake::Connected;
pub(super) use self::state::{Goodbye, State};
use crate::{Config, Error, ErrorKind};

/// The reading side of a connection and where it stands.
#[derive(Debug)]
pub(super) struct Connection {
    decoder: Decoder,
    pub(super) state: State,
}

/// What the next piece of input amounts to.
#[derive(Debug)]
pub(super) enum Signal {
    Connected(Arc<Connected>),
    Message(Frame),
    Receipt(Frame),
    Error(Frame),
    HeartBeat,
    /// The connection cannot go on.
    Failed(Error),
}

impl Connection {
    pub(super) fn new(config: &Config, until: Option<Instant>) -> Self {
        Self { decoder: Decoder::new(config.limits), state: State::Handshaking { until } }
    }

    pub(super) fn receive(&mut self, bytes: Bytes) {
        self.decoder.push(bytes);
    }

    /// The next thing that what was received amounts to, or `None` until more is received.
    pub(super) fn next_signal(&mut self, config: &Config) -> Option<Signal> {
        let frame = match self.decoder.next() {
            Ok(None) => return None,
            Ok(Some(Item::HeartBeat)) => return Some(Signal::HeartBeat),
            Ok(Some(Item::Frame(frame))) => frame,
            Err(error) => return Some(Signal::Failed(Error::undecodable(error))),
        };
        Some(match &self.state {
            State::Handshaking { .. } => self.shake_hands(config, frame),
            State::Open { .. } => match frame.command() {
                Command::Message => Signal::Message(frame),
                Command::Receipt => Signal::Receipt(frame),
                Command::Error => Signal::Error(frame),
                other => Signal::Failed(Error::new(
                    ErrorKind::Protocol,
                    format!("the broker sent {other}, which has no place in an open connection"),
                )),
            },
        })
    }

    fn shake_hands(&mut self, config: &Config, frame: Frame) -> Signal {
        match handshake::judge(config, frame) {
            Ok(connected) => {
                let connected = Arc::new(connected);
                self.decoder.set_version(connected.version());
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

    /// When this connection wants to be looked at, whatever arrives.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Handshaking { until } => *until,
            State::Open { goodbye: Goodbye::Unsaid, .. } => None,
            State::Open { goodbye: Goodbye::Waiting { until } | Goodbye::Said { until, .. }, .. } => *until,
        }
    }
}
