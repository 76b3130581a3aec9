//! Several addresses of one host, tried in the manner of RFC 8305 ("Happy Eyeballs").

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How much of a head start an attempt has before the next address is tried beside it; what RFC 8305 recommends.
pub(crate) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The addresses in the order in which they are tried: the families in turn, beginning with that of the first address,
/// and each family in the resolver's order.
pub(crate) fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let total = addresses.len();
    let (mut own, mut other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    own.reverse();
    other.reverse();
    let mut order = Vec::with_capacity(total);
    while order.len() < total {
        order.extend(own.pop());
        order.extend(other.pop());
    }
    order
}

/// Tries one address after the other, each 250 ms after the one before or as soon as that has failed, until the first
/// succeeds; the others are dropped then.
///
/// # Errors
/// If none succeeds: the address that failed last, and why. `None` if there is no address.
pub(crate) async fn race<T, E, Attempt>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> Attempt,
) -> Result<T, Option<(SocketAddr, E)>>
where
    Attempt: Future<Output = Result<T, E>>,
{
    let mut race = Race { waiting: addresses.iter(), running: Vec::new(), head_start: None, last: None };
    poll_fn(|cx| race.poll(cx, &connect)).await
}

struct Race<'a, Attempt, E> {
    waiting: std::slice::Iter<'a, SocketAddr>,
    running: Vec<(SocketAddr, Pin<Box<Attempt>>)>,
    /// Until when the newest attempt runs before the next joins it; none means that the next may start now.
    head_start: Option<Pin<Box<Sleep>>>,
    last: Option<(SocketAddr, E)>,
}

impl<T, E, Attempt: Future<Output = Result<T, E>>> Race<'_, Attempt, E> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connect: &impl Fn(SocketAddr) -> Attempt,
    ) -> Poll<Result<T, Option<(SocketAddr, E)>>> {
        loop {
            let mut at = 0;
            while let Some((address, attempt)) = self.running.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(connected)) => return Poll::Ready(Ok(connected)),
                    Poll::Ready(Err(error)) => {
                        self.last = Some((*address, error));
                        self.running.swap_remove(at);
                        // Whoever waits behind need not wait for this one any longer.
                        self.head_start = None;
                    }
                    Poll::Pending => at += 1,
                }
            }
            if let Some(timer) = &mut self.head_start {
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.head_start = None;
            }
            match self.waiting.next() {
                Some(&address) => {
                    self.running.push((address, Box::pin(connect(address))));
                    self.head_start = Some(Box::pin(sleep(ATTEMPT_DELAY)));
                }
                None if self.running.is_empty() => return Poll::Ready(Err(self.last.take())),
                None => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| format!("{address}:1").parse().unwrap()).collect()
    }

    /// What one address does: after so many milliseconds it answers, or fails.
    #[derive(Clone, Copy)]
    enum Does {
        Answer(u64),
        Fail(u64),
        Hang,
    }

    struct Outcome {
        winner: Result<SocketAddr, Option<SocketAddr>>,
        took: u64,
        /// When each attempt began.
        began: Vec<u64>,
    }

    async fn run(script: &[Does]) -> Outcome {
        let list: Vec<SocketAddr> =
            (0..script.len()).map(|at| format!("10.0.0.{at}:1").parse().unwrap()).collect();
        #[expect(clippy::disallowed_methods, reason = "the paused clock of the test")]
        let start = Instant::now();
        let began = Mutex::new(Vec::new());
        let winner = race(&list, |address| {
            began.lock().unwrap().push(start.elapsed().as_millis() as u64);
            let does = script[list.iter().position(|&known| known == address).unwrap()];
            async move {
                match does {
                    Does::Answer(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Ok(address)
                    }
                    Does::Fail(after) => {
                        sleep(Duration::from_millis(after)).await;
                        Err(())
                    }
                    Does::Hang => std::future::pending().await,
                }
            }
        });
        let winner = winner.await.map_err(|last| last.map(|(address, ())| address));
        Outcome { winner, took: start.elapsed().as_millis() as u64, began: began.into_inner().unwrap() }
    }

    #[test]
    fn families_take_turns_and_keep_their_order() {
        for (list, expected) in [
            (&["[::1]", "[::2]", "1.1.1.1", "[::3]"][..], &["[::1]", "1.1.1.1", "[::2]", "[::3]"][..]),
            (&["1.1.1.1", "2.2.2.2", "[::1]"], &["1.1.1.1", "[::1]", "2.2.2.2"]),
            (&["1.1.1.1", "2.2.2.2"], &["1.1.1.1", "2.2.2.2"]),
            (&["[::1]"], &["[::1]"]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(addresses(list)), addresses(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_first_address_is_alone() {
        let outcome = run(&[Does::Answer(249), Does::Answer(1)]).await;
        assert_eq!((outcome.winner, outcome.took), (Ok("10.0.0.0:1".parse().unwrap()), 249));
        assert_eq!(outcome.began, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_costs_250_milliseconds_and_a_slow_one_may_still_win() {
        let outcome = run(&[Does::Hang, Does::Answer(20), Does::Answer(1)]).await;
        assert_eq!((outcome.winner, outcome.took), (Ok("10.0.0.1:1".parse().unwrap()), 270));
        assert_eq!(outcome.began, [0, 250]);

        let outcome = run(&[Does::Answer(300), Does::Answer(100)]).await;
        assert_eq!((outcome.winner, outcome.took), (Ok("10.0.0.0:1".parse().unwrap()), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_at_once() {
        let outcome = run(&[Does::Fail(10), Does::Fail(10), Does::Answer(10)]).await;
        assert_eq!((outcome.winner, outcome.took), (Ok("10.0.0.2:1".parse().unwrap()), 30));
        assert_eq!(outcome.began, [0, 10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_last_failure_is_told() {
        let outcome = run(&[Does::Fail(600), Does::Fail(10)]).await;
        assert_eq!((outcome.winner, outcome.took), (Err(Some("10.0.0.0:1".parse().unwrap())), 600));
        let outcome = run(&[]).await;
        assert_eq!((outcome.winner, outcome.took), (Err(None), 0));
    }
}
