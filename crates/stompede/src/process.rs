use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{AckMode, Error, ErrorKind, Message, Subscription};

/// Works a subscription off: up to `concurrency` messages at a time go to `handler`, each in a task of its own.
///
/// `Ok` acknowledges the message. After `Err`, or a panic, it is tried again after a delay; when its attempts are used up, it
/// is [rejected](Message::reject). So a message that nobody can handle turns no hot loop, although RabbitMQ delivers what was
/// NACKed again at once: it waits here, unsettled, between its attempts and before it is rejected, and does not come again.
/// ActiveMQ puts it into a dead-letter queue, RabbitMQ does so where the queue is configured for it and drops it otherwise.
///
/// The work goes on until the subscription ends or [`until`](Process::until) says so; then the messages that have been begun
/// are finished and settled, and those that have not are left to the broker, which delivers them again. To end a client with
/// all its work, [`Client::drain`](crate::Client::drain) it instead: what has come is finished, and the acknowledgements go
/// out before DISCONNECT.
///
/// ```
/// use std::time::Duration;
/// use stompede::{AckMode, Client, Message, process};
///
/// # async fn brew(_: &Message) -> Result<(), std::fmt::Error> { Ok(()) }
/// # async fn run(client: Client, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), stompede::Error> {
/// let orders = client.subscribe("/queue/orders").ack(AckMode::ClientIndividual).await?;
/// let done = process(orders, 8, |message| async move { brew(&message).await })
///     .attempts(3)
///     .delay(Duration::from_secs(1), Duration::from_secs(10))
///     .until(shutdown)
///     .await?;
/// println!("{} orders served, {} refused", done.accepted, done.rejected);
/// # Ok(())
/// # }
/// ```
pub fn process<F>(subscription: Subscription, concurrency: usize, handler: F) -> Process<F> {
    Process {
        subscription,
        concurrency,
        handler,
        attempts: 5,
        first_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        stop: Box::pin(pending()),
    }
}

/// Work on a subscription; made by [`process`]. `.await` does it.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] for settings that make no sense: a concurrency, a number of attempts or a delay of zero, a
/// subscription in ack mode auto, or in mode client with a concurrency above 1, where an ACK would cover messages that are
/// still worked on. Otherwise the reason for which the subscription ended; what had been begun is finished first.
///
/// # Cancel safety
/// Dropped, the handlers are dropped where they wait. Their messages stay unsettled.
#[must_use = "nothing is processed until it is awaited"]
pub struct Process<F> {
    subscription: Subscription,
    concurrency: usize,
    handler: F,
    attempts: u32,
    first_delay: Duration,
    max_delay: Duration,
    drain_timeout: Duration,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What became of the messages of a [`process`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Processed {
    /// Handled and acknowledged.
    pub accepted: u64,
    /// Rejected after the last attempt.
    pub rejected: u64,
    /// Attempts that failed, the last ones included.
    pub failed_attempts: u64,
    /// Neither acknowledged nor rejected: the connection that delivered the message was gone, STOMP 1.0 has no NACK, or
    /// the time to finish was over. The broker delivers it again.
    pub unsettled: u64,
}

impl<F> Process<F> {
    /// How often a message is tried before it is rejected. 5 unless set.
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// How long a message waits after a failed attempt: `first`, then twice as long each time, up to `max`. From 1 s to 30 s
    /// unless set. While it waits it occupies one of the places for messages at a time.
    pub fn delay(self, first: Duration, max: Duration) -> Self {
        Self { first_delay: first, max_delay: max, ..self }
    }

    /// Begins no more messages once this future is ready.
    pub fn until(self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { stop: Box::pin(stop), ..self }
    }

    /// How long messages that have been begun may take to finish after [`until`](Self::until). 30 s unless set.
    pub fn drain_timeout(self, within: Duration) -> Self {
        Self { drain_timeout: within, ..self }
    }

    fn check(&self) -> Result<(), Error> {
        if self.concurrency == 0 {
            return Err(Error::invalid("concurrency: zero messages at a time would never be done"));
        }
        if self.attempts == 0 {
            return Err(Error::invalid("attempts: each message needs at least one"));
        }
        if self.first_delay.is_zero() {
            return Err(Error::invalid("delay: without one a message that fails turns a hot loop"));
        }
        match self.subscription.ack_mode() {
            AckMode::ClientIndividual => Ok(()),
            AckMode::Client if self.concurrency == 1 => Ok(()),
            AckMode::Client => Err(Error::invalid(
                "concurrency: in ack mode client an ACK covers earlier messages too; use client-individual",
            )),
            AckMode::Auto => Err(Error::invalid(
                "subscription: in ack mode auto there is nothing to acknowledge; use client-individual",
            )),
        }
    }
}

impl<F, Fut, E> Process<F>
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    async fn run(self) -> Result<Processed, Error> {
        self.check()?;
        let Self { mut subscription, concurrency, handler, attempts, stop, .. } = self;
        let plan = Arc::new(Plan {
            handler,
            attempts,
            first_delay: self.first_delay,
            max_delay: self.max_delay.max(self.first_delay),
        });
        let (mut tasks, mut done, mut stop) = (JoinSet::new(), Processed::default(), stop);
        let end = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                Some(ended) = tasks.join_next() => done.count(ended.unwrap_or_default()),
                next = subscription.try_next(), if tasks.len() < concurrency => match next {
                    Ok(Some(message)) => { tasks.spawn(work(plan.clone(), message)); }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
            }
        };
        let drain = timeout(self.drain_timeout, async {
            while let Some(ended) = tasks.join_next().await {
                done.count(ended.unwrap_or_default());
            }
        });
        if drain.await.is_err() {
            done.unsettled += tasks.len() as u64;
        }
        // The subscription goes last: a broker may take an ACK after UNSUBSCRIBE amiss.
        drop(subscription);
        end.map(|()| done)
    }
}

