//! Each fault, as it is seen on the wire.

#![expect(clippy::disallowed_methods, reason = "a test may read the time that it has made pass")]

mod common;

use std::time::Duration;

use common::ws::{BINARY, CONNECT, RawWs, TEXT};
use common::{Raw, broker, header};
use stompede_broker::{Broker, BrokerEvent, Faults, Queues, TestBroker};
use stompede_codec::Command;
use stompede_transport::{Connector, DefaultConnector, Endpoint};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Everything until the end of the connection.
async fn wire_of(client: &mut Raw) -> String {
    let mut wire = Vec::new();
    while let Some(chunk) = client.chunk().await {
        wire.extend_from_slice(&chunk);
    }
    String::from_utf8(wire).expect("text")
}

#[tokio::test]
async fn refuse_closes_without_a_word_and_spares_who_is_there() {
    let broker = TestBroker::start().await;
    let mut early = Raw::dialled(broker.tcp_url()).await;
    broker.inject(Faults::new().refuse());
    assert!(Raw::new(&broker).try_frame().await.is_none());
    let refused = DefaultConnector::new().connect(Endpoint::parse(broker.ws_url()).expect("a URL")).await;
    assert!(refused.is_err(), "no upgrade");
    early.send("/topic/a", "still there").await;
    broker.heal();
    Raw::dialled(broker.ws_url()).await;
}

#[tokio::test]
async fn a_connection_ends_after_as_many_frames_as_were_said() {
    let broker = broker().await;
    broker.inject_next(Faults::new().hang_up_after(2));
    let mut client = Raw::connected(&broker, "1.2").await;
    client
        .say("SEND\ndestination:/topic/a\nreceipt:1\n\n\0SEND\ndestination:/topic/a\nreceipt:2\n\n\0")
        .await;
    assert_eq!(wire_of(&mut client).await, "RECEIPT\nreceipt-id:1\n\n\0");
    // It was for one connection only.
    let mut next = Raw::connected(&broker, "1.2").await;
    next.send("/topic/a", "x").await;
    // For those that are there, frames count from now.
    broker.inject(Faults::new().hang_up_after(1));
    next.say("SEND\ndestination:/topic/a\nreceipt:1\n\n\0SEND\ndestination:/topic/a\nreceipt:2\n\n\0").await;
    assert_eq!(wire_of(&mut next).await, "RECEIPT\nreceipt-id:1\n\n\0");
}

#[tokio::test]
async fn a_connection_ends_in_the_middle_of_a_frame() {
    let broker = TestBroker::start().await;
    for url in [broker.tcp_url(), broker.ws_url()] {
        broker.inject_next(Faults::new().hang_up_within(1, 12));
        let mut client = Raw::dialled(url).await;
        client.say("SEND\ndestination:/topic/a\nreceipt:long\n\n\0").await;
        assert_eq!(wire_of(&mut client).await, "RECEIPT\nrece", "{url}");
    }
    assert!(broker.wait_until(10 * SECOND, |broker| broker.stats().connections == 0).await.is_ok());
}

