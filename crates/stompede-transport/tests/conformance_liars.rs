//! The suite finds out transports that break one sentence of the contract each, by the check that is for it.
#![cfg(all(feature = "conformance", feature = "memory", feature = "tcp"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

#[path = "support/memory_port.rs"]
mod memory_port;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use memory_port::listening;
use stompede_transport::conformance::{Report, Suite};
use stompede_transport::memory::{Config, MemoryTransport};
use stompede_transport::{
    BoxTransport, Connecting, Connector, Endpoint, Outbound, OutboundFrames, Transport, TransportError,
    TransportErrorKind,
};

/// What is done wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    None,
    EmptyChunks,
    LosesAByte,
    LosesWhatIsMuch,
    ForgetsTheReader,
    ForgetsTheNul,
    CutsLargeBodies,
    SendsHalves,
    SendsTheLastOnly,
    JoinsFrames,
    FlushesLater,
    FlushesNeverWithoutItems,
    NeverFull,
    DropsWhenFull,
    BlocksReadingToo,
    OneWakerForBoth,
    BusyWhenIdle,
    BusyWhenBlocked,
    HurriesToTheEnd,
    TakesTheEndForAnError,
    TakesAnErrorForTheEnd,
    HasNoWords,
    ForgetsTheEnd,
    ForgivesWriteErrors,
    PanicsAfterTheEnd,
    ReadsNothingAfterAWriteError,
    ClosesWithoutFlush,
    MissesTheGoodbye,
    ReadsNothingOnceClosed,
    StaysWhenDropped,
}

/// For each lie the check that is there for it.
const LIES: &[(Lie, &str)] = &[
    (Lie::EmptyChunks, "chunks_are_never_empty"),
    (Lie::LosesAByte, "bytes_arrive_in_order_however_they_were_cut"),
    (Lie::LosesWhatIsMuch, "much_arrives_whole"),
    (Lie::ForgetsTheReader, "a_waiting_reader_is_woken"),
    (Lie::ForgetsTheNul, "each_item_arrives_as_it_was_encoded"),
    (Lie::CutsLargeBodies, "large_bodies_arrive_whole"),
    (Lie::SendsHalves, "an_item_is_one_message"),
    (Lie::SendsTheLastOnly, "many_items_need_one_flush"),
    (Lie::JoinsFrames, "frames_that_lie_together_arrive_each_by_itself"),
    (Lie::FlushesLater, "what_was_flushed_needs_nothing_more"),
    (Lie::FlushesNeverWithoutItems, "flushing_nothing_is_ready"),
    (Lie::NeverFull, "a_peer_that_does_not_read_pushes_back"),
    (Lie::DropsWhenFull, "what_was_taken_before_it_was_full_arrives"),
    (Lie::BlocksReadingToo, "reading_goes_on_while_a_write_is_blocked"),
    (Lie::OneWakerForBoth, "each_side_has_a_waker_of_its_own"),
    (Lie::BusyWhenIdle, "an_idle_connection_is_quiet"),
    (Lie::BusyWhenBlocked, "a_blocked_connection_is_quiet"),
    (Lie::HurriesToTheEnd, "what_came_before_a_close_is_not_lost"),
    (Lie::TakesTheEndForAnError, "a_close_is_an_orderly_end"),
    (Lie::TakesAnErrorForTheEnd, "an_abrupt_end_is_an_error"),
    (Lie::HasNoWords, "an_abrupt_end_is_an_error"),
    (Lie::ForgetsTheEnd, "the_end_stays_the_end"),
    (Lie::ForgivesWriteErrors, "a_failed_write_stays_failed"),
    (Lie::PanicsAfterTheEnd, "nothing_panics_after_the_end"),
    (Lie::ReadsNothingAfterAWriteError, "what_has_arrived_is_read_after_a_failed_write"),
    (Lie::ClosesWithoutFlush, "closing_flushes_and_ends_the_sending_side"),
    (Lie::MissesTheGoodbye, "the_peers_goodbye_ends_a_closed_connection"),
    (Lie::ReadsNothingOnceClosed, "a_closed_side_still_receives"),
    (Lie::StaysWhenDropped, "dropping_closes_at_once"),
];

