use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::Peer;
use super::rig::{Patience, Stop, failed};
use crate::{BoxTransport, Outbound, OutboundFrames, Transport, TransportError};

/// What a read comes to.
pub(super) type Received = Option<Result<Bytes, TransportError>>;

/// The end under test. Each side is asked again only when its own waker was woken.
pub(super) struct Line<'r> {
    transport: BoxTransport,
    patience: Patience<'r>,
    pub(super) reading: Arc<Signal>,
    pub(super) writing: Arc<Signal>,
}

/// The waker of one side.
#[derive(Default)]
pub(super) struct Signal {
    wakes: AtomicUsize,
    woken: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Signal {
    /// How often it was woken.
    pub(super) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }

    /// Whether it was woken since the last time.
    fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    fn attach(&self, task: &Waker) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.clone());
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.woken.store(true, Ordering::SeqCst);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        task.into_iter().for_each(Waker::wake);
    }
}

impl<'r> Line<'r> {
    pub(super) fn new(transport: BoxTransport, patience: Patience<'r>) -> Self {
        Self { transport, patience, reading: Arc::default(), writing: Arc::default() }
    }

    /// Waits for the next chunk or the end.
    pub(super) async fn recv(&mut self) -> Result<Received, Stop> {
        let reading = self.reading.clone();
        self.until("poll_recv", &reading, |transport, cx| transport.poll_recv(cx)).await
    }

    /// Reads so many bytes.
    pub(super) async fn collect(&mut self, len: usize) -> Result<Vec<u8>, Stop> {
        let mut received = Vec::new();
        while received.len() < len {
            match self.recv().await? {
                Some(Ok(chunk)) if chunk.is_empty() => return Err(failed("poll_recv gave an empty chunk")),
                Some(Ok(chunk)) => received.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    return Err(failed(format!(
                        "after {} of {len} bytes came an error: {error}",
                        received.len()
                    )));
                }
                None => return Err(failed(format!("after {} of {len} bytes came the end", received.len()))),
            }
        }
        Ok(received)
    }

    /// Reads to the end, which has to be an orderly one.
    pub(super) async fn collect_to_end(&mut self) -> Result<Vec<u8>, Stop> {
        let mut received = Vec::new();
        loop {
            match self.recv().await? {
                Some(Ok(chunk)) => received.extend_from_slice(&chunk),
                None => return Ok(received),
                Some(Err(error)) => {
                    return Err(failed(format!("instead of an orderly end came an error: {error}")));
                }
            }
        }
    }

    pub(super) async fn ready(&mut self) -> Result<Result<(), TransportError>, Stop> {
        let writing = self.writing.clone();
        self.until("poll_ready", &writing, |transport, cx| transport.poll_ready(cx)).await
    }

    pub(super) async fn flush(&mut self) -> Result<Result<(), TransportError>, Stop> {
        let writing = self.writing.clone();
        self.until("poll_flush", &writing, |transport, cx| transport.poll_flush(cx)).await
    }

    pub(super) async fn close(&mut self) -> Result<Result<(), TransportError>, Stop> {
        let writing = self.writing.clone();
        self.until("poll_close", &writing, |transport, cx| transport.poll_close(cx)).await
    }

    pub(super) fn start_send(&mut self, item: Outbound) -> Result<Result<(), TransportError>, Stop> {
        caught("start_send", || self.transport.start_send(item))
    }

    pub(super) async fn start_frames(
        &mut self,
        frames: &mut OutboundFrames,
    ) -> Result<Result<(), TransportError>, Stop> {
        let writing = self.writing.clone();
        let ask =
            |transport: &mut BoxTransport, cx: &mut Context<'_>| transport.poll_start_frames(cx, frames);
        self.until("poll_start_frames", &writing, ask).await
    }

    /// Starts an item when there is room.
    pub(super) async fn feed(&mut self, item: Outbound) -> Result<(), Stop> {
        works("poll_ready", self.ready().await?)?;
        works("start_send", self.start_send(item)?)
    }

    /// Starts items one after the other, each when there is room.
    pub(super) async fn feed_all(&mut self, items: impl IntoIterator<Item = Outbound>) -> Result<(), Stop> {
        for item in items {
            self.feed(item).await?;
        }
        Ok(())
    }

    /// Starts items, and flushes once.
    pub(super) async fn send_all(&mut self, items: impl IntoIterator<Item = Outbound>) -> Result<(), Stop> {
        self.feed_all(items).await?;
        works("poll_flush", self.flush().await?)
    }

    /// Starts an item and flushes.
    pub(super) async fn send(&mut self, item: Outbound) -> Result<(), Stop> {
        self.send_all([item]).await
    }

    /// Asks the reading side once; nothing has been sent.
    pub(super) fn poll_silence(&mut self) -> Result<(), Stop> {
        match self.poll_recv()? {
            Poll::Pending => Ok(()),
            Poll::Ready(_) => Err(failed("poll_recv was ready although nothing had been sent")),
        }
    }

    /// Asks the reading side once.
    pub(super) fn poll_recv(&mut self) -> Result<Poll<Received>, Stop> {
        let waker = Waker::from(self.reading.clone());
        self.reading.take();
        caught("poll_recv", || self.transport.poll_recv(&mut Context::from_waker(&waker)))
    }

    /// Asks the writing side once.
    pub(super) fn poll_ready(&mut self) -> Result<Poll<Result<(), TransportError>>, Stop> {
        let waker = Waker::from(self.writing.clone());
        self.writing.take();
        caught("poll_ready", || self.transport.poll_ready(&mut Context::from_waker(&waker)))
    }

    /// Asks the writing side once whether all is written. A wake-up from before stays one.
    pub(super) fn poll_flush(&mut self) -> Result<Poll<Result<(), TransportError>>, Stop> {
        let waker = Waker::from(self.writing.clone());
        caught("poll_flush", || self.transport.poll_flush(&mut Context::from_waker(&waker)))
    }

    /// Asks the writing side once to close.
    pub(super) fn poll_close(&mut self) -> Result<Poll<Result<(), TransportError>>, Stop> {
        let waker = Waker::from(self.writing.clone());
        self.writing.take();
        caught("poll_close", || self.transport.poll_close(&mut Context::from_waker(&waker)))
    }

    /// Waits until one of these sides is woken, at most for so long; whether one was.
    pub(super) async fn woken(&mut self, sides: &[&Signal], time: Duration) -> bool {
        let woken = poll_fn(|cx| {
            sides.iter().for_each(|side| side.attach(cx.waker()));
            let woken = sides.iter().any(|side| side.woken.load(Ordering::SeqCst));
            if woken { Poll::Ready(()) } else { Poll::Pending }
        });
        self.patience.clock.limit(time, woken).await.is_some()
    }

    async fn until<T>(
        &mut self,
        name: &'static str,
        signal: &Arc<Signal>,
        mut ask: impl FnMut(&mut BoxTransport, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Stop> {
        let waker = Waker::from(signal.clone());
        let patience = self.patience.limit;
        let mut ask =
            |transport: &mut BoxTransport| caught(name, || ask(transport, &mut Context::from_waker(&waker)));
        let mut first = true;
        let asked = poll_fn(|cx| {
            signal.attach(cx.waker());
            if signal.take() || first {
                first = false;
                return ask(&mut self.transport)?.map(Ok);
            }
            Poll::Pending
        });
        if let Some(outcome) = self.patience.clock.limit(patience, asked).await {
            return outcome;
        }
        // Asked once more, it tells what was wrong.
        Err(failed(match ask(&mut self.transport)? {
            Poll::Ready(_) => format!("{name} was pending and could go on, but its waker was never woken"),
            Poll::Pending => format!("{name} was still pending after {patience:?}"),
        }))
    }
}

/// The peer. Its faults are not looked for.
pub(super) struct Far<'r> {
    peer: Peer,
    patience: Patience<'r>,
}

