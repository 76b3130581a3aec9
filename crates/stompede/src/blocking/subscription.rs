use std::sync::Arc;
use std::time::Duration;

use super::thread::{Thread, refuse_runtime};
use crate::{Error, Message, SubscriptionId};

/// The messages of one subscription; dropping it unsubscribes. As an [`Iterator`] it ends with the subscription, an error
/// being its last item.
#[derive(Debug)]
pub struct Subscription {
    /// Away only while a call is under way.
    inner: Option<crate::Subscription>,
    id: SubscriptionId,
    thread: Arc<Thread>,
}

impl Subscription {
    pub(super) fn new(inner: crate::Subscription, thread: Arc<Thread>) -> Self {
        let id = inner.id();
        Self { inner: Some(inner), id, thread }
    }

    /// The next message; `None` once the subscription or the session has ended in order. Waits as long as it takes.
    ///
    /// # Errors
    /// The session ended for this reason, or this is inside an async runtime.
    pub fn try_next(&mut self) -> Result<Option<Message>, Error> {
        refuse_runtime()?;
        let Some(inner) = &mut self.inner else { return Ok(None) };
        self.thread.scoped(inner.try_next())
    }

    /// The next message, if there is one within this time: `Ok(None)` is also what the end of the subscription gives.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next_within(&mut self, within: Duration) -> Result<Option<Message>, Error> {
        refuse_runtime()?;
        let Some(inner) = &mut self.inner else { return Ok(None) };
        let next = async { tokio::time::timeout(within, inner.try_next()).await };
        self.thread.scoped(next).unwrap_or(Ok(None))
    }

    /// The name of this subscription inside its session.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }
}

impl Iterator for Subscription {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if matches!(next, Some(Err(_))) {
            // An error is the last item.
            self.inner = None;
        }
        next
    }
}
