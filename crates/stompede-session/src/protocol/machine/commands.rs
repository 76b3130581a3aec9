//! What users ask for.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use stompede_codec::{Command, ContentLength, Encoder, Frame, Version};

use super::planted::planted;
use super::receipts::Until;
use super::{End, Machine, Outcome, Phase, ReceiptId, SubscribeRequest, SubscriptionId};
use crate::protocol::connection::{Connection, Goodbye, State};
use crate::protocol::{Event, Output};
use crate::{AckMode, Error, ErrorKind, Guarantee};

impl Machine {
    /// Queues a SEND or any other frame as it is.
    ///
    /// A SEND outside of transactions is treated as the [`SendPolicy`](crate::SendPolicy) says.
    ///
    /// # Errors
    /// The frame cannot be written in this version, there is no connection and it may not wait for one, or there is
    /// no room for it to wait. Then nothing was queued.
    pub fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        match self.way_of(frame)? {
            Way::Connection(version) => self.push(version, frame, None),
            Way::Backlog { replayed: false } => self.keep(frame.clone(), None, false),
            Way::Backlog { replayed: true } => {
                self.require_receipts()?;
                // It is the RECEIPT that takes it out again, whether somebody waits for it or not.
                let mut frame = frame.clone();
                let id = self.keep_with_receipt(&mut frame, Until::Forever, true)?;
                self.receipts.forget(id);
                Ok(())
            }
        }
    }

    /// Queues a frame and asks for a RECEIPT, awaited until `deadline` (`None`: as long as the connection lives).
    ///
    /// A `receipt` header of the caller's is replaced. Otherwise as [`send`](Self::send); while a message waits in the
    /// outbox its time there is a deadline as well.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`ErrorKind::InvalidArgument`] where the broker is known to send no receipts.
    pub fn send_with_receipt(
        &mut self,
        frame: &mut Frame,
        deadline: Option<Instant>,
    ) -> Result<ReceiptId, Error> {
        self.send_and_await(frame, deadline.into())
    }

    /// The same, with a wait of this length that begins with the next [`Input`](crate::protocol::Input): whoever sends need
    /// not look at the clock. Report [`Input::Taken`](crate::protocol::Input::Taken) soon.
    ///
    /// # Errors
    /// As [`send_with_receipt`](Self::send_with_receipt).
    pub fn send_with_receipt_within(
        &mut self,
        frame: &mut Frame,
        within: Duration,
    ) -> Result<ReceiptId, Error> {
        self.send_and_await(frame, Until::Within(within))
    }

    fn send_and_await(&mut self, frame: &mut Frame, until: Until) -> Result<ReceiptId, Error> {
        self.require_receipts()?;
        match self.way_of(frame)? {
            Way::Connection(version) if self.goes_as_it_is(frame) => {
                let id = self.receipts.open(until);
                let encoder = self.encoder(version, frame);
                let queued = self.transmit.push_with_receipt(encoder, frame, id);
                queued.map(|()| id).inspect_err(|_| self.receipts.forget(id))
            }
            Way::Connection(version) => {
                self.with_receipt(frame, until, |machine, frame, id| machine.push(version, frame, Some(id)))
            }
            Way::Backlog { replayed } => self.keep_with_receipt(frame, until, replayed),
        }
    }

    /// Whether nobody looks at the frame later, so that it need not say itself which RECEIPT it asks for.
    fn goes_as_it_is(&self, frame: &Frame) -> bool {
        self.config.sending.is_plain() && !self.transmit.keep_frames && !frame.headers().contains("receipt")
    }

    fn require_receipts(&self) -> Result<(), Error> {
        if self.profile.receipts {
            return Ok(());
        }
        let text = format!("{} sends no receipts, so nothing can be confirmed", self.profile.name);
        Err(Error::invalid(text))
    }

    fn with_receipt(
        &mut self,
        frame: &mut Frame,
        until: Until,
        queue: impl FnOnce(&mut Self, &Frame, ReceiptId) -> Result<(), Error>,
    ) -> Result<ReceiptId, Error> {
        let id = self.receipts.open(until);
        frame.headers_mut().insert("receipt", id.text().as_str());
        match queue(self, frame, id) {
            Ok(()) => Ok(id),
            Err(error) => {
                frame.headers_mut().remove("receipt");
                self.receipts.forget(id);
                Err(error)
            }
        }
    }

    #[inline]
    fn push(&mut self, version: Version, frame: &Frame, receipt: Option<ReceiptId>) -> Result<(), Error> {
        self.transmit.push(self.encoder(version, frame), frame, receipt)?;
        if self.config.sending.queues_offline() && is_message(frame) {
            self.transmit.keep_last(frame.clone());
        }
        Ok(())
    }

    #[inline]
    pub(super) fn encoder(&self, version: Version, frame: &Frame) -> Encoder {
        let encoder = Encoder::new(version);
        let unasked = !self.config.auto_content_length && !frame.headers().contains("content-length");
        if unasked || self.profile.omits_length(frame) {
            encoder.content_length(ContentLength::Omit)
        } else {
            encoder
        }
    }

    /// Which way a frame goes from here.
    #[inline]
    fn way_of(&self, frame: &Frame) -> Result<Way, Error> {
        let open = self.open_version();
        let policy = &self.config.sending;
        if policy.is_plain() || !is_message(frame) {
            return open.map(Way::Connection);
        }
        // What waited longer goes first, also while things are being brought back one at a time.
        let too_early = self.is_offline() || (open.is_ok() && !self.restore.lets_sends_through());
        let may_wait = policy.queues_offline() && too_early;
        match policy.guarantee {
            Guarantee::AtLeastOnce if open.is_ok() || may_wait => Ok(Way::Backlog { replayed: true }),
            Guarantee::AtMostOnce if may_wait => Ok(Way::Backlog { replayed: false }),
            Guarantee::AtLeastOnce | Guarantee::AtMostOnce => open.map(Way::Connection),
        }
    }

    fn keep_with_receipt(
        &mut self,
        frame: &mut Frame,
        until: Until,
        replayed: bool,
    ) -> Result<ReceiptId, Error> {
        let until = self.backlog.until(until, self.now);
        self.with_receipt(frame, until, |machine, frame, id| machine.keep(frame.clone(), Some(id), replayed))
    }

    fn keep(&mut self, frame: Frame, receipt: Option<ReceiptId>, replayed: bool) -> Result<(), Error> {
        if !planted!(self, OutboxWithoutBounds) {
            self.backlog.admit(&frame)?;
        }
        let version = self.open_version();
        if let Ok(version) = version
            && replayed
            && self.restore.lets_sends_through()
            && self.backlog.has_sent_all()
        {
            // The same as below, with one encoding and one copy less.
            let marked = self.marked(&frame, self.backlog.next_id());
            let told = marked.as_ref().unwrap_or(&frame);
            self.transmit.push(self.encoder(version, told), told, receipt)?;
            self.backlog.push_sent(frame, receipt, self.now);
            return Ok(());
        }
        // A frame that cannot be written is refused now, and not when nobody listens any more.
        let probe = version.as_ref().copied().unwrap_or(self.config.highest_version());
        self.transmit.check(self.encoder(probe, &frame), &frame)?;
        self.backlog.push(frame, receipt, replayed, self.now);
        if version.is_ok() {
            self.send_backlog();
        }
        Ok(())
    }

    /// Takes the outcome of a receipt, or has the task woken when there is one; `None` for one taken before.
    pub fn poll_receipt(&mut self, id: ReceiptId, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        self.receipts.poll(id, cx)
    }

    /// Nobody awaits this receipt any more. The frame is sent all the same, unless it has yet to be appended to an outbox.
    pub fn forget_receipt(&mut self, id: ReceiptId) {
        self.receipts.forget(id);
        self.subscriptions.end_receipt(id);
        self.cancel_unstored(id);
        self.continue_goodbye();
    }

    /// Queues a SUBSCRIBE; without a connection, for when there is one. It is made again on each new connection.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for an empty destination, an id in use, or what version or broker do not know;
    /// [`ErrorKind::Unencodable`] for headers that cannot be written; else the session is over. Then there is no
    /// subscription.
    pub fn subscribe(&mut self, request: SubscribeRequest) -> Result<SubscriptionId, Error> {
        let id = self.new_subscription(request)?;
        self.announce(id).map(|_| id)
    }

    /// The same, and asks for a RECEIPT, awaited until `deadline`. Without a SUBSCRIBE there is no receipt.
    ///
    /// The wait outlives a connection: it ends with the first RECEIPT.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with_receipt(
        &mut self,
        request: SubscribeRequest,
        deadline: Option<Instant>,
    ) -> Result<(SubscriptionId, Option<ReceiptId>), Error> {
        let id = self.new_subscription(request)?;
        if !self.profile.receipts || !self.is_announced(id) {
            return self.announce(id).map(|()| (id, None));
        }
        let receipt = self.receipts.open(deadline.into());
        self.subscriptions.await_receipt(id, receipt);
        let announced = self.announce(id);
        if announced.is_err() {
            self.receipts.forget(receipt);
        }
        announced.map(|()| (id, Some(receipt)))
    }

    /// Queues an UNSUBSCRIBE; without a connection there is nobody to tell. Does nothing for a subscription that is
    /// gone already.
    ///
    /// # Errors
    /// The session is about to end. The subscription is gone all the same.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> Result<(), Error> {
        if self.subscriptions.get(id).is_none() || (planted!(self, KeepUnsubscribed) && self.is_offline()) {
            return Ok(());
        }
        let acks =
            if planted!(self, UnsubscribeForgetsJoinedAck) { Ok(()) } else { self.push_pending_acks() };
        let Some(entry) = self.subscriptions.remove(id) else { return Ok(()) };
        self.transactions.forget_subscription(id);
        self.wakers.extend(entry.inbox.end(End::Clean));
        match (entry.unsubscribe_frame(), entry.receipt) {
            (Some(frame), _) => {
                let version = self.open_version()?;
                acks?;
                self.push_frame(version, &frame, None)
            }
            (None, Some(receipt)) => {
                self.receipts.resolve(receipt, Outcome::NotSent(Error::closed()));
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Ends all subscriptions, for their consumers to finish what they have; new ones are refused from here on.
    ///
    /// In ack mode auto UNSUBSCRIBE goes out and asks for a RECEIPT, awaited until `deadline`; until it comes, messages are
    /// handed over as before: the broker has forgotten them. [`unsubscribe`](Self::unsubscribe) such a subscription then.
    /// In the ack modes nothing more is handed over, and UNSUBSCRIBE has to wait for the ACKs of what was: RabbitMQ
    /// answers an ACK after it with ERROR. What arrives meanwhile stays unsettled, and is delivered again.
    ///
    /// A second time there is nothing to do: no subscription has been made since.
    pub fn begin_drain(&mut self, deadline: Option<Instant>) -> Vec<(SubscriptionId, ReceiptId)> {
        if std::mem::replace(&mut self.draining, true) {
            return Vec::new();
        }
        let all: Vec<_> =
            self.subscriptions.iter().map(|entry| (entry.id, entry.unsubscribe_frame())).collect();
        let mut awaited = Vec::new();
        for (id, frame) in all {
            let auto = self.ack_mode(id) == Some(AckMode::Auto);
            if let Some(mut frame) = frame.filter(|_| auto)
                && let Ok(receipt) = self.send_with_receipt(&mut frame, deadline)
            {
                if let Some(entry) = self.subscriptions.get_mut(id) {
                    entry.request.announce = false;
                    entry.leaving = Some(receipt);
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
        self.subscriptions.get(id).map(|entry| entry.request.ack)
    }

    /// Whether each frame that is written is told of as [`Event::Sent`]. Off unless set: it costs a copy of its head.
    pub fn tell_sends(&mut self, tell: bool) {
        self.transmit.keep_frames = tell;
    }

    /// Whether messages and receipts are told of one by one, as [`Event::Delivered`] and [`Event::Receipt`]. On unless set:
    /// where nobody listens it takes time for nothing. The [history](Self::history) counts them all the same.
    pub fn tell_traffic(&mut self, tell: bool) {
        self.tells_traffic = tell;
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
            Phase::Idle | Phase::Waiting { .. } | Phase::Dialing { .. } | Phase::Connected(_) => self.abort(),
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

    fn new_subscription(&mut self, request: SubscribeRequest) -> Result<SubscriptionId, Error> {
        match self.open_version() {
            Ok(_) => {}
            Err(_) if self.is_offline() => {}
            Err(error) => return Err(error),
        }
        if self.draining {
            return Err(Error::new(ErrorKind::Closed, "the session is being drained by this side"));
        }
        self.subscriptions.add(request, &self.profile, &self.flow)
    }

    /// Tells the broker of a new subscription, if there is one to tell. What cannot be told does not exist.
    fn announce(&mut self, id: SubscriptionId) -> Result<(), Error> {
        let Ok(version) = self.open_version() else { return Ok(()) };
        let receipt = self.subscriptions.get(id).and_then(|entry| entry.receipt);
        let told = self.subscriptions.frame(id, version, &self.profile).and_then(|frame| {
            let Some(mut frame) = frame else { return Ok(()) };
            if let Some(receipt) = receipt {
                frame.headers_mut().insert("receipt", receipt.text().as_str());
            }
            self.transmit.push(Encoder::new(version), &frame, receipt)
        });
        if told.is_err() {
            self.subscriptions.remove(id);
        }
        told
    }

    fn is_announced(&self, id: SubscriptionId) -> bool {
        self.subscriptions.get(id).is_some_and(|entry| entry.request.announce)
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
            | Phase::Waiting { .. }
            | Phase::Dialing { .. }
            | Phase::Connected(Connection { state: State::Handshaking { .. }, .. }) => {
                Err(Error::new(ErrorKind::ConnectionLost, "no connection is open"))
            }
            Phase::Closed(Some(cause)) => Err(cause.clone()),
            Phase::Connected(_) | Phase::Closing { .. } | Phase::Closed(None) => Err(Error::closed()),
        }
    }
}

/// Where a frame goes.
enum Way {
    Connection(Version),
    Backlog { replayed: bool },
}

/// Whether the send policy is for this frame. Others belong to the connection that they are written on: a transaction
/// dies with it.
fn is_message(frame: &Frame) -> bool {
    frame.command() == Command::Send && !frame.headers().contains("transaction")
}
