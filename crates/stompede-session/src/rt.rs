//! The one place that knows which runtime there is: clock, tasks and timers.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub(crate) use tokio::runtime::Handle as Runtime;
pub(crate) use tokio::time::{Sleep, timeout};

use crate::Error;

/// Reads the clock. Under tokio's paused time this is the paused time.
#[allow(clippy::disallowed_methods, reason = "this is the driver's clock")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A number that is most likely a different one for each session.
pub(crate) fn seed() -> u64 {
    // The standard library's hash keys are random, and need no dependency of ours.
    RandomState::new().hash_one("stompede")
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    tokio::time::sleep_until(deadline.into())
}

/// The runtime we are in, or an error that says that there is none.
pub(crate) fn current() -> Result<Runtime, Error> {
    Runtime::try_current()
        .map_err(|error| Error::invalid_because("connect from within a tokio runtime", error))
}

/// Wakes the task again once others have had their turn.
///
/// Waking it at once would not do: tokio's current-thread runtime runs up to 61 tasks before it looks at the future that it
/// blocks on, and one task that wakes itself may be all 61 of them.
pub(crate) fn wake_after_others(cx: &mut Context<'_>) {
    // Its first poll asks for the wake, and dropping it does not take that back.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Lets something take so long at most; `None` if it takes longer.
///
/// By the clock of that runtime: who waits may be in another one, or in none, where there are no timers. If that runtime has
/// been shut down the time is over at once.
pub(crate) async fn timeout_in<T>(
    runtime: &Runtime,
    within: Duration,
    what: impl Future<Output = T>,
) -> Option<T> {
    let mut what = pin!(what);
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = what.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let Timer(timer) = timer
            .get_or_insert_with(|| Timer(runtime.spawn(async move { tokio::time::sleep(within).await })));
        Pin::new(timer).poll(cx).map(|_| None)
    })
    .await
}

/// A task that sleeps. Nobody else waits for it.
struct Timer(tokio::task::JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
