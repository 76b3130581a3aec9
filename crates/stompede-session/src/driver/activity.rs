//! Counts who is at work on messages, for those who wait until nobody is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Consumers that have not seen the end of their subscription, and messages that are neither settled nor dropped.
#[derive(Default)]
pub(crate) struct Activity {
    count: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Activity {
    pub(crate) fn enter(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn leave(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Ready when nobody is at work.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        // Registered before looking, so that no wake-up falls in between.
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        drop(waiting);
        match self.count.load(Ordering::Acquire) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
