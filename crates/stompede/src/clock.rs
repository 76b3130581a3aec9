//! The one place of this crate that reads the clock.

use std::time::Instant;

/// Under tokio's paused time this is the paused time.
#[allow(clippy::disallowed_methods, reason = "this is the listeners' clock")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
