//! Listeners: what they hear, in which order, and that none can harm another.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stompede::{
    AckMode, Client, ClientBuilder, Connected, Endpoint, Error, ErrorKind, Frame, HeartBeat, Listener,
    Message, Version, WhenFull,
};
use stompede_broker::Broker;
use stompede_broker::scripted::ScriptedPeer;
use support::HANG;
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

/// Never finishes with its first message until it is let go.
#[derive(Default)]
struct Stuck(Notify);

impl Listener for Stuck {
    async fn on_message(&self, _message: &Message) {
        self.0.notified().await;
        // Whoever comes next is let go as well.
        self.0.notify_one();
    }
}

/// A client with a listener that is stuck and one that is not.
struct Beside {
    client: Client,
    stuck: Arc<Stuck>,
    diary: Arc<Diary>,
    _broker: Arc<Broker>,
}

/// With `settings` of the client's. In memory, for a clock that moves only when everybody waits: however busy the machine is,
/// nobody is late.
async fn beside_a_stuck_one(settings: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Beside {
    let broker = Arc::new(Broker::start().await.expect("started"));
    let (stuck, diary) = (Arc::new(Stuck::default()), Arc::new(Diary::default()));
    let dialled = broker.clone();
    let connector = move |_: Endpoint| {
        let transport = dialled.connect();
        async move { Ok(transport) }
    };
    let builder = settings(Client::builder("memory:/broker").connector(connector));
    let builder = builder.listener("stuck", stuck.clone()).listener("diary", diary.clone());
    let client = builder.connect().await.expect("connected");
    Beside { client, stuck, diary, _broker: broker }
}

impl Beside {
    async fn send(&self, destination: &str, count: usize) {
        for n in 0..count {
            self.client.send(destination).text(n.to_string()).await.expect("sent");
        }
    }

    /// What does not pass through the stuck listener: another subscription, receipts, heart-beats both ways.
    async fn others_go_on(&self) {
        let mut others = self.client.subscribe("/topic/b").confirm().await.expect("subscribed");
        let beats = self.client.history().heart_beats();
        for n in 0..300 {
            self.client.send("/topic/b").text(n.to_string()).confirm().await.expect("confirmed");
            let other = others.try_next().await.expect("open").expect("a message");
            assert_eq!(other.text(), Ok(n.to_string().as_str()));
        }
        tokio::time::timeout(HANG, async {
            while self.client.history().heart_beats() < beats + 12 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("heart-beats are heard");
        // Twice our period is what the broker grants, and over.
        assert!(self.client.is_connected(), "ours are sent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_or_stuck_listener_harms_nobody() {
    let beside = beside_a_stuck_one(|builder| builder.listener("panics", Arc::new(Panics))).await;
    beside.client.subscribe("/topic/a").listen().await.expect("subscribed");
    for n in 0..100 {
        beside.client.send("/topic/a").text(n.to_string()).confirm().await.expect("confirmed");
    }
    // 1 connected, 100 messages, 100 receipts.
    let entries = beside.diary.wait_for(201).await;
    assert_eq!(entries.iter().filter(|entry| entry.starts_with("message")).count(), 100);
    beside.client.disconnect().await.expect("it does not wait for the stuck one");
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

/// Ends everything from its first message.
#[derive(Default)]
struct Hasty {
    client: Mutex<Option<Client>>,
    heard: AtomicUsize,
}

impl Listener for Hasty {
    async fn on_message(&self, _message: &Message) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let Some(client) = self.client.lock().expect("no panic").take() else { return };
        assert!(client.remove_listener("hasty") && !client.remove_listener("hasty"));
        client.unsubscribe("/topic/a").expect("it is subscribed");
        client.set_listener("hasty", Arc::new(Diary::default()));
        client.disconnect().await.expect("in order");
    }
}

/// What has been handed over is not called back; nobody is called who was removed.
#[tokio::test]
async fn a_listener_may_remove_itself_and_end_what_it_listens_to() {
    let (mut broker, transport) = ScriptedPeer::in_memory();
    let hasty = Arc::new(Hasty::default());
    let builder = Client::builder("tcp://scripted").listener("hasty", hasty.clone()).transport(transport);
    let (client, _) =
        tokio::join!(builder.connect(), async { broker.greet(Version::V1_2).await.expect("CONNECT") });
    let client = client.expect("connected");
    *hasty.client.lock().expect("no panic") = Some(client.clone());
    client.subscribe("/topic/a").id("1").listen().await.expect("subscribed");
    broker.expect("SUBSCRIBE").await.expect("it subscribes");
    broker
        .send("MESSAGE\nsubscription:1\nmessage-id:1\ndestination:/topic/a\n\nhi\0".repeat(3))
        .await
        .expect("it listens");
    broker.expect("UNSUBSCRIBE\nid:1").await.expect("it ends its subscription");
    let goodbye = broker.expect("DISCONNECT").await.expect("and the session");
    broker.confirm(&goodbye).await.expect("it waits for that");
    broker.hang_up();
    assert!(tokio::time::timeout(HANG, client.closed()).await.expect("no hang").is_none());
    assert_eq!(hasty.heard.load(Ordering::Relaxed), 1);
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
    client.set_listener("diary", Arc::new(Stuck::default()));
    assert!(client.get_listener::<Diary>("diary").is_none());
    assert!(client.remove_listener("diary") && client.get_listener::<Stuck>("diary").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_listener_that_is_removed_holds_nobody_up_any_more() {
    let beside = beside_a_stuck_one(|builder| builder).await;
    beside.client.subscribe("/topic/a").listen().await.expect("subscribed");
    beside.send("/topic/a", 1000).await;
    // What is not about messages goes on.
    beside.client.send("/topic/b").confirm().await.expect("confirmed");
    beside.client.remove_listener("stuck");
    let entries = beside.diary.wait_for(1002).await;
    assert_eq!(entries.iter().filter(|entry| entry.starts_with("message")).count(), 1000);
}

fn quick_beats(builder: ClientBuilder) -> ClientBuilder {
    builder
        .heart_beat(HeartBeat { send: Duration::from_millis(500), receive: Duration::from_millis(100) })
        .heart_beat_tolerance(1.5, Duration::from_secs(5))
}

#[tokio::test(start_paused = true)]
async fn a_stuck_listener_stops_neither_heart_beats_nor_other_subscriptions() {
    let beside = beside_a_stuck_one(quick_beats).await;
    beside.client.subscribe("/topic/a").listen().await.expect("subscribed");
    // Beyond the mailbox, the queue, and what waits between them.
    beside.send("/topic/a", 5000).await;
    beside.others_go_on().await;
    beside.stuck.0.notify_one();
    beside.diary.wait_for(5302).await;
}

#[tokio::test(start_paused = true)]
async fn in_the_ack_modes_the_broker_keeps_what_a_stuck_listener_does_not_take() {
    // There would be no room for what is beyond the window.
    let beside = beside_a_stuck_one(|builder| quick_beats(builder).overflow_bytes(64 * 1024)).await;
    let subscribe = beside.client.subscribe("/queue/a").ack(AckMode::ClientIndividual);
    subscribe.listen().await.expect("subscribed");
    beside.send("/queue/a", 5000).await;
    beside.others_go_on().await;
    let kept = beside._broker.messages("/queue/a").len();
    assert!((4600..5000).contains(&kept), "{kept} are left with the broker");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_may_drop_says_what_a_stuck_listener_missed() {
    let beside = beside_a_stuck_one(|builder| quick_beats(builder).overflow_bytes(64 * 1024)).await;
    let gaps = Arc::new(Gaps::default());
    beside.client.set_listener("gaps", gaps.clone());
    let subscribe = beside.client.subscribe("/topic/a").when_full(WhenFull::DropOldest);
    let id = subscribe.listen().await.expect("subscribed");
    beside.send("/topic/a", 20_000).await;
    beside.others_go_on().await;
    beside.stuck.0.notify_one();
    beside.send("/topic/a", 1).await;
    tokio::time::timeout(HANG, async {
        while gaps.0.lock().expect("no panic").0 < 20_001 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("every message is heard or told to be missing");
    let (all, missing) = *gaps.0.lock().expect("no panic");
    assert_eq!(all, 20_001);
    assert!(missing > 15_000, "{missing} are missing");
    beside.client.unsubscribe(id).expect("unsubscribed");
}

/// Counts messages that came or are told to be missing, and the latter.
#[derive(Default)]
struct Gaps(Mutex<(u64, u64)>);

impl Listener for Gaps {
    async fn on_message(&self, message: &Message) {
        let missing = message.gap().map_or(0, |gap| gap.messages.expect("it is known"));
        let mut counts = self.0.lock().expect("no panic");
        *counts = (counts.0 + missing + 1, counts.1 + missing);
    }
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_full_reading_stops_says_so_and_goes_on() {
    let settings = |builder: ClientBuilder| {
        quick_beats(builder).overflow_bytes(64 * 1024).stall_timeout(Duration::from_millis(200))
    };
    let beside = beside_a_stuck_one(settings).await;
    beside.client.subscribe("/topic/a").listen().await.expect("subscribed");
    let filler = "x".repeat(1000);
    let stalled = tokio::time::timeout(HANG, async {
        loop {
            let sent = beside.client.send("/topic/a").text(&*filler).confirm().await;
            if let Err(error) = sent {
                return error.cause().kind();
            }
        }
    });
    assert_eq!(stalled.await.expect("it is full"), ErrorKind::Stalled);
    let story = beside.client.history().to_string();
    assert!(story.contains("stalled by"), "{story}");
    assert!(beside.client.is_connected());
    beside.stuck.0.notify_one();
    beside.client.send("/topic/b").confirm().await.expect("reading goes on");
    let story = beside.client.history().to_string();
    assert!(story.contains("resumed after"), "{story}");
}