impl<'r> Far<'r> {
    pub(super) fn new(peer: Peer, patience: Patience<'r>) -> Self {
        Self { peer, patience }
    }

    /// Sends a piece and flushes it.
    pub(super) async fn send(&mut self, piece: Bytes) -> Result<(), Stop> {
        let transport = &mut self.peer.transport;
        let sent = async {
            poll_fn(|cx| transport.poll_ready(cx)).await?;
            transport.start_send(Outbound::whole(piece))?;
            poll_fn(|cx| transport.poll_flush(cx)).await
        };
        let sent = async { sent.await.map_err(|error| failed(format!("the peer could not send: {error}"))) };
        self.patience.within("the peer could not send, is what it sends being received?,", sent).await
    }

    pub(super) async fn recv(&mut self) -> Result<Received, Stop> {
        let transport = &mut self.peer.transport;
        let received = async { Ok(poll_fn(|cx| transport.poll_recv(cx)).await) };
        self.patience.within("the peer received nothing of what it waited for", received).await
    }

    /// Reads so many bytes, as they come.
    pub(super) async fn chunks(&mut self, len: usize) -> Result<Vec<Bytes>, Stop> {
        let (mut chunks, mut received) = (Vec::new(), 0);
        while received < len {
            match self.recv().await? {
                Some(Ok(chunk)) => {
                    received += chunk.len();
                    chunks.push(chunk);
                }
                Some(Err(error)) => {
                    return Err(failed(format!(
                        "the peer got an error after {received} of {len} bytes: {error}"
                    )));
                }
                None => return Err(failed(format!("the peer saw the end after {received} of {len} bytes"))),
            }
        }
        Ok(chunks)
    }

    pub(super) async fn collect(&mut self, len: usize) -> Result<Vec<u8>, Stop> {
        Ok(self.chunks(len).await?.concat())
    }

    /// Waits for the orderly end of a transport that has closed.
    pub(super) async fn hear_end(&mut self) -> Result<(), Stop> {
        match self.recv().await? {
            None => Ok(()),
            Some(Ok(more)) => {
                Err(failed(format!("the peer received {} bytes that nobody had sent", more.len())))
            }
            Some(Err(error)) => {
                Err(failed(format!("the transport closed, and to the peer it was no orderly end: {error}")))
            }
        }
    }

    pub(super) async fn close(&mut self) -> Result<(), Stop> {
        let transport = &mut self.peer.transport;
        let closed = async {
            let closed = poll_fn(|cx| transport.poll_close(cx)).await;
            closed.map_err(|error| failed(format!("the peer could not close: {error}")))
        };
        self.patience.within("the peer could not close", closed).await
    }

    pub(super) fn can_reset(&self) -> bool {
        self.peer.reset.is_some()
    }

    /// Ends abruptly.
    pub(super) fn reset(self) -> Result<(), Stop> {
        let Peer { transport, reset } = self.peer;
        let reset = reset.ok_or(Stop::Skipped("the peer cannot end abruptly; see Peer::on_reset"))?;
        reset();
        drop(transport);
        Ok(())
    }
}

/// What has to work.
pub(super) fn works(name: &str, outcome: Result<(), TransportError>) -> Result<(), Stop> {
    outcome.map_err(|error| failed(format!("{name} failed: {error}")))
}

/// Calls into the transport; a panic there is a failed check and nothing worse.
fn caught<T>(name: &str, call: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        failed(format!("{name} panicked: {words}"))
    })
}
