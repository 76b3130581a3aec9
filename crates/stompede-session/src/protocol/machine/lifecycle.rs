//! How a connection begins, how long its steps may take, and how it ends.

use std::time::Instant;

use stompede_codec::{Command, Encoder, Frame};
use stompede_transport::{TransportError, TransportErrorKind};

use super::incoming::stalled;
use super::planted::planted;
use super::restore::Restore;
use super::{End, Machine, Outcome, Phase, ReceiptId};
use crate::protocol::connection::{Connection, Due, Goodbye, State};
use crate::protocol::{Event, Output};
use crate::{Error, ErrorKind};

impl Machine {
    pub(super) fn on_opened(&mut self, now: Instant) {
        self.now = Some(now);
        if !matches!(self.phase, Phase::Dialing { .. }) {
            // The attempt was given up in the meantime.
            self.outputs.push_back(Output::Abandon);
            return;
        }
        self.epoch += 1;
        let step = now.checked_add(self.config.handshake_timeout);
        let until = [step, self.attempt_until].into_iter().flatten().min();
        self.phase = Phase::Connected(Connection::new(
            &self.config,
            &self.attempt.endpoint,
            &self.profile,
            now,
            until,
        ));
        let encoder = Encoder::new(self.config.highest_version());
        let connect = self.config.connect_frame(&self.attempt);
        if let Err(error) = connect.and_then(|connect| self.transmit.push_first(encoder, &connect)) {
            self.fail(error);
        }
    }

    pub(super) fn on_closed(&mut self, now: Instant, error: Option<TransportError>) {
        self.now = Some(now);
        match &self.phase {
            Phase::Idle | Phase::Waiting { .. } | Phase::Closed(_) => {}
            Phase::Closing { .. } => self.end(None),
            Phase::Dialing { .. } | Phase::Connected(_) => {
                // What arrived before the close counts: drain it first, a RECEIPT or an ERROR may be the last word.
                while self.decode() {}
                self.on_cut(error);
            }
        }
    }

