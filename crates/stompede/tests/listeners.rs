//! Listeners: what they hear, in which order, and that none can harm another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stompede::{Client, Connected, Error, Frame, Listener, Message};
use stompede_broker::Broker;
use tokio::sync::Notify;

/// Writes down what it hears.
#[derive(Default)]
struct Diary {
    entries: Mutex<Vec<String>>,
    written: Notify,
}

impl Diary {
    fn note(&self, entry: impl Into<String>) {
        self.entries.lock().expect("no panic").push(entry.into());
        self.written.notify_one();
    }

    fn entries(&self) -> Vec<String> {
        self.entries.lock().expect("no panic").clone()
    }

    /// Waits until the diary has this many entries.
    async fn wait_for(&self, count: usize) -> Vec<String> {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while self.entries().len() < count {
                self.written.notified().await;
            }
        });
        assert!(waited.await.is_ok(), "{count} entries expected: {:?}", self.entries());
        self.entries()
    }
}

impl Listener for Diary {
    async fn on_connected(&self, broker: &Connected) {
        self.note(format!("connected {}", broker.version()));
    }

    async fn on_message(&self, message: &Message) {
        self.note(format!("message {}", message.text().unwrap_or("no text")));
    }

    async fn on_receipt(&self, _receipt_id: &str) {
        self.note("receipt");
    }

    async fn on_error(&self, frame: &Frame) {
        self.note(format!("error {}", frame.command()));
    }

    async fn on_disconnected(&self, cause: Option<&Error>) {
        self.note(format!("disconnected {:?}", cause.map(Error::kind)));
    }
}

async fn broker() -> (Broker, String) {
    let broker = Broker::start().await.expect("started");
    let url = broker.ws_url().expect("it listens").to_owned();
    (broker, url)
}

#[tokio::test]
async fn a_listener_hears_everything_in_order() {
    let (_broker, url) = broker().await;
    let diary = Arc::new(Diary::default());
    let client = Client::builder(url).listener("diary", diary.clone()).connect().await.expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    for n in 0..3 {
        client.send("/topic/a").text(n.to_string()).await.expect("sent");
    }
    diary.wait_for(4).await;
    client.disconnect().await.expect("in order");
    let entries = diary.wait_for(6).await;
    let expected = ["connected 1.2", "message 0", "message 1", "message 2", "receipt", "disconnected None"]
        .map(String::from);
    assert_eq!(entries, expected, "the receipt of DISCONNECT comes before the end");
}

#[tokio::test]
async fn an_error_is_heard_before_the_end() {
    let (_broker, url) = broker().await;
    let diary = Arc::new(Diary::default());
    let client = Client::builder(url)
        .reconnect(stompede::ReconnectPolicy::never())
        .listener("diary", diary.clone())
        .connect()
        .await
        .expect("connected");
    client.send("/nowhere").text("x").await.expect("handed over");
    assert!(client.closed().await.is_some());
    let entries = diary.wait_for(3).await;
    assert_eq!(entries, ["connected 1.2", "error ERROR", "disconnected Some(BrokerError)"].map(String::from));
}

#[tokio::test]
async fn a_failed_connect_tells_no_listener_of_an_end_without_beginning() {
    let broker = Broker::builder().login("me", "right").start().await.expect("started");
    let diary = Arc::new(Diary::default());
    let url = broker.tcp_url().expect("it listens");
    let refused = Client::builder(url).listener("diary", diary.clone()).connect().await;
    assert!(refused.is_err());
    let entries = diary.wait_for(1).await;
    assert_eq!(entries, ["error ERROR"]);
}

struct Panics;

