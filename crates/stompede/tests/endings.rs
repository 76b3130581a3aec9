//! What listeners hear of ends: of the session's, after everything that came before, and of a subscription's own.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stompede::listeners::{Heard, RecordingListener, StatisticsListener};
use stompede::transport::server::{AcceptConfig, accept_ws};
use stompede::transport::{CloseReason, Transport};
use stompede::{
    Client, Error, ErrorKind, Listener, Message, ReconnectPolicy, SubscriptionId, TransportError, Version,
    WhenFull,
};
use stompede_broker::TestBroker;
use stompede_broker::scripted::ScriptedPeer;
use support::{Checker, HANG, Word};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

/// Finishes with a message for each permit that it is given.
struct Gated {
    gate: Semaphore,
    finished: AtomicUsize,
    closed: Notify,
}

impl Gated {
    fn shut() -> Arc<Self> {
        Arc::new(Self { gate: Semaphore::new(0), finished: AtomicUsize::new(0), closed: Notify::new() })
    }
}

impl Listener for Gated {
    async fn on_message(&self, _: &Message) {
        self.gate.acquire().await.expect("open").forget();
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_closed(&self, _: Option<&Error>) {
        self.closed.notify_one();
    }
}

#[tokio::test]
async fn a_slow_listener_hears_all_that_came_before_the_end() {
    const MESSAGES: usize = 2000;
    let broker = TestBroker::start().await;
    let gated = Gated::shut();
    let client =
        Client::builder(broker.ws_url()).listener("gated", gated.clone()).connect().await.expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    let mut marks = client.subscribe("/topic/marks").await.expect("subscribed");
    for _ in 0..MESSAGES {
        client.send("/topic/a").text("x").await.expect("sent");
    }
    client.send("/topic/marks").await.expect("sent");
    // It comes behind them on the same connection, so they are all here.
    marks.try_next().await.expect("open").expect("the mark");
    client.disconnect().await.expect("in order");
    assert_eq!(gated.finished.load(Ordering::Relaxed), 0);
    gated.gate.add_permits(MESSAGES);
    tokio::time::timeout(HANG, gated.closed.notified()).await.expect("the end is heard");
    assert_eq!(gated.finished.load(Ordering::Relaxed), MESSAGES);
}

#[tokio::test]
async fn a_stuck_listener_or_closure_keeps_the_end_from_nobody() {
    let broker = TestBroker::start().await;
    let (gated, checker) = (Gated::shut(), Arc::new(Checker::default()));
    let builder = Client::builder(broker.ws_url()).listener("gated", gated.clone());
    let client = builder.listener("checker", checker.clone()).connect().await.expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    client.subscribe("/topic/a").handle(|_| std::future::pending()).await.expect("subscribed");
    let mut marks = client.subscribe("/topic/marks").await.expect("subscribed");
    for _ in 0..2000 {
        client.send("/topic/a").text("x").await.expect("sent");
    }
    client.send("/topic/marks").await.expect("sent");
    marks.try_next().await.expect("open").expect("the mark");
    client.disconnect().await.expect("in order");
    let words = checker.check().await;
    assert_eq!(words.iter().filter(|word| **word == Word::Message).count(), 2000);
}

/// As in stomp.py, where a listener is given the connection.
struct Holds(Client);

impl Listener for Holds {
    async fn on_message(&self, message: &Message) {
        let _ = self.0.send("/topic/echo").body(message.body().clone()).await;
    }
}

#[tokio::test]
async fn a_listener_that_holds_the_client_is_let_go_with_the_session() {
    let broker = TestBroker::start().await;
    let client = Client::builder(broker.tcp_url()).connect().await.expect("connected");
    let listener = Arc::new(Holds(client.clone()));
    let held = Arc::downgrade(&listener);
    client.set_listener("holds", listener);
    let mut echo = client.subscribe("/topic/echo").await.expect("subscribed");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    client.send("/topic/a").text("x").await.expect("sent");
    assert_eq!(echo.try_next().await.expect("open").expect("a message").text(), Ok("x"));
    client.disconnect().await.expect("in order");
    drop((client, echo));
    tokio::time::timeout(HANG, async {
        while held.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("nothing keeps it");
}

async fn ended(recording: &RecordingListener) -> (SubscriptionId, String, Error) {
    let heard = recording.wait_for(HANG, |heard| matches!(heard, Heard::SubscriptionEnded { .. })).await;
    match heard.expect("in time") {
        Heard::SubscriptionEnded { subscription, destination, cause } => (subscription, destination, cause),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn a_subscription_that_overflows_says_so_after_its_last_message() {
    let broker = TestBroker::start().await;
    let (gated, recording, checker) =
        (Gated::shut(), Arc::new(RecordingListener::new()), Arc::new(Checker::default()));
    let statistics = Arc::new(StatisticsListener::new());
    let client = Client::builder(broker.tcp_url())
        .listener("gated", gated.clone())
        .listener("recording", recording.clone())
        .listener("statistics", statistics.clone())
        .listener("checker", checker.clone())
        .connect()
        .await
        .expect("connected");
    let listening = client.subscribe("/topic/a").window(4).when_full(WhenFull::End);
    let listening = listening.listen().await.expect("subscribed");
    // More than its queue and the listener's hold.
    for _ in 0..2000 {
        client.send("/topic/a").text("x").await.expect("sent");
    }
    client.send("/topic/b").confirm().await.expect("all that has been read");
    gated.gate.add_permits(2000);
    let (subscription, destination, cause) = ended(&recording).await;
    assert_eq!((subscription, destination.as_str()), (listening, "/topic/a"));
    assert_eq!(cause.kind(), ErrorKind::Overflowed);

    assert!(client.is_connected(), "the client goes on");
    client.disconnect().await.expect("in order");
    let words = checker.check().await;
    let last = words.iter().rposition(|word| *word == Word::Message).expect("messages came");
    let end = words.iter().position(|word| *word == Word::Ended).expect("it is told");
    assert!(last < end, "{words:?}");
    tokio::time::timeout(HANG, gated.closed.notified()).await.expect("the end is heard");
    assert_eq!(statistics.read().subscriptions_ended, 1);
    assert!(statistics.read().to_string().contains("subscriptions ended 1"));
}

#[tokio::test]
async fn a_closures_subscription_that_ends_by_itself_is_told_to_the_listeners() {
    let broker = TestBroker::start().await;
    let recording = Arc::new(RecordingListener::new());
    let builder = Client::builder(broker.ws_url()).listener("recording", recording.clone());
    let client = builder.connect().await.expect("connected");
    let gate = Arc::new(Semaphore::new(0));
    let shut = gate.clone();
    let handler = move |_: Message| {
        let shut = shut.clone();
        async move { drop(shut.acquire().await) }
    };
    let subscribe = client.subscribe("/topic/a").window(4).when_full(WhenFull::End);
    let handled = subscribe.handle(handler).await.expect("subscribed");
    for _ in 0..100 {
        client.send("/topic/a").text("x").confirm().await.expect("confirmed");
    }
    gate.close();
    let (subscription, destination, cause) = ended(&recording).await;
    assert_eq!((subscription, destination.as_str()), (handled, "/topic/a"));
    assert_eq!(cause.kind(), ErrorKind::Overflowed);
    // What is unsubscribed or ends with the client is no news.
    client.subscribe("/topic/b").handle(|_| async {}).await.expect("subscribed");
    let unsubscribed = client.subscribe("/topic/c").listen().await.expect("subscribed");
    client.unsubscribe(unsubscribed).expect("unsubscribed");
    client.disconnect().await.expect("in order");
    recording.wait_for(HANG, |heard| matches!(heard, Heard::Closed(_))).await.expect("closed");
    let told =
        recording.heard().iter().filter(|heard| matches!(heard, Heard::SubscriptionEnded { .. })).count();
    assert_eq!(told, 1);
}

#[tokio::test]
async fn a_subscription_that_the_broker_refuses_ends_with_its_words_and_the_client_goes_on() {
    let broker = TestBroker::start().await;
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.max) = (Duration::from_millis(5), Duration::from_millis(20));
    for url in [broker.tcp_url(), broker.ws_url()] {
        let (recording, checker) = (Arc::new(RecordingListener::new()), Arc::new(Checker::default()));
        let builder = Client::builder(url).reconnect(policy).listener("recording", recording.clone());
        let client = builder.listener("checker", checker.clone()).connect().await.expect("connected");
        client.subscribe("/topic/good").listen().await.expect("subscribed");
        let refused = client.subscribe("/nowhere").listen().await.expect("handed over");
        let (subscription, destination, cause) = ended(&recording).await;
        assert_eq!((subscription, destination.as_str()), (refused, "/nowhere"));
        assert_eq!(cause.kind(), ErrorKind::BrokerError);
        assert!(cause.frame().is_some(), "{cause}");
        // The other one is there again.
        tokio::time::timeout(HANG, async {
            while client.send("/topic/good").text("x").confirm().await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("it comes back");
        recording.wait_for_message(HANG).await.expect("the good one goes on");
        client.disconnect().await.expect("in order");
        assert!(checker.check().await.contains(&Word::Ended));
    }
}

/// RabbitMQ ends a connection that it is tired of with 1000 and "STOMP died", which is an orderly close.
#[tokio::test]
async fn an_orderly_close_that_nobody_asked_for_is_told_with_its_code_and_words() {
    for (code, words) in [(1000, "STOMP died"), (1000, ""), (1001, "going away")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/ws", listener.local_addr().expect("bound"));
        let broker = async {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut broker = accept_ws(stream, &AcceptConfig::new()).await.expect("upgraded");
            broker.set_goodbye(CloseReason::new(code, words));
            let mut broker = ScriptedPeer::over(broker);
            broker.greet(Version::V1_2).await.expect("CONNECT");
            broker
        };
        let connecting = Client::builder(url).reconnect(ReconnectPolicy::never()).connect();
        let (client, mut broker) = tokio::join!(connecting, broker);
        let client = client.expect("connected");
        let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
        broker.expect("SUBSCRIBE").await.expect("SUBSCRIBE");
        broker.close().await.expect("closed");
        let cause = inbox.try_next().await.expect_err("nobody here had asked for it");
        assert_eq!(cause.kind(), ErrorKind::ConnectionLost);
        assert!(
            cause.to_string().contains(&code.to_string()) && cause.to_string().contains(words),
            "{cause}"
        );
        let reason = cause.transport().and_then(TransportError::close_reason).expect("what the broker said");
        assert_eq!((reason.code, &*reason.reason), (code, words));
        assert_eq!(client.closed().await.map(|cause| cause.to_string()), Some(cause.to_string()));
    }
}
