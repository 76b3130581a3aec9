//! Which subscriptions there are, and which one a MESSAGE belongs to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use stompede_codec::{Command, Frame, Headers, Version};

use super::ReceiptId;
use crate::{AckMode, BrokerProfile, Durable, Error};

/// Names one subscription of one session; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId(u64);

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
    /// More headers, in this order: a selector, a priority.
    pub headers: Headers,
    /// Whether the broker is told. If not, neither SUBSCRIBE nor UNSUBSCRIBE is sent, and the id is the destination
    /// unless set.
    pub announce: bool,
    /// The name of a subscription that collects messages while nobody listens; how it is asked for is up to the
    /// broker's [profile](BrokerProfile::durable). It becomes the id too, unless one is set.
    pub durable: Option<String>,
    /// How many messages may be on their way unacknowledged, for a broker whose
    /// [profile](BrokerProfile::prefetch_header) knows how to say so.
    pub prefetch: Option<u32>,
    /// Renews the headers each time the subscription is made again on a new connection.
    pub renew: Option<RenewHeaders>,
}

/// A function that renews the headers of a SUBSCRIBE.
#[derive(Clone)]
pub struct RenewHeaders(Arc<dyn Fn(&mut Headers) + Send + Sync>);

impl RenewHeaders {
    /// Calls `renew` with the headers that were given last. It must not block: the session waits for it.
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
            durable: None,
            prefetch: None,
            renew: None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    next: u64,
    by_wire_id: HashMap<Box<str>, SubscriptionId>,
    entries: BTreeMap<SubscriptionId, Entry>,
    /// Who waits for the RECEIPT of a SUBSCRIBE, on whichever connection it comes.
    awaited: HashMap<ReceiptId, SubscriptionId>,
}

#[derive(Debug)]
pub(super) struct Entry {
    wire_id: Box<str>,
    request: SubscribeRequest,
    receipt: Option<ReceiptId>,
    /// SUBSCRIBE was queued on the present connection.
    on_wire: bool,
    /// SUBSCRIBE was queued on some connection.
    was_on_wire: bool,
    /// Connections that were lost while this subscription alone was being made again.
    pub(super) strikes: u8,
}

impl Subscriptions {
    /// Reserves an id.
    pub(super) fn add(
        &mut self,
        mut request: SubscribeRequest,
        profile: &BrokerProfile,
    ) -> Result<SubscriptionId, Error> {
        if request.destination.is_empty() {
            return Err(Error::invalid("a subscription needs a destination, and this one is empty"));
        }
        if profile.is_implicit(&request.destination) {
            request.announce = false;
        }
        let named = request.id.take().or_else(|| request.durable.clone());
        let id = named.or_else(|| (!request.announce).then(|| request.destination.clone()));
        let wire_id = match id {
            Some(id) if id.is_empty() => return Err(Error::invalid("the id of a subscription is empty")),
            Some(id) if self.by_wire_id.contains_key(id.as_str()) => {
                return Err(Error::invalid(format!("the subscription id {id:?} is in use; choose another")));
            }
            Some(id) => id.into_boxed_str(),
            None => self.unused_wire_id(),
        };
        let key = SubscriptionId(self.next);
        self.next += 1;
        self.by_wire_id.insert(wire_id.clone(), key);
        let entry = Entry { wire_id, request, receipt: None, on_wire: false, was_on_wire: false, strikes: 0 };
        self.entries.insert(key, entry);
        Ok(key)
    }

