//! One connection's task: reads, answers, writes, and ends.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use stompede_codec::{Command, Decoder, Frame, Item, Version};
use stompede_transport::{BoxTransport, Transport};
use tokio::sync::watch;

use crate::broker::Shared;
use crate::outbox::Outbox;
use crate::refusal::Refusal;
use crate::requests::{Requests, Welcome, welcome};
use crate::stats::count;

/// Serves a client until it leaves, errs, or the broker stops.
pub(crate) async fn serve(shared: Arc<Shared>, transport: BoxTransport, mut stop: watch::Receiver<bool>) {
    let mut connection = Connection::new(shared.clone(), transport);
    let connected =
        tokio::time::timeout(shared.limits.connect_within, poll_fn(|cx| connection.poll_connected(cx)));
    let going_on = tokio::select! {
        connected = connected => match connected {
            Ok(connected) => connected,
            Err(_) => {
                let text = format!("no CONNECT within {:?}", shared.limits.connect_within);
                connection.refuse(&Refusal::new("too slow", text), None);
                true
            }
        },
        () = stopped(&mut stop) => false,
    };
    if going_on {
        tokio::select! {
            () = poll_fn(|cx| connection.poll_served(cx)) => {}
            () = stopped(&mut stop) => {}
        }
    }
    // Before the goodbye, which may take a while: what was not settled is for others now.
    connection.requests = None;
    let goodbye = poll_fn(|cx| connection.poll_goodbye(cx));
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

/// Ready once the broker stops, or is gone.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard in the outcome must not live across an await.
    drop(stop.wait_for(|stop| *stop).await);
}

struct Connection {
    shared: Arc<Shared>,
    transport: BoxTransport,
    decoder: Decoder,
    outbox: Arc<Outbox>,
    /// `None` before CONNECT and after the end.
    requests: Option<Requests>,
    /// The peer has closed, or nothing can be read or written any more.
    gone: bool,
}

impl Connection {
    fn new(shared: Arc<Shared>, transport: BoxTransport) -> Self {
        let decoder = Decoder::new(shared.limits.frames);
        let outbox = Arc::new(Outbox::default());
        Self { shared, transport, decoder, outbox, requests: None, gone: false }
    }