/// A message transport over the pair in memory that lies in one way.
struct Liar {
    lie: Lie,
    inner: Option<MemoryTransport>,
    received: usize,
    ready_made: VecDeque<Bytes>,
    held: Vec<Outbound>,
    waker: Arc<OneWaker>,
    blocked: bool,
    ended: bool,
    write_failed: bool,
    closed: bool,
    odd: bool,
}

/// The last one who asked, whichever side that was.
#[derive(Default)]
struct OneWaker(Mutex<Option<Waker>>);

impl Wake for OneWaker {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Liar {
    fn new(lie: Lie, inner: MemoryTransport) -> Self {
        Self {
            lie,
            inner: Some(inner),
            received: 0,
            ready_made: VecDeque::new(),
            held: Vec::new(),
            waker: Arc::default(),
            blocked: false,
            ended: false,
            write_failed: false,
            closed: false,
            odd: false,
        }
    }

    fn inner(&mut self) -> &mut MemoryTransport {
        self.inner.as_mut().unwrap()
    }

    /// Polls with the waker that the lie provides.
    fn polled<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut MemoryTransport, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.lie != Lie::OneWakerForBoth {
            return poll(self.inner(), cx);
        }
        let waker = Waker::from(self.waker.clone());
        let outcome = poll(self.inner(), &mut Context::from_waker(&waker));
        if outcome.is_pending() {
            *self.waker.0.lock().unwrap() = Some(cx.waker().clone());
        }
        outcome
    }

