use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Listener, Message};

/// Keeps messages until somebody asks for them: for programs that poll.
///
/// It is bounded by count and by bytes. When it is full, the oldest messages make room and are
/// [counted](Self::dropped); in the ack modes they stay unacknowledged, so the broker still has them.
///
/// ```
/// use std::sync::Arc;
/// use stompede::Client;
/// use stompede::listeners::MessageQueue;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let queue = Arc::new(MessageQueue::new());
/// let client = Client::builder("ws://localhost:15674/ws").listener("queue", queue.clone()).connect().await?;
/// client.subscribe("/topic/prices").listen().await?;
/// for message in queue.drain() {
///     println!("{}", message.text()?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MessageQueue {
    max_messages: usize,
    max_bytes: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    messages: VecDeque<Message>,
    bytes: usize,
    dropped: u64,
}

impl MessageQueue {
    /// Room for 1,024 messages whose bodies have 16 MiB together.
    pub fn new() -> Self {
        const { Self::bounded(NonZeroUsize::new(MAX_MESSAGES).expect("not zero"), MAX_BYTES) }
    }

    /// Room for this many messages and bytes of bodies. A single larger message fits all the same.
    pub const fn bounded(max_messages: NonZeroUsize, max_bytes: usize) -> Self {
        let inner = Mutex::new(Inner { messages: VecDeque::new(), bytes: 0, dropped: 0 });
        Self { max_messages: max_messages.get(), max_bytes, inner }
    }

    /// Takes every message, the oldest first.
    pub fn drain(&self) -> Vec<Message> {
        let mut inner = self.lock();
        inner.bytes = 0;
        std::mem::take(&mut inner.messages).into()
    }

    /// Takes the oldest message.
    pub fn pop(&self) -> Option<Message> {
        let mut inner = self.lock();
        let message = inner.messages.pop_front()?;
        inner.bytes -= message.body().len();
        Some(message)
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.lock().messages.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that made room for later ones and are gone.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MessageQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener for MessageQueue {
    async fn on_message(&self, message: &Message) {
        let bytes = message.body().len();
        let mut inner = self.lock();
        while inner.messages.len() >= self.max_messages
            || (!inner.messages.is_empty() && inner.bytes.saturating_add(bytes) > self.max_bytes)
        {
            let Some(oldest) = inner.messages.pop_front() else { break };
            inner.bytes -= oldest.body().len();
            inner.dropped += 1;
        }
        inner.bytes += bytes;
        inner.messages.push_back(message.clone());
    }
}

/// As much as a poll every few seconds can show to somebody.
const MAX_MESSAGES: usize = 1024;

/// What may be held for a program that forgets to poll.
const MAX_BYTES: usize = 16 * 1024 * 1024;
