//! The bounded queue in front of one listener.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::Message;
use crate::listener::Notice;

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// The listener's.
    name: String,
    inner: Mutex<Inner>,
    /// There is something to take, or there will never be again.
    filled: Notify,
    /// There is room again.
    drained: Notify,
    hand: Mutex<Hand>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Notice>,
    /// Messages in the queue and in the hands of the listener, and their bytes.
    messages: usize,
    bytes: usize,
    /// Bytes of sent frames in the queue.
    news_bytes: usize,
    /// News that found the queue full.
    lost: u64,
    /// Messages are taken whatever there is room for.
    ending: bool,
    closed: bool,
}

/// Notices that the listener's task took out of the queue together; the room of their messages is given back with the
/// next ones.
#[derive(Debug, Default)]
struct Hand {
    notices: VecDeque<Notice>,
    messages: usize,
    bytes: usize,
}

impl Mailbox {
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Queues as many of these messages as there is room for, from the first on; gives how many. All of them if nobody
    /// takes them any more.
    pub(crate) fn push(&self, messages: &[Message]) -> usize {
        let mut inner = self.lock();
        if inner.closed {
            return messages.len();
        }
        let mut pushed = 0;
        for message in messages {
            let bytes = message.body().len();
            if !inner.has_room(bytes) {
                break;
            }
            inner.messages += 1;
            inner.bytes += bytes;
            inner.queue.push_back(Notice::Message(message.clone()));
            pushed += 1;
        }
        drop(inner);
        if pushed > 0 {
            self.filled.notify_one();
        }
        pushed
    }

    /// Queues these messages as room comes, and says in the log if none comes for long.
    pub(crate) async fn deliver(&self, mut messages: &[Message]) {
        while !messages.is_empty() {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that no wake-up falls in between.
            drained.as_mut().enable();
            messages = &messages[self.push(messages)..];
            if messages.is_empty() {
                return;
            }
            if tokio::time::timeout(STUCK, drained.as_mut()).await.is_err() {
                let (listener, secs) = (&self.name, STUCK.as_secs());
                tracing::warn!(
                    listener,
                    "a listener has not finished anything for {secs} s; it holds up its subscriptions"
                );
                drained.await;
            }
        }
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

    /// Queues what must be heard: there are at most six such for each attempt to connect, and one for a
    /// subscription. A listener that has been stuck
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

    /// The session has ended: what its queues hold is taken at once, in memory as it is, so that no listener waits for another
    /// to hear of the end.
    pub(crate) fn take_the_rest(&self) {
        self.lock().ending = true;
        self.drained.notify_waiters();
    }

    /// Nothing comes any more; what is queued can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Nothing comes any more, and what is queued is thrown away.
    pub(crate) fn abandon(&self) {
        let queued = {
            let mut inner = self.lock();
            (inner.news_bytes, inner.closed) = (0, true);
            std::mem::take(&mut inner.queue)
        };
        let taken = std::mem::take(&mut self.hand().notices);
        drop((queued, taken));
        self.close();
    }

    /// The next notice; `None` once the mailbox is closed and empty. Meant for one task.
    pub(crate) async fn take(&self) -> Option<Notice> {
        loop {
            {
                let mut hand = self.hand();
                if let Some(notice) = hand.notices.pop_front() {
                    return Some(notice);
                }
                let mut inner = self.lock();
                let freed = inner.refill(&mut hand);
                let ended = inner.closed && hand.notices.is_empty();
                drop(inner);
                if freed {
                    self.drained.notify_waiters();
                }
                if let Some(notice) = hand.notices.pop_front() {
                    return Some(notice);
                }
                if ended {
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

    /// To be locked before the rest.
    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Hands the next notices over; `true` if that made room for messages.
    fn refill(&mut self, hand: &mut Hand) -> bool {
        let freed = hand.messages > 0;
        self.messages -= std::mem::take(&mut hand.messages);
        self.bytes -= std::mem::take(&mut hand.bytes);
        let count = self.queue.len().min(AT_A_TIME);
        for notice in self.queue.drain(..count) {
            match &notice {
                Notice::Message(message) => {
                    hand.messages += 1;
                    hand.bytes += message.body().len();
                }
                Notice::Send(_) => self.news_bytes -= cost(&notice),
                _ => {}
            }
            hand.notices.push_back(notice);
        }
        freed
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.ending || self.messages == 0 || (self.messages < MAX_MESSAGES && self.bytes + bytes <= MAX_BYTES)
    }
}

/// What news is counted with.
fn cost(notice: &Notice) -> usize {
    match notice {
        Notice::Send(frame) => frame.body().len(),
        _ => 0,
    }
}

/// Notices that a listener's task takes out together: enough for one lock and one wake-up to be little for each, and a
/// part of the queue only, so that it fills again meanwhile.
const AT_A_TIME: usize = 64;

/// How long a full queue may stand still before somebody should know.
const STUCK: Duration = Duration::from_secs(5);

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
        let mailbox = Mailbox::new("tested".to_owned());
        for _ in 0..MAX_NOTICES + 5 {
            mailbox.tell(Notice::HeartBeat(Duration::ZERO));
        }
        mailbox.insist(Notice::Disconnected(None));
        mailbox.close();
        let mut heard = Vec::new();
        while let Some(notice) = mailbox.take().await {
            heard.push(notice);
        }
        assert_eq!(mailbox.take_lost(), 5);
        let last = heard.pop();
        assert!(matches!(last, Some(Notice::Disconnected(None))), "{last:?}");
        assert_eq!(heard.len(), MAX_NOTICES);
        assert!(heard.iter().all(|notice| matches!(notice, Notice::HeartBeat(_))));
    }
}
