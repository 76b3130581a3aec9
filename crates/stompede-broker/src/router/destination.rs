//! Where a destination leads.

use std::sync::Arc;

use super::ConnectionId;
use crate::personality::{Personality, Replies};
use crate::refusal::Refusal;

/// A destination that this broker knows; each holds the whole text, its prefix included.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Destination {
    /// For SUBSCRIBE it may be a pattern.
    Topic(Arc<str>),
    Queue(Arc<str>),
    /// A queue that belongs to a connection and goes with it, under the name that everybody else knows it by.
    Reply(Arc<str>, ConnectionId),
}

impl Destination {
    /// What a client means by a destination: `/temp-queue/NAME` is another queue for each of them.
    pub(crate) fn parse(text: &str, client: ConnectionId, habits: &Personality) -> Result<Self, Refusal> {
        if text.len() > MAX_NAME {
            let text = format!("a destination may have {MAX_NAME} bytes, and this has {}", text.len());
            return Err(Refusal::new("destination is too long", text));
        }
        // Not every version of STOMP could write it to a subscriber.
        if text.contains(char::is_control) {
            return Err(Refusal::new("bad destination", format!("{text:?} has a control character")));
        }
        let named = |prefix| text.strip_prefix(prefix).filter(|name| !name.is_empty());
        if let Some(name) = named(TOPIC) {
            let words = name.split('.').count();
            if words > MAX_WORDS {
                let text = format!("a topic may have {MAX_WORDS} words, and this has {words}");
                return Err(Refusal::new("destination is too long", text));
            }
            return Ok(Self::Topic(text.into()));
        }
        if named("/queue/").is_some() {
            let kind = if habits.messages.queues_broadcast { Self::Topic } else { Self::Queue };
            return Ok(kind(text.into()));
        }
        let named = |prefix| named(prefix).filter(|_| habits.replies != Replies::None);
        if let Some(name) = named(TEMP_QUEUE) {
            return Ok(Self::reply_queue(name, client));
        }
        if let Some(owner) = named(REPLY_QUEUE).and_then(owner_of) {
            return Ok(Self::Reply(text.into(), owner));
        }
        let text = format!("{text:?} is neither /topic/NAME nor /queue/NAME nor /temp-queue/NAME");
        Err(Refusal::unknown_destination(text))
    }

    /// Whether a text names a queue of the client's own.
    pub(crate) fn is_own(text: &str) -> bool {
        text.starts_with(TEMP_QUEUE)
    }

    /// The queue for replies that a client calls by this name.
    fn reply_queue(name: &str, client: ConnectionId) -> Self {
        Self::Reply(format!("{REPLY_QUEUE}{}-{name}", client.0).into(), client)
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        match self {
            Self::Topic(text) | Self::Queue(text) | Self::Reply(text, _) => text,
        }
    }

    /// The name of the queue, if it is one.
    pub(super) fn queue(&self) -> Option<&Arc<str>> {
        match self {
            Self::Queue(text) | Self::Reply(text, _) => Some(text),
            Self::Topic(_) => None,
        }
    }
}

/// Whose reply queue it is, by the part of its name behind the prefix.
fn owner_of(name: &str) -> Option<ConnectionId> {
    name.split_once('-').and_then(|(owner, _)| owner.parse().ok()).map(ConnectionId)
}

pub(super) const TOPIC: &str = "/topic/";

/// How a client calls its own queue for replies.
const TEMP_QUEUE: &str = "/temp-queue/";

/// How others call it.
const REPLY_QUEUE: &str = "/reply-queue/";

/// The longest name of anything in bytes. RabbitMQ takes 255 for a name; nobody writes a thousand by hand.
pub(crate) const MAX_NAME: usize = 1024;

/// Words in a topic: as many as RabbitMQ's 255 bytes can hold. With each one all places in all patterns may be looked at.
const MAX_WORDS: usize = 128;
