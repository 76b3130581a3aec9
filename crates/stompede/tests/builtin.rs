//! The listeners that come with the crate.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stompede::listeners::{
    Heard, HeartbeatMonitor, MessageQueue, PrintingListener, RecordingListener, StatisticsListener,
};
use stompede::{AckMode, Client, ClientBuilder, HeartBeat, ReconnectPolicy, SessionState};
use stompede_broker::{Broker, Faults, TestBroker};

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(20);

fn beating(url: &str) -> ClientBuilder {
    Client::builder(url)
        .heart_beat(HeartBeat::every(Duration::from_millis(100)))
        .heart_beat_tolerance(1.0, Duration::from_millis(400))
        .reconnect(ReconnectPolicy::never())
}

async fn closed(recording: &RecordingListener) {
    recording.wait_for(HANG, |heard| matches!(heard, Heard::Closed(_))).await.expect("closed");
}

#[tokio::test]
async fn a_recording_waits_for_messages_and_heart_beats_and_says_what_it_heard_instead() {
    let broker = TestBroker::start().await;
    let recording = Arc::new(RecordingListener::new());
    let client =
        beating(broker.ws_url()).listener("r", recording.clone()).connect().await.expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    for text in ["one", "two"] {
        client.send("/topic/a").text(text).await.expect("sent");
    }
    for text in ["one", "two"] {
        assert_eq!(recording.wait_for_message(HANG).await.expect("in time").text(), Ok(text));
    }
    recording.wait_for_heartbeat(HANG).await.expect("in time");
    let missing = recording.wait_for_message(Duration::from_millis(1)).await.expect_err("there are two");
    assert!(
        missing.to_string().starts_with("a message did not come within 1ms; heard at last: "),
        "{missing}"
    );
    client.disconnect().await.expect("in order");
    closed(&recording).await;
    assert!(matches!(recording.heard().first(), Some(Heard::Connecting(_))));
}

#[tokio::test]
async fn statistics_count_every_kind() {
    let broker = TestBroker::start().await;
    let (statistics, recording) = (Arc::new(StatisticsListener::new()), Arc::new(RecordingListener::new()));
    let builder = Client::builder(broker.tcp_url())
        .reconnect(ReconnectPolicy::never())
        .listener("s", statistics.clone());
    let client = builder.listener("z", recording.clone()).connect().await.expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    for _ in 0..3 {
        client.send("/topic/a").text("12345").confirm().await.expect("confirmed");
    }
    client.send("/nowhere").await.expect("handed over");
    assert!(client.closed().await.is_some());
    while statistics.read().disconnects == 0 {
        tokio::task::yield_now().await;
    }
    let numbers = statistics.read();
    assert_eq!((numbers.attempts, numbers.connections, numbers.disconnects, numbers.failures), (1, 1, 1, 1));
    assert_eq!((numbers.messages, numbers.message_bytes, numbers.receipts, numbers.errors), (3, 15, 3, 1));
    // CONNECT, SUBSCRIBE and four SENDs.
    assert_eq!((numbers.sent, numbers.messages_sent), (6, 4));
    assert!(
        numbers.to_string().starts_with("attempts 1, connections 1, disconnects 1 (failures 1), retries 0, ")
    );
}

