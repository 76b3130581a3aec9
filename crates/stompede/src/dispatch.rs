//! Brings what happens in a session to the listeners, each in its own task.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use futures_core::Stream;
use stompede_codec::Frame;
use stompede_session::protocol::{Connected, Event};
use stompede_session::{Error, Message, Observer, Subscription};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::interceptor::{Interceptor, Verdict};
use crate::listener::{ErasedListener, Notice};
use crate::mailbox::Mailbox;

pub(crate) struct Dispatch {
    runtime: Handle,
    interceptors: Vec<Arc<dyn Interceptor>>,
    room: Mutex<Room>,
}

/// Who listens, and where the session stands: one lock, so that a listener that comes later misses nothing and hears
/// nothing twice.
#[derive(Default)]
struct Room {
    listeners: Vec<Registered>,
    /// The mailboxes of these listeners, for the carriers to share.
    mailboxes: Arc<[Arc<Mailbox>]>,
    /// The tasks that carry messages from subscriptions to mailboxes.
    carriers: Vec<JoinHandle<()>>,
    connected: Option<Arc<Connected>>,
    closed: bool,
}

struct Registered {
    name: String,
    listener: Arc<dyn ErasedListener>,
    mailbox: Arc<Mailbox>,
}

impl Dispatch {
    /// Starts a task for each listener. They end when the session does.
    pub(crate) fn start(
        runtime: Handle,
        listeners: Vec<(String, Arc<dyn ErasedListener>)>,
        interceptors: Vec<Arc<dyn Interceptor>>,
    ) -> Arc<Self> {
        let dispatch = Arc::new(Self { runtime, interceptors, room: Mutex::default() });
        for (name, listener) in listeners {
            dispatch.add(name, listener);
        }
        dispatch
    }

    /// Registers a listener; one of the same name hears no more.
    pub(crate) fn add(self: &Arc<Self>, name: String, listener: Arc<dyn ErasedListener>) {
        let mut room = self.lock();
        room.remove(&name);
        if room.closed {
            return;
        }
        let mailbox = Arc::new(Mailbox::new(name.clone()));
        if let Some(broker) = &room.connected {
            mailbox.insist(Notice::Connected(broker.clone()));
        }
        let place = Arc::downgrade(self);
        self.runtime.spawn(serve(name.clone(), listener.clone(), mailbox.clone(), place));
        room.listeners.push(Registered { name, listener, mailbox });
        room.list();
    }

    pub(crate) fn remove(&self, name: &str) -> bool {
        self.lock().remove(name)
    }

