//! The one place that reads the clock.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, Sleep, sleep_until};

#[expect(
    clippy::disallowed_methods,
    reason = "connections are drivers; everything else gets the time from here"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, as the `timestamp` of a message has them.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn unix_millis() -> u128 {
    // A clock before 1970 is set wrongly; a message may still be sent.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// One timer that is set again and again.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready once `due` is over; never without one.
    ///
    /// A timer that fires too early, because `due` was moved, costs one more turn and no more.
    pub(crate) fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due || sleep.is_elapsed() {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
