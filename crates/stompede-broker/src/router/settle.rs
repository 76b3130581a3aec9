//! ACK and NACK.

use std::sync::Arc;

use stompede_codec::{Frame, Version};

use super::queue::Queued;
use super::subscriber::{Ack, ConnectionId, SubscriberId};
use super::{Refusal, Router};

/// A message that was delivered and has to be settled.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) ack_id: u64,
    pub(super) subscriber: SubscriberId,
    pub(super) destination: Arc<str>,
    pub(super) message: Queued,
}

impl Router {
    /// Settles what an ACK (`accept`) or NACK frame names.
    pub(crate) fn settle(&mut self, id: ConnectionId, frame: &Frame, accept: bool) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let version = connection.version;
        let at = match version {
            // STOMP 1.2: `id` repeats the `ack` header of the MESSAGE.
            Version::V1_2 => {
                let wanted = number(&required(frame, "id")?);
                wanted.and_then(|wanted| connection.unsettled.iter().position(|u| u.ack_id == wanted))
            }
            // STOMP 1.1 names message and subscription, 1.0 only the message.
            Version::V1_1 | Version::V1_0 => {
                let wanted = number(&required(frame, "message-id")?);
                let subscription = match version {
                    Version::V1_1 => Some(required(frame, "subscription")?),
                    _ => None,
                };
                let subscribers = &self.subscribers;
                connection.unsettled.iter().position(|u| {
                    let of = subscribers.get(&u.subscriber).and_then(|s| s.wire_id.as_deref());
                    Some(u.message.message.number) == wanted
                        && subscription.as_deref().is_none_or(|wanted| of == Some(wanted))
                })
            }
        };
        let Some(at) = at else {
            let text = "no message of that name is waiting to be settled on this connection";
            return Err(Refusal::new("nothing to acknowledge", text));
        };
        let settled = self.take_unsettled(id, at);
        if !accept {
            self.put_back(settled);
            return Ok(());
        }
        // Whoever has settled may have room for more.
        let mut names: Vec<_> = settled.into_iter().map(|u| u.destination).collect();
        names.dedup();
        for name in names {
            self.serve(&name);
        }
        Ok(())
    }

    /// Takes out the message at this place and, in ack mode client from STOMP 1.1 on, the subscription's earlier ones.
    fn take_unsettled(&mut self, id: ConnectionId, at: usize) -> Vec<Unsettled> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let Some(named) = connection.unsettled.get(at) else { return Vec::new() };
        let (subscriber, ack_id) = (named.subscriber, named.ack_id);
        let mode = self.subscribers.get(&subscriber).map(|s| s.ack);
        let cumulative = mode == Some(Ack::Client) && connection.version > Version::V1_0;
        let is_settled = |u: &Unsettled| {
            u.ack_id == ack_id || cumulative && u.subscriber == subscriber && u.ack_id < ack_id
        };
        let (settled, kept): (Vec<_>, Vec<_>) = connection.unsettled.drain(..).partition(is_settled);
        connection.unsettled = kept.into();
        if let Some(subscriber) = self.subscribers.get_mut(&subscriber) {
            subscriber.held -= settled.len().min(subscriber.held);
        }
        settled
    }
}

fn required(frame: &Frame, name: &str) -> Result<String, Refusal> {
    frame.header(name).map(String::from).ok_or_else(|| Refusal::missing(frame, name))
}

/// The number that this broker would have written so; `+1` and `01` are names of nothing.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
