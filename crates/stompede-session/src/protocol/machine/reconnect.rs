//! Whether, when and where to connect again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stompede_transport::{Endpoint, TransportError, TransportErrorKind};

use super::backoff::Hosts;
use super::planted::planted;
use super::{Machine, Phase};
use crate::protocol::connection::{Connected, Connection, Goodbye, State};
use crate::protocol::{Attempt, Event, Output};
use crate::{BrokerProfile, Error, ErrorKind, HostOrder};

impl Machine {
    /// What the attempt under way says of itself; before the first one, what it would say.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Changes what the attempt under way says of itself: host, credentials, headers. It has to be said before
    /// [`Input::Opened`](crate::protocol::Input::Opened).
    pub fn set_attempt(&mut self, attempt: Attempt) {
        let Attempt { number, last_error, .. } = &self.attempt;
        self.attempt = Attempt { number: *number, last_error: last_error.clone(), ..attempt };
    }

    /// The attempt under way fails for this reason, as if nothing had answered. Does nothing once the connection is open.
    pub fn fail_attempt(&mut self, cause: Error) {
        if matches!(self.phase, Phase::Dialing { .. }) {
            self.fail(cause);
        }
    }

    /// Whom to dial for the attempt under way: one host, or with [`HostOrder::Raced`] all that it has still to try. Ask for
    /// it when [`Output::Dial`] has come.
    ///
    /// Who dials several says who has [won](Self::win_race) before it reports
    /// [`Input::Opened`](crate::protocol::Input::Opened), and who is [out](Self::leave_race), except for the last one, for
    /// whom it reports [`Input::DialFailed`](crate::protocol::Input::DialFailed). Who does not ask dials one after the other.
    pub fn race(&mut self) -> Race {
        if self.config.host_order != HostOrder::Raced || !matches!(self.phase, Phase::Dialing { .. }) {
            return Race { runners: vec![self.attempt.clone()], head_start: Duration::ZERO };
        }
        let Attempt { endpoint, number, last_error, .. } = self.attempt.clone();
        let runners: Vec<_> = self
            .hosts
            .race(endpoint)
            .map(|host| self.config.attempt(host.clone(), number, last_error.clone()))
            .collect();
        // With many hosts less, so that each has half of the time at least.
        let most =
            u32::try_from(2 * runners.len()).ok().and_then(|n| self.config.connect_timeout.checked_div(n));
        Race { runners, head_start: HEAD_START.min(most.unwrap_or_default()) }
    }

    /// The connection to this host is the one that is open; with what its attempt says now.
    pub fn win_race(&mut self, host: &Endpoint, attempt: Attempt) {
        self.hosts.win(host);
        self.set_attempt(attempt);
    }

    /// This host could not be dialled, and others are still in the race. May end the session, if no host could do better.
    pub fn leave_race(&mut self, host: &Endpoint, attempt: Attempt, error: TransportError) {
        self.set_attempt(attempt);
        let error = self.dial_error(error);
        self.note_leaving(host, error);
    }

    /// The same where somebody who was asked does not let this one begin.
    pub fn withdraw_from_race(&mut self, host: &Endpoint, cause: Error) {
        self.note_leaving(host, cause);
    }

    fn note_leaving(&mut self, host: &Endpoint, error: Error) {
        if !matches!(self.phase, Phase::Dialing { .. }) {
            return;
        }
        if self.is_fatal(&error) {
            return self.give_up(error);
        }
        self.hosts.lose(host);
        self.note_failure(&error);
        self.last_error = Some(error);
    }

    pub(super) fn dial_error(&self, error: TransportError) -> Error {
        let context = format!("cannot connect to {}", self.attempt.endpoint);
        Error::with_transport(ErrorKind::DialFailed, context, error)
    }

    /// Gives the open connection up, without a word to the broker: it is lost, as if it had been cut. Between two attempts,
    /// the next one begins now. Does nothing while an attempt is under way, and once DISCONNECT has been asked for.
    pub fn reconnect(&mut self, now: Instant) {
        self.now = Some(now);
        match &self.phase {
            Phase::Connected(Connection { state: State::Open { goodbye: Goodbye::Unsaid, .. }, .. }) => {
                let text = "this side gave the connection up to make another";
                self.fail(Error::new(ErrorKind::ConnectionLost, text));
            }
            Phase::Waiting { .. } => self.begin_attempt(),
            Phase::Idle
            | Phase::Dialing { .. }
            | Phase::Connected(_)
            | Phase::Closing { .. }
            | Phase::Closed(_) => {}
        }
    }

    /// Ends the session for this reason: somebody who was asked does not want to go on.
    pub fn give_up(&mut self, cause: Error) {
        if !matches!(self.phase, Phase::Closed(_)) {
            self.outputs.push_back(Output::Abandon);
            self.end(Some(cause));
        }
    }