    /// Lets go of a listener that has heard the end: it may have a handle of the client, and each would keep the other.
    fn retire(&self, mailbox: &Arc<Mailbox>) {
        let mut room = self.lock();
        let at = room.listeners.iter().position(|registered| Arc::ptr_eq(&registered.mailbox, mailbox));
        let gone = at.map(|at| room.listeners.remove(at));
        room.list();
        drop(room);
        // Whatever it holds may come back here when it is dropped.
        drop(gone);
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn Any + Send + Sync>> {
        let room = self.lock();
        let registered = room.listeners.iter().find(|registered| registered.name == name);
        registered.map(|registered| registered.listener.clone().as_any())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().listeners.is_empty()
    }

    /// Carries the messages of `subscription` to every listener, until it ends.
    pub(crate) fn carry(self: &Arc<Self>, subscription: Subscription, destination: String) {
        // Weak: the session must be able to end while this task serves it.
        let mut subscription = subscription.into_weak();
        let dispatch = self.clone();
        let carrier = self.runtime.spawn(async move {
            let mut batch = Vec::new();
            let end = loop {
                let end = poll_fn(|cx| poll_batch(&mut subscription, cx, &mut batch)).await;
                let mailboxes = dispatch.mailboxes();
                // Who has room is served first, and waits for nobody.
                let behind: Vec<_> = mailboxes
                    .iter()
                    .map(|mailbox| (mailbox, mailbox.push(&batch)))
                    .filter(|(_, pushed)| *pushed < batch.len())
                    .collect();
                for (mailbox, pushed) in behind {
                    mailbox.deliver(&batch[pushed..]).await;
                }
                batch.clear();
                if let Some(end) = end {
                    break end;
                }
            };
            dispatch.tell_ended(&subscription, destination, end);
        });
        let mut room = self.lock();
        room.carriers.retain(|carrier| !carrier.is_finished());
        // The end of the session is told after it.
        room.carriers.push(carrier);
    }

    /// Gives the messages of `subscription` to a closure, one after the other, until it ends. Nothing waits for the closure.
    pub(crate) fn handle<F, Fut>(
        self: &Arc<Self>,
        subscription: Subscription,
        destination: String,
        mut handler: F,
    ) where
        F: FnMut(Message) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (mut subscription, dispatch) = (subscription.into_weak(), self.clone());
        self.runtime.spawn(async move {
            let end = loop {
                match subscription.try_next().await {
                    Ok(Some(message)) => {
                        if contained(|| handler(message)).await.is_err() {
                            tracing::error!(
                                destination,
                                "a closure panicked; it goes on with the next message"
                            );
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            dispatch.tell_ended(&subscription, destination, end);
        });
    }

    /// Tells that a subscription has ended, if nothing else tells it.
    fn tell_ended(&self, subscription: &Subscription, destination: String, end: Result<(), Error>) {
        let Err(cause) = end else { return };
        if !subscription.ended_alone() {
            // The end of the session is told by on_disconnected and on_closed.
            return;
        }
        tracing::warn!(destination, %cause, "a subscription has ended");
        let notice = Notice::SubscriptionEnded {
            subscription: subscription.id(),
            destination: destination.into(),
            cause,
        };
        self.tell_all(&notice, Mailbox::insist);
    }

    fn mailboxes(&self) -> Arc<[Arc<Mailbox>]> {
        self.lock().mailboxes.clone()
    }

    fn tell_all(&self, notice: &Notice, how: impl Fn(&Mailbox, Notice)) {
        for mailbox in &*self.mailboxes() {
            how(mailbox, notice.clone());
        }
    }

    /// Tells the end once every message that came before it has been queued.
    fn finish(&self, cause: Option<Error>) {
        let mut room = self.lock();
        let was_connected = room.connected.take().is_some();
        room.closed = true;
        let carriers = std::mem::take(&mut room.carriers);
        // They stay where they are: carriers may have messages left for them.
        let mailboxes = room.mailboxes.clone();
        drop(room);
        for mailbox in &*mailboxes {
            mailbox.take_the_rest();
        }
        self.runtime.spawn(async move {
            for carrier in carriers {
                // A carrier that panicked has nothing more to carry.
                let _ = carrier.await;
            }
            for mailbox in &*mailboxes {
                if was_connected {
                    mailbox.insist(Notice::Disconnected(cause.clone()));
                }
                mailbox.insist(Notice::Closed(cause.clone()));
                mailbox.close();
            }
        });
    }

    /// Asks the interceptors one after the other; `false` if one says that the frame goes no further.
    fn passes(&self, frame: &mut Frame, ask: impl Fn(&dyn Interceptor, &mut Frame) -> Verdict) -> bool {
        self.interceptors.iter().all(|interceptor| {
            match catch_unwind(AssertUnwindSafe(|| ask(&**interceptor, frame))) {
                Ok(verdict) => verdict == Verdict::Pass,
                Err(_) => {
                    tracing::error!("an interceptor panicked; the frame passes");
                    true
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.listeners.iter().position(|registered| registered.name == name) else {
            return false;
        };
        self.listeners.remove(at).mailbox.abandon();
        self.list();
        true
    }

    fn list(&mut self) {
        self.mailboxes = self.listeners.iter().map(|registered| registered.mailbox.clone()).collect();
    }
}

impl Observer for Dispatch {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Connecting(endpoint) => {
                self.tell_all(&Notice::Connecting(endpoint.clone()), Mailbox::insist);
            }
            Event::Connected(broker) => {
                let mut room = self.lock();
                room.connected = Some(broker.clone());
                for mailbox in &*room.mailboxes {
                    mailbox.insist(Notice::Connected(broker.clone()));
                }
            }
            Event::Receipt(name) if !self.is_empty() => {
                self.tell_all(&Notice::Receipt(name.to_string().into()), Mailbox::tell);
            }
            Event::Error(frame) => self.tell_all(&Notice::Error(frame.clone()), Mailbox::insist),
            Event::Sent(frame) => self.tell_all(&Notice::Send(frame.clone()), Mailbox::tell),
            Event::HeartBeat { gap } => self.tell_all(&Notice::HeartBeat(*gap), Mailbox::tell),
            Event::HeartBeatTimeout { silent_for } => {
                self.tell_all(&Notice::HeartBeatTimeout(*silent_for), Mailbox::insist);
            }
            Event::Disconnecting => self.tell_all(&Notice::Disconnecting, Mailbox::insist),
            Event::Disconnected(cause) => {
                self.lock().connected = None;
                self.tell_all(&Notice::Disconnected(Some(cause.clone())), Mailbox::insist);
            }
            Event::Reconnecting { cause, attempt, next_in } => {
                let notice =
                    Notice::Reconnecting { cause: cause.clone(), attempt: *attempt, delay: *next_in };
                self.tell_all(&notice, Mailbox::insist);
            }
            Event::Closed(cause) => self.finish(cause.clone()),
            _ => {}
        }
    }

    fn wants_sends(&self) -> bool {
        !self.is_empty()
    }

    fn before_send(&self, frame: &mut Frame) -> bool {
        let passes = self.passes(frame, |interceptor, frame| interceptor.before_send(frame));
        // Looked at first: finding a header costs more than finding out that nobody wants to know.
        if tracing::enabled!(tracing::Level::TRACE) {
            let (destination, bytes) = (frame.header("destination"), frame.body().len());
            let destination = destination.as_deref();
            tracing::trace!(command = %frame.command(), destination, bytes, passes, "send");
        }
        passes
    }

    fn before_message(&self, frame: &mut Frame) -> bool {
        if tracing::enabled!(tracing::Level::TRACE) {
            let (destination, bytes) = (frame.header("destination"), frame.body().len());
            tracing::trace!(destination = destination.as_deref(), bytes, "delivery");
        }
        self.passes(frame, |interceptor, frame| interceptor.before_message(frame))
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.lock().listeners.iter().map(|registered| registered.name.clone()).collect();
        f.debug_struct("Dispatch").field("listeners", &names).finish_non_exhaustive()
    }
}

/// Takes the messages that are there, a few at a time, or waits for the first. Gives the end with those before it.
fn poll_batch(
    subscription: &mut Subscription,
    cx: &mut Context<'_>,
    batch: &mut Vec<Message>,
) -> Poll<Option<Result<(), Error>>> {
    while batch.len() < AT_A_TIME {
        match Pin::new(&mut *subscription).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => batch.push(message),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(None) => return Poll::Ready(Some(Ok(()))),
            Poll::Pending if batch.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(None)
}

/// One listener's task.
async fn serve(
    name: String,
    listener: Arc<dyn ErasedListener>,
    mailbox: Arc<Mailbox>,
    dispatch: Weak<Dispatch>,
) {
    while let Some(notice) = mailbox.take().await {
        if contained(|| listener.call(&notice)).await.is_err() {
            tracing::error!(listener = %name, "a listener panicked; it goes on with the next notice");
        }
        let lost = mailbox.take_lost();
        if lost > 0 {
            tracing::warn!(listener = %name, lost, "a listener is too slow: receipts, heart-beats or sent frames were not told");
        }
    }
    if let Some(dispatch) = dispatch.upgrade() {
        dispatch.retire(&mailbox);
    }
}

/// Calls somebody and contains the panics of the call, and of what it gives.
async fn contained<F: Future>(call: impl FnOnce() -> F) -> std::thread::Result<F::Output> {
    let mut given = pin!(catch_unwind(AssertUnwindSafe(call))?);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| given.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Messages that are taken from a subscription together, so that locks are not taken for each.
const AT_A_TIME: usize = 64;
