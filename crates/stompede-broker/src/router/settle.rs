//! ACK, NACK and COMMIT.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::ledger::{Named, Unsettled};
use super::queue::Queued;
use super::subscriber::Connection;
use super::{ConnectionId, Router, Stored};
use crate::event::BrokerEvent;
use crate::refusal::Refusal;

/// What a transaction does once it is committed.
#[derive(Debug)]
pub(crate) enum Operation {
    Send(Stored),
    Settle { named: Named, accept: bool },
}

impl Operation {
    /// Bytes that it keeps: those of a body.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Send(message) => message.len(),
            Self::Settle { .. } => 0,
        }
    }
}

impl Router {
    /// Settles what an ACK (`accept`) or NACK names.
    pub(crate) fn settle(&mut self, id: ConnectionId, named: &Named, accept: bool) -> Result<(), Refusal> {
        let keys = self.covered(id, named, &BTreeSet::new())?;
        let queues = self.close(id, &keys, accept);
        self.after_settling(id, queues);
        Ok(())
    }

    /// Whether there is something of that name to settle now.
    pub(crate) fn check_settle(&self, id: ConnectionId, named: &Named) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(&id) else { return Ok(()) };
        connection.ledger.named(named, &BTreeSet::new()).map(drop)
    }

    /// Does all of it or, if anything in it cannot be done, nothing.
    pub(crate) fn commit(&mut self, id: ConnectionId, operations: Vec<Operation>) -> Result<(), Refusal> {
        let mut settled = self.check_commit(id, &operations)?.into_iter();
        let mut queues = Vec::new();
        for operation in operations {
            match operation {
                Operation::Send(message) => queues.extend(self.take_in(message)),
                Operation::Settle { accept, .. } => {
                    queues.extend(self.close(id, &settled.next().unwrap_or_default(), accept));
                }
            }
        }
        self.after_settling(id, queues);
        Ok(())
    }

    /// Goes through a transaction without doing it; gives what each of its acknowledgements covers.
    fn check_commit(&self, id: ConnectionId, operations: &[Operation]) -> Result<Vec<Vec<u64>>, Refusal> {
        let mut taken = BTreeSet::new();
        let mut settled = Vec::new();
        let mut growth: HashMap<&Arc<str>, (usize, usize)> = HashMap::new();
        let mut new = 0;
        for operation in operations {
            match operation {
                Operation::Settle { named, .. } => {
                    let keys = self.covered(id, named, &taken)?;
                    taken.extend(keys.iter().copied());
                    settled.push(keys);
                }
                Operation::Send(message) => {
                    if let Some(name) = message.destination.queue() {
                        let grown = growth.entry(name).or_default();
                        new += if grown.0 == 0 { self.growth(&message.destination) } else { 0 };
                        grown.0 += 1;
                        grown.1 += message.len();
                    }
                }
            }
        }
        self.check_destinations(new)?;
        for (name, (messages, bytes)) in growth {
            self.check_depth(name, messages, bytes)?;
        }
        Ok(settled)
    }

    fn covered(&self, id: ConnectionId, named: &Named, taken: &BTreeSet<u64>) -> Result<Vec<u64>, Refusal> {
        // Only a connection that is being taken down is not there; nobody will see the answer.
        let Some(Connection { ledger, .. }) = self.connections.get(&id) else { return Ok(Vec::new()) };
        Ok(ledger.covered(ledger.named(named, taken)?, taken))
    }

    /// Takes these out of the ledger. What was not accepted goes back into its queue or, from a topic, to its subscriber
    /// again, if that is still there. Gives the queues that have more now.
    fn close(&mut self, id: ConnectionId, keys: &[u64], accept: bool) -> Vec<Arc<str>> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let entries: Vec<Unsettled> = keys.iter().filter_map(|key| connection.ledger.take(*key)).collect();
        for Unsettled { message: Queued { message, .. }, .. } in &entries {
            self.hub.tell(|| BrokerEvent::Settled {
                connection: id.0,
                destination: message.destination.text().to_string(),
                message_id: message.number.to_string(),
                accepted: accept,
            });
        }
        if accept {
            return Vec::new();
        }
        let (from_topics, from_queues): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.message.message.destination.queue().is_none());
        for Unsettled { subscriber, message } in from_topics {
            self.pass_on(subscriber, Queued { redelivered: true, ..message });
        }
        self.put_back(from_queues.into_iter().map(|entry| entry.message))
    }

    /// Whoever has settled may have room for more, and queues may have got some.
    fn after_settling(&mut self, id: ConnectionId, queues: Vec<Arc<str>>) {
        self.feed(id);
        self.serve_all(queues);
    }
}
