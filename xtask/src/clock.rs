//! The one place of this package that reads the clock.

use std::time::Instant;

/// The present, for durations and deadlines of real processes.
#[expect(
    clippy::disallowed_methods,
    reason = "a task runner times real processes; nothing here is simulated"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