impl Listener for Panics {
    async fn on_message(&self, _message: &Message) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

struct Stuck;

impl Listener for Stuck {
    async fn on_message(&self, _message: &Message) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_panicking_or_stuck_listener_harms_nobody() {
    let (_broker, url) = broker().await;
    let diary = Arc::new(Diary::default());
    let client = Client::builder(url)
        .listener("panics", Arc::new(Panics))
        .listener("stuck", Arc::new(Stuck))
        .listener("diary", diary.clone())
        .connect()
        .await
        .expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    for n in 0..100 {
        client.send("/topic/a").text(n.to_string()).confirm().await.expect("confirmed");
    }
    // 1 connected, 100 messages, 100 receipts.
    let entries = diary.wait_for(201).await;
    assert_eq!(entries.iter().filter(|entry| entry.starts_with("message")).count(), 100);
    client.disconnect().await.expect("it does not wait for the stuck one");
}

#[tokio::test]
async fn the_same_name_replaces_the_listener() {
    let (_broker, url) = broker().await;
    let (first, second) = (Arc::new(Diary::default()), Arc::new(Diary::default()));
    let builder = Client::builder(url).listener("one", first.clone()).listener("one", second.clone());
    let client = builder.connect().await.expect("connected");
    second.wait_for(1).await;
    client.disconnect().await.expect("in order");
    assert!(first.entries().is_empty());
}

/// Calls the client from within a callback.
struct Echo(Mutex<Option<Client>>);

impl Listener for Echo {
    async fn on_message(&self, message: &Message) {
        let client = self.0.lock().expect("no panic").clone();
        if let Some(client) = client {
            let text = message.text().unwrap_or_default().to_owned();
            client.send("/topic/echo").text(text).confirm().await.expect("confirmed from a callback");
            client.disconnect().await.expect("disconnected from a callback");
        }
    }
}

#[tokio::test]
async fn the_client_may_be_called_from_a_callback() {
    let (_broker, url) = broker().await;
    let echo = Arc::new(Echo(Mutex::new(None)));
    let client = Client::builder(&url).listener("echo", echo.clone()).connect().await.expect("connected");
    *echo.0.lock().expect("no panic") = Some(client.clone());
    let watcher = Client::builder(&url).connect().await.expect("connected");
    let mut echoed = watcher.subscribe("/topic/echo").confirm().await.expect("subscribed");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    client.send("/topic/a").text("hi").await.expect("sent");
    assert!(client.closed().await.is_none());
    assert_eq!(echoed.try_next().await.expect("open").expect("a message").text(), Ok("hi"));
}

#[tokio::test]
async fn a_listener_is_found_by_its_name_and_type() {
    let (_broker, url) = broker().await;
    let diary = Arc::new(Diary::default());
    let client = Client::builder(url).listener("diary", diary.clone()).connect().await.expect("connected");
    let found = client.get_listener::<Diary>("diary").expect("it is there");
    assert!(Arc::ptr_eq(&found, &diary));
    assert!(
        client.get_listener::<Stuck>("diary").is_none() && client.get_listener::<Diary>("other").is_none()
    );
    client.set_listener("diary", Arc::new(Stuck));
    assert!(client.get_listener::<Diary>("diary").is_none());
    assert!(client.remove_listener("diary") && client.get_listener::<Stuck>("diary").is_none());
}

#[tokio::test]
async fn a_stuck_listener_that_is_removed_holds_nobody_up_any_more() {
    let (_broker, url) = broker().await;
    let diary = Arc::new(Diary::default());
    let client = Client::builder(url)
        .listener("stuck", Arc::new(Stuck))
        .listener("diary", diary.clone())
        .connect()
        .await
        .expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    for n in 0..1000 {
        client.send("/topic/a").text(n.to_string()).await.expect("sent");
    }
    // What is not about messages goes on: 1 connected, 256 messages and one in hand, and the receipt of this one.
    client.send("/topic/b").confirm().await.expect("confirmed");
    client.remove_listener("stuck");
    let entries = diary.wait_for(1002).await;
    assert_eq!(entries.iter().filter(|entry| entry.starts_with("message")).count(), 1000);
}
