//! Which subscriptions there are, and which one a MESSAGE belongs to.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use stompede_codec::{Command, Frame, Headers, Version};

use super::ReceiptId;
use super::flow::Flow;
use super::inbox::{Inbox, WhenFull};
use super::queue::Bounds;
use super::unsettled::Unsettled;
use crate::{AckMode, BrokerProfile, Durable, Error};

/// Names one subscription of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId {
    /// Counts subscriptions. Only who makes four billion of them may see one again, and not in its old slot.
    number: u32,
    slot: u32,
}

impl SubscriptionId {
    /// Unlike any other subscription's.
    pub(super) fn number(self) -> u32 {
        self.number
    }
}

/// What to subscribe to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// Where messages come from.
    pub destination: String,
    /// The `id` header; made up unless set. Unique among the subscriptions of a session.
    pub id: Option<String>,
    /// How messages are acknowledged.
    pub ack: AckMode,
    /// More headers, in this order: a selector, a priority. None may be `destination`, `id` or `ack`.
    pub headers: Headers,
    /// Whether the broker is told. If not, neither SUBSCRIBE nor UNSUBSCRIBE is sent, and the id is the destination
    /// unless set.
    pub announce: bool,
    /// How many messages wait for the consumer before the queue is full. 256 unless set.
    ///
    /// In the ack modes the broker is asked to send no more unsettled ones than this, where its
    /// [profile](BrokerProfile::prefetch_header) has a header for it and the caller has set none; then the queue cannot
    /// fill. Whoever acknowledges every thousandth message needs a window of a thousand.
    pub window: usize,
    /// How many bytes wait for the consumer before the queue is full; one larger message fits all the same. 256 KiB
    /// unless set.
    pub queue_bytes: usize,
    /// What happens to a message for which there is no room.
    pub when_full: WhenFull,
    /// Whether ACKs of ack mode client may be joined: one that waits to be written gives way to a later one, which covers
    /// it. From STOMP 1.1 on. Off unless set.
    pub coalesce_acks: bool,
    /// The name of a subscription that collects messages while nobody listens; how it is asked for is up to the
    /// broker's [profile](BrokerProfile::durable). It becomes the id too, unless one is set.
    pub durable: Option<String>,
    /// Renews the headers each time the subscription is made again on a new connection.
    pub renew: Option<RenewHeaders>,
}

/// A function that renews the headers of a SUBSCRIBE.
#[derive(Clone)]
pub struct RenewHeaders(Arc<dyn Fn(&mut Headers) + Send + Sync>);

impl RenewHeaders {
    /// Calls `renew` with the headers that were given last. It must not block, nor call the session: that waits for it.
    pub fn new(renew: impl Fn(&mut Headers) + Send + Sync + 'static) -> Self {
        Self(Arc::new(renew))
    }
}

impl fmt::Debug for RenewHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewHeaders")
    }
}

