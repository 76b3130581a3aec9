use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::{Client, Error, Headers, Message, SendBuilder, SendError, SessionState, Subscription};

/// Where replies go.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplyTo {
    /// A temporary queue that the broker makes when a request names it in `reply-to`: RabbitMQ, and the embedded broker.
    /// There is no SUBSCRIBE.
    Temporary,
    /// A temporary queue that is subscribed to: ActiveMQ and Artemis, and the embedded broker.
    TemporarySubscribed,
    /// A destination of one's own, for brokers without temporary queues. Several clients may share it if it is a topic: each
    /// takes the replies to its own requests and leaves the others alone.
    Destination(String),
}

/// Asks, and waits for answers; made by [`Client::requester`].
///
/// Replies are told apart by their `correlation-id`, which whoever answers has to copy; see [`Client::reply`]. One that
/// belongs to no request, because it is late or foreign, is dropped. Clones share the reply destination.
#[derive(Clone)]
pub struct Requester(Arc<Inner>);

struct Inner {
    client: Client,
    reply_to: String,
    waiting: Arc<Waiting>,
    /// Distinguishes the requests of this requester from those of all others.
    prefix: String,
    next: AtomicU64,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Waiting {
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    requests: HashMap<String, oneshot::Sender<Message>>,
    /// Why no more replies come.
    ended: Option<Option<Error>>,
    /// Why the last connection was lost: replies to what had been asked on it do not come.
    lost: Option<Error>,
}

/// Why there is no reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The request was not sent, or the broker refused it.
    Send(SendError),
    /// No reply came within this time. Somebody may still be at it.
    TimedOut(Duration),
    /// The connection ended before the reply; `None` if it was ended in order. Where replies go to a
    /// [destination](ReplyTo::Destination) that outlives connections, this comes only with the end of the session.
    Lost(Option<Error>),
    /// More than 10,000 requests wait for a reply.
    TooMany,
}

impl Client {
    /// Prepares for requests with replies.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stompede::{Client, ReplyTo};
    ///
    /// # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let requests = client.requester(ReplyTo::Temporary).await?;
    /// let question = client.send("/queue/questions").text("how many?");
    /// let answer = requests.request(question).within(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The replies cannot be subscribed to, or [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) outside a
    /// tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, there is no subscription.
    pub async fn requester(&self, reply_to: ReplyTo) -> Result<Requester, Error> {
        let runtime = stompede_session::Session::runtime()?;
        let prefix = format!("{:016x}", RandomState::new().hash_one(()));
        let temporary = !matches!(reply_to, ReplyTo::Destination(_));
        let (reply_to, replies) = match reply_to {
            ReplyTo::Temporary => {
                let name = format!("/temp-queue/{prefix}");
                let replies = self.subscribe(&name).unannounced().await?;
                (name, replies)
            }
            ReplyTo::TemporarySubscribed => {
                let name = format!("/temp-queue/{prefix}");
                let replies = self.subscribe(&name).confirm().await?;
                (name, replies)
            }
            ReplyTo::Destination(name) => {
                // Not confirmed: Spring's broker sends no such receipt. A request follows behind it on the same connection.
                let replies = self.subscribe(&name).await?;
                (name, replies)
            }
        };
        let waiting = Arc::new(Waiting::default());
        // A temporary queue dies with its connection, and what is in it.
        let state = temporary.then(|| self.state_changes());
        let task = runtime.spawn(sort(replies.into_weak(), waiting.clone(), state));
        let next = AtomicU64::new(0);
        Ok(Requester(Arc::new(Inner { client: self.clone(), reply_to, waiting, prefix, next, task })))
    }

    /// Starts the answer to `request`: a message to its `reply-to`, with its `correlation-id`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the request has no `reply-to`: nobody waits for
    /// an answer.
    pub fn reply(&self, request: &Message) -> Result<SendBuilder<'_>, Error> {
        let Some(reply_to) = request.header("reply-to").filter(|to| !to.is_empty()) else {
            return Err(Error::invalid("request: it has no reply-to header, so nobody waits for an answer"));
        };
        let reply = self.send(reply_to);
        Ok(match request.header("correlation-id") {
            Some(id) => reply.header("correlation-id", id),
            None => reply,
        })
    }
}

impl Requester {
    /// Starts a request: `.await` sends it, with `reply-to` added, and waits for the reply.
    ///
    /// A `correlation-id` is made up unless it has one, which no other request of this requester may wait under. One with a
    /// `reply-to` is not sent.
    pub fn request<'a>(&'a self, send: SendBuilder<'a>) -> Request<'a> {
        Request { requester: self, send, within: Duration::from_secs(30) }
    }

    /// Where replies go: what the `reply-to` header of a request says.
    pub fn reply_to(&self) -> &str {
        &self.0.reply_to
    }

    /// Requests that wait for their reply.
    pub fn outstanding(&self) -> usize {
        self.0.waiting.lock().requests.len()
    }
}

/// A request in the making; made by [`Requester::request`].
///
/// # Errors
/// [`RequestError`] says whether it was sent, and why there is no reply.
///
/// # Cancel safety
/// Dropped, the request is given up: if it was sent, whoever answers does not learn of it, and the reply is dropped.
#[must_use = "nothing is sent until it is awaited"]
pub struct Request<'a> {
    requester: &'a Requester,
    send: SendBuilder<'a>,
    within: Duration,
}