    fn recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match self.lie {
            Lie::EmptyChunks if !std::mem::replace(&mut self.odd, true) => {
                return Poll::Ready(Some(Ok(Bytes::new())));
            }
            Lie::ForgetsTheReader => return self.inner().poll_recv(&mut Context::from_waker(Waker::noop())),
            Lie::BlocksReadingToo if self.blocked => return Poll::Pending,
            Lie::ReadsNothingAfterAWriteError if self.write_failed => {
                return Poll::Ready(Some(Err(lost(""))));
            }
            Lie::ReadsNothingOnceClosed if self.closed => return Poll::Ready(None),
            Lie::ForgetsTheEnd if self.ended => return Poll::Pending,
            Lie::HurriesToTheEnd => {
                let mut ended = false;
                while let Poll::Ready(chunk) = self.inner().poll_recv(cx) {
                    match chunk {
                        Some(Ok(chunk)) => self.ready_made.push_back(chunk),
                        _ => {
                            ended = true;
                            break;
                        }
                    }
                }
                return match self.ready_made.pop_front() {
                    Some(chunk) if !ended => Poll::Ready(Some(Ok(chunk))),
                    _ if ended => Poll::Ready(None),
                    _ => Poll::Pending,
                };
            }
            _ => {}
        }
        let outcome = self.polled(cx, |inner, cx| inner.poll_recv(cx));
        if self.lie == Lie::BusyWhenIdle && outcome.is_pending() {
            cx.waker().wake_by_ref();
        }
        let received = ready!(outcome);
        self.odd = false;
        self.ended |= !matches!(received, Some(Ok(_)));
        Poll::Ready(match (self.lie, received) {
            (Lie::LosesAByte, Some(Ok(chunk))) if chunk.len() > 100 => Some(Ok(chunk.slice(1..))),
            (Lie::LosesWhatIsMuch, Some(Ok(chunk))) => {
                self.received += chunk.len();
                let len = if self.received > 1 << 20 { 1 } else { chunk.len() };
                Some(Ok(chunk.slice(..len)))
            }
            (Lie::TakesTheEndForAnError, None) => Some(Err(lost("it is over"))),
            (Lie::TakesAnErrorForTheEnd, Some(Err(_))) => None,
            (Lie::HasNoWords, Some(Err(_))) => Some(Err(lost(""))),
            (Lie::MissesTheGoodbye, None) if self.closed => return Poll::Pending,
            (_, received) => received,
        })
    }

    /// Whether frames are kept until they are flushed.
    fn holds(&self) -> bool {
        matches!(
            self.lie,
            Lie::SendsTheLastOnly | Lie::FlushesLater | Lie::NeverFull | Lie::ClosesWithoutFlush
        )
    }

    /// Hands on what is held.
    fn poll_hand_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        while !self.held.is_empty() {
            ready!(self.inner().poll_ready(cx))?;
            let item = self.held.remove(0);
            self.inner().start_send(item)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport for Liar {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match self.lie {
            Lie::NeverFull | Lie::SendsTheLastOnly => return Poll::Ready(Ok(())),
            _ if self.holds() => ready!(self.poll_hand_on(cx))?,
            _ => {}
        }
        let outcome = self.polled(cx, |inner, cx| inner.poll_ready(cx));
        self.blocked = outcome.is_pending();
        if self.lie == Lie::BusyWhenBlocked && outcome.is_pending() {
            cx.waker().wake_by_ref();
        }
        self.write_failed |= matches!(outcome, Poll::Ready(Err(_)));
        outcome
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        assert!(self.lie != Lie::PanicsAfterTheEnd || !self.ended, "it is over");
        let mut bytes = item.into_bytes();
        match self.lie {
            Lie::ForgetsTheNul if bytes.len() < 10_000 && bytes.ends_with(b"\0") => {
                bytes.truncate(bytes.len() - 1);
            }
            Lie::CutsLargeBodies => bytes.truncate(1 << 20),
            Lie::SendsHalves => {
                let half = bytes.split_to(bytes.len() / 2);
                self.inner().start_send(Outbound::whole(half))?;
            }
            Lie::DropsWhenFull => {
                let has_room = self.inner().poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
                self.inner().start_send(Outbound::whole(bytes.split_off(0)))?;
                let full = self.inner().poll_ready(&mut Context::from_waker(Waker::noop())).is_pending();
                if has_room && full {
                    // One frame too many, and this one is sent twice.
                    return self.inner().start_send(Outbound::heart_beat());
                }
                return Ok(());
            }
            Lie::SendsTheLastOnly => self.held.clear(),
            _ => {}
        }
        let item = Outbound::whole(bytes);
        if self.holds() {
            self.held.push(item);
            return Ok(());
        }
        self.inner().start_send(item)
    }

    fn poll_start_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut OutboundFrames,
    ) -> Poll<Result<(), TransportError>> {
        while !frames.is_empty() {
            ready!(self.poll_ready(cx))?;
            match self.lie {
                Lie::JoinsFrames => self.start_send(Outbound::whole(frames.take_all()))?,
                _ => frames.next().map_or(Ok(()), |frame| self.start_send(frame))?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match self.lie {
            Lie::FlushesLater => {
                // What was held before this flush goes out with the next one.
                let newest = self.held.pop();
                let outcome = self.poll_hand_on(cx);
                self.held.extend(newest);
                return outcome;
            }
            Lie::FlushesNeverWithoutItems if !std::mem::replace(&mut self.odd, true) => return Poll::Pending,
            Lie::ForgivesWriteErrors if self.write_failed => return Poll::Ready(Ok(())),
            _ => {}
        }
        ready!(self.poll_hand_on(cx))?;
        self.polled(cx, |inner, cx| inner.poll_flush(cx))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.closed = true;
        match self.lie {
            Lie::ClosesWithoutFlush => self.held.clear(),
            _ => ready!(self.poll_hand_on(cx))?,
        }
        self.inner().poll_close(cx)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        if self.lie == Lie::StaysWhenDropped {
            std::mem::forget(self.inner.take());
        }
    }
}

fn lost(words: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Lost, words)
}

const PATIENCE: Duration = Duration::from_millis(300);

/// A small capacity: each item is handed on whole, so a message is a chunk.
fn config() -> Config {
    Config::new().capacity(50_000)
}