    /// The connection is gone and everything that arrived on it has been looked at.
    fn on_cut(&mut self, error: Option<TransportError>) {
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { goodbye: Goodbye::Said { .. }, .. }, ..
            }) if is_orderly(error.as_ref()) => {
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
            Phase::Idle | Phase::Waiting { .. } | Phase::Closed(_) => {}
        }
    }

    pub(super) fn on_timer(&mut self, now: Instant) {
        self.now = Some(now);
        if planted!(self, ForgetTimer) && self.epoch > 0 {
            return;
        }
        while let Some((id, written)) = self.receipts.pop_expired(now) {
            self.on_receipt_expired(id, written);
        }
        while let Some(expired) = self.backlog.pop_expired(now) {
            // Mostly its own deadline came first, if somebody waits.
            match expired.receipt.and_then(|id| Some((id, self.receipts.is_written(id)?))) {
                Some((id, written)) => self.on_receipt_expired(id, written),
                None => {
                    let text = "a message had waited too long for its RECEIPT and was given up";
                    tracing::warn!(id = %expired.id, "{text}");
                    expired.receipt.into_iter().for_each(|receipt| self.transmit.withdraw(receipt));
                    self.continue_goodbye();
                }
            }
        }
        self.judge_flow(now);
        self.judge_restore(now);
        self.judge_step(now);
        self.judge_pulse(now);
    }

    /// Ends what has taken longer than its step may.
    fn judge_step(&mut self, now: Instant) {
        if self.step_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let (config, endpoint) = (&self.config, &self.attempt.endpoint);
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
            Phase::Waiting { .. } => return self.begin_attempt(),
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
        let error = match &self.stall {
            Some(_) => stalled(),
            None if self.backlog.ledger.awaits(id) => {
                Error::new(ErrorKind::OutboxFailed, "the outbox did not take the message in time")
            }
            None => Error::new(ErrorKind::ReceiptTimedOut, "no RECEIPT came in time"),
        };
        self.give_up_receipt(id, written, error);
        self.continue_goodbye();
    }

    /// Ends the wait for a receipt: its frame is taken back if it can be.
    pub(super) fn give_up_receipt(&mut self, id: ReceiptId, written: bool, error: Error) {
        // An acknowledgement stays in the queue: later ones rely on those before them.
        let stays = self.transmit.has_ack(id) && !planted!(self, TakeAckBack);
        let outcome = if written || stays {
            Outcome::Unknown(error)
        } else {
            self.transmit.withdraw(id);
            self.subscriptions.take_back(id);
            if !planted!(self, ForgetUncommitted) {
                self.abort_unwritten(id);
            }
            Outcome::NotSent(error)
        };
        self.backlog.remove(id);
        self.cancel_unstored(id);
        self.subscriptions.end_receipt(id);
        self.receipts.resolve(id, outcome);
    }

    /// Whether an orderly end of the open connection has been asked for.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_parting(&self) -> bool {
        self.connected().is_some() && self.open_version().is_err()
    }

    /// Says DISCONNECT once no receipt is awaited any more.
    pub(super) fn continue_goodbye(&mut self) {
        let waiting = matches!(
            &self.phase,
            Phase::Connected(Connection { state: State::Open { goodbye: Goodbye::Waiting { .. }, .. }, .. })
        );
        if !waiting || self.receipts.awaited() > 0 || self.backlog.len() > 0 || !self.is_outbox_settled() {
            return;
        }
        if let Err(error) = self.push_pending_acks() {
            return self.fail(error);
        }
        self.stop_restoring();
        let Phase::Connected(Connection { state: State::Open { peer, goodbye }, .. }) = &mut self.phase
        else {
            return;
        };
        let Goodbye::Waiting { until } = goodbye else { return };
        let mut frame = Frame::new(Command::Disconnect);
        frame.headers_mut().extend(&self.farewell);
        if !frame.headers().contains("receipt") {
            frame.headers_mut().push("receipt", format!("bye-{}", self.epoch));
        }
        let receipt = frame.header("receipt").unwrap_or_default().into();
        *goodbye = Goodbye::Said { receipt, until: *until };
        let encoder = Encoder::new(peer.version());
        if let Err(error) = self.transmit.push(encoder, &frame, None) {
            self.fail(error);
        }
    }

    pub(super) fn end(&mut self, cause: Option<Error>) {
        let for_waiters = cause.clone().unwrap_or_else(Error::closed);
        for receipt in self.backlog.stored_receipts() {
            // The next session sends it, so nobody can promise that it was not sent.
            self.receipts.mark_written(receipt);
        }
        self.receipts.resolve_all(&for_waiters, |_| false);
        self.transmit.clear();
        self.backlog.clear();
        self.restore = Restore::default();
        self.transactions.clear(&for_waiters);
        self.stage.clear();
        self.read_on();
        let end = cause.clone().map_or(End::Clean, End::Failed);
        for entry in self.subscriptions.drain() {
            self.wakers.extend(entry.inbox.end(end.clone()));
        }
        self.outputs.push_back(Output::Event(Event::Closed(cause.clone())));
        self.phase = Phase::Closed(cause);
    }

    fn step_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { until } | Phase::Dialing { until } | Phase::Closing { until } => *until,
            Phase::Connected(connection) => connection.state_deadline(),
            Phase::Idle | Phase::Closed(_) => None,
        }
    }

    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let pulse = match &mut self.phase {
            Phase::Connected(connection) => {
                if self.transmit.bytes() == 0 {
                    connection.pulse.on_nothing_waits();
                }
                connection.pulse.deadline()
            }
            _ => None,
        };
        let stall = self.stall.and_then(|stall| stall.judge_at);
        let hold = self.hold_until.filter(|_| self.flow.is_held());
        let restore = self.restore_deadline();
        let (receipt, message) = (self.receipts.next_deadline(), self.backlog.next_deadline());
        let outbox = self.outbox_deadline();
        let all = [self.step_deadline(), pulse, stall, hold, restore, receipt, message, outbox];
        all.into_iter().flatten().min()
    }
}

/// Whether the peer closed in order: without a word, or with one that says so.
fn is_orderly(error: Option<&TransportError>) -> bool {
    error.is_none_or(|error| matches!(error.kind(), TransportErrorKind::Closed { code: 1000 | 1001 }))
}

fn lost(context: &str, error: Option<TransportError>) -> Error {
    match error {
        Some(error) => Error::with_transport(ErrorKind::ConnectionLost, context, error),
        None => Error::new(ErrorKind::ConnectionLost, format!("{context}: the broker closed it")),
    }
}
