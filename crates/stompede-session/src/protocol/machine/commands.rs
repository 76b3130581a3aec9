//! What users ask for.

use std::task::{Context, Poll};
use std::time::Instant;

use stompede_codec::{Encoder, Frame, Version};

use super::{End, Machine, Outcome, Phase, ReceiptId, SubscribeRequest, SubscriptionId};
use crate::protocol::connection::{Connection, Goodbye, State};
use crate::protocol::{Event, Output};
use crate::{AckMode, Error, ErrorKind};

impl Machine {
    /// Queues a SEND or any other frame as it is.
    ///
    /// # Errors
    /// The frame cannot be written in this version, or no connection is open. Then nothing was queued.
    pub fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        let version = self.open_version()?;
        self.transmit.push(Encoder::new(version), frame, None)
    }

    /// Queues a frame and asks for a RECEIPT, awaited until `deadline` (`None`: as long as the connection lives).
    ///
    /// A `receipt` header of the caller's is replaced.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with_receipt(
        &mut self,
        frame: &mut Frame,
        deadline: Option<Instant>,
    ) -> Result<ReceiptId, Error> {
        let version = self.open_version()?;
        let id = self.receipts.open(deadline);
        let text = id.text();
        frame.headers_mut().insert("receipt", text.as_str());
        match self.transmit.push(Encoder::new(version), frame, Some(id)) {
            Ok(()) => Ok(id),
            Err(error) => {
                frame.headers_mut().remove("receipt");
                self.receipts.forget(id);
                Err(error)
            }
        }
    }

    /// Takes the outcome of a receipt, or has the task woken when there is one; `None` for one taken before.
    pub fn poll_receipt(&mut self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.receipts.poll(id, cx)
    }

    /// Nobody awaits this receipt any more. The frame is sent all the same.
    pub fn forget_receipt(&mut self, id: ReceiptId) {
        self.receipts.forget(id);
        self.continue_goodbye();
    }

    /// Queues a SUBSCRIBE.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty destination, an id in use, or an ack mode that the version does
    /// not know; else as [`send`](Self::send). Then there is no subscription.
    pub fn subscribe(&mut self, request: SubscribeRequest) -> Result<SubscriptionId, Error> {
        let (id, frame) = self.new_subscription(request)?;
        let sent = frame.map_or(Ok(()), |frame| self.send(&frame));
        self.keep_if_sent(id, sent).map(|()| id)
    }

    /// Queues a SUBSCRIBE and asks for a RECEIPT, awaited until `deadline`. Without a SUBSCRIBE there is no receipt.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with_receipt(
        &mut self,
        request: SubscribeRequest,
        deadline: Option<Instant>,
    ) -> Result<(SubscriptionId, Option<ReceiptId>), Error> {
        let (id, frame) = self.new_subscription(request)?;
        let sent = frame.map(|mut frame| self.send_with_receipt(&mut frame, deadline)).transpose();
        self.keep_if_sent(id, sent).map(|receipt| (id, receipt))
    }

    /// Queues an UNSUBSCRIBE. Does nothing for a subscription that is gone already.
    ///
    /// # Errors
    /// No connection is open. The subscription is gone all the same.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> Result<(), Error> {
        if self.subscriptions.get(id).is_none() {
            return Ok(());
        }
        let acks = self.push_pending_acks();
        let Some(entry) = self.subscriptions.remove(id) else { return Ok(()) };
        self.transactions.forget_subscription(id);
        self.wakers.extend(entry.inbox.end(End::Clean));
        let version = self.open_version()?;
        acks?;
        entry.unsubscribe_frame().map_or(Ok(()), |frame| self.push_frame(version, &frame, None))
    }

    /// Ends all subscriptions, for their consumers to finish what they have; new ones are refused from here on.
    ///
    /// In ack mode auto UNSUBSCRIBE goes out and asks for a RECEIPT, awaited until `deadline`; until it comes, messages are
    /// handed over as before: the broker has forgotten them. [`unsubscribe`](Self::unsubscribe) such a subscription then.
    /// In the ack modes nothing more is handed over, and UNSUBSCRIBE has to wait for the ACKs of what was: RabbitMQ
    /// answers an ACK after it with ERROR. What arrives meanwhile stays unsettled, and is delivered again.
    pub fn begin_drain(&mut self, deadline: Option<Instant>) -> Vec<(SubscriptionId, ReceiptId)> {
        self.draining = true;
        let all: Vec<_> =
            self.subscriptions.iter().map(|entry| (entry.id, entry.unsubscribe_frame())).collect();
        let mut awaited = Vec::new();
        for (id, frame) in all {
            let auto = self.ack_mode(id) == Some(AckMode::Auto);
            if let Some(mut frame) = frame.filter(|_| auto)
                && let Ok(receipt) = self.send_with_receipt(&mut frame, deadline)
            {
                if let Some(entry) = self.subscriptions.get_mut(id) {
                    entry.announce = false;
                }
                awaited.push((id, receipt));
            } else if let Some(entry) = self.subscriptions.get(id) {
                self.wakers.extend(entry.inbox.end(End::Clean));
            }
        }
        awaited
    }

    /// The connection that messages come from now; a later one has a higher number.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How messages of a subscription are acknowledged; `None` once it is gone.
    pub fn ack_mode(&self, id: SubscriptionId) -> Option<AckMode> {
        self.subscriptions.get(id).map(|entry| entry.ack)
    }

    /// Whether each frame that is written is told of as [`Event::Sent`]. Off unless set: it costs a copy of its head.
    pub fn tell_sends(&mut self, tell: bool) {
        self.transmit.keep_frames = tell;
    }

    /// Ends the session in order: waits for receipts, says DISCONNECT, waits for its RECEIPT, closes.
    ///
    /// Legal at any time and more than once. Where there is no open connection the session ends at once.
    pub fn disconnect(&mut self, now: Instant) {
        self.now = Some(now);
        match &mut self.phase {
            Phase::Connected(Connection { state: State::Open { goodbye, .. }, .. }) => {
                if let Goodbye::Unsaid = goodbye {
                    *goodbye = Goodbye::Waiting { until: now.checked_add(self.config.disconnect_timeout) };
                    self.outputs.push_back(Output::Event(Event::Disconnecting));
                    self.continue_goodbye();
                }
            }
            Phase::Idle | Phase::Dialing { .. } | Phase::Connected(_) => self.abort(),
            Phase::Closing { .. } | Phase::Closed(_) => {}
        }
    }

    /// Ends the session now, without a word to the broker.
    pub fn abort(&mut self) {
        if !matches!(self.phase, Phase::Closed(_)) {
            self.outputs.push_back(Output::Abandon);
            self.end(None);
        }
    }

    fn new_subscription(
        &mut self,
        request: SubscribeRequest,
    ) -> Result<(SubscriptionId, Option<Frame>), Error> {
        if self.open_version()? == Version::V1_0 && request.ack == AckMode::ClientIndividual {
            return Err(Error::invalid("STOMP 1.0 has no ack mode client-individual; use client"));
        }
        if self.draining {
            return Err(Error::new(ErrorKind::Closed, "the session is being drained by this side"));
        }
        let server = self.connected().and_then(|peer| peer.server());
        self.subscriptions.add(&request, server.as_deref(), &self.flow)
    }

    /// A subscription whose SUBSCRIBE could not be queued does not exist.
    fn keep_if_sent<T>(&mut self, id: SubscriptionId, sent: Result<T, Error>) -> Result<T, Error> {
        if sent.is_err() {
            self.subscriptions.remove(id);
        }
        sent
    }

    /// The version for what may still be said while receipts are awaited before DISCONNECT.
    pub(super) fn version_before_goodbye(&self) -> Option<Version> {
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { peer, goodbye: Goodbye::Unsaid | Goodbye::Waiting { .. } },
                ..
            }) => Some(peer.version()),
            _ => None,
        }
    }

    pub(super) fn open_version(&self) -> Result<Version, Error> {
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { peer, goodbye: Goodbye::Unsaid }, ..
            }) => Ok(peer.version()),
            Phase::Idle
            | Phase::Dialing { .. }
            | Phase::Connected(Connection { state: State::Handshaking { .. }, .. }) => {
                Err(Error::new(ErrorKind::ConnectionLost, "no connection is open yet"))
            }
            Phase::Closed(Some(cause)) => Err(cause.clone()),
            Phase::Connected(_) | Phase::Closing { .. } | Phase::Closed(None) => Err(Error::closed()),
        }
    }
}