    /// The SUBSCRIBE frame for the present connection; `None` if nothing is to be said.
    pub(super) fn frame(
        &mut self,
        key: SubscriptionId,
        version: Version,
        profile: &BrokerProfile,
    ) -> Result<Option<Frame>, Error> {
        let Some(entry) = self.entries.get_mut(&key) else { return Ok(None) };
        let request = &mut entry.request;
        if version == Version::V1_0 && request.ack == AckMode::ClientIndividual {
            return Err(Error::invalid("STOMP 1.0 has no ack mode client-individual; use client"));
        }
        if let Some(RenewHeaders(renew)) = request.renew.as_ref().filter(|_| entry.was_on_wire) {
            renew(&mut request.headers);
        }
        if !request.announce {
            // Nothing is said, and still messages may have been missed.
            entry.on_wire = true;
            entry.was_on_wire = true;
            return Ok(None);
        }
        let mut frame = Frame::new(Command::Subscribe)
            .with_header("id", &entry.wire_id)
            .with_header("destination", &request.destination)
            .with_header("ack", request.ack.as_str());
        frame.headers_mut().extend(&request.headers);
        match (&request.durable, profile.durable) {
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
        if let (Some(count), Some(header)) = (request.prefetch, profile.prefetch_header)
            && !frame.headers().contains(header)
        {
            frame.headers_mut().push(header, count.to_string());
        }
        entry.on_wire = true;
        entry.was_on_wire = true;
        Ok(Some(frame))
    }

    /// Forgets a subscription and builds the UNSUBSCRIBE frame for it; `None` if there is nothing to tell.
    pub(super) fn remove(&mut self, key: SubscriptionId) -> Option<(Option<Frame>, Option<ReceiptId>)> {
        let entry = self.entries.remove(&key)?;
        self.by_wire_id.remove(&entry.wire_id);
        if let Some(receipt) = entry.receipt {
            self.awaited.remove(&receipt);
        }
        let told = entry.request.announce && entry.on_wire;
        let frame = told.then(|| Frame::new(Command::Unsubscribe).with_header("id", &entry.wire_id));
        Some((frame, entry.receipt))
    }

    /// The connection is gone, and what was subscribed on it.
    pub(super) fn lose_connection(&mut self) {
        for entry in self.entries.values_mut() {
            entry.on_wire = false;
        }
    }

    /// The number in the id: unlike any other subscription's.
    pub(super) fn number(&self, SubscriptionId(number): SubscriptionId) -> u64 {
        number
    }

    /// All there are, oldest first.
    pub(super) fn keys(&self) -> Vec<SubscriptionId> {
        self.entries.keys().copied().collect()
    }

    /// Whether messages of this one may have been missed before the present connection.
    pub(super) fn was_on_wire(&self, key: SubscriptionId) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.was_on_wire)
    }

    pub(super) fn entry(&mut self, key: SubscriptionId) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// Whether the broker is told of it.
    pub(super) fn is_announced(&self, key: SubscriptionId) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.request.announce)
    }

    /// Somebody waits for the RECEIPT of this SUBSCRIBE.
    pub(super) fn await_receipt(&mut self, key: SubscriptionId, receipt: ReceiptId) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.receipt = Some(receipt);
            self.awaited.insert(receipt, key);
        }
    }

    /// The receipt that goes with the next SUBSCRIBE of this one.
    pub(super) fn receipt(&self, key: SubscriptionId) -> Option<ReceiptId> {
        self.entries.get(&key)?.receipt
    }

    /// Nobody waits for this receipt any more. Gives the subscription that it was about.
    pub(super) fn end_receipt(&mut self, receipt: ReceiptId) -> Option<SubscriptionId> {
        let key = self.awaited.remove(&receipt)?;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.receipt = None;
        }
        Some(key)
    }

    /// Whether this receipt is that of a SUBSCRIBE.
    pub(super) fn awaits(&self, receipt: ReceiptId) -> bool {
        self.awaited.contains_key(&receipt)
    }

    /// The subscription that a MESSAGE belongs to.
    pub(super) fn route(&self, version: Version, message: &Frame) -> Option<SubscriptionId> {
        if let Some(wire_id) = message.header("subscription") {
            return self.by_wire_id.get(&*wire_id).copied();
        }
        if version > Version::V1_0 {
            return None;
        }
        // Some 1.0 servers leave the id out even where one was given; the destination has to do.
        let destination = message.header("destination")?;
        let mut all = self.entries.iter();
        all.find(|(_, entry)| *entry.request.destination == *destination).map(|(key, _)| *key)
    }

    pub(super) fn ack_mode(&self, key: SubscriptionId) -> Option<AckMode> {
        self.entries.get(&key).map(|entry| entry.request.ack)
    }

    fn unused_wire_id(&self) -> Box<str> {
        let mut number = self.next;
        loop {
            let id = format!("sub-{number}");
            if !self.by_wire_id.contains_key(id.as_str()) {
                return id.into_boxed_str();
            }
            number += 1;
        }
    }
}
