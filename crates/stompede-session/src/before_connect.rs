use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::protocol::Attempt;
use crate::{Error, ErrorKind};

pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Attempt, Postponed>> + Send>>;

/// Is asked before each attempt to connect, and may change where it goes and what CONNECT says: a new token, another host.
///
/// The time that it takes counts as part of the `connect_timeout` of the attempt: one that hangs is a failed attempt.
#[derive(Clone)]
pub struct BeforeConnect(Arc<dyn Fn(Attempt) -> Answer + Send + Sync>);

impl BeforeConnect {
    /// Asks `prepare`. It must not block; the future it gives is dropped when the attempt is given up.
    ///
    /// An error given with `?` makes this a failed attempt; the next one comes when the
    /// [`ReconnectPolicy`](crate::ReconnectPolicy) says. [`Postponed::stop`] ends the session instead.
    pub fn new<F>(prepare: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Attempt, Postponed>> + Send + 'static,
    {
        Self(Arc::new(move |attempt| Box::pin(prepare(attempt))))
    }

    /// Asks, on behalf of a driver: what comes of it goes to [`Machine::set_attempt`](crate::protocol::Machine::set_attempt),
    /// [`fail_attempt`](crate::protocol::Machine::fail_attempt) or [`give_up`](crate::protocol::Machine::give_up).
    pub fn ask(&self, attempt: Attempt) -> Answer {
        (self.0)(attempt)
    }
}

impl fmt::Debug for BeforeConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeConnect")
    }
}

/// Why an attempt is not made; see [`BeforeConnect`]. Any error becomes one by `?`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Postponed {
    /// The reason.
    pub error: Error,
    /// There is to be no other attempt either.
    pub for_good: bool,
}

impl Postponed {
    /// The session is to end, for this reason. Then nothing is tried again.
    pub fn stop(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { for_good: true, ..Self::because(reason.into()) }
    }

    /// This attempt fails, for this reason. The next one comes when the policy says.
    pub fn later(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::because(reason.into())
    }

    fn because(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let context = "before_connect did not let the attempt begin";
        Self { error: Error::with_other(ErrorKind::NotPrepared, context, error), for_good: false }
    }
}

/// As [`later`](Self::later).
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Postponed {
    fn from(error: E) -> Self {
        Self::because(Box::new(error))
    }
}
