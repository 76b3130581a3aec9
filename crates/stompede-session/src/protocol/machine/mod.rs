//! What outlives a connection: subscriptions, receipts, frames that wait; and the decisions about them.

mod commands;
mod receipts;
mod subscriptions;
mod transmit;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stompede_codec::{Command, Encoder, Frame};
use stompede_transport::{Outbound, TransportError};

use self::receipts::Receipts;
pub use self::receipts::{Outcome, ReceiptId};
use self::subscriptions::Subscriptions;
pub use self::subscriptions::{SubscribeRequest, SubscriptionId};
use self::transmit::Transmit;
use super::connection::{Connected, Connection, Due, Goodbye, Signal, State};
use super::{Event, Input, Output};
use crate::{Config, Error, ErrorKind};

/// The client side of STOMP without I/O; see the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    phase: Phase,
    /// Counts connections. An acknowledgement belongs to the one that delivered its message.
    epoch: u64,
    /// When the attempt to connect, all its steps together, has to have succeeded.
    attempt_until: Option<Instant>,
    /// The time of the last input: what is decided while outputs are drained happens then.
    now: Option<Instant>,
    /// How long nothing had arrived before what was received last.
    gap: Duration,
    outputs: VecDeque<Output>,
    transmit: Transmit,
    /// The receipt of the frame that was taken last.
    last_taken: Option<ReceiptId>,
    receipts: Receipts,
    subscriptions: Subscriptions,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each session, and it is never moved about")]
enum Phase {
    Idle,
    Dialing {
        until: Option<Instant>,
    },
    Connected(Connection),
    /// The transport has been asked to close in order. What still arrives is of no interest.
    Closing {
        until: Option<Instant>,
    },
    Closed(Option<Error>),
}