    /// Ready once there was a CONNECT (`true`), or there will be none.
    fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.poll_read(cx, 1);
        if self.requests.is_some() || self.outbox.is_ending() {
            return Poll::Ready(true);
        }
        if self.gone { Poll::Ready(false) } else { Poll::Pending }
    }

    /// Ready once the connection is to end: the peer has gone, or there is a last word to be said.
    fn poll_served(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let held = self.poll_read(cx, READ_BUDGET);
        let written = self.poll_write(cx);
        let (bytes, is_ending) = self.outbox.load();
        // What is left then has only the time of the goodbye: a peer that does not read must not keep its place.
        if self.gone || is_ending {
            return Poll::Ready(());
        }
        let max = self.shared.limits.max_outbox_bytes;
        if let Some(requests) = self.requests.as_ref().filter(|_| self.outbox.is_fed_again(max)) {
            requests.feed();
        }
        if held && bytes < max || self.outbox.poll_news(cx, !written) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Writes what is left, closes in order, and waits for the peer's own close.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let written = self.gone || self.poll_write(cx);
        if !written || !self.gone && self.transport.poll_close(cx).is_pending() {
            return Poll::Pending;
        }
        while !self.gone {
            match self.transport.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None | Some(Err(_))) => self.gone = true,
            }
        }
        Poll::Ready(())
    }

    /// Reads and answers up to `budget` chunks; `true` if it stopped because the peer does not read its answers.
    fn poll_read(&mut self, cx: &mut Context<'_>, budget: usize) -> bool {
        for _ in 0..budget {
            let (bytes, is_ending) = self.outbox.load();
            if self.gone || is_ending {
                return false;
            }
            if bytes >= self.shared.limits.max_outbox_bytes {
                return true;
            }
            match self.transport.poll_recv(cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(chunk))) => {
                    self.decoder.push(chunk);
                    self.answer_all();
                }
                Poll::Ready(None | Some(Err(_))) => self.gone = true,
            }
        }
        // There may be more to read; others come first.
        cx.waker().wake_by_ref();
        false
    }

    /// Whether everything in the outbox has been written and flushed.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..WRITE_BUDGET {
            match self.transport.poll_ready(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(_)) => return self.give_up(),
                Poll::Ready(Ok(())) => {}
            }
            let Some(item) = self.outbox.pop() else {
                return match self.transport.poll_flush(cx) {
                    Poll::Pending => false,
                    Poll::Ready(Err(_)) => self.give_up(),
                    Poll::Ready(Ok(())) => true,
                };
            };
            if self.transport.start_send(item).is_err() {
                return self.give_up();
            }
        }
        cx.waker().wake_by_ref();
        false
    }

    fn give_up(&mut self) -> bool {
        self.gone = true;
        true
    }

    fn answer_all(&mut self) {
        while !self.outbox.is_ending() {
            match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(Item::HeartBeat)) => {}
                Ok(Some(Item::Frame(frame))) => self.answer(frame),
                Err(error) => {
                    return self.refuse(&Refusal::new("bad frame", error.to_string()), None);
                }
            }
        }
    }

    fn answer(&mut self, frame: Frame) {
        let Some(requests) = &mut self.requests else { return self.connect(&frame) };
        let receipt = frame.header("receipt").map(String::from);
        let leaves = frame.command() == Command::Disconnect;
        if let Err(refusal) = requests.handle(frame) {
            return self.refuse(&refusal, receipt.as_deref());
        }
        if leaves {
            // Before its RECEIPT: a client that reconnects at once finds its messages.
            self.requests = None;
        }
        if let Some(receipt) = receipt {
            self.push(&Frame::new(Command::Receipt).with_header("receipt-id", receipt));
        }
        if leaves {
            self.outbox.end();
        }
    }

    fn connect(&mut self, frame: &Frame) {
        if !matches!(frame.command(), Command::Connect | Command::Stomp) {
            let text = format!("{} came before CONNECT", frame.command());
            return self.refuse(&Refusal::new("not connected", text), None);
        }
        match welcome(frame, &self.shared.logins, self.shared.next_session()) {
            Ok(Welcome { version, connected }) => {
                self.decoder.set_version(version);
                let shared = &self.shared;
                let requests =
                    Requests::new(shared.router.clone(), shared.limits.clone(), version, self.outbox.clone());
                self.requests = Some(requests);
                self.push(&connected);
            }
            Err((refusal, lists_versions)) => {
                let mut error = refusal.frame(None);
                if lists_versions {
                    error.headers_mut().push("version", "1.0,1.1,1.2");
                }
                self.last_word(&error);
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, receipt: Option<&str>) {
        self.last_word(&refusal.frame(receipt));
    }

    /// Sends an ERROR and ends.
    fn last_word(&mut self, error: &Frame) {
        count(&self.shared.counters.errors);
        self.push(error);
        self.outbox.end();
    }

    fn push(&self, frame: &Frame) {
        let version = self.requests.as_ref().map_or(Version::V1_2, Requests::version);
        if let Err(error) = self.outbox.push(version, frame) {
            // A receipt id of a newer version's making, say. Without its answer the client must not wait for ever.
            tracing::debug!(%error, "an answer cannot be written");
            self.outbox.end();
        }
    }
}

/// Chunks that are read before others have their turn.
const READ_BUDGET: usize = 16;

/// Frames that are written before others have their turn.
const WRITE_BUDGET: usize = 256;

/// Time for the last words and the peer's own close. A peer that is still there needs a round trip.
const GOODBYE: Duration = Duration::from_secs(1);