async fn judged(lie: Lie) -> Report {
    let (connector, port) = listening(config(), move |near| Liar::new(lie, near));
    let suite = Suite::new(&connector, memory_port::endpoint(), || port.accept());
    suite.half_close().messages().patience(PATIENCE).max_buffered(4 << 20).run().await
}

fn failures(report: &Report) -> Vec<&'static str> {
    report.failures().map(|check| check.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lie_is_found_out_by_its_check() {
    let honest = judged(Lie::None).await;
    assert!(honest.passed() && honest.skipped().next().is_none(), "{honest}");

    let running: Vec<_> = LIES.iter().map(|&(lie, check)| (lie, check, tokio::spawn(judged(lie)))).collect();
    for (lie, check, report) in running {
        let report = report.await.unwrap();
        let failures = failures(&report);
        println!("{lie:?}: {failures:?}");
        assert!(failures.contains(&check), "{lie:?}\n{report}");
    }
}

/// Makes of an honest connector one that dials at once, or one that goes on when it should not.
async fn dialled(
    wrong: impl Fn(Arc<dyn Connector>, Endpoint) -> Connecting + Send + Sync,
) -> Vec<&'static str> {
    let (connector, port) = listening(config(), |near| near);
    let connector: Arc<dyn Connector> = Arc::new(connector);
    let lying = Lying { connector, wrong };
    let suite = Suite::new(&lying, memory_port::endpoint(), || port.accept());
    failures(&suite.half_close().patience(PATIENCE).run().await)
}

struct Lying<F> {
    connector: Arc<dyn Connector>,
    wrong: F,
}

impl<F> Connector for Lying<F>
where
    F: Fn(Arc<dyn Connector>, Endpoint) -> Connecting + Send + Sync,
{
    fn connect(&self, endpoint: Endpoint) -> Connecting {
        (self.wrong)(self.connector.clone(), endpoint)
    }
}

#[tokio::test]
async fn connectors_are_found_out_too() {
    let eager = dialled(|honest, endpoint| {
        let attempt = tokio::spawn(honest.connect(endpoint));
        Box::pin(async move { attempt.await.unwrap() })
    });
    assert!(eager.await.contains(&"dialling_is_lazy"));

    let goes_on = dialled(|honest, endpoint| {
        Box::pin(async move {
            let attempt = tokio::spawn(async move {
                let transport = honest.connect(endpoint).await;
                // Long enough to be seen by whoever looks for it.
                tokio::time::sleep(10 * PATIENCE).await;
                transport
            });
            attempt.await.unwrap()
        })
    });
    assert!(goes_on.await.contains(&"a_dropped_dial_stops"));

    let first: Arc<Mutex<Option<Shared>>> = Arc::default();
    let shares = dialled(move |honest, endpoint| {
        let first = first.clone();
        Box::pin(async move {
            let known = first.lock().unwrap().clone();
            let shared = match known {
                Some(shared) => shared,
                None => Shared(Arc::new(Mutex::new(honest.connect(endpoint).await?))),
            };
            *first.lock().unwrap() = Some(shared.clone());
            Ok(Box::new(shared) as BoxTransport)
        })
    });
    assert!(shares.await.contains(&"each_dial_is_a_connection_of_its_own"));
}

/// One connection for everybody.
#[derive(Clone)]
struct Shared(Arc<Mutex<BoxTransport>>);

impl Transport for Shared {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.0.lock().unwrap().poll_recv(cx)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.lock().unwrap().poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.0.lock().unwrap().start_send(item)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.lock().unwrap().poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.lock().unwrap().poll_close(cx)
    }
}

#[tokio::test]
async fn every_check_has_somebody_who_fails_it() {
    let report = judged(Lie::None).await;
    let all: HashSet<&str> = report.checks().iter().map(|check| check.name).collect();
    let mut failed: HashSet<&str> = LIES.iter().map(|(_, check)| *check).collect();
    failed.extend(["dialling_is_lazy", "a_dropped_dial_stops", "each_dial_is_a_connection_of_its_own"]);
    assert_eq!(all, failed);
}
