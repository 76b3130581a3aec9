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
mod harness;
mod ours;
mod peers;
mod report;
mod scaling;
mod tally;

pub use broker::{broker, broker_idle};
pub use codec::codec;
