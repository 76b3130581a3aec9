use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use super::clock::Clock;
use super::line::{Far, Line};
use super::suite::Suite;

/// Why a check ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    Skipped(&'static str),
}

impl Stop {
    /// The same, said to have come while something was the case.
    pub(super) fn during(self, when: &str) -> Self {
        match self {
            Self::Failed(what) => Self::Failed(format!("{when}: {what}")),
            Self::Skipped(why) => Self::Skipped(why),
        }
    }
}

/// What all checks share.
pub(super) struct Rig<'s> {
    pub(super) suite: Suite<'s>,
    pub(super) clock: Clock,
}

impl Rig<'_> {
    /// A new connection: the end under test, and its peer.
    pub(super) async fn dial(&self) -> Result<(Line<'_>, Far<'_>), Stop> {
        let dialling = async {
            let dialled = self.suite.connector.connect(self.suite.endpoint.clone()).await;
            dialled.map_err(|error| failed(format!("dialling failed: {error}")))
        };
        let accepting = async {
            let accepted = (self.suite.accept)().await;
            accepted.map_err(|error| failed(format!("the peer could not accept: {error}")))
        };
        let both = both(dialling, accepting);
        let (transport, peer) =
            self.patience().within("dialling and accepting did not come to an end", both).await?;
        Ok((Line::new(transport, self.patience()), Far::new(peer, self.patience())))
    }

    pub(super) fn patience(&self) -> Patience<'_> {
        Patience { clock: &self.clock, limit: self.suite.patience }
    }
}

/// How long is waited for what has to come.
#[derive(Clone, Copy)]
pub(super) struct Patience<'r> {
    pub(super) clock: &'r Clock,
    pub(super) limit: Duration,
}

impl Patience<'_> {
    /// What the future comes to, or a failure when the patience is at its end.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        future: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        let outcome = self.clock.limit(self.limit, future).await;
        outcome.unwrap_or_else(|| Err(failed(format!("{what} within {:?}", self.limit))))
    }
}

/// Drives both, and ends early if one fails.
pub(super) async fn both<A, B>(
    first: impl Future<Output = Result<A, Stop>>,
    second: impl Future<Output = Result<B, Stop>>,
) -> Result<(A, B), Stop> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(|cx| {
        poll_into(&mut a, first.as_mut(), cx)?;
        poll_into(&mut b, second.as_mut(), cx)?;
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready(Ok((a, b))),
            (done_a, done_b) => {
                (a, b) = (done_a, done_b);
                Poll::Pending
            }
        }
    })
    .await
}

fn poll_into<T>(
    slot: &mut Option<T>,
    future: Pin<&mut impl Future<Output = Result<T, Stop>>>,
    cx: &mut Context<'_>,
) -> Result<(), Stop> {
    if slot.is_none()
        && let Poll::Ready(outcome) = future.poll(cx)
    {
        *slot = Some(outcome?);
    }
    Ok(())
}

pub(super) fn failed(what: impl Into<String>) -> Stop {
    Stop::Failed(what.into())
}

/// Fails unless the bytes are those.
pub(super) fn same_bytes(received: &[u8], expected: &[u8], who: &str) -> Result<(), Stop> {
    if received == expected {
        return Ok(());
    }
    let at = received.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let show = |bytes: &[u8]| match bytes.get(at) {
        Some(byte) => format!("{byte:#04x}"),
        None => "the end".to_owned(),
    };
    Err(failed(format!(
        "{who} received {} bytes where {} had been sent; at {at} came {} instead of {}",
        received.len(),
        expected.len(),
        show(received),
        show(expected)
    )))
}
