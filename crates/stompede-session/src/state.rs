use std::sync::Arc;

use crate::Error;
use crate::protocol::Connected;

/// Where a session stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionState {
    /// The connection is being opened, or CONNECTED is awaited.
    Connecting,
    /// Frames can be sent. What the broker said of itself, and what was negotiated, is inside.
    Connected(Arc<Connected>),
    /// An orderly end has been asked for, and has not come yet. Nothing more is sent but acknowledgements.
    Disconnecting(Arc<Connected>),
    /// The session is over: cleanly, or for this reason.
    Closed(Option<Error>),
}