impl SubscribeRequest {
    /// A subscription to `destination` in ack mode auto.
    pub fn new(destination: impl Into<String>) -> Self {
        Self {
            destination: destination.into(),
            id: None,
            ack: AckMode::Auto,
            headers: Headers::new(),
            announce: true,
            window: WINDOW,
            queue_bytes: QUEUE_BYTES,
            when_full: WhenFull::Overflow,
            coalesce_acks: false,
            durable: None,
            renew: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let drops = matches!(self.when_full, WhenFull::DropOldest | WhenFull::DropNewest);
        let complaint = match self {
            Self { destination, .. } if destination.is_empty() => {
                "a subscription needs a destination, and this one is empty"
            }
            Self { id: Some(id), .. } if id.is_empty() => "the id of a subscription is empty",
            Self { durable: Some(name), .. } if name.is_empty() => {
                "the name of a durable subscription is empty"
            }
            Self { window: 0, .. } => "window: a queue for no message at all would always be full",
            Self { queue_bytes: 0, .. } => "queue_bytes: a queue of no bytes at all would always be full",
            Self { ack, .. } if drops && *ack != AckMode::Auto => {
                "when_full: a message that has to be acknowledged cannot be dropped; use ack mode auto"
            }
            Self { ack, coalesce_acks: true, .. } if *ack != AckMode::Client => {
                "coalesce_acks: only in ack mode client does one ACK cover others"
            }
            _ => return self.check_headers(),
        };
        Err(Error::invalid(complaint))
    }

    fn check_headers(&self) -> Result<(), Error> {
        // A second one would be sent: which of them counts depends on broker and version.
        match MADE_OF_SETTINGS.iter().find(|name| self.headers.contains(name)) {
            Some(name) => {
                Err(Error::invalid(format!("headers: {name} is made of the setting {name}; set that")))
            }
            None => Ok(()),
        }
    }

    fn frame(&self, wire_id: &str, version: Version, profile: &BrokerProfile) -> Result<Frame, Error> {
        if let Some(unfit) = profile.unfit_id(wire_id) {
            let text = format!(
                "the subscription id {wire_id:?} contains {unfit:?}, and {} cannot cope with that",
                profile.name
            );
            return Err(Error::invalid(text));
        }
        let too_far = self.ack == AckMode::Client && profile.cumulative.reaches_too_far(version);
        let ack = if too_far { AckMode::ClientIndividual } else { self.ack };
        let mut frame = Frame::new(Command::Subscribe)
            .with_header("id", wire_id)
            .with_header("destination", &self.destination)
            .with_header("ack", ack.as_str());
        if let Some(name) = profile.prefetch_header.filter(|_| self.ack != AckMode::Auto)
            && !self.headers.contains(name)
        {
            frame.headers_mut().push(name, self.window.to_string());
        }
        frame.headers_mut().extend(&self.headers);
        match (&self.durable, profile.durable) {
            (None, _) => {}
            (Some(_), Durable::ById) => {
                frame.headers_mut().insert("durable", "true");
                frame.headers_mut().insert("auto-delete", "false");
            }
            (Some(name), Durable::ByHeader(header)) => frame.headers_mut().insert(header, name),
            (Some(_), Durable::Unsupported) => {
                return Err(Error::invalid("nobody knows how to ask this broker for a durable subscription"));
            }
        }
        Ok(frame)
    }
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    last: u32,
    by_wire_id: HashMap<Box<str>, SubscriptionId>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Where the last message went that came under an id of a caller's: the next one mostly goes there too.
    recent: usize,
    /// Subscriptions that keep an ACK back.
    pending: Vec<SubscriptionId>,
    /// Who waits for the RECEIPT of a SUBSCRIBE, on whichever connection it comes.
    awaited: HashMap<ReceiptId, SubscriptionId>,
}

/// One subscription. What each message needs comes first and is one line of the cache: with thousands of subscriptions
/// most of them have to come from memory.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    pub(super) id: SubscriptionId,
    /// The number in its id on the wire, if that was made up.
    made_up: Option<u64>,
    /// Messages that have come on this connection.
    pub(super) messages: u64,
    pub(super) inbox: Arc<Inbox>,
    /// All messages up to this number have been settled by a cumulative ACK or NACK.
    pub(super) covered: u64,
    wire_id: Box<str>,
    pub(super) request: SubscribeRequest,
    /// Somebody waits for the RECEIPT of its SUBSCRIBE.
    pub(super) receipt: Option<ReceiptId>,
    /// Somebody waits for the RECEIPT of its UNSUBSCRIBE.
    pub(super) leaving: Option<ReceiptId>,
    /// SUBSCRIBE was queued on the present connection.
    on_wire: bool,
    /// SUBSCRIBE was queued on some connection.
    was_on_wire: bool,
    /// Connections that were lost while this subscription alone was being made again.
    pub(super) strikes: u8,
    pending: Option<Frame>,
    joined: usize,
    /// What a cumulative ACK is made of, for a broker that takes it for more.
    pub(super) unsettled: Unsettled,
    /// More headers for UNSUBSCRIBE.
    pub(super) farewell: Headers,
}

/// What a MESSAGE says of the subscription that it is for.
#[derive(Debug)]
pub(super) struct Named<'a> {
    /// The id as it stands on the wire.
    raw: Option<&'a [u8]>,
    /// The number in it, if it looks like one that was made up.
    pub(super) number: Option<u64>,
}

