//! Brings what happens in a session to the listeners, each in its own task.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stompede_session::protocol::Event;
use stompede_session::{Error, Observer, Subscription};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::listener::{ErasedListener, Notice};
use crate::mailbox::Mailbox;

pub(crate) struct Dispatch {
    runtime: Handle,
    mailboxes: Vec<Arc<Mailbox>>,
    /// The tasks that carry messages from subscriptions to mailboxes.
    carriers: Mutex<Vec<JoinHandle<()>>>,
    connected: AtomicBool,
}

impl Dispatch {
    /// Starts a task for each listener. They end when the session does.
    pub(crate) fn start(runtime: Handle, listeners: Vec<(String, Arc<dyn ErasedListener>)>) -> Arc<Self> {
        let mailboxes = listeners
            .into_iter()
            .map(|(name, listener)| {
                let mailbox = Arc::new(Mailbox::default());
                runtime.spawn(serve(name, listener, mailbox.clone()));
                mailbox
            })
            .collect();
        Arc::new(Self { runtime, mailboxes, carriers: Mutex::default(), connected: AtomicBool::new(false) })
    }

    /// Carries the messages of `subscription` to every listener, until it ends.
    pub(crate) fn carry(&self, subscription: Subscription) {
        // Weak: the session must be able to end while this task serves it.
        let mut subscription = subscription.into_weak();
        let mailboxes = self.mailboxes.clone();
        self.spawn(async move {
            // Why it ended is told by on_disconnected.
            while let Ok(Some(message)) = subscription.try_next().await {
                for mailbox in &mailboxes {
                    mailbox.deliver(Notice::Message(message.clone())).await;
                }
            }
        });
    }

    /// Starts a task that counts as a carrier: the end of the session is told after it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut carriers = self.carriers.lock().unwrap_or_else(PoisonError::into_inner);
        carriers.retain(|carrier| !carrier.is_finished());
        carriers.push(self.runtime.spawn(task));
    }

    fn tell_all(&self, notice: &Notice, how: impl Fn(&Mailbox, Notice)) {
        for mailbox in &self.mailboxes {
            how(mailbox, notice.clone());
        }
    }

    /// Tells the end once every message that came before it has been queued.
    fn finish(&self, cause: Option<Error>) {
        let was_connected = self.connected.load(Ordering::Acquire);
        let carriers = std::mem::take(&mut *self.carriers.lock().unwrap_or_else(PoisonError::into_inner));
        let mailboxes = self.mailboxes.clone();
        self.runtime.spawn(async move {
            for carrier in carriers {
                // A carrier that panicked has nothing more to carry.
                let _ = carrier.await;
            }
            for mailbox in &mailboxes {
                if was_connected {
                    mailbox.insist(Notice::Disconnected(cause.clone()));
                }
                mailbox.close();
            }
        });
    }
}

impl Observer for Dispatch {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Connected(broker) => {
                self.connected.store(true, Ordering::Release);
                self.tell_all(&Notice::Connected(broker.clone()), Mailbox::insist);
            }
            Event::Receipt(id) => self.tell_all(&Notice::Receipt(id.clone()), Mailbox::tell),
            Event::Error(frame) => self.tell_all(&Notice::Error(frame.clone()), Mailbox::insist),
            Event::HeartBeat { .. } => self.tell_all(&Notice::HeartBeat, Mailbox::tell),
            Event::HeartBeatTimeout { silent_for } => {
                self.tell_all(&Notice::HeartBeatTimeout(*silent_for), Mailbox::insist);
            }
            Event::Disconnected(cause) => {
                self.connected.store(false, Ordering::Release);
                self.tell_all(&Notice::Disconnected(Some(cause.clone())), Mailbox::insist);
            }
            Event::Closed(cause) => self.finish(cause.clone()),
            _ => {}
        }
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("listeners", &self.mailboxes.len()).finish_non_exhaustive()
    }
}

/// One listener's task.
async fn serve(name: String, listener: Arc<dyn ErasedListener>, mailbox: Arc<Mailbox>) {
    while let Some(notice) = mailbox.take().await {
        if call(&*listener, &notice).await.is_err() {
            tracing::error!(listener = %name, "a listener panicked; it goes on with the next notice");
        }
        let lost = mailbox.take_lost();
        if lost > 0 {
            tracing::warn!(listener = %name, lost, "a listener is too slow: receipts or heart-beats were not told");
        }
    }
}

/// Calls a listener and contains its panics.
async fn call(listener: &dyn ErasedListener, notice: &Notice) -> std::thread::Result<()> {
    let mut callback = catch_unwind(AssertUnwindSafe(|| listener.call(notice)))?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| callback.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    })
    .await
}
