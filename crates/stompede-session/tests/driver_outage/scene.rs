//! What the calls are made on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stompede_codec::Command;
use stompede_session::{
    AckMode, Config, Error, Guarantee, Message, Session, SessionState, Subscription, Transaction,
    WhileOffline,
};
use stompede_transport::memory::MemoryTransport;
use stompede_transport::{Connector, Endpoint, TransportError, TransportErrorKind};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::calls::told;
use crate::common::peer::{Peer, no_task_is_left};
use crate::common::{SECOND, header};

/// What the calls are made on: a session whose connection is gone, with things from before.
pub(crate) struct Scene {
    pub(crate) session: Session,
    pub(crate) inbox: Mutex<Option<Subscription>>,
    pub(crate) message: Mutex<Option<Message>>,
    pub(crate) transaction: Mutex<Option<Transaction>>,
    pub(crate) made: Mutex<Vec<Subscription>>,
    pub(crate) give: mpsc::Sender<MemoryTransport>,
    pub(crate) dials: Arc<AtomicUsize>,
}

impl Scene {
    /// The connection is gone.
    pub(crate) async fn new(policy: (Guarantee, WhileOffline)) -> Self {
        let (scene, peer) = Self::connected(policy).await;
        drop(peer);
        scene.is_offline().await;
        scene
    }

    pub(crate) async fn is_offline(&self) {
        let mut state = self.session.state_changes();
        let lost = state.wait_for(|state| matches!(state, SessionState::Reconnecting { .. })).await;
        drop(lost.expect("the session lives"));
    }

    /// It is there still, and its other end has read all.
    pub(crate) async fn connected((guarantee, while_offline): (Guarantee, WhileOffline)) -> (Self, Peer) {
        let (give, take) = mpsc::channel(8);
        let (ours, mut peer) = Peer::pair(64 * 1024);
        give.try_send(ours).expect("room");
        let mut config = Config::for_url("tcp://broker.example").expect("a URL");
        (config.sending.guarantee, config.sending.while_offline) = (guarantee, while_offline);
        let dials = Arc::default();
        let connecting = Session::connect(config, handing_out(take, Arc::clone(&dials)));
        let (session, ()) = tokio::join!(connecting, peer.welcome());
        let session = session.expect("connected");
        let subscribing = session.subscribe("/queue/a").id("s").ack(AckMode::ClientIndividual);
        let mut inbox = subscribing.await.expect("subscribed");
        peer.message("s", "a1").await;
        let message = inbox.try_next().await.expect("open").expect("a message");
        let transaction = session.begin().await.expect("begun");
        for _ in 0..2 {
            peer.frame().await;
        }
        let (inbox, message) = (Mutex::new(Some(inbox)), Mutex::new(Some(message)));
        let (transaction, made) = (Mutex::new(Some(transaction)), Mutex::default());
        (Self { session, inbox, message, transaction, made, give, dials }, peer)
    }

    pub(crate) fn message(&self) -> Message {
        self.message.lock().expect("no panic").clone().expect("there")
    }

    pub(crate) fn transaction(&self) -> Transaction {
        self.transaction.lock().expect("no panic").take().expect("there")
    }

    /// Nobody consumes anything any more.
    pub(crate) fn let_go(&self) {
        drop(self.inbox.lock().expect("no panic").take());
        drop(self.message.lock().expect("no panic").take());
    }

    /// A subscription lives as long as the scene.
    pub(crate) fn keep(&self, made: Result<Subscription, Error>) -> String {
        told(made.map(|made| self.made.lock().expect("no panic").push(made)))
    }

    /// Lets the next dial succeed. The task answers what it is asked, and gives what was written.
    pub(crate) fn comes_back(&self) -> tokio::task::JoinHandle<Vec<String>> {
        let (ours, peer) = Peer::pair(64 * 1024);
        self.give.try_send(ours).expect("room");
        tokio::spawn(serve(peer))
    }

    /// The session still does all it should, and ends in order.
    pub(crate) async fn goes_on(&self) -> Result<(), Error> {
        let mut state = self.session.state_changes();
        let reached = state.wait_for(|state| matches!(state, SessionState::Connected(_)));
        drop(timeout(60 * SECOND, reached).await);
        self.session.send("/queue/after").confirm().await?;
        self.session.disconnect().await
    }

    /// Nobody dials any more, and no task is left.
    pub(crate) async fn over(self) {
        let dials = self.dials.load(Ordering::SeqCst);
        tokio::time::sleep(60 * SECOND).await;
        assert!(matches!(self.session.state(), SessionState::Closed(_)));
        assert_eq!(self.dials.load(Ordering::SeqCst), dials);
        drop(self);
        no_task_is_left().await;
    }
}

/// Puts the subscription back, whatever becomes of the future that uses it.
pub(crate) struct Returned<'a>(&'a Scene, Option<Subscription>);

impl<'a> Returned<'a> {
    pub(crate) fn take(scene: &'a Scene) -> Self {
        Self(scene, scene.inbox.lock().expect("no panic").take())
    }

    pub(crate) fn inner(&mut self) -> &mut Subscription {
        self.1.as_mut().expect("taken")
    }
}

impl Drop for Returned<'_> {
    fn drop(&mut self) {
        *self.0.inbox.lock().expect("no panic") = self.1.take();
    }
}

/// Each dial gets the next end; none there: refused.
pub(crate) fn handing_out(take: mpsc::Receiver<MemoryTransport>, dials: Arc<AtomicUsize>) -> impl Connector {
    let take = Mutex::new(take);
    move |_: Endpoint| {
        dials.fetch_add(1, Ordering::SeqCst);
        let next = take.lock().expect("no panic").try_recv();
        async move { next.map_err(|_| TransportError::new(TransportErrorKind::Refused, "nothing listens")) }
    }
}

pub(crate) async fn serve(mut peer: Peer) -> Vec<String> {
    peer.welcome().await;
    let mut seen = Vec::new();
    while let Some(frame) = peer.try_frame().await {
        let (command, destination) = (frame.command(), header(&frame, "destination"));
        seen.push(format!("{command} {destination}").trim_end().to_owned());
        if !header(&frame, "receipt").is_empty() {
            peer.receipt(&frame).await;
        }
        if command == Command::Subscribe && destination == "/queue/a" {
            peer.message("s", "again").await;
        }
        if command == Command::Disconnect {
            peer.close().await;
            break;
        }
    }
    seen
}
