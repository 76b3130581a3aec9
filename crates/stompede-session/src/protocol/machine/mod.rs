//! What outlives a connection: subscriptions, receipts, frames that wait; and the decisions about them.

mod acks;
mod backlog;
mod backoff;
mod batch;
mod commands;
mod farewell;
mod flow;
mod inbox;
mod incoming;
mod lifecycle;
mod planted;
mod queue;
mod random;
mod receipts;
mod reconnect;
mod restore;
mod stage;
mod storage;
mod subscriptions;
mod transactions;
mod transmit;
mod unsettled;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use stompede_codec::{Encoder, Frame, Headers, Version};
use stompede_transport::{Outbound, TransportError};

pub use self::acks::{Settle, Ticket};
use self::backlog::Backlog;
use self::backoff::{Backoff, Hosts};
pub use self::batch::Batch;
use self::flow::{Flow, Stall};
pub use self::inbox::{Delivery, End, Gap, Inbox, WhenFull};
#[cfg(feature = "__planted")]
pub use self::planted::Planted;
use self::planted::planted;
#[cfg(feature = "tokio")]
pub(crate) use self::queue::Arrival;
use self::queue::Chunk;
use self::receipts::Receipts;
pub use self::receipts::{Outcome, ReceiptId, ReceiptName};
pub use self::reconnect::Race;
use self::restore::Restore;
#[cfg(feature = "tokio")]
pub(crate) use self::stage::Place;
use self::stage::Stage;
use self::storage::Ledger;
pub use self::storage::OutboxJob;
use self::subscriptions::Subscriptions;
pub use self::subscriptions::{RenewHeaders, SubscribeRequest, SubscriptionId};
use self::transactions::Transactions;
pub use self::transactions::{Fate, TransactionId};
use self::transmit::{Taken, Transmit};
use super::connection::{Connected, Connection, State};
use super::{Attempt, Event, History, Input, Output};
use crate::{BrokerProfile, Config, Error, ErrorKind};

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
    /// Whether there are events for each message and each receipt.
    tells_traffic: bool,
    history: History,
    transmit: Transmit,
    /// The receipt of the frame that was taken last.
    last_taken: Option<ReceiptId>,
    /// The number of a frame that the connection refused and nobody was told of, and why.
    refused: Option<(u64, Error)>,
    receipts: Receipts,
    subscriptions: Subscriptions,
    /// Messages that wait for a connection, or for the RECEIPT that says that they need not be sent again.
    backlog: Backlog,
    restore: Restore,
    backoff: Backoff,
    /// The hosts that this attempt has still to try.
    hosts: Hosts,
    attempt: Attempt,
    /// Why the last connection, or the last attempt at one, ended.
    last_error: Option<Error>,
    ever_connected: bool,
    /// When CONNECTED came, the last time.
    connected_at: Option<Instant>,
    /// The last connection ended because of bytes that are no STOMP, or more than may be.
    poisoned: bool,
    /// Certificates, and nothing else, have ended the attempt under way so far.
    no_host_trusted: bool,
    /// Settings that cannot work, and nothing else, have.
    no_host_usable: bool,
    /// They ended an attempt, and no connection has been made since.
    unusable: bool,
    /// Certificates ended an attempt, and no connection has been made since.
    distrusted: bool,
    profile: BrokerProfile,
    #[cfg(feature = "__planted")]
    planted: Option<Planted>,
    transactions: Transactions,
    /// The broker has ended a subscription of this connection, and may refuse what was on its way for it.
    cancelled: bool,
    draining: bool,
    /// More headers for DISCONNECT.
    farewell: Headers,
    flow: Arc<Flow>,
    /// What was received last.
    chunk: Chunk,
    /// Messages of one subscription that have been decoded and not been handed over.
    stage: Stage,
    /// Reading is held until then, for a consumer to take what is in its queue.
    hold_until: Option<Instant>,
    stall: Option<Stall>,
    /// Tasks to be woken once no lock is held.
    wakers: Vec<Waker>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each session, and it is never moved about")]
