use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// How exact the suite's waits are.
const TICK: Duration = Duration::from_millis(2);

/// Counts time without a runtime, on a thread that ends when this is dropped.
///
/// Where the machine is too busy to let the thread run, time passes more slowly, and nobody is blamed for it.
pub(super) struct Clock(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Default)]
struct State {
    ticks: u64,
    stopped: bool,
    wakers: Vec<Waker>,
}

/// A moment that comes.
#[derive(Clone, Copy)]
pub(super) struct Deadline(u64);

impl Clock {
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), stop: Condvar::new() });
        let ticking = shared.clone();
        thread::Builder::new().name("conformance clock".into()).spawn(move || ticking.run())?;
        Ok(Self(shared))
    }

    pub(super) fn after(&self, time: Duration) -> Deadline {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        Deadline(self.0.lock().ticks.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)))
    }

    /// Ready when the moment has come.
    fn poll(&self, deadline: Deadline, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.ticks >= deadline.0 {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn has_come(&self, deadline: Deadline) -> bool {
        self.0.lock().ticks >= deadline.0
    }

    /// What the future comes to; `None` if it takes longer.
    pub(super) async fn limit<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let deadline = self.after(time);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => self.poll(deadline, cx).map(|()| None),
        })
        .await
    }

    pub(super) async fn sleep(&self, time: Duration) {
        let deadline = self.after(time);
        poll_fn(|cx| self.poll(deadline, cx)).await;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.stop.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let waited = self.stop.wait_timeout_while(state, TICK, |state| !state.stopped);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.stopped {
                return;
            }
            state.ticks += 1;
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            state = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A waker that panics does so outside the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
