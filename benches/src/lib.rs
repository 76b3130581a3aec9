//! Benches of the stompede crates: generated streams, ceilings written for the purpose, peers, and a harness that
//! runs them in turn so that ratios within one run mean something.
//!
//! docs/performance.md says what is measured and how.

mod args;
mod broker;
mod ceilings;
mod codec;
mod corpus;
mod decoding;
mod encoding;
mod flavor;
mod harness;
mod memory;
mod ours;
mod peers;
mod reliability;
mod report;
mod scaling;
mod session;
mod tally;
mod transport;

pub use broker::{broker, broker_idle};
pub use codec::codec;
pub use reliability::{reliability, session_storm};
pub use session::{session, session_idle, session_server};
pub use transport::{transport, transport_idle};
