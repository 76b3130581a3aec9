//! A scripted broker at the other end of a memory transport.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use super::grammar::Grammar;
use bytes::{Bytes, BytesMut};
use stompede_codec::{Command, Decoder, Frame, Item, Limits, Version};
use stompede_session::protocol::Event;
use stompede_session::{Config, Error, Observer, Session};
use stompede_transport::memory::{self, MemoryTransport};
use stompede_transport::{Endpoint, Outbound, Transport, TransportError, TransportErrorKind};

/// The broker's end.
pub(crate) struct Peer {
    transport: MemoryTransport,
    decoder: Decoder,
    beats: usize,
}

/// Sees all events of a session and holds them against the grammar.
#[derive(Debug, Default)]
pub(crate) struct Watch(Mutex<(Grammar, Vec<Event>)>);

impl Watch {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.lock().expect("the grammar was kept").1.clone()
    }
}

impl Observer for Watch {
    fn on_event(&self, event: &Event) {
        // A violation poisons the lock, so it fails the test even where the driver's task takes the panic.
        let mut inner = self.0.lock().expect("the grammar was kept");
        inner.0.step(event);
        inner.1.push(event.clone());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(!self.0.is_poisoned(), "the grammar of events was broken");
        }
    }
}

impl Peer {
    /// Two ends that are connected; each direction holds about `capacity` bytes.
    pub(crate) fn pair(capacity: usize) -> (MemoryTransport, Self) {
        let (ours, theirs) = memory::pair(capacity);
        let mut decoder = Decoder::new(Limits::default());
        decoder.set_version(Version::V1_2);
        (ours, Self { transport: theirs, decoder, beats: 0 })
    }

    /// A session that is logged in with STOMP 1.2, and the broker's end of it.
    pub(crate) async fn session(capacity: usize) -> (Session, Self) {
        Self::session_with(super::config(), capacity, "").await
    }

    /// The same with settings, and more headers of CONNECTED.
    pub(crate) async fn session_with(config: Config, capacity: usize, headers: &str) -> (Session, Self) {
        Self::watched(config, capacity, headers, Arc::default()).await
    }

    /// The same, and its events can be looked at.
    pub(crate) async fn watched(
        config: Config,
        capacity: usize,
        headers: &str,
        watch: Arc<Watch>,
    ) -> (Session, Self) {
        let (ours, mut peer) = Self::pair(capacity);
        let (session, ()) = tokio::join!(connect_watched(config, ours, watch), peer.welcome_with(headers));
        (session.expect("connected"), peer)
    }

    /// Answers CONNECT.
    pub(crate) async fn welcome(&mut self) {
        self.welcome_with("").await;
    }

    pub(crate) async fn welcome_with(&mut self, headers: &str) {
        assert_eq!(self.frame().await.command(), Command::Connect);
        self.say(format!("CONNECTED\nversion:1.2\n{headers}\n\0")).await;
    }

    /// The next frame that the session wrote.
    pub(crate) async fn frame(&mut self) -> Frame {
        self.try_frame().await.expect("a frame before the end")
    }

    /// The next frame, or `None` if the session closed in order or hung up.
    pub(crate) async fn try_frame(&mut self) -> Option<Frame> {
        loop {
            match self.decoder.next().expect("what the session writes is STOMP") {
                Some(Item::Frame(frame)) => return Some(frame),
                Some(Item::HeartBeat) => {
                    self.beats += 1;
                    continue;
                }
                None => {}
            }
            match poll_fn(|cx| self.transport.poll_recv(cx)).await {
                Some(Ok(bytes)) => self.decoder.push(bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Reads what is there, and says how many heart-beats came in chunks of their own so far.
    pub(crate) async fn drain_beats(&mut self) -> usize {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Some(Ok(bytes))) = self.transport.poll_recv(&mut cx) {
            self.beats += usize::from(bytes.iter().all(|octet| *octet == b'\n'));
        }
        self.beats
    }

    /// Writes bytes as they are.
    pub(crate) async fn say(&mut self, wire: impl Into<String>) {
        self.try_say(wire).await.expect("the session listens");
    }

    /// Writes bytes as they are, unless the session has gone.
    pub(crate) async fn try_say(&mut self, wire: impl Into<String>) -> Result<(), TransportError> {
        poll_fn(|cx| self.transport.poll_ready(cx)).await?;
        self.transport.start_send(Outbound::whole(BytesMut::from(wire.into().as_bytes()).freeze()))
    }

    pub(crate) async fn message(&mut self, subscription: &str, body: &str) {
        self.try_message(subscription, body).await.expect("the session listens");
    }

    pub(crate) async fn try_message(&mut self, subscription: &str, body: &str) -> Result<(), TransportError> {
        let ack = &body[..body.len().min(8)];
        self.try_say(format!("MESSAGE\nsubscription:{subscription}\nmessage-id:1\nack:{ack}\n\n{body}\0"))
            .await
    }

    pub(crate) async fn receipt(&mut self, of: &Frame) {
        self.say(format!("RECEIPT\nreceipt-id:{}\n\n\0", super::header(of, "receipt"))).await;
    }

    /// Closes in order.
    pub(crate) async fn close(&mut self) {
        poll_fn(|cx| self.transport.poll_close(cx)).await.expect("the session listens");
    }

    /// Confirms DISCONNECT and closes.
    pub(crate) async fn goodbye(&mut self) {
        let disconnect = self.frame().await;
        assert_eq!(disconnect.command(), Command::Disconnect);
        self.receipt(&disconnect).await;
        self.close().await;
    }
}

/// Connects over this end.
pub(crate) async fn connect(config: Config, ours: MemoryTransport) -> Result<Session, Error> {
    connect_watched(config, ours, Arc::default()).await
}

/// The same, and its events can be looked at.
pub(crate) async fn connect_watched(
    config: Config,
    ours: MemoryTransport,
    watch: Arc<Watch>,
) -> Result<Session, Error> {
    let ours = Arc::new(Mutex::new(Some(ours)));
    let connector = move |_: Endpoint| {
        let ours = ours.lock().expect("no panic").take();
        async move { ours.ok_or_else(|| TransportError::new(TransportErrorKind::Refused, "one connection only")) }
    };
    Session::connect_observed(config, Arc::new(connector), Some(watch)).await
}

/// Waits until only the test itself is left, and fails if a task stays behind.
pub(crate) async fn no_task_is_left() {
    let metrics = tokio::runtime::Handle::current().metrics();
    for _ in 0..1000 {
        if metrics.num_alive_tasks() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(metrics.num_alive_tasks(), 0, "tasks are left behind");
}

/// A body of this many bytes.
pub(crate) fn body(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}
