//! The bounded queue in front of one listener.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::listener::Notice;

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    inner: Mutex<Inner>,
    /// There is something to take, or there will never be again.
    filled: Notify,
    /// There is room again.
    drained: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Notice>,
    /// Messages in the queue, and their bytes.
    messages: usize,
    bytes: usize,
    /// Bytes of sent frames in the queue.
    news_bytes: usize,
    /// News that found the queue full.
    lost: u64,
    closed: bool,
}

impl Mailbox {
    /// Queues a message once there is room. Dropped before it is ready, nothing is queued.
    pub(crate) async fn deliver(&self, notice: Notice) {
        let bytes = cost(&notice);
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that no wake-up falls in between.
            drained.as_mut().enable();
            {
                let mut inner = self.lock();
                if inner.closed {
                    return;
                }
                if inner.has_room(bytes) {
                    inner.messages += 1;
                    inner.bytes += bytes;
                    inner.queue.push_back(notice);
                    break;
                }
            }
            drained.await;
        }
        self.filled.notify_one();
    }

    /// Queues what is only news, unless the listener is too far behind.
    pub(crate) fn tell(&self, notice: Notice) {
        let mut inner = self.lock();
        let bytes = cost(&notice);
        if inner.closed {
            return;
        }
        if inner.queue.len() >= MAX_NOTICES || (inner.news_bytes > 0 && inner.news_bytes + bytes > MAX_BYTES)
        {
            inner.lost += 1;
            return;
        }
        inner.news_bytes += bytes;
        inner.queue.push_back(notice);
        drop(inner);
        self.filled.notify_one();
    }

    /// Queues what must be heard: there are at most six such for each attempt to connect. A listener that has been stuck
    /// for hundreds of attempts misses the later ones, but never the end.
    pub(crate) fn insist(&self, notice: Notice) {
        let mut inner = self.lock();
        if inner.queue.len() >= MAX_INSISTED && !matches!(notice, Notice::Closed(_)) {
            inner.lost += 1;
        } else if !inner.closed {
            inner.queue.push_back(notice);
        }
        drop(inner);
        self.filled.notify_one();
    }

    /// Nothing comes any more; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Nothing comes any more, and what is queued is thrown away.
    pub(crate) fn abandon(&self) {
        let abandoned = {
            let mut inner = self.lock();
            (inner.messages, inner.bytes, inner.news_bytes, inner.closed) = (0, 0, 0, true);
            std::mem::take(&mut inner.queue)
        };
        drop(abandoned);
        self.close();
    }

    /// The next notice; `None` once the mailbox is closed and empty. Meant for one task.
    pub(crate) async fn take(&self) -> Option<Notice> {
        loop {
            {
                let mut inner = self.lock();
                if let Some(notice) = inner.queue.pop_front() {
                    match &notice {
                        Notice::Message(_) => {
                            inner.messages -= 1;
                            inner.bytes -= cost(&notice);
                            drop(inner);
                            self.drained.notify_waiters();
                        }
                        Notice::Send(_) => inner.news_bytes -= cost(&notice),
                        _ => {}
                    }
                    return Some(notice);
                }
                if inner.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// How much news was lost since the last time this was asked.
    pub(crate) fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.lock().lost)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn has_room(&self, bytes: usize) -> bool {
        self.messages == 0 || (self.messages < MAX_MESSAGES && self.bytes + bytes <= MAX_BYTES)
    }
}

fn cost(notice: &Notice) -> usize {
    match notice {
        Notice::Message(message) => message.body().len(),
        Notice::Send(frame) => frame.body().len(),
        _ => 0,
    }
}

/// Messages that wait for one listener. As many as a subscription's own queue holds: the two together are slack enough.
const MAX_MESSAGES: usize = 256;

/// Bytes of bodies that wait for one listener, of messages and of sent frames each; a single larger one fits all the
/// same.
const MAX_BYTES: usize = 256 * 1024;

/// Notices of all kinds beyond which nothing is queued but the end: a listener that is stuck while connections come and go.
const MAX_INSISTED: usize = 4096;

/// Notices of all kinds beyond which news is not queued any more.
const MAX_NOTICES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn news_beyond_the_bound_is_counted_and_the_end_still_heard() {
        let mailbox = Mailbox::default();
        for _ in 0..MAX_NOTICES + 5 {
            mailbox.tell(Notice::HeartBeat(std::time::Duration::ZERO));
        }
        mailbox.insist(Notice::Disconnected(None));
        mailbox.close();
        assert_eq!(mailbox.take_lost(), 5);
        for _ in 0..MAX_NOTICES {
            assert!(matches!(mailbox.take().await, Some(Notice::HeartBeat(_))));
        }
        assert!(matches!(mailbox.take().await, Some(Notice::Disconnected(None))));
        assert!(mailbox.take().await.is_none());
    }
}
