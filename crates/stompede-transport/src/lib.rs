//! The pipe below a STOMP session.
//!
//! [`Transport`] moves chunks in and whole frames out; [`Connector`] dials one. Both are small on purpose:
//! a third party implements them for a pipe of its own, and a session neither knows nor cares which it got.
//! What this crate brings itself stands behind features:
//!
//! | feature | brings |
//! |---|---|
//! | `tcp` | `tcp://` through tokio |
//! | `ws` | `ws://` through tungstenite, with an upgrade of our own |
//! | `memory` | a pair of connected transports in memory, for tests |
//! | `server` | accepting `tcp://` and `ws://` |

mod connector;
mod error;
mod outbound;
mod transport;

pub use connector::{Connecting, Connector};
pub use error::{TransportError, TransportErrorKind};
pub use outbound::Outbound;
pub use transport::{BoxTransport, Transport};
