//! Interceptors change frames on their way, or hold them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stompede::{AckMode, Client, ErrorKind, Frame, Interceptor, SendError, Verdict, WhenFull};
use stompede_broker::TestBroker;

/// Stamps what is sent and what comes, and lets nothing through that says "secret".
#[derive(Default)]
struct Guard {
    sent: Arc<AtomicUsize>,
}

impl Guard {
    fn judge(frame: &Frame) -> Verdict {
        if frame.body_text() == Ok("secret") { Verdict::Drop } else { Verdict::Pass }
    }
}

impl Interceptor for Guard {
    fn before_send(&self, frame: &mut Frame) -> Verdict {
        self.sent.fetch_add(1, Ordering::Relaxed);
        frame.headers_mut().insert("stamp", "out");
        Self::judge(frame)
    }

    fn before_message(&self, frame: &mut Frame) -> Verdict {
        frame.headers_mut().insert("seen", "in");
        Self::judge(frame)
    }
}

#[tokio::test]
async fn frames_are_changed_on_their_way_out_and_in() {
    let broker = TestBroker::start().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let builder = Client::builder(broker.ws_url()).interceptor(Guard { sent: sent.clone() });
    let client = builder.connect().await.expect("connected");
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    client.send("/topic/a").text("hi").confirm().await.expect("confirmed");
    let message = inbox.try_next().await.expect("open").expect("a message");
    assert_eq!(
        (message.header("stamp").as_deref(), message.header("seen").as_deref()),
        (Some("out"), Some("in"))
    );
    assert_eq!(sent.load(Ordering::Relaxed), 1, "once for each frame, and not for SUBSCRIBE");
}

#[tokio::test]
async fn a_frame_that_is_held_back_comes_back_to_its_sender() {
    let broker = TestBroker::start().await;
    let builder = Client::builder(broker.tcp_url()).interceptor(Guard::default());
    let client = builder.connect().await.expect("connected");
    for confirmed in [false, true] {
        let send = client.send("/queue/a").text("secret");
        let error =
            if confirmed { send.confirm().await.map(drop) } else { send.await }.expect_err("held back");
        let SendError::NotSent(unsent) = error else { unreachable!("{error}") };
        assert_eq!((unsent.cause.kind(), unsent.frame.body_text()), (ErrorKind::HeldBack, Ok("secret")));
    }
    client.disconnect().await.expect("in order");
    assert!(broker.messages("/queue/a").is_empty());
}

#[tokio::test]
async fn a_message_that_is_dropped_is_not_delivered_again() {
    let broker = TestBroker::start().await;
    let sender = Client::builder(broker.tcp_url()).connect().await.expect("connected");
    for text in ["one", "secret", "two"] {
        sender.send("/queue/a").text(text).confirm().await.expect("confirmed");
    }
    let builder = Client::builder(broker.ws_url()).interceptor(Guard::default());
    let client = builder.connect().await.expect("connected");
    let subscribe = client.subscribe("/queue/a").ack(AckMode::ClientIndividual);
    let mut inbox = subscribe.await.expect("subscribed");
    for text in ["one", "two"] {
        let message = inbox.try_next().await.expect("open").expect("a message");
        assert_eq!(message.text(), Ok(text));
        message.ack().expect("queued");
    }
    client.disconnect().await.expect("in order");
    assert!(broker.messages("/queue/a").is_empty(), "the broker has forgotten all three");
}

/// Drops what this says.
struct Censor(&'static str);

impl Interceptor for Censor {
    fn before_message(&self, frame: &mut Frame) -> Verdict {
        if frame.body_text() == Ok(self.0) { Verdict::Drop } else { Verdict::Pass }
    }
}

#[tokio::test]
async fn what_is_missing_before_a_dropped_message_is_told_with_the_next() {
    let broker = TestBroker::start().await;
    let builder = Client::builder(broker.tcp_url()).interceptor(Censor("98"));
    let client = builder.connect().await.expect("connected");
    let news = client.subscribe("/topic/a").window(2).when_full(WhenFull::DropOldest);
    let mut news = news.await.expect("subscribed");
    let mut marks = client.subscribe("/topic/marks").await.expect("subscribed");
    for n in 0..100 {
        client.send("/topic/a").text(n.to_string()).await.expect("sent");
    }
    client.send("/topic/marks").await.expect("sent");
    marks.try_next().await.expect("open").expect("all has come that was sent before");
    // 98 messages had no room; the first that had is dropped.
    let message = news.try_next().await.expect("open").expect("a message");
    assert_eq!(message.text(), Ok("99"));
    assert_eq!(message.gap().expect("told").messages, Some(98));
}

struct Panics;

impl Interceptor for Panics {
    fn before_send(&self, _: &mut Frame) -> Verdict {
        std::panic::resume_unwind(Box::new("on purpose"));
    }

    fn before_message(&self, _: &mut Frame) -> Verdict {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

#[tokio::test]
async fn a_panicking_interceptor_lets_frames_pass() {
    let broker = TestBroker::start().await;
    let client = Client::builder(broker.ws_url()).interceptor(Panics).connect().await.expect("connected");
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    client.send("/topic/a").text("hi").confirm().await.expect("confirmed");
    assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok("hi"));
}

/// Calls the client from where it stands in the way of the client.
struct Echo(Arc<std::sync::Mutex<Option<Client>>>);

impl Interceptor for Echo {
    fn before_message(&self, _: &mut Frame) -> Verdict {
        let client = self.0.lock().expect("no panic").clone();
        assert!(client.is_some_and(|client| client.is_connected()));
        Verdict::Pass
    }
}

#[tokio::test]
async fn the_client_may_be_asked_from_an_interceptor() {
    let broker = TestBroker::start().await;
    let slot = Arc::default();
    let builder = Client::builder(broker.ws_url()).interceptor(Echo(Arc::clone(&slot)));
    let client = builder.connect().await.expect("connected");
    *slot.lock().expect("no panic") = Some(client.clone());
    let mut inbox = client.subscribe("/topic/a").await.expect("subscribed");
    client.send("/topic/a").text("hi").confirm().await.expect("confirmed");
    assert!(inbox.try_next().await.expect("open").is_some());
    slot.lock().expect("no panic").take();
}
