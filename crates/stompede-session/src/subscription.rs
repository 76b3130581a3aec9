use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use stompede_codec::{Frame, Headers};

use crate::driver::Shared;
use crate::protocol::{
    Arrival, Delivery, End, Gap, Inbox, Outcome, Place, RenewHeaders, SubscribeRequest, SubscriptionId,
    Ticket, WhenFull,
};
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

    /// Adds a header: a selector, a durable name, a prefetch count. Repeated headers are kept in order. `destination`, `id`
    /// and `ack` are not set this way: then nothing is subscribed, and awaiting it is an error.
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

    /// How many messages wait for the consumer before the queue is full. 256 unless set.
    ///
    /// In the ack modes a broker that has a header for it is asked to send no more unsettled ones than this; see
    /// [`SubscribeRequest::window`].
    pub fn window(mut self, messages: usize) -> Self {
        self.request.window = messages;
        self
    }

    /// How many bytes wait for the consumer before the queue is full. 256 KiB unless set.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.request.queue_bytes = bytes;
        self
    }

    /// What happens to a message for which the queue has no room; [`WhenFull::Overflow`] unless set.
    pub fn when_full(mut self, what: WhenFull) -> Self {
        self.request.when_full = what;
        self
    }

    /// Lets an ACK that waits to be written give way to a later one, which covers it in ack mode client.
    pub fn coalesce_acks(mut self) -> Self {
        self.request.coalesce_acks = true;
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

    /// Makes it a subscription that collects messages while nobody listens, under this name. How it is asked for, and
    /// whether it can be, is up to the broker; see [`BrokerProfile::durable`](crate::BrokerProfile::durable).
    pub fn durable(mut self, name: impl Into<String>) -> Self {
        self.request.durable = Some(name.into());
        self
    }

    /// Renews the headers each time the subscription is made again on a new connection: a token that expires, a place to
    /// go on from. `renew` gets the headers that were given last. It must not block, nor call anything of the session: that
    /// waits for it.
    pub fn renew_headers(mut self, renew: impl Fn(&mut Headers) + Send + Sync + 'static) -> Self {
        self.request.renew = Some(RenewHeaders::new(renew));
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
        let (inbox, receipt) = shared.subscribe(|machine| {
            if !confirm {
                return Ok((machine.subscribe(request)?, None));
            }
            let until = rt::now().checked_add(within);
            machine.subscribe_with_receipt(request, until)
        })?;
        // From here on a drop unsubscribes.
        let subscription = Subscription {
            session: Holding::Strong(session.clone()),
            ack,
            inbox,
            taken: VecDeque::new(),
            gap: None,
            at_work: true,
            alone: false,
        };
        shared.activity.enter();
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
/// A slow consumer holds up nobody else at first: up to 256 messages or 256 KiB (and once what came in one read with the
/// last of them) wait here, as much again may have been taken out together by this handle, and beyond that all
/// subscriptions of a session together may hold 16 MiB. Only then does the session stop reading until somebody takes
/// messages. [`SubscribeBuilder::when_full`] has other ways. Small messages that have to wait do not keep the read buffer
/// alive that they came in.
pub struct Subscription {
    session: Holding,
    ack: AckMode,
    inbox: Arc<Inbox>,
    /// Messages taken out of the queue together, so that its lock is not taken for each.
    taken: VecDeque<Delivery>,
    /// What is missing before the next message.
    gap: Option<Gap>,
    /// Whether it counts as at work: until its consumer has seen the end, or has gone.
    at_work: bool,
    /// The session went on when it ended.
    alone: bool,
}

/// Whether a subscription keeps its session open.
enum Holding {
    Strong(Session),
    Weak(Arc<Shared>),
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
        self.inbox.subscription()
    }

    /// How its messages are acknowledged.
    pub fn ack_mode(&self) -> AckMode {
        self.ack
    }

    /// Whether it has ended for a reason of its own, while the session went on: the broker will not have it, or its queue was
    /// full. False until [`try_next`](Self::try_next) has given that reason.
    pub fn ended_alone(&self) -> bool {
        self.alone
    }

    /// Sends UNSUBSCRIBE and ends the subscription. Messages that still wait in it are dropped.
    ///
    /// Does not wait for the broker.
    ///
    /// # Errors
    /// The session is over. The subscription has ended all the same.
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
        if self.shared().observer.is_none() {
            return self.poll_queued(cx);
        }
        loop {
            let Some(mut message) = ready!(self.poll_queued(cx)?) else { return Poll::Ready(Ok(None)) };
            let Some(observer) = &self.shared().observer else { return Poll::Ready(Ok(Some(message))) };
            if observer.before_message(message.frame_mut()) {
                return Poll::Ready(Ok(Some(message)));
            }
            // Dropped; what is missing before it is missing before the next one as well.
            self.gap = Gap::join(message.gap(), self.gap);
            // An ACK in mode client would cover messages that somebody still works on.
            if self.ack == AckMode::ClientIndividual {
                // If the connection is gone the message comes again, and is dropped again.
                let _ = message.ack();
            }
        }
    }

    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            match self.taken.pop_front() {
                Some(Delivery::Message { frame, ticket }) => {
                    return Poll::Ready(Ok(Some(self.message(frame, ticket))));
                }
                Some(Delivery::Gap(gap)) => self.gap = Gap::join(self.gap, Some(gap)),
                None => match ready!(self.poll_inbox(cx)) {
                    Ok(None) => {}
                    Ok(Some(mut place)) => {
                        let message =
                            place.take().map(|Arrival { frame, ticket }| self.message(frame, ticket));
                        self.inbox.give_back(place);
                        if message.is_some() {
                            return Poll::Ready(Ok(message));
                        }
                    }
                    Err(end) => return Poll::Ready(self.on_end(end)),
                },
            }
        }
    }

    fn message(&mut self, frame: Frame, ticket: Ticket) -> Message {
        let gap = self.gap.take();
        let shared = (self.ack != AckMode::Auto).then(|| self.shared());
        Message::new(frame, ticket, shared, gap)
    }

    fn on_end(&mut self, end: End) -> Result<Option<Message>, Error> {
        self.rest();
        match end {
            End::Clean => Ok(None),
            End::Failed(error) => Err(error),
            End::Alone(error) => {
                self.alone = true;
                Err(error)
            }
        }
    }

    /// Takes what is in the queue: a message that is alone in its place, which is to be given back, or else to `taken`.
    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Place>, End>> {
        // This queue is none of tokio's: without its budget a busy consumer would starve its runtime.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        let (alone, resumed) = ready!(self.inbox.poll_place(cx, &mut self.taken))?;
        if resumed {
            self.shared().wake_driver();
        }
        budget.made_progress();
        Poll::Ready(Ok(alone))
    }

    /// The consumer has no more to do.
    fn rest(&mut self) {
        if std::mem::take(&mut self.at_work) {
            self.shared().activity.leave();
        }
    }

    fn leave(&mut self) -> Result<(), Error> {
        let (queued, _) = self.inbox.discard();
        let taken = std::mem::take(&mut self.taken);
        let unsettled = match self.ack {
            AckMode::Auto => 0,
            _ => queued + taken.iter().filter(|one| matches!(one, Delivery::Message { .. })).count(),
        };
        let id = self.id();
        self.shared().command(|machine| {
            machine.note_discarded(id, unsettled);
            machine.unsubscribe(id)
        })
    }

    fn shared(&self) -> &Arc<Shared> {
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
        self.rest();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id())
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
