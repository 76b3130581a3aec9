//! What users ask for.

use std::task::{Context, Poll};
use std::time::Instant;

use stompede_codec::{Command, Encoder, Frame, Version};

use super::{Machine, Outcome, Phase, ReceiptId, SubscribeRequest, SubscriptionId};
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
        frame.headers_mut().insert("receipt", id.to_string());
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
        let Some(frame) = self.subscriptions.remove(id) else { return Ok(()) };
        let version = self.open_version()?;
        self.transmit.push(Encoder::new(version), &frame, None)
    }

    /// The connection that messages come from now; a later one has a higher number.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How messages of a subscription are acknowledged; `None` once it is gone.
    pub fn ack_mode(&self, id: SubscriptionId) -> Option<AckMode> {
        self.subscriptions.ack_mode(id)
    }

    /// Queues ACK or NACK for `message`, which came on the connection `epoch`.
    ///
    /// # Errors
    /// [`ErrorKind::StaleAck`] if that connection is gone, [`ErrorKind::Protocol`] if the message lacks what
    /// an acknowledgement needs, [`ErrorKind::Unencodable`] for NACK in STOMP 1.0.
    pub fn settle(&mut self, epoch: u64, message: &Frame, accept: bool) -> Result<(), Error> {
        if epoch != self.epoch || !matches!(self.phase, Phase::Connected(_)) {
            return Err(Error::new(
                ErrorKind::StaleAck,
                "the connection that delivered this message is gone; the broker will deliver it again",
            ));
        }
        let version = self.settling_version()?;
        let mut frame = Frame::new(if accept { Command::Ack } else { Command::Nack });
        // STOMP 1.2, section ACK: `id` repeats the `ack` header; 1.1 names message and subscription; 1.0 the message.
        let (names, rename): (&[&str], _) = match version {
            Version::V1_2 => (&["ack"], Some("id")),
            Version::V1_1 => (&["message-id", "subscription"], None),
            Version::V1_0 => (&["message-id"], None),
        };
        for name in names {
            let Some(value) = message.header(name) else {
                let text = format!("the broker sent no {name} header, so there is nothing to acknowledge");
                return Err(Error::new(ErrorKind::Protocol, text));
            };
            frame.headers_mut().push(rename.unwrap_or(name), value);
        }
        self.transmit.push(Encoder::new(version), &frame, None)
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
        self.subscriptions.add(request)
    }

    /// A subscription whose SUBSCRIBE could not be queued does not exist.
    fn keep_if_sent<T>(&mut self, id: SubscriptionId, sent: Result<T, Error>) -> Result<T, Error> {
        if sent.is_err() {
            self.subscriptions.remove(id);
        }
        sent
    }

    /// The version for an acknowledgement: legal for as long as DISCONNECT has not been said.
    fn settling_version(&self) -> Result<Version, Error> {
        match &self.phase {
            Phase::Connected(Connection {
                state: State::Open { peer, goodbye: Goodbye::Waiting { .. } },
                ..
            }) => Ok(peer.version()),
            _ => self.open_version(),
        }
    }

    fn open_version(&self) -> Result<Version, Error> {
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