    /// CONNECTED has come.
    pub(super) fn on_connected(&mut self, peer: Arc<Connected>) {
        let version = peer.version();
        self.profile = self.config.profile.unwrap_or_else(|| BrokerProfile::detect(peer.server().as_deref()));
        self.hosts = Hosts::default();
        self.ever_connected = true;
        (self.distrusted, self.unusable) = (false, false);
        self.connected_at = self.now;
        self.outputs.push_back(Output::Event(Event::Connected(peer)));
        self.restore(version);
    }

    /// There is no connection, and there may be one later.
    pub fn is_offline(&self) -> bool {
        match &self.phase {
            Phase::Idle
            | Phase::Waiting { .. }
            | Phase::Dialing { .. }
            | Phase::Connected(Connection { state: State::Handshaking { .. }, .. }) => true,
            Phase::Connected(_) | Phase::Closing { .. } | Phase::Closed(_) => false,
        }
    }

    /// Begins an attempt: goes once through the hosts.
    pub(super) fn begin_attempt(&mut self) {
        let config = &self.config;
        let random = &mut self.backoff.random;
        self.hosts.begin(config.hosts(), config.host_order, config.prefer_localhost, random);
        (self.no_host_trusted, self.no_host_usable) = (true, true);
        if let Some(endpoint) = self.hosts.next() {
            self.dial(endpoint);
        }
    }

    fn dial(&mut self, endpoint: Endpoint) {
        let Some(now) = self.now else { return };
        self.attempt_until = now.checked_add(self.config.total_connect_timeout);
        let step = now.checked_add(self.config.connect_timeout);
        let until = [step, self.attempt_until].into_iter().flatten().min();
        let last_error = self.last_error.clone();
        self.attempt = self.config.attempt(endpoint.clone(), self.backoff.attempt(), last_error);
        self.phase = Phase::Dialing { until };
        self.outputs.push_back(Output::Dial(endpoint));
    }

    /// The connection, or the attempt at one, is over for this reason. There may be another.
    pub(super) fn fail(&mut self, error: Error) {
        self.outputs.push_back(Output::Abandon);
        let state = match &self.phase {
            Phase::Connected(Connection { state, .. }) => Some(state),
            _ => None,
        };
        let parting =
            matches!(state, Some(State::Open { goodbye, .. }) if !matches!(goodbye, Goodbye::Unsaid));
        let was_open = matches!(state, Some(State::Open { .. }));
        if was_open {
            self.judge_stability();
        }
        if parting || self.is_fatal(&error) {
            return self.end(Some(error));
        }
        let next_host = self.hosts.next();
        self.note_failure(&error);
        if next_host.is_none() && self.is_attempt_final() {
            return self.end(Some(error));
        }
        let may_wait = self.ever_connected || self.config.reconnect.retry_initial_connect;
        let delay = match &next_host {
            None if may_wait => self.backoff.next_delay(&self.config.reconnect),
            _ => None,
        };
        if next_host.is_none() && delay.is_none() {
            return self.end(Some(error));
        }
        if was_open {
            self.lose_connection(&error);
        } else if !planted!(self, ConnectOutlivesConnection) {
            // CONNECT may not have been written; the next connection has its own. Nothing else can be there yet.
            self.transmit.clear();
        }
        self.last_error = Some(error.clone());
        match (next_host, delay) {
            (Some(endpoint), _) => self.dial(endpoint),
            (None, delay) => {
                let next_in = delay.unwrap_or_default();
                let until = self.now.and_then(|now| now.checked_add(next_in));
                let attempt = self.backoff.attempt();
                self.phase = Phase::Waiting { until };
                self.outputs.push_back(Output::Event(Event::Reconnecting { cause: error, attempt, next_in }));
            }
        }
    }

    /// A connection that lasted proves that things are well.
    fn judge_stability(&mut self) {
        let lasted = match (self.connected_at, self.now) {
            (Some(at), Some(now)) => now.saturating_duration_since(at),
            _ => return,
        };
        if lasted >= self.config.reconnect.stable || planted!(self, ResetBackoffTooEarly) {
            self.backoff.reset();
            self.poisoned = false;
        }
    }