impl<F, Fut, E> IntoFuture for Process<F>
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    type Output = Result<Processed, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

struct Plan<F> {
    handler: F,
    attempts: u32,
    first_delay: Duration,
    max_delay: Duration,
}

/// How one message ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    failures: u32,
    settled: Settled,
}

#[derive(Clone, Copy, Debug, Default)]
enum Settled {
    Accepted,
    Rejected,
    #[default]
    Not,
}

/// Tries a message until it is handled or its attempts are used up.
async fn work<F, Fut, E>(plan: Arc<Plan<F>>, message: Message) -> Ended
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let (mut failures, mut delay) = (0, plan.first_delay);
    loop {
        // A task of its own, so that a panic is one failed attempt and no more; it goes when this one goes.
        let (attempt, copy) = (plan.clone(), message.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { (attempt.handler)(copy).await });
        match task.join_next().await {
            Some(Ok(Ok(()))) => {
                let accepted = settled(message.ack(), Settled::Accepted);
                return Ended { failures, settled: accepted };
            }
            Some(Ok(Err(error))) => {
                failures += 1;
                tracing::warn!(attempt = failures, of = plan.attempts, %error, "a message was not handled");
            }
            Some(Err(_)) | None => {
                failures += 1;
                tracing::error!(attempt = failures, of = plan.attempts, "a handler panicked");
            }
        }
        tokio::time::sleep(delay).await;
        if failures >= plan.attempts {
            return Ended { failures, settled: settled(message.reject(), Settled::Rejected) };
        }
        delay = delay.saturating_mul(2).min(plan.max_delay);
    }
}

fn settled(outcome: Result<(), Error>, how: Settled) -> Settled {
    match outcome {
        Ok(()) => how,
        // Somebody else with a clone of the message has decided.
        Err(error) if error.kind() == ErrorKind::AlreadySettled => how,
        Err(error) => {
            tracing::warn!(%error, "a message could not be settled; the broker will deliver it again");
            Settled::Not
        }
    }
}

impl Processed {
    fn count(&mut self, ended: Ended) {
        self.failed_attempts += u64::from(ended.failures);
        match ended.settled {
            Settled::Accepted => self.accepted += 1,
            Settled::Rejected => self.rejected += 1,
            Settled::Not => self.unsettled += 1,
        }
    }
}

impl<F> fmt::Debug for Process<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("subscription", &self.subscription)
            .field("concurrency", &self.concurrency)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
