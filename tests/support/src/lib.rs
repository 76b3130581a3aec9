//! What the tests of several crates need. It panics where a test would unwrap, and knows none of our crates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

pub mod certificates;
#[cfg(feature = "proxy")]
mod proxy;

#[cfg(feature = "proxy")]
pub use proxy::TestProxy;