#[tokio::test]
async fn the_monitor_sees_a_connection_go_stale() {
    let broker = TestBroker::start().await;
    let monitor = Arc::new(HeartbeatMonitor::new());
    assert!(!monitor.is_healthy());
    let client = beating(broker.ws_url()).listener("m", monitor.clone()).connect().await.expect("connected");
    let mut connected = monitor.watch_connected();
    tokio::time::timeout(HANG, connected.wait_for(|connected| *connected))
        .await
        .expect("in time")
        .expect("there");
    tokio::time::timeout(HANG, async {
        while monitor.beats() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it beats");
    assert!(monitor.is_healthy());
    assert_eq!(monitor.promised(), Some(Duration::from_millis(100)));
    assert!(monitor.last_gap() <= Some(monitor.longest_gap()) && monitor.average_gap().is_some());
    assert!(monitor.since_last_beat().is_some());
    broker.inject(Faults::new().mute_heart_beats());
    tokio::time::timeout(HANG, connected.wait_for(|connected| !*connected))
        .await
        .expect("in time")
        .expect("there");
    assert!(!monitor.is_healthy());
    assert_eq!(monitor.timeouts(), 1);
    assert!(client.closed().await.is_some());
}

#[tokio::test]
async fn a_queue_keeps_the_latest_for_who_polls() {
    let broker = TestBroker::start().await;
    let small = NonZeroUsize::new(3).expect("not zero");
    let (queue, few_bytes) =
        (Arc::new(MessageQueue::bounded(small, 1000)), Arc::new(MessageQueue::bounded(small, 2)));
    let recording = Arc::new(RecordingListener::new());
    let builder =
        Client::builder(broker.ws_url()).listener("q", queue.clone()).listener("b", few_bytes.clone());
    let client = builder.listener("r", recording.clone()).connect().await.expect("connected");
    client.subscribe("/queue/a").ack(AckMode::ClientIndividual).listen().await.expect("subscribed");
    for n in 0..5 {
        client.send("/queue/a").text(n.to_string()).confirm().await.expect("confirmed");
    }
    client.disconnect().await.expect("in order");
    closed(&recording).await;
    while queue.len() + few_bytes.len() < 5 || few_bytes.dropped() < 3 || queue.dropped() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue.pop().expect("a message").text(), Ok("2"));
    let rest: Vec<_> = queue.drain().iter().map(|message| message.text().expect("text").to_owned()).collect();
    assert_eq!(rest, ["3", "4"]);
    assert!(queue.is_empty() && queue.pop().is_none());
    assert_eq!((queue.dropped(), few_bytes.len(), few_bytes.dropped()), (2, 2, 3));
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn printing_shows_every_step_and_no_passcode() {
    let broker = TestBroker::start_with(Broker::builder().login("me", "s3cret")).await;
    let page = Page::default();
    let client = Client::builder(broker.ws_url())
        .credentials("me", "s3cret")
        .listener("p", Arc::new(PrintingListener::to(page.clone())))
        .connect()
        .await
        .expect("connected");
    client.subscribe("/topic/a").listen().await.expect("subscribed");
    client.send("/topic/a").text("hello").confirm().await.expect("confirmed");
    client.disconnect().await.expect("in order");
    let text = || String::from_utf8(page.0.lock().expect("no panic").clone()).expect("text");
    tokio::time::timeout(HANG, async {
        while !text().ends_with("\nclosed\n") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("in time");
    let text = text();
    for part in
        ["connecting to ws://", "> CONNECT ", "connected to ", "< MESSAGE ", "> DISCONNECT", "disconnected\n"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn each_hears_of_a_connection_that_comes_back() {
    let broker = TestBroker::start().await;
    for url in [broker.ws_url(), broker.tcp_url()] {
        let page = Page::default();
        let (recording, statistics) =
            (Arc::new(RecordingListener::new()), Arc::new(StatisticsListener::new()));
        let client = Client::builder(url)
            .listener("statistics", statistics.clone())
            .listener("printing", Arc::new(PrintingListener::to(page.clone())))
            .listener("recording", recording.clone())
            .connect()
            .await
            .expect("connected");
        client.subscribe("/topic/a").listen().await.expect("subscribed");
        client.send("/topic/a").text("before").confirm().await.expect("confirmed");
        assert_eq!(recording.wait_for_message(HANG).await.expect("in time").gap(), None);
        broker.hang_up();
        let again = |heard: &Heard| matches!(heard, Heard::Reconnecting { attempt: 1, .. });
        let Heard::Reconnecting { cause, .. } = recording.wait_for(HANG, again).await.expect("in time")
        else {
            unreachable!("it was looked for")
        };
        assert_eq!(cause.kind(), stompede::ErrorKind::ConnectionLost);
        let mut back = client.state_changes();
        back.wait_for(|state| matches!(state, SessionState::Connected(_))).await.expect("it comes back");
        client.send("/topic/a").text("after").confirm().await.expect("confirmed");
        let after = recording.wait_for_message(HANG).await.expect("the subscription is there again");
        assert_eq!(after.text(), Ok("after"));
        assert!(after.gap().is_some_and(|gap| gap.messages.is_none()), "nobody knows how many were missed");
        client.disconnect().await.expect("in order");
        closed(&recording).await;
        let printed = || String::from_utf8(page.0.lock().expect("no panic").clone()).expect("text");
        // Each in a task of its own.
        tokio::time::timeout(HANG, async {
            while statistics.read().disconnects < 2 || !printed().contains("closed") {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("in time");
        let numbers = statistics.read();
        assert_eq!((numbers.connections, numbers.failures, numbers.retries), (2, 1, 1));
        let printed = printed();
        assert!(
            printed.contains("attempt 1 in ") && printed.matches("connected to ").count() == 2,
            "{printed}"
        );
    }
}