impl Subscriptions {
    /// Reserves an id.
    pub(super) fn add(
        &mut self,
        mut request: SubscribeRequest,
        profile: &BrokerProfile,
        flow: &Arc<Flow>,
    ) -> Result<SubscriptionId, Error> {
        request.check()?;
        if profile.is_implicit(&request.destination) {
            request.announce = false;
        }
        let named = request.id.as_ref().or(request.durable.as_ref());
        let given = named.or((!request.announce).then_some(&request.destination));
        let (wire_id, made_up): (Box<str>, _) = match given {
            Some(id) if self.by_wire_id.contains_key(id.as_str()) => {
                return Err(Error::invalid(format!("the subscription id {id:?} is in use; choose another")));
            }
            Some(id) => (id.as_str().into(), None),
            None => {
                let (id, number) = self.unused_wire_id();
                (id, Some(number))
            }
        };
        self.last = self.last.wrapping_add(1);
        // Four billion subscriptions at once do not fit into memory, so the slot always fits.
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let id = SubscriptionId { number: self.last, slot };
        let bounds = Bounds { messages: request.window, bytes: request.queue_bytes };
        let settles = request.ack != AckMode::Auto;
        let entry = Entry {
            id,
            made_up,
            wire_id: wire_id.clone(),
            inbox: Arc::new(Inbox::new(id, bounds, request.when_full, settles, flow.clone())),
            request,
            receipt: None,
            leaving: None,
            on_wire: false,
            was_on_wire: false,
            strikes: 0,
            messages: 0,
            covered: 0,
            pending: None,
            joined: 0,
            unsettled: Unsettled::default(),
            farewell: Headers::new(),
        };
        self.by_wire_id.insert(wire_id, id);
        match self.entries.get_mut(slot as usize) {
            Some(free) => *free = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        Ok(id)
    }

    /// The SUBSCRIBE frame for the present connection; `None` if nothing is to be said.
    pub(super) fn frame(
        &mut self,
        id: SubscriptionId,
        version: Version,
        profile: &BrokerProfile,
    ) -> Result<Option<Frame>, Error> {
        let Some(entry) = self.get_mut(id) else { return Ok(None) };
        let request = &mut entry.request;
        if version == Version::V1_0 && request.ack == AckMode::ClientIndividual {
            return Err(Error::invalid("STOMP 1.0 has no ack mode client-individual; use client"));
        }
        if let Some(RenewHeaders(renew)) = request.renew.as_ref().filter(|_| entry.was_on_wire) {
            renew(&mut request.headers);
            request.check_headers()?;
        }
        // Where nothing is said, messages may have been missed all the same.
        let frame = request.announce.then(|| request.frame(&entry.wire_id, version, profile)).transpose()?;
        entry.on_wire = true;
        entry.was_on_wire = true;
        Ok(frame)
    }

    /// Forgets a subscription.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> Option<Entry> {
        self.get(id)?;
        let entry = self.entries.get_mut(id.slot as usize)?.take()?;
        self.by_wire_id.remove(&entry.wire_id);
        self.pending.retain(|other| *other != id);
        entry.receipt.and_then(|receipt| self.awaited.remove(&receipt));
        self.free.push(id.slot);
        Some(entry)
    }

