//! Where a destination leads.

use std::sync::Arc;

use crate::refusal::Refusal;

/// A destination that this broker knows; each holds the whole text, its prefix included.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Destination {
    Topic(Arc<str>),
    Queue(Arc<str>),
}

impl Destination {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > MAX_LEN {
            let text = format!("a destination may have {MAX_LEN} bytes, and this has {}", text.len());
            return Err(Refusal::new("destination is too long", text));
        }
        // Not every version of STOMP could write it to a subscriber.
        if text.contains(char::is_control) {
            return Err(Refusal::new("bad destination", format!("{text:?} has a control character")));
        }
        let known: [(&str, fn(Arc<str>) -> Self); 2] = [("/topic/", Self::Topic), ("/queue/", Self::Queue)];
        let found = known.iter().find(|(prefix, _)| text.len() > prefix.len() && text.starts_with(prefix));
        found.map(|(_, kind)| kind(text.into())).ok_or_else(|| {
            Refusal::new("unknown destination", format!("{text:?} is neither /topic/NAME nor /queue/NAME"))
        })
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        match self {
            Self::Topic(text) | Self::Queue(text) => text,
        }
    }
}

/// The longest destination in bytes. RabbitMQ takes 255 for a name; nobody writes a thousand by hand.
const MAX_LEN: usize = 1024;