/// A broker in memory that offers a heart-beat a second both ways.
async fn beating() -> Broker {
    let builder = Broker::builder().without_tcp().without_ws().heart_beat(SECOND, SECOND);
    builder.start().await.expect("started")
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_takes_nothing_until_it_is_healed() {
    let broker = beating().await;
    let mut client = Raw::new(&broker);
    client.say("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1000,1000\n\n\0").await;
    client.frame().await;
    broker.inject(Faults::new().stall_reading());
    client.say("SEND\ndestination:/queue/a\nreceipt:r\n\nx\0").await;
    // It still speaks, and does not complain of a silence that is its own fault.
    for _ in 0..20 {
        assert_eq!(client.chunk().await.as_deref(), Some(&b"\n"[..]));
    }
    assert!(broker.messages("/queue/a").is_empty());
    broker.heal();
    assert_eq!(client.frame().await.command(), Command::Receipt);
    assert_eq!(broker.messages("/queue/a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_writer_says_nothing_until_it_is_healed() {
    let broker = beating().await;
    let mut client = Raw::new(&broker);
    client.say("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,1000\n\n\0").await;
    client.frame().await;
    broker.inject(Faults::new().stall_writing());
    client.say("SEND\ndestination:/queue/a\nreceipt:r\n\nx\0").await;
    assert!(timeout(100 * SECOND, client.chunk()).await.is_err(), "neither RECEIPT nor heart-beat");
    assert_eq!(broker.messages("/queue/a").len(), 1, "it did read");
    broker.heal();
    assert_eq!(client.frame().await.command(), Command::Receipt);
}

#[tokio::test(start_paused = true)]
async fn muted_heart_beats_leave_frames_alone() {
    let broker = broker().await;
    broker.inject(Faults::new().mute_heart_beats());
    let mut client = Raw::new(&broker);
    client.say("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,1000\n\n\0").await;
    assert_eq!(header(&client.frame().await, "heart-beat"), "100,100", "it promises them");
    assert!(timeout(100 * SECOND, client.chunk()).await.is_err());
    client.send("/topic/a", "x").await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_makes_everything_later_and_keeps_the_order() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    broker.inject(Faults::new().delay(5 * SECOND));
    let started = Instant::now();
    for n in 0..3 {
        client.say(&format!("SEND\ndestination:/topic/a\nreceipt:{n}\n\n\0")).await;
        tokio::time::sleep(SECOND).await;
    }
    for n in 0..3 {
        assert_eq!(header(&client.frame().await, "receipt-id"), n.to_string());
        assert_eq!(started.elapsed().as_secs(), 5 + n, "each by itself, not one behind the other");
    }
    client.say("SEND\ndestination:/nowhere\n\n\0").await;
    assert_eq!(client.frame().await.command(), Command::Error, "the goodbye has the time for it");
    assert!(client.try_frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn more_than_may_be_late_at_once_comes_all_the_same() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    broker.inject(Faults::new().delay(SECOND));
    let wire: String = (0..2500).map(|n| format!("SEND\ndestination:/topic/a\n\n{n}\0")).collect();
    let mut sender = Raw::new(&broker);
    sender.say(CONNECT).await;
    sender.say(&wire).await;
    for n in 0..2500 {
        assert_eq!(client.body().await, n.to_string());
    }
}

#[tokio::test]
async fn lost_receipts_are_the_only_thing_lost() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    broker.inject(Faults::new().lose_receipts());
    client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nreceipt:1\n\n\0SEND\ndestination:/queue/a\nreceipt:2\n\nx\0").await;
    assert_eq!(client.body().await, "x", "no RECEIPT before it");
    client.say("DISCONNECT\nreceipt:3\n\n\0").await;
    assert!(client.try_frame().await.is_none());
}

#[tokio::test]
async fn an_error_comes_at_the_step_that_was_said() {
    let broker = broker().await;
    broker.inject(Faults::new().error_at(3));
    let mut client = Raw::connected(&broker, "1.2").await;
    client.send("/queue/a", "1").await;
    let error = client.refused("SEND\ndestination:/queue/a\nreceipt:r\n\n2\0").await;
    assert_eq!(
        (header(&error, "message").as_str(), header(&error, "receipt-id").as_str()),
        ("asked for", "r")
    );
    assert_eq!(broker.messages("/queue/a").len(), 1, "it was not done");
    broker.inject(Faults::new().error_at(1));
    Raw::new(&broker).refused(CONNECT).await;
}

#[tokio::test]
async fn a_restart_keeps_queues_or_forgets_them_and_keeps_the_address() {
    let broker = TestBroker::start().await;
    for (queues, left) in [(Queues::Keep, 2), (Queues::Forget, 0)] {
        let mut client = Raw::dialled(broker.tcp_url()).await;
        client.send("/queue/a", "1").await;
        client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
        client.message().await;
        let mut other = Raw::dialled(broker.ws_url()).await;
        other.say("SEND\ndestination:/queue/b\nreceipt:r\n\n2\0").await;
        other.frame().await;
        broker.restart(queues).await.expect("the ports are free");
        assert!(client.try_frame().await.is_none() && other.try_frame().await.is_none());
        let kept = broker.messages("/queue/a").len() + broker.messages("/queue/b").len();
        assert_eq!(kept, left, "{queues:?}");
        let mut again = Raw::dialled(broker.ws_url()).await;
        if queues == Queues::Keep {
            let messages = again.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n").await;
            assert_eq!(header(&messages[0], "redelivered"), "true");
            again.ask("SUBSCRIBE\nid:t\ndestination:/queue/b\n\n").await;
        }
    }
}

#[tokio::test]
async fn while_it_is_down_nobody_gets_in() {
    let broker = TestBroker::start().await;
    let url = Endpoint::parse(broker.tcp_url()).expect("a URL");
    let mut client = Raw::connected(&broker, "1.2").await;
    broker.go_down().await;
    assert!(client.try_frame().await.is_none());
    assert!(DefaultConnector::new().connect(url.clone()).await.is_err(), "nobody listens");
    assert!(Raw::new(&broker).try_frame().await.is_none());
    broker.come_up().await.expect("the ports are free");
    broker.come_up().await.expect("it is up already");
    Raw::dialled(broker.tcp_url()).await;
}

#[tokio::test]
async fn hang_up_cuts_off_whoever_is_there() {
    let broker = TestBroker::start().await;
    let mut events = broker.events();
    let mut clients = [Raw::dialled(broker.tcp_url()).await, Raw::connected(&broker, "1.2").await];
    broker.hang_up();
    for client in &mut clients {
        assert!(client.try_frame().await.is_none());
    }
    let mut ended = 0;
    while ended < 2 {
        ended += usize::from(matches!(events.next().await, Some(BrokerEvent::Disconnected { .. })));
    }
    Raw::dialled(broker.tcp_url()).await;
}

#[tokio::test]
async fn output_comes_in_pieces_of_the_size_that_was_said() {
    let broker = TestBroker::start().await;
    broker.inject(Faults::new().chunk(7));
    let mut client = Raw::new(&broker);
    client.say(CONNECT).await;
    let mut wire = Vec::new();
    while !wire.ends_with(b"\0") {
        let chunk = client.chunk().await.expect("more");
        assert!(chunk.len() == 7 || chunk.ends_with(b"\0"), "{chunk:?}");
        wire.extend_from_slice(&chunk);
    }
    assert!(wire.starts_with(b"CONNECTED\n"));
    // One frame over many WebSocket messages.
    let mut client = RawWs::dialled(broker.ws_url()).await;
    client.say(CONNECT.as_bytes()).await;
    let mut wire = String::new();
    while !wire.ends_with('\0') {
        let message = client.text().await;
        assert!(message.len() == 7 || message.ends_with('\0'), "{message:?}");
        wire.push_str(&message);
    }
    assert!(wire.starts_with("CONNECTED\n"));
}

#[tokio::test]
async fn several_frames_come_in_one_websocket_message() {
    let broker = TestBroker::start().await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    broker.inject(Faults::new().join(2));
    let ask = |n| format!("SEND\ndestination:/topic/a\nreceipt:{n}\n\n\0");
    client.say((ask(1) + &ask(2) + &ask(3)).as_bytes()).await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:2\n\n\0");
    assert_eq!(
        client.text().await,
        "RECEIPT\nreceipt-id:3\n\n\0",
        "what does not wait with others comes alone"
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_text() {
    let broker = TestBroker::start().await;
    for (faults, opcode) in [(Faults::new(), BINARY), (Faults::new().any_as_text(), TEXT)] {
        broker.inject(faults);
        let mut client = RawWs::connected(broker.ws_url()).await;
        client.say(b"SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
        broker.subscribed("/topic/a", 1).await;
        let mut sender = Raw::connected(&broker, "1.2").await;
        sender.say_bytes(b"SEND\ndestination:/topic/a\n\n\xff\xfe\0").await;
        let (seen, payload) = client.message().await.expect("a message");
        assert_eq!(seen, opcode);
        assert!(payload.ends_with(b"\xff\xfe\0"));
        drop(client);
        assert!(broker.wait_until(10 * SECOND, |broker| broker.stats().subscriptions == 0).await.is_ok());
    }
}
