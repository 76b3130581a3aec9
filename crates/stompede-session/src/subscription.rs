use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use stompede_codec::Headers;

use crate::driver::{Delivery, DeliveryEnd};
use crate::protocol::{Outcome, SubscribeRequest, SubscriptionId};
use crate::receipt::Receipt;
use crate::{AckMode, Error, Message, Session, rt};

/// A SUBSCRIBE in the making; made by [`Session::subscribe`].
///
/// `.await` subscribes and gives the [`Subscription`].
#[must_use = "nothing is subscribed until it is awaited"]
pub struct SubscribeBuilder<'a> {
    session: &'a Session,
    request: SubscribeRequest,
    confirm: bool,
    deadline: Option<Duration>,
}

impl<'a> SubscribeBuilder<'a> {
    pub(crate) fn new(session: &'a Session, destination: String) -> Self {
        Self { session, request: SubscribeRequest::new(destination), confirm: false, deadline: None }
    }

    /// Sets the `id` header, which is made up otherwise. It must be unique among the session's subscriptions.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.request.id = Some(id.into());
        self
    }

    /// How messages are acknowledged; [`AckMode::Auto`] unless set.
    pub fn ack(mut self, mode: AckMode) -> Self {
        self.request.ack = mode;
        self
    }

    /// Adds a header: a selector, a durable name, a prefetch count. Repeated headers are kept in order.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.request.headers.push(name, value);
        self
    }

    /// Adds headers, in this order.
    pub fn headers(mut self, headers: &Headers) -> Self {
        for (name, value) in headers {
            self.request.headers.push(name, value);
        }
        self
    }

    /// Sends no SUBSCRIBE and no UNSUBSCRIBE: for messages that the broker sends under a subscription of its own making.
    ///
    /// RabbitMQ's replies to `reply-to:/temp-queue/a` come so, with the id `/temp-queue/a`. The id is the destination
    /// unless set.
    pub fn unannounced(mut self) -> Self {
        self.request.announce = false;
        self
    }

    /// Also waits for the broker's RECEIPT, for as long as the session's `receipt_timeout` or
    /// [`deadline`](Self::deadline). A refused subscription then fails here instead of ending its stream.
    pub fn confirm(mut self) -> Self {
        self.confirm = true;
        self
    }

    /// Limits the wait for the RECEIPT.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    async fn subscribe(self) -> Result<Subscription, Error> {
        let Self { session, request, confirm, deadline } = self;
        let shared = session.shared();
        let within = deadline.unwrap_or(session.receipt_timeout());
        let ack = request.ack;
        let (id, delivery, receipt) = shared.subscribe(ack, |machine| {
            if !confirm {
                return Ok((machine.subscribe(request)?, None));
            }
            let until = rt::now().checked_add(within);
            machine.subscribe_with_receipt(request, until)
        })?;
        // From here on a drop unsubscribes.
        let subscription = Subscription {
            session: Holding::Strong(session.clone()),
            id,
            ack,
            delivery,
            taken: VecDeque::new(),
        };
        let Some(receipt) = receipt else { return Ok(subscription) };
        match Receipt::new(shared.clone(), receipt).await {
            Some(Outcome::Confirmed) | None => Ok(subscription),
            Some(Outcome::Rejected(error) | Outcome::NotSent(error) | Outcome::Unknown(error)) => Err(error),
        }
    }
}

impl<'a> IntoFuture for SubscribeBuilder<'a> {
    type Output = Result<Subscription, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.subscribe())
    }
}

/// The messages of one subscription, in order.
///
/// It is its subscription's only consumer. Dropping it unsubscribes. It keeps the session open like any other handle,
/// unless it has been made [weak](Self::into_weak).
///
/// A slow consumer holds up nobody else at first: up to 256 messages or 256 KiB wait here, as much again may be in the
/// hands of the consumer, and beyond that all subscriptions of a session together may hold 16 MiB. Only then does the
/// session stop reading until somebody takes messages.
pub struct Subscription {
    session: Holding,
    id: SubscriptionId,
    ack: AckMode,
    delivery: Arc<Delivery>,
    /// Messages taken out of the queue together, so that its lock is not taken for each.
    taken: VecDeque<Message>,
}

/// Whether a subscription keeps its session open.
enum Holding {
    Strong(Session),
    Weak(Arc<crate::driver::Shared>),
}

impl Subscription {
    /// The next message; `None` once the subscription or the session has ended in order.
    ///
    /// # Errors
    /// The session ended for this reason. What had arrived before is given out first.
    ///
    /// # Cancel safety
    /// Nothing is lost: dropped before it is ready, it has taken no message.
    pub async fn try_next(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// The name of this subscription inside its session.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// How its messages are acknowledged.
    pub fn ack_mode(&self) -> AckMode {
        self.ack
    }

    /// Sends UNSUBSCRIBE and ends the subscription. Messages that still wait in it are dropped.
    ///
    /// Does not wait for the broker.
    ///
    /// # Errors
    /// No connection is open. The subscription has ended all the same.
    pub fn unsubscribe(mut self) -> Result<(), Error> {
        self.leave()
    }

    /// The same subscription, but the session may end while it lives.
    ///
    /// For tasks that serve a session and should go when it goes.
    #[must_use]
    pub fn into_weak(mut self) -> Self {
        if let Holding::Strong(session) = &self.session {
            self.session = Holding::Weak(session.shared().clone());
        }
        self
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            let Some(mut message) = ready!(self.poll_queued(cx)?) else { return Poll::Ready(Ok(None)) };
            let Some(observer) = &self.shared().observer else { return Poll::Ready(Ok(Some(message))) };
            if observer.before_message(message.frame_mut()) {
                return Poll::Ready(Ok(Some(message)));
            }
            // Dropped. An ACK in mode client would cover messages that somebody still works on.
            if self.ack == AckMode::ClientIndividual {
                // If the connection is gone the message comes again, and is dropped again.
                let _ = message.ack();
            }
        }
    }

    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.taken.pop_front() {
            return Poll::Ready(Ok(Some(message)));
        }
        // This queue is none of tokio's: without its budget a busy consumer would starve its runtime.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let resume = match ready!(self.delivery.poll_take(cx, &mut self.taken)) {
            Ok(resume) => resume,
            Err(DeliveryEnd::Clean) => return Poll::Ready(Ok(None)),
            Err(DeliveryEnd::Failed(error)) => return Poll::Ready(Err(error)),
        };
        budget.made_progress();
        if resume {
            self.shared().wake_driver();
        }
        Poll::Ready(Ok(self.taken.pop_front()))
    }

    fn leave(&mut self) -> Result<(), Error> {
        let left = self.shared().unsubscribe(self.id);
        if self.delivery.discard() {
            self.shared().wake_driver();
        }
        left
    }

    fn shared(&self) -> &Arc<crate::driver::Shared> {
        match &self.session {
            Holding::Strong(session) => session.shared(),
            Holding::Weak(shared) => shared,
        }
    }
}

/// Yields messages until the subscription ends; an error is the last item.
impl Stream for Subscription {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx).map(Result::transpose)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Without a connection there is nobody to tell.
        let _ = self.leave();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("taken", &self.taken.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SubscribeBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeBuilder")
            .field("request", &self.request)
            .field("confirm", &self.confirm)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