impl<'a> Request<'a> {
    /// How long the whole of it may take. 30 s unless set.
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    async fn ask(self) -> Result<Message, RequestError> {
        let Self { requester: Requester(inner), send, within } = self;
        let given = match own_id(send.frame().headers()) {
            Ok(given) => given,
            Err(complaint) => return Err(RequestError::Send(send.give_up(complaint))),
        };
        let (send, id) = match given {
            Some(id) => (send, id),
            None => {
                let id = format!("{}-{}", inner.prefix, inner.next.fetch_add(1, Ordering::Relaxed));
                (send.header("correlation-id", &id), id)
            }
        };
        let Some(reply) = inner.waiting.enter(&id)? else {
            let taken = format!("correlation-id: another request waits for its reply under {id:?}");
            return Err(RequestError::Send(send.give_up(Error::invalid(taken))));
        };
        // Whichever way this ends, nobody waits under this id any more.
        let _place = Place { waiting: &inner.waiting, id: &id };
        let asked = tokio::time::timeout(within, async {
            send.header("reply-to", &inner.reply_to).await.map_err(RequestError::Send)?;
            reply.await.map_err(|_| {
                let room = inner.waiting.lock();
                RequestError::Lost(room.ended.clone().unwrap_or_else(|| room.lost.clone()))
            })
        });
        asked.await.unwrap_or(Err(RequestError::TimedOut(within)))
    }
}

impl<'a> IntoFuture for Request<'a> {
    type Output = Result<Message, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}

/// The `correlation-id` that a request was given, if it was. Of two headers the first one counts, so what the requester adds
/// must not be there.
fn own_id(headers: &Headers) -> Result<Option<String>, Error> {
    if headers.contains("reply-to") {
        return Err(Error::invalid("reply-to: replies go where the requester takes them; leave it out"));
    }
    match headers.get("correlation-id") {
        Some(id) if id.is_empty() => {
            Err(Error::invalid("correlation-id: it is empty, so any reply would fit"))
        }
        id => Ok(id.map(Into::into)),
    }
}

struct Place<'a> {
    waiting: &'a Waiting,
    id: &'a str,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().requests.remove(self.id);
    }
}

impl Waiting {
    /// A place for the reply; `None` if somebody waits under this id.
    fn enter(&self, id: &str) -> Result<Option<oneshot::Receiver<Message>>, RequestError> {
        let mut room = self.lock();
        if let Some(cause) = &room.ended {
            return Err(RequestError::Lost(cause.clone()));
        }
        if room.requests.len() >= MAX_OUTSTANDING {
            return Err(RequestError::TooMany);
        }
        let Entry::Vacant(place) = room.requests.entry(id.to_owned()) else { return Ok(None) };
        let (sender, receiver) = oneshot::channel();
        place.insert(sender);
        Ok(Some(receiver))
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each reply to whoever waits for it.
async fn sort(
    mut replies: Subscription,
    waiting: Arc<Waiting>,
    mut state: Option<watch::Receiver<SessionState>>,
) {
    let cause = loop {
        let next = tokio::select! {
            biased;
            next = replies.try_next() => next,
            cause = lost(state.as_mut()) => {
                let mut room = waiting.lock();
                room.lost = Some(cause);
                room.requests.clear();
                continue;
            }
        };
        match next {
            Ok(Some(message)) => {
                let id = message.header("correlation-id").unwrap_or_default();
                let waiter = waiting.lock().requests.remove(&*id);
                if waiter.is_none_or(|waiter| waiter.send(message).is_err()) {
                    tracing::debug!("a reply came that nobody waits for");
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut room = waiting.lock();
    room.ended = Some(cause);
    // Dropping the senders wakes whoever waits.
    room.requests.clear();
}

/// Waits until the connection is lost, and others are to follow.
async fn lost(state: Option<&mut watch::Receiver<SessionState>>) -> Error {
    let Some(state) = state else { return pending().await };
    while state.changed().await.is_ok() {
        if let SessionState::Reconnecting { cause, .. } = &*state.borrow_and_update() {
            return cause.clone();
        }
    }
    // The end of the session ends the subscription as well.
    pending().await
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The subscription goes with the task.
        self.task.abort();
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requester")
            .field("client", &self.0.client)
            .field("reply_to", &self.0.reply_to)
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("send", &self.send)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => write!(f, "the request did not go out: {error}"),
            Self::TimedOut(within) => write!(f, "no reply came within {within:?}"),
            Self::Lost(Some(cause)) => write!(f, "the connection ended before the reply: {cause}"),
            Self::Lost(None) => f.write_str("the client was closed before the reply"),
            Self::TooMany => write!(f, "more than {MAX_OUTSTANDING} requests wait for a reply"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::Lost(Some(cause)) => Some(cause),
            Self::Lost(None) | Self::TimedOut(_) | Self::TooMany => None,
        }
    }
}

/// Requests that may wait at a time: each is a small entry, and a service that is so far behind is down.
const MAX_OUTSTANDING: usize = 10_000;