    /// Forgets all of them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.by_wire_id.clear();
        self.pending.clear();
        self.awaited.clear();
        self.free.clear();
        std::mem::take(&mut self.entries).into_iter().flatten()
    }

    /// The connection is gone, and what was said on it: numbers of messages, and acknowledgements that were kept back.
    pub(super) fn lose_connection(&mut self) {
        self.pending.clear();
        for entry in self.entries.iter_mut().flatten() {
            entry.on_wire = false;
            (entry.messages, entry.covered, entry.joined) = (0, 0, 0);
            entry.pending = None;
            entry.unsettled.clear();
        }
    }

    /// All there are, oldest first.
    pub(super) fn ids(&self) -> Vec<SubscriptionId> {
        let mut ids: Vec<_> = self.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Somebody waits for the RECEIPT of this SUBSCRIBE.
    pub(super) fn await_receipt(&mut self, id: SubscriptionId, receipt: ReceiptId) {
        if let Some(entry) = self.get_mut(id) {
            entry.receipt = Some(receipt);
            self.awaited.insert(receipt, id);
        }
    }

    /// Nobody waits for this receipt any more. Gives the subscription that it was about.
    pub(super) fn end_receipt(&mut self, receipt: ReceiptId) -> Option<SubscriptionId> {
        // Most receipts are those of messages, and hashing takes longer than all else that is done for them.
        if self.awaited.is_empty() {
            return None;
        }
        let id = self.awaited.remove(&receipt)?;
        if let Some(entry) = self.get_mut(id) {
            entry.receipt = None;
        }
        Some(id)
    }

    /// Nobody waits for any of them any more.
    pub(super) fn end_receipts(&mut self) -> Vec<ReceiptId> {
        let awaited: Vec<_> = self.awaited.keys().copied().collect();
        for receipt in &awaited {
            self.end_receipt(*receipt);
        }
        awaited
    }

    /// Whether this receipt is that of a SUBSCRIBE.
    pub(super) fn awaits(&self, receipt: ReceiptId) -> bool {
        self.awaited.contains_key(&receipt)
    }

    /// Whether there is a SUBSCRIBE whose receipt is awaited.
    pub(super) fn awaits_some(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// The SUBSCRIBE with this receipt was taken out of the queue again: the broker does not know of it.
    pub(super) fn take_back(&mut self, receipt: ReceiptId) {
        if let Some(id) = self.awaited.get(&receipt).copied()
            && let Some(entry) = self.get_mut(id)
        {
            entry.on_wire = false;
        }
    }

    /// The subscription that a MESSAGE belongs to, which `named` says.
    pub(super) fn route(
        &mut self,
        version: Version,
        message: &Frame,
        named: &Named<'_>,
    ) -> Option<&mut Entry> {
        let slot = if let Some(raw) = named.raw {
            self.slot_of(raw, named.number, message)?
        } else if version == Version::V1_0 {
            // Some 1.0 servers leave the id out even where one was given; the destination has to do.
            let destination = message.header("destination")?;
            let matches = self.iter().filter(|entry| *entry.request.destination == *destination);
            matches.map(|entry| entry.id).min()?.slot as usize
        } else {
            return None;
        };
        self.entries.get_mut(slot)?.as_mut()
    }

    fn slot_of(&mut self, raw: &[u8], number: Option<u64>, message: &Frame) -> Option<usize> {
        // The number in an id that was made up is mostly its slot. Looking there is quicker than hashing, and comparing the
        // number spares a look at the text.
        if let Some(slot) = number.and_then(|number| usize::try_from(number).ok())
            && matches!(self.entries.get(slot), Some(Some(entry)) if entry.made_up == number)
        {
            return Some(slot);
        }
        let recent = self.entries.get(self.recent).and_then(Option::as_ref);
        // Where nothing is escaped it is the id itself.
        let is_recent =
            recent.is_some_and(|entry| *entry.wire_id.as_bytes() == *raw && !raw.contains(&b'\\'));
        if !is_recent {
            self.recent = self.by_wire_id.get(&*message.header("subscription")?)?.slot as usize;
        }
        Some(self.recent)
    }

    /// The subscription with this `id` header.
    pub(super) fn find(&self, wire_id: &str) -> Option<SubscriptionId> {
        self.by_wire_id.get(wire_id).copied()
    }

    pub(super) fn get(&self, id: SubscriptionId) -> Option<&Entry> {
        self.entries.get(id.slot as usize)?.as_ref().filter(|entry| entry.id == id)
    }

    pub(super) fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot as usize)?.as_mut().filter(|entry| entry.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().flatten()
    }

    /// Keeps an ACK back in place of the one that is kept; `true` once so many were joined that it should go.
    pub(super) fn put_pending(&mut self, id: SubscriptionId, frame: Frame) -> bool {
        let Some(entry) = self.get_mut(id) else { return false };
        let first = entry.pending.replace(frame).is_none();
        entry.joined += 1;
        let due = entry.joined * 2 >= entry.request.window;
        if first {
            self.pending.push(id);
        }
        due
    }

    /// The ACK that a subscription keeps back.
    pub(super) fn take_pending(&mut self, id: SubscriptionId) -> Option<Frame> {
        let entry = self.get_mut(id)?;
        entry.joined = 0;
        entry.pending.take()
    }

    /// The next ACK that any subscription keeps back.
    pub(super) fn next_pending(&mut self) -> Option<Frame> {
        while let Some(id) = self.pending.pop() {
            if let Some(frame) = self.take_pending(id) {
                return Some(frame);
            }
        }
        None
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn unused_wire_id(&self) -> (Box<str>, u64) {
        let mut number = u64::from(self.last);
        loop {
            let id = format!("{MADE_UP}{number}");
            if !self.by_wire_id.contains_key(id.as_str()) {
                return (id.into_boxed_str(), number);
            }
            number += 1;
        }
    }
}

impl Entry {
    /// The UNSUBSCRIBE frame; `None` if there is nobody to tell.
    pub(super) fn unsubscribe_frame(&self) -> Option<Frame> {
        let told = self.request.announce && self.on_wire;
        told.then(|| {
            let mut frame = Frame::new(Command::Unsubscribe).with_header("id", &self.wire_id);
            frame.headers_mut().extend(&self.farewell);
            frame
        })
    }

    pub(super) fn has_wire_id(&self, id: &str) -> bool {
        *self.wire_id == *id
    }

    /// Whether messages may have been missed before the present connection.
    pub(super) fn was_on_wire(&self) -> bool {
        self.was_on_wire
    }
}

impl<'a> Named<'a> {
    pub(super) fn by(message: &'a Frame) -> Self {
        let raw = message.headers().get_raw("subscription");
        Self { raw, number: raw.and_then(made_up) }
    }
}

/// The number of an id as it is made up: "sub-01" is another one's.
fn made_up(id: &[u8]) -> Option<u64> {
    let digits = id.strip_prefix(MADE_UP.as_bytes())?;
    if digits.len() > MAX_DIGITS || digits.first()? == &b'0' && digits.len() > 1 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Digits of a number that always fits.
const MAX_DIGITS: usize = 19;

/// What ids begin with that were made up; a number follows.
const MADE_UP: &str = "sub-";

/// Headers of SUBSCRIBE that have a setting of their name.
const MADE_OF_SETTINGS: &[&str] = &["ack", "destination", "id"];

/// Messages in the queue of one subscription. More bring no speed, they only make memory grow.
const WINDOW: usize = 256;

/// Bytes in the queue of one subscription.
const QUEUE_BYTES: usize = 256 * 1024;
