use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::protocol::{Connected, Event};

/// Where a session stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionState {
    /// The connection is being opened, or CONNECTED is awaited.
    Connecting,
    /// Frames can be sent. What the broker said of itself, and what was negotiated, is inside.
    Connected(Arc<Connected>),
    /// There is no connection; the next attempt at one comes later. Everything may be asked for meanwhile.
    Reconnecting {
        /// Why the connection was lost, or why the attempt before failed.
        cause: Error,
        /// The number of the next attempt, counted from 1 since the last stable connection.
        attempt: u32,
        /// How long it was until then when this was said.
        next_in: Duration,
    },
    /// An orderly end has been asked for, and has not come yet. Nothing more is sent but acknowledgements.
    Disconnecting(Arc<Connected>),
    /// The session is over: cleanly, or for this reason.
    Closed(Option<Error>),
}

impl SessionState {
    /// What it is after this event; `None` if that is the same.
    pub(crate) fn after(&self, event: &Event) -> Option<Self> {
        match (event, self) {
            (Event::Connected(peer), _) => Some(Self::Connected(peer.clone())),
            (Event::Reconnecting { cause, attempt, next_in }, _) => {
                Some(Self::Reconnecting { cause: cause.clone(), attempt: *attempt, next_in: *next_in })
            }
            (Event::Disconnecting, Self::Connected(peer)) => Some(Self::Disconnecting(peer.clone())),
            (Event::Closed(cause), _) => Some(Self::Closed(cause.clone())),
            _ => None,
        }
    }
}