impl Machine {
    /// A session that has not begun.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if a setting makes no sense; see [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self {
            config,
            phase: Phase::Idle,
            epoch: 0,
            attempt_until: None,
            now: None,
            gap: Duration::ZERO,
            outputs: VecDeque::new(),
            transmit: Transmit::default(),
            last_taken: None,
            receipts: Receipts::default(),
            subscriptions: Subscriptions::default(),
        })
    }

    /// Begins the session: asks for a connection. Does nothing if it has begun before.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Idle) {
            self.now = Some(now);
            self.attempt_until = now.checked_add(self.config.total_connect_timeout);
            let step = now.checked_add(self.config.connect_timeout);
            let until = [step, self.attempt_until].into_iter().flatten().min();
            self.phase = Phase::Dialing { until };
            self.outputs.push_back(Output::Dial(self.config.endpoint.clone()));
        }
    }

    /// Takes in what happened outside. Drain [`poll_output`](Self::poll_output) before the next one.
    pub fn handle_input(&mut self, input: Input) {
        match input {
            Input::Opened { now } => self.on_opened(now),
            Input::DialFailed { now, error } => {
                self.now = Some(now);
                if matches!(self.phase, Phase::Dialing { .. }) {
                    let context = format!("cannot connect to {}", self.config.endpoint);
                    self.fail(Error::with_transport(ErrorKind::DialFailed, context, error));
                }
            }
            Input::Received { now, bytes } => self.on_received(now, bytes),
            Input::Flushed { now } => {
                self.now = Some(now);
                if let Phase::Connected(connection) = &mut self.phase {
                    connection.pulse.on_flushed(now);
                }
            }
            Input::Blocked { now } => {
                self.now = Some(now);
                if let Phase::Connected(connection) = &mut self.phase {
                    connection.pulse.on_blocked(now);
                }
            }
            Input::Closed { now, error } => self.on_closed(now, error),
            Input::Timer { now } => self.on_timer(now),
        }
    }

    /// The next thing to do or to know; drain it until it says [`Output::Wait`].
    ///
    /// Received bytes are decoded here, one frame a call: whoever wants to see to something else in between, may.
    pub fn poll_output(&mut self) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            let (Phase::Connected(connection), Some(now)) = (&mut self.phase, self.now) else { break };
            let Some(signal) = connection.next_signal(&self.config, now) else { break };
            self.on_signal(signal);
        }
        Output::Wait(self.next_deadline())
    }

    /// The next frame to write, if there is one.
    ///
    /// Taking it counts as writing it: take it only when the connection has room.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outbound> {
        let (item, receipt, frame) = self.transmit.pop()?;
        if let Some(frame) = frame {
            self.outputs.push_back(Output::Event(Event::Sent(frame)));
        }
        if let Phase::Connected(connection) = &mut self.phase {
            connection.pulse.on_taken(now);
            if !item.is_heart_beat() {
                connection.pulse.on_frame(now);
            }
        }
        self.last_taken = receipt;
        if let Some(receipt) = receipt {
            self.receipts.mark_written(receipt);
        }
        Some(item)
    }

    /// The connection refused the frame that was taken last, whole, and goes on: it was not sent after all.
    pub fn transmit_refused(&mut self, error: TransportError) {
        if let Some(receipt) = self.last_taken.take() {
            let text = "the connection cannot carry this frame";
            let error = Error::with_transport(ErrorKind::Unencodable, text, error);
            self.receipts.resolve(receipt, Outcome::NotSent(error));
            self.continue_goodbye();
        }
    }

    /// Bytes that wait in [`poll_transmit`](Self::poll_transmit).
    pub fn queued_bytes(&self) -> usize {
        self.transmit.bytes()
    }

    /// The number of the frame queued last; see [`transmitted`](Self::transmitted).
    pub fn queued(&self) -> u64 {
        self.transmit.queued()
    }

    /// All frames up to this number have been taken by [`poll_transmit`](Self::poll_transmit), or withdrawn.
    pub fn transmitted(&self) -> u64 {
        self.transmit.taken()
    }

    /// Tasks that wait for a receipt which has ended. Wake them once no lock is held.
    pub fn take_wakers(&mut self) -> Vec<Waker> {
        self.receipts.take_wakers()
    }

    /// What the broker said of itself, while the connection is open.
    pub fn connected(&self) -> Option<&Arc<Connected>> {
        match &self.phase {
            Phase::Connected(Connection { state: State::Open { peer, .. }, .. }) => Some(peer),
            _ => None,
        }
    }

    /// How the session ended, if it has: cleanly (`Some(None)`) or for a reason.
    pub fn closed(&self) -> Option<Option<&Error>> {
        match &self.phase {
            Phase::Closed(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }

    fn on_opened(&mut self, now: Instant) {
        self.now = Some(now);
        if !matches!(self.phase, Phase::Dialing { .. }) {
            // The attempt was given up in the meantime.
            self.outputs.push_back(Output::Abandon);
            return;
        }
        self.epoch += 1;
        let step = now.checked_add(self.config.handshake_timeout);
        let until = [step, self.attempt_until].into_iter().flatten().min();
        self.phase = Phase::Connected(Connection::new(&self.config, now, until));
        let connect = self.config.connect_frame();
        if let Err(error) = self.transmit.push(Encoder::new(self.config.highest_version()), &connect, None) {
            self.fail(error);
        }
    }

    fn on_received(&mut self, now: Instant, bytes: Bytes) {
        self.now = Some(now);
        let Phase::Connected(connection) = &mut self.phase else { return };
        let (gap, late) = connection.receive(now, bytes);
        self.gap = gap;
        if late {
            self.outputs.push_back(Output::Event(Event::HeartBeatLate { gap }));
        }
    }

    fn on_closed(&mut self, now: Instant, error: Option<TransportError>) {
        self.now = Some(now);
        match &self.phase {
            Phase::Idle | Phase::Closed(_) => {}
            Phase::Closing { .. } => self.end(None),
            Phase::Dialing { .. } | Phase::Connected(_) => {
                // What arrived before the close counts: drain it first, a RECEIPT or an ERROR may be the last word.
                while let Phase::Connected(connection) = &mut self.phase {
                    let Some(signal) = connection.next_signal(&self.config, now) else { break };
                    self.on_signal(signal);
                }
                self.on_cut(error);
            }
        }
    }

    /// The connection is gone and everything that arrived on it has been looked at.
    fn on_cut(&mut self, error: Option<TransportError>) {
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { goodbye: Goodbye::Said { .. }, .. }, ..
            }) if error.is_none() => {
                // RabbitMQ over WebSocket never sends the RECEIPT of a DISCONNECT: its orderly close has to count.
                self.end(None);
            }
            Phase::Closing { .. } => self.end(None),
            Phase::Connected(Connection { state: State::Handshaking { .. }, .. }) => {
                self.fail(lost(
                    "the connection ended before CONNECTED; is this port STOMP, and of this kind?",
                    error,
                ));
            }
            Phase::Dialing { .. } | Phase::Connected(_) => self.fail(lost("the connection was lost", error)),
            Phase::Idle | Phase::Closed(_) => {}
        }
    }

    fn on_timer(&mut self, now: Instant) {
        self.now = Some(now);
        while let Some((id, written)) = self.receipts.pop_expired(now) {
            self.on_receipt_expired(id, written);
        }
        self.judge_step(now);
        self.judge_pulse(now);
    }

    /// Ends what has taken longer than its step may.
    fn judge_step(&mut self, now: Instant) {
        if self.step_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let (config, endpoint) = (&self.config, &self.config.endpoint);
        let error = match &self.phase {
            Phase::Dialing { .. } => {
                let within = config.connect_timeout.min(config.total_connect_timeout);
                let text = format!("no connection to {endpoint} within {within:?}");
                Error::new(ErrorKind::ConnectTimedOut, text)
            }
            Phase::Connected(Connection { state: State::Handshaking { .. }, .. }) => {
                let text = format!("{endpoint} sent no CONNECTED in time; is it STOMP?");
                Error::new(ErrorKind::HandshakeTimedOut, text)
            }
            Phase::Connected(_) => Error::new(
                ErrorKind::DisconnectTimedOut,
                format!("the broker did not end the connection within {:?}", config.disconnect_timeout),
            ),
            Phase::Closing { .. } => {
                self.outputs.push_back(Output::Abandon);
                return self.end(None);
            }
            Phase::Idle | Phase::Closed(_) => return,
        };
        self.fail(error);
    }

    /// Beats when it is time to, and ends a connection that shows no life.
    fn judge_pulse(&mut self, now: Instant) {
        while let Phase::Connected(connection) = &mut self.phase {
            let Some(due) = connection.pulse.due(now) else { return };
            let error = match due {
                Due::Beat => {
                    self.transmit.push_heart_beat();
                    self.outputs.push_back(Output::Event(Event::HeartBeatSent));
                    continue;
                }
                Due::Silent(silent_for) => {
                    self.outputs.push_back(Output::Event(Event::HeartBeatTimeout { silent_for }));
                    let text = format!("the broker was silent for {silent_for:.1?}, longer than it promised");
                    Error::new(ErrorKind::HeartBeatMissed, text)
                }
                Due::Stuck(within) => {
                    let text = format!("the connection took nothing for {within:?}; the peer counts as dead");
                    Error::new(ErrorKind::WriteStuck, text)
                }
                Due::Idle(idle_for) => {
                    let text = format!("no frame went either way for {idle_for:.1?}");
                    Error::new(ErrorKind::IdleTimedOut, text)
                }
            };
            self.fail(error);
        }
    }

    fn on_receipt_expired(&mut self, id: ReceiptId, written: bool) {
        let error = Error::new(ErrorKind::ReceiptTimedOut, "no RECEIPT came in time");
        let outcome = if written {
            Outcome::Unknown(error)
        } else {
            self.transmit.withdraw(id);
            Outcome::NotSent(error)
        };
        self.receipts.resolve(id, outcome);
        self.continue_goodbye();
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Connected(peer) => {
                self.outputs.push_back(Output::Event(Event::Connected(peer)));
                self.continue_goodbye();
            }
            Signal::HeartBeat => self.outputs.push_back(Output::Event(Event::HeartBeat { gap: self.gap })),
            Signal::Message(frame) => self.on_message(frame),
            Signal::Receipt(frame) => self.on_receipt(&frame),
            Signal::Error(frame) => self.on_error(frame.detach()),
            Signal::Failed(error) => {
                if let Some(frame) = error.frame() {
                    self.outputs.push_back(Output::Event(Event::Error(frame.clone())));
                }
                self.fail(error);
            }
        }
    }

    fn on_message(&mut self, frame: Frame) {
        let Phase::Connected(connection) = &self.phase else { return };
        let Some(version) = connection.version() else { return };
        let event = match self.subscriptions.route(version, &frame) {
            Some(subscription) => Event::Message { subscription, frame },
            None => Event::Unrouted(frame),
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn on_receipt(&mut self, frame: &Frame) {
        let Some(id) = frame.header("receipt-id") else {
            return self
                .fail(Error::new(ErrorKind::Protocol, "the broker sent a RECEIPT without receipt-id"));
        };
        self.outputs.push_back(Output::Event(Event::Receipt((*id).into())));
        if let Some(id) = ReceiptId::parse(&id) {
            self.receipts.resolve(id, Outcome::Confirmed);
        }
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { goodbye: Goodbye::Said { receipt, .. }, .. },
                ..
            }) if **receipt == *id => {
                let until = self.now.and_then(|now| now.checked_add(CLOSE_GRACE));
                self.phase = Phase::Closing { until };
                self.outputs.push_back(Output::Close);
            }
            _ => self.continue_goodbye(),
        }
    }

    /// An ERROR ends the connection, whatever the broker does with its socket, and no receipt counts after it.
    fn on_error(&mut self, frame: Frame) {
        self.outputs.push_back(Output::Event(Event::Error(frame.clone())));
        let culprit = frame.header("receipt-id").and_then(|id| ReceiptId::parse(&id));
        let error = Error::from_frame(ErrorKind::BrokerError, "the broker sent ERROR", frame);
        if let Some(id) = culprit {
            self.receipts.resolve(id, Outcome::Rejected(error.clone()));
        }
        self.fail(error);
    }

    /// Says DISCONNECT once no receipt is awaited any more.
    fn continue_goodbye(&mut self) {
        let Phase::Connected(Connection { state: State::Open { peer, goodbye }, .. }) = &mut self.phase
        else {
            return;
        };
        let Goodbye::Waiting { until } = goodbye else { return };
        if self.receipts.awaited() > 0 {
            return;
        }
        let receipt: Box<str> = format!("bye-{}", self.epoch).into();
        let frame = Frame::new(Command::Disconnect).with_header("receipt", &receipt);
        *goodbye = Goodbye::Said { receipt, until: *until };
        let encoder = Encoder::new(peer.version());
        if let Err(error) = self.transmit.push(encoder, &frame, None) {
            self.fail(error);
        }
    }

    /// The connection, or the attempt at one, is over for this reason.
    fn fail(&mut self, error: Error) {
        self.outputs.push_back(Output::Abandon);
        self.end(Some(error));
    }

    fn end(&mut self, cause: Option<Error>) {
        let for_waiters = cause.clone().unwrap_or_else(Error::closed);
        self.receipts.resolve_all(&for_waiters);
        self.transmit.clear();
        self.outputs.push_back(Output::Event(Event::Closed(cause.clone())));
        self.phase = Phase::Closed(cause);
    }

    fn step_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Dialing { until } | Phase::Closing { until } => *until,
            Phase::Connected(connection) => connection.state_deadline(),
            Phase::Idle | Phase::Closed(_) => None,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let pulse = match &self.phase {
            Phase::Connected(connection) => connection.pulse.deadline(),
            _ => None,
        };
        [self.step_deadline(), pulse, self.receipts.next_deadline()].into_iter().flatten().min()
    }
}

fn lost(context: &str, error: Option<TransportError>) -> Error {
    match error {
        Some(error) => Error::with_transport(ErrorKind::ConnectionLost, context, error),
        None => Error::new(ErrorKind::ConnectionLost, format!("{context}: the broker closed it")),
    }
}

/// How long an orderly end waits for the peer's own close.
///
/// By then the broker has confirmed DISCONNECT; the rest is courtesy, and courtesy needs no more than a round trip.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