    fn is_fatal(&mut self, error: &Error) -> bool {
        let refused_login = !self.config.reconnect.retry_refused_login && !planted!(self, RefusedLoginLoops);
        match error.kind() {
            ErrorKind::LoginRefused => refused_login && !self.profile.is_refused_for_now(error),
            // A message that breaks a limit is delivered again as soon as we are back, and would be for ever.
            ErrorKind::Protocol => std::mem::replace(&mut self.poisoned, true),
            ErrorKind::DialFailed => match error.transport().map(TransportError::kind) {
                // The same in HTTP.
                Some(TransportErrorKind::Unauthorized | TransportErrorKind::Forbidden) => refused_login,
                _ => false,
            },
            ErrorKind::ConnectTimedOut
            // CONNECT cannot say what is set for this host; for another one it may be something else.
            | ErrorKind::Unencodable
            | ErrorKind::NotPrepared
            | ErrorKind::HandshakeTimedOut
            | ErrorKind::BrokerError
            | ErrorKind::ConnectionLost
            | ErrorKind::HeartBeatMissed
            | ErrorKind::WriteStuck
            | ErrorKind::IdleTimedOut => false,
            ErrorKind::InvalidArgument
            | ErrorKind::VersionMismatch
            | ErrorKind::DisconnectTimedOut
            | ErrorKind::WriteTimedOut
            | ErrorKind::ReceiptTimedOut
            | ErrorKind::OutboxFull
            | ErrorKind::OutboxFailed
            | ErrorKind::DrainTimedOut
            | ErrorKind::Stalled
            | ErrorKind::Overflowed
            | ErrorKind::TransactionEnded
            | ErrorKind::HeldBack
            | ErrorKind::StaleAck
            | ErrorKind::AlreadySettled
            | ErrorKind::Closed => true,
        }
    }

    /// Whether no further attempt can do better than this one, in which every host has failed.
    fn is_attempt_final(&mut self) -> bool {
        let distrusted = self.no_host_trusted && self.is_distrust_final();
        let useless = self.no_host_usable && self.is_uselessness_final();
        distrusted || useless
    }

    /// Whether an attempt in which certificates were refused at every host was the last one. The first connection shows
    /// how things are set up; later a certificate may be about to be replaced, so once may be chance.
    fn is_distrust_final(&mut self) -> bool {
        std::mem::replace(&mut self.distrusted, true) || !self.ever_connected
    }

    /// Whether an attempt in which no host had settings that can work was the last one. No time makes them right, but
    /// whoever is asked before each attempt may; twice in a row is enough to see that it does not.
    fn is_uselessness_final(&mut self) -> bool {
        std::mem::replace(&mut self.unusable, true) || self.config.before_connect.is_none()
    }

    fn note_failure(&mut self, error: &Error) {
        self.no_host_trusted &= is_about_certificates(error);
        self.no_host_usable &= is_about_settings(error);
    }

    /// What was on its way on this connection has an outcome now, or waits for the next one.
    fn lose_connection(&mut self, cause: &Error) {
        self.mark_suspects(cause);
        let unwritten =
            if planted!(self, OldFramesOnNewConnection) { Vec::new() } else { self.transmit.clear() };
        if !planted!(self, ForgetToReplay) {
            self.backlog.rewind(cause.kind() == ErrorKind::BrokerError || self.restore.is_careful());
        }
        for (frame, receipt) in unwritten {
            // What does not fit has not been sent; its receipt is ended with the others below.
            if self.backlog.admit(&frame).is_ok() {
                self.backlog.push(frame, receipt, false, self.now);
            }
        }
        self.stage.clear();
        self.cancelled = false;
        self.transactions.clear(cause);
        self.subscriptions.lose_connection();
        if !planted!(self, StallOutlivesConnection) {
            self.read_on();
        }
        let (backlog, subscriptions) = (&self.backlog, &self.subscriptions);
        self.receipts.resolve_all(cause, |id| backlog.holds(id) || subscriptions.awaits(id));
        if !planted!(self, NoDisconnectedEvent) {
            self.outputs.push_back(Output::Event(Event::Disconnected(cause.clone())));
        }
    }
}

/// Whom to dial beside each other; see [`Machine::race`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Race {
    /// The first one first.
    pub runners: Vec<Attempt>,
    /// How long each may take before the next one begins as well. Once it has failed, the next one begins at once.
    pub head_start: Duration,
}

/// As long as RFC 8305 recommends for the addresses of one host: more than most dials take, less than anybody notices.
const HEAD_START: Duration = Duration::from_millis(250);

/// What was set for this host cannot work, whatever the host does.
fn is_about_settings(error: &Error) -> bool {
    let kind = error.transport().map(TransportError::kind);
    error.kind() == ErrorKind::Unencodable
        || error.kind() == ErrorKind::DialFailed
            && matches!(
                kind,
                Some(
                    TransportErrorKind::InvalidSetting
                        | TransportErrorKind::InvalidEndpoint
                        | TransportErrorKind::UnsupportedScheme
                )
            )
}

/// The peer's certificate was refused here, or ours there. Whatever the kind of the error: under TLS 1.3 the latter shows
/// only after the dial, at the first read.
fn is_about_certificates(error: &Error) -> bool {
    matches!(
        error.transport().map(TransportError::kind),
        Some(
            TransportErrorKind::Certificate { .. }
                | TransportErrorKind::ClientCertificateRequired
                | TransportErrorKind::ClientCertificateRefused
        )
    )
}
