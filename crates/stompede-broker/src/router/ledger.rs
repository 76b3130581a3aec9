//! What one connection has received and has to settle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use stompede_codec::{Frame, Version};

use super::queue::Queued;
use super::subscriber::{Ack, SubscriberId};
use crate::refusal::Refusal;

/// The account of one connection. Every operation costs the logarithm of what is open.
#[derive(Debug)]
pub(super) struct Ledger {
    version: Version,
    last: u64,
    open: BTreeMap<u64, Unsettled>,
    /// The number of each open message and its key; before STOMP 1.2 clients settle by `message-id`.
    by_message: BTreeSet<(u64, u64)>,
    /// One for each subscription that has something open, also after it has ended.
    groups: HashMap<SubscriberId, Group>,
}

/// A message that was delivered and has to be settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) subscriber: SubscriberId,
    pub(super) message: Queued,
}

/// What is open of one subscription. It keeps what ACK needs to know of it when the subscription is gone.
#[derive(Debug)]
struct Group {
    id: Option<Arc<str>>,
    ack: Ack,
    open: BTreeSet<u64>,
}

/// Which message an ACK or NACK means.
#[derive(Debug)]
pub(crate) enum Named {
    /// STOMP 1.2: the MESSAGE's `ack` header. `None` is a text that this broker never wrote.
    Key(Option<u64>),
    /// STOMP 1.1 names message and subscription, 1.0 only the message.
    Message(Option<u64>, Option<Box<str>>),
}

impl Named {
    pub(crate) fn read(frame: &Frame, version: Version) -> Result<Self, Refusal> {
        let required = |name| frame.header(name).ok_or_else(|| Refusal::missing(frame, name));
        Ok(match version {
            Version::V1_2 => Self::Key(number(&required("id")?)),
            Version::V1_1 => {
                Self::Message(number(&required("message-id")?), Some((&*required("subscription")?).into()))
            }
            Version::V1_0 => Self::Message(number(&required("message-id")?), None),
        })
    }
}

impl Ledger {
    pub(super) fn new(version: Version) -> Self {
        let (open, by_message, groups) = (BTreeMap::new(), BTreeSet::new(), HashMap::new());
        Self { version, last: 0, open, by_message, groups }
    }

    /// A key that was not used before.
    pub(super) fn next_key(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn enter(&mut self, key: u64, id: Option<&Arc<str>>, ack: Ack, entry: Unsettled) {
        let new = || Group { id: id.cloned(), ack, open: BTreeSet::new() };
        self.groups.entry(entry.subscriber).or_insert_with(new).open.insert(key);
        if self.version < Version::V1_2 {
            self.by_message.insert((entry.message.message.number, key));
        }
        self.open.insert(key, entry);
    }

    /// The key of the open message that an ACK or NACK names, unless it is one of those that are `taken`.
    pub(super) fn named(&self, named: &Named, taken: &BTreeSet<u64>) -> Result<u64, Refusal> {
        let is_open = |key: &u64| self.open.contains_key(key) && !taken.contains(key);
        let key = match named {
            Named::Key(key) => key.filter(is_open),
            Named::Message(number, id) => number.and_then(|number| {
                let same = self.by_message.range((number, 0)..=(number, u64::MAX)).map(|(_, key)| *key);
                let fits = |key: &u64| {
                    id.is_none() || self.group_of(*key).is_some_and(|g| g.id.as_deref() == id.as_deref())
                };
                same.filter(fits).find(is_open)
            }),
        };
        key.ok_or_else(|| {
            let text = "no message of that name is waiting to be settled on this connection";
            Refusal::new("nothing to acknowledge", text)
        })
    }

    /// The keys that an ACK or NACK of this one covers, in order, leaving out those that are `taken`.
    ///
    /// In ack mode client, from STOMP 1.1 on, those are all of the subscription up to this one.
    pub(super) fn covered(&self, key: u64, taken: &BTreeSet<u64>) -> Vec<u64> {
        match self.group_of(key) {
            Some(group) if group.ack == Ack::Client && self.version > Version::V1_0 => {
                // Whatever took one of the subscription took all before it as well: only what is new is looked at.
                let new = group.open.range(..=key).rev().take_while(|key| !taken.contains(key));
                let mut keys: Vec<u64> = new.copied().collect();
                keys.reverse();
                keys
            }
            _ => vec![key],
        }
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, key: u64) -> Option<Unsettled> {
        let entry = self.open.remove(&key)?;
        self.by_message.remove(&(entry.message.message.number, key));
        if let Some(group) = self.groups.get_mut(&entry.subscriber) {
            group.open.remove(&key);
            if group.open.is_empty() {
                self.groups.remove(&entry.subscriber);
            }
        }
        Some(entry)
    }

    /// Takes everything out, in the order of delivery.
    pub(super) fn into_entries(self) -> impl Iterator<Item = Unsettled> {
        self.open.into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many of a subscription are open.
    pub(super) fn held_by(&self, id: SubscriberId) -> usize {
        self.groups.get(&id).map_or(0, |group| group.open.len())
    }

    fn group_of(&self, key: u64) -> Option<&Group> {
        self.open.get(&key).and_then(|entry| self.groups.get(&entry.subscriber))
    }
}

/// The number that this broker would have written so; `+1` and `01` are names of nothing.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