enum Phase {
    Idle,
    /// Between two attempts.
    Waiting {
        until: Option<Instant>,
    },
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
    /// A session that has not begun, and for which chance always falls the same way.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if a setting makes no sense; see [`Config::validate`].
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_seed(config, 0)
    }

    /// The same, with a number that chance follows: the spread of delays, the order of hosts, and the ids of messages
    /// for [duplicate detection](crate::SendPolicy::duplicate_header). It should be a different one for each session.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_seed(config: Config, seed: u64) -> Result<Self, Error> {
        config.validate()?;
        let flow = Arc::new(Flow::new(config.overflow_bytes));
        Ok(Self {
            attempt: config.attempt(config.endpoint.clone(), 0, None),
            backlog: Backlog::new(config.sending.outbox, seed, Ledger::new(config.outbox.is_some())),
            profile: config.profile.unwrap_or_default(),
            restore: Restore::default(),
            backoff: Backoff::new(seed),
            hosts: Hosts::default(),
            last_error: None,
            ever_connected: false,
            connected_at: None,
            poisoned: false,
            no_host_trusted: true,
            no_host_usable: true,
            unusable: false,
            distrusted: false,
            #[cfg(feature = "__planted")]
            planted: None,
            config,
            phase: Phase::Idle,
            epoch: 0,
            attempt_until: None,
            now: None,
            gap: Duration::ZERO,
            outputs: VecDeque::new(),
            tells_traffic: true,
            history: History::default(),
            transmit: Transmit::default(),
            last_taken: None,
            refused: None,
            receipts: Receipts::default(),
            subscriptions: Subscriptions::default(),
            transactions: Transactions::default(),
            cancelled: false,
            draining: false,
            farewell: Headers::new(),
            flow,
            chunk: Chunk::default(),
            stage: Stage::default(),
            hold_until: None,
            stall: None,
            wakers: Vec::new(),
        })
    }

    /// Begins the session: asks for a connection. Does nothing if it has begun before.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Idle) {
            self.now = Some(now);
            self.history.begin(now);
            self.begin_attempt();
        }
    }

    /// Plants a bug, to see whether a test finds it.
    #[cfg(feature = "__planted")]
    #[doc(hidden)]
    pub fn plant(&mut self, bug: Planted) {
        self.planted = Some(bug);
    }

    /// Takes in what happened outside. Drain [`poll_output`](Self::poll_output) before the next one.
    pub fn handle_input(&mut self, input: Input) {
        self.receipts.date(input.now());
        match input {
            Input::Opened { now } => self.on_opened(now),
            Input::DialFailed { now, error } => {
                self.now = Some(now);
                if matches!(self.phase, Phase::Dialing { .. }) {
                    self.fail(self.dial_error(error));
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
            Input::Written { now } => {
                self.now = Some(now);
                if let Phase::Connected(connection) = &mut self.phase {
                    connection.pulse.on_written(now);
                }
            }
            Input::Taken { now } => self.on_taken(now),
            Input::Closed { now, error } => self.on_closed(now, error),
            Input::Timer { now } => self.on_timer(now),
        }
    }

    /// The next thing to do or to know; drain it until it says [`Output::Wait`].
    ///
    /// Received bytes are decoded here, a few messages a call: whoever wants to see to something else in between, may.
    pub fn poll_output(&mut self) -> Output {
        self.next_output().unwrap_or_else(|| Output::Wait(self.next_deadline()))
    }

    /// The same without looking for how long to wait.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                if let (Output::Event(event), Some(now)) = (&output, self.now) {
                    self.history.note(now, event);
                }
                return Some(output);
            }
            if !self.decode() && self.outputs.is_empty() {
                return None;
            }
        }
    }

    /// Whether [`next_output`](Self::next_output) has nothing to give.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_quiet(&self) -> bool {
        self.outputs.is_empty() && self.has_decoded_all()
    }

    /// The next frame to write, if there is one.
    ///
    /// Taking it counts as writing it: take it only when the connection has room.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outbound> {
        if self.transmit.bytes() == 0 && self.subscriptions.has_pending() {
            // An ACK that cannot be encoded was refused when it was handed over.
            let _ = self.push_pending_acks();
        }
        let Taken { item, receipt, frame, ack } = self.transmit.pop()?;
        if ack {
            self.on_ack_taken();
        }
        if let Some(frame) = frame {
            self.outputs.push_back(Output::Event(Event::Sent(*frame)));
        }
        if let Phase::Connected(connection) = &mut self.phase {
            connection.pulse.on_taken(now);
            if !item.is_heart_beat() {
                connection.pulse.on_frame(now);
            }
        }
        self.last_taken = receipt;
        if let Some(receipt) = receipt
            && !planted!(self, UnknownBecomesNotSent)
        {
            self.receipts.mark_written(receipt);
            self.on_commit_certain(receipt);
        }
        Some(item)
    }

    /// The connection refused the frame that was taken last, whole, and goes on: it was not sent after all.
    pub fn transmit_refused(&mut self, error: TransportError) {
        if let Phase::Connected(connection) = &mut self.phase {
            connection.pulse.on_refused();
        }
        let text = "the connection cannot carry this frame";
        let error = Error::with_transport(ErrorKind::Unencodable, text, error);
        self.spoil_transaction(&error);
        if let Some(receipt) = self.last_taken.take() {
            self.backlog.remove(receipt);
            self.subscriptions.take_back(receipt);
            self.receipts.resolve(receipt, Outcome::NotSent(error));
        } else {
            self.refused.get_or_insert((self.transmit.last_taken(), error));
        }
        self.continue_goodbye();
    }

    /// Why a frame up to this number was refused by the connection without anybody having been told; said once.
    pub fn take_refusal(&mut self, number: u64) -> Option<Error> {
        self.refused.take_if(|(refused, _)| *refused <= number).map(|(_, error)| error)
    }

    /// Messages that wait for a connection or for a RECEIPT, with the bytes that they are counted with.
    pub fn kept(&self) -> (usize, usize) {
        (self.backlog.len(), self.backlog.bytes())
    }

    /// What is taken to be true of the broker.
    pub fn profile(&self) -> &BrokerProfile {
        &self.profile
    }

    /// Bytes that wait in [`poll_transmit`](Self::poll_transmit).
    pub fn queued_bytes(&self) -> usize {
        self.transmit.bytes()
    }

    /// Whether there is something for [`poll_transmit`](Self::poll_transmit) to give.
    pub fn wants_to_write(&self) -> bool {
        self.transmit.has_next() || self.subscriptions.has_pending()
    }

    /// Whether more bytes are to be reported; see [`Event::Stalled`]. What has been read may be reported in any case.
    pub fn wants_bytes(&self) -> bool {
        self.flow.is_reading() || self.connected().is_none()
    }

    /// The number of the frame queued last; see [`transmitted`](Self::transmitted). Acknowledgements that were kept back
    /// to be joined with later ones are queued first.
    pub fn queued(&mut self) -> u64 {
        // An ACK that cannot be encoded was refused when it was handed over.
        let _ = self.push_pending_acks();
        self.transmit.queued()
    }

    /// What has to be flushed for everything to be that has been handed over: the number of the frame
    /// [queued](Self::queued) last, and the [connection](Self::epoch) that it is for.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionLost`] while there is no connection.
    pub fn flush_mark(&mut self) -> Result<(u64, u64), Error> {
        if self.is_offline() {
            return Err(Error::new(ErrorKind::ConnectionLost, "no connection is open"));
        }
        Ok((self.queued(), self.epoch))
    }

    /// All frames up to this number have been taken by [`poll_transmit`](Self::poll_transmit), or withdrawn.
    pub fn transmitted(&self) -> u64 {
        self.transmit.taken()
    }

    /// Whether [`drain_wakers`](Self::drain_wakers) has something to give.
    pub fn has_wakers(&self) -> bool {
        !self.wakers.is_empty() || self.receipts.has_wakers()
    }

    /// Moves the tasks out that wait for something that has come: a message, the outcome of a receipt. Wake them once no
    /// lock is held.
    pub fn drain_wakers(&mut self, into: &mut Vec<Waker>) {
        into.append(&mut self.wakers);
        self.receipts.append_wakers(into);
    }

    /// The queue of a subscription, for its one consumer.
    pub fn inbox(&self, id: SubscriptionId) -> Option<Arc<Inbox>> {
        self.subscriptions.get(id).map(|entry| entry.inbox.clone())
    }

    /// Keeps an event that the driver tells.
    #[cfg(feature = "tokio")]
    pub(crate) fn note(&mut self, now: Instant, event: &Event) {
        self.history.note(now, event);
    }

    /// The last events, for a bug report.
    pub fn history(&self) -> &History {
        &self.history
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

    /// The version of the open connection.
    fn version(&self) -> Option<Version> {
        match &self.phase {
            Phase::Connected(connection) => connection.version(),
            _ => None,
        }
    }

    fn push_frame(
        &mut self,
        version: Version,
        frame: &Frame,
        receipt: Option<ReceiptId>,
    ) -> Result<(), Error> {
        self.transmit.push(Encoder::new(version), frame, receipt)
    }
}
