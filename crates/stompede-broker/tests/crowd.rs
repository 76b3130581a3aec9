//! Many who mean harm, and one who does not, over sockets.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Raw, header, limited};
use stompede_broker::{Broker, BrokerLimits, Limit};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What one of a crowd does, until it is dropped: each kind has its own way of being a nuisance.
async fn be_a_nuisance(address: String, kind: usize, all_here: Arc<Barrier>) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    all_here.wait().await;
    let (once, again) = match kind % 10 {
        // Says nothing.
        0..=2 => (String::new(), String::new()),
        // Never ends its CONNECT.
        3..=5 => ("CONNECT\n".to_owned(), "x:y\n".to_owned()),
        // Floods a topic as fast as it can.
        6 => {
            let send = "SEND\ndestination:/topic/flood.a\n\nflood\0".repeat(50);
            ("CONNECT\naccept-version:1.2\nhost:h\n\n\0".to_owned(), send)
        }
        // Listens to everything and reads nothing.
        7 | 8 => {
            let connect = "CONNECT\naccept-version:1.2\nhost:h\n\n\0";
            (format!("{connect}SUBSCRIBE\nid:s\ndestination:/topic/#\n\n\0"), String::new())
        }
        // Asks and does not read the answers.
        _ => {
            let ask = "SEND\ndestination:/topic/x\nreceipt:r\n\n\0".repeat(50);
            ("CONNECT\naccept-version:1.2\nhost:h\n\n\0".to_owned(), ask)
        }
    };
    if stream.write_all(once.as_bytes()).await.is_err() {
        return;
    }
    while !again.is_empty() && stream.write_all(again.as_bytes()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_connections_do_not_starve_a_good_one() {
    let mut limits = BrokerLimits::default();
    limits.max_outbox_bytes = 20_000;
    let broker =
        Broker::builder().tcp("127.0.0.1:0").without_ws().limits(limits).start().await.expect("started");
    let address = broker.tcp_url().expect("tcp").trim_start_matches("tcp://").to_owned();
    let mut crowd = JoinSet::new();
    let all_here = Arc::new(Barrier::new(1001));
    for kind in 0..1000 {
        crowd.spawn(be_a_nuisance(address.clone(), kind, all_here.clone()));
    }
    all_here.wait().await;
    let good = async {
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("SUBSCRIBE\nid:s\ndestination:/queue/good\nack:client\n\n").await;
        for n in 0..2 {
            client.say(&format!("SEND\ndestination:/queue/good\n\n{n}\0")).await;
            let message = client.message().await;
            assert_eq!(message.body_text(), Ok(n.to_string().as_str()));
            client.ask(&format!("ACK\nid:{}\n\n", header(&message, "ack"))).await;
        }
    };
    // Alone it takes a millisecond. Here each of its six round trips waits for a turn of 200 floods on two threads.
    timeout(Duration::from_secs(20), good).await.expect("served in spite of the crowd");
    crowd.shutdown().await;
}

#[tokio::test]
async fn a_stuck_subscriber_does_not_slow_the_others() {
    let broker = limited(|limits| limits.max_outbox_bytes = 200_000).await;
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("SUBSCRIBE\nid:t\ndestination:/topic/a\n\n").await;
        client.ask("SUBSCRIBE\nid:q\ndestination:/queue/a\nack:client\nprefetch-count:1\n\n").await;
        stuck.push(client);
    }
    let mut brisk = Raw::connected(&broker, "1.2").await;
    brisk.ask("SUBSCRIBE\nid:t\ndestination:/topic/a\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let body = "x".repeat(10_000);
    for _ in 0..50 {
        sender.send("/queue/a", "one for each of the stuck").await;
    }
    brisk.ask("SUBSCRIBE\nid:q\ndestination:/queue/a\n\n").await;
    // Not one of these waits for somebody who does not read: the broker would never get to the next.
    for _ in 0..100 {
        sender.send("/topic/a", &body).await;
        while brisk.body().await.len() < 10_000 {}
        sender.send("/queue/a", &body).await;
        // What the stuck ones had comes again once they are ended.
        while brisk.body().await.len() < 10_000 {}
    }
    assert_eq!(broker.stats().hits(Limit::SlowConsumer), 50);
}

#[tokio::test]
async fn each_limit_has_its_error_and_its_counter() {
    let connect = "CONNECT\naccept-version:1.2\nhost:h\n\n\0";
    let broker = limited(|limits| {
        limits.frames = limits.frames.with_max_body(10).with_max_header_count(10);
        limits.max_subscriptions = 1;
        limits.max_destinations = 3;
        limits.max_queue_messages = 1;
        limits.max_unsettled = 1;
        limits.max_transaction_frames = 1;
    })
    .await;
    let subscribe = "SUBSCRIBE\nid:s\ndestination:/topic/t\nack:client\n\n\0";
    let send = |to: &str| format!("SEND\ndestination:{to}\n\nx\0");
    let many = "a:b\n".repeat(20);
    for (wire, limit, message) in [
        ("SEND\ndestination:/queue/a\n\n12345678901\0".to_owned(), Limit::FrameSize, "frame is too large"),
        (format!("SEND\n{many}\n\0"), Limit::FrameSize, "frame is too large"),
        (
            subscribe.replace(":s", ":1") + &subscribe.replace(":s", ":2"),
            Limit::Subscriptions,
            "too many subscriptions",
        ),
        (send("/queue/a") + &send("/queue/a"), Limit::QueueDepth, "queue is full"),
        (
            send("/queue/b") + &send("/queue/c") + &send("/queue/d"),
            Limit::Destinations,
            "too many destinations",
        ),
        (
            "BEGIN\ntransaction:1\n\n\0BEGIN\ntransaction:2\n\n\0".to_owned(),
            Limit::Transactions,
            "transaction is too large",
        ),
    ] {
        let mut client = Raw::new(&broker);
        client.say(connect).await;
        client.frame().await;
        let error = client.refused(&wire).await;
        assert_eq!(header(&error, "message"), message, "{wire:?}");
        assert!(broker.stats().hits(limit) >= 1, "{limit:?}");
    }
    let broker = limited(|limits| limits.max_unsettled = 1).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/t\nack:client\n\n").await;
    client.say(&(send("/topic/t") + &send("/topic/t"))).await;
    client.message().await;
    let error = client.frame().await;
    assert_eq!(header(&error, "message"), "too many unacknowledged messages");
    assert!(error.body_text_lossy().starts_with("1 messages wait"), "{error}");
    assert_eq!(broker.stats().hits(Limit::Unsettled), 1);
}

#[tokio::test]
async fn limits_of_bytes_are_errors_that_count_as_well() {
    let broker = limited(|limits| {
        limits.frames = limits.frames.with_max_header_line(50).with_max_head(120);
        limits.max_queue_bytes = 10;
        limits.max_transaction_bytes = 10;
    })
    .await;
    let send = |more: &str| format!("SEND\ndestination:/queue/a\n{more}\n123456");
    for _ in 0..2 {
        // What is aborted makes room.
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("BEGIN\ntransaction:t\n\n").await;
        client.ask(&send("transaction:t\n")).await;
        client.ask("ABORT\ntransaction:t\n\n").await;
        client.ask("BEGIN\ntransaction:t\n\n").await;
        client.ask(&send("transaction:t\n")).await;
        client.ask("BEGIN\ntransaction:u\n\n").await;
        let error = client.refused(&(send("transaction:u\n") + "\0")).await;
        assert_eq!(header(&error, "message"), "transaction is too large");
        assert_eq!(error.body_text(), Ok("open transactions may hold 10 bytes"));
    }
    assert_eq!(broker.stats().hits(Limit::Transactions), 2);
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask(&send("")).await;
    let error = client.refused(&(send("") + "\0")).await;
    assert_eq!(header(&error, "message"), "queue is full");
    assert!(error.body_text_lossy().ends_with(" and 10 bytes"), "{error}");
    assert_eq!(broker.stats().hits(Limit::QueueDepth), 1);
    for (n, headers) in
        [format!("a:{}\n", "x".repeat(60)), "a:0123456789012345\n".repeat(7)].iter().enumerate()
    {
        let error = Raw::connected(&broker, "1.2").await.refused(&format!("SEND\n{headers}\n\0")).await;
        assert_eq!(header(&error, "message"), "frame is too large");
        assert_eq!(broker.stats().hits(Limit::FrameSize), n as u64 + 1);
    }
}

#[tokio::test]
async fn a_prefetch_on_a_topic_ends_nobody() {
    let broker = limited(|limits| limits.max_unsettled = 3).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/t\nack:client\nprefetch-count:1\n\n").await;
    client.say(&"SEND\ndestination:/topic/t\n\n\0".repeat(3)).await;
    for _ in 0..3 {
        client.message().await;
    }
    assert_eq!(broker.stats().hits(Limit::Unsettled), 0);
}

#[tokio::test]
async fn a_queue_waits_for_who_holds_too_much_and_counts_it() {
    let broker = limited(|limits| limits.max_unsettled = 2).await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n").await;
    for n in 0..4 {
        sender.send("/queue/a", &n.to_string()).await;
    }
    client.message().await;
    let second = client.message().await;
    assert_eq!(broker.stats().hits(Limit::Unsettled), 1, "once, however many wait");
    let more = client.ask(&format!("ACK\nid:{}\n\n", header(&second, "ack"))).await;
    assert_eq!(more.iter().map(|m| m.body_text().expect("text")).collect::<Vec<_>>(), ["2", "3"]);
    sender.send("/queue/a", "4").await;
    assert_eq!((broker.stats().hits(Limit::Unsettled), broker.stats().errors), (2, 0), "and again");
    // A prefetch is what the client wants, and no limit.
    let broker = limited(|limits| limits.max_unsettled = 2).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\nprefetch-count:1\n\n").await;
    client.say(&"SEND\ndestination:/queue/a\n\n\0".repeat(3)).await;
    client.message().await;
    assert_eq!(broker.messages("/queue/a").len(), 2);
    assert_eq!(broker.stats().hits(Limit::Unsettled), 0);
}

#[tokio::test]
async fn all_messages_together_have_a_limit_wherever_they_are() {
    let mut limits = BrokerLimits::default();
    limits.max_stored_bytes = 3000;
    let builder =
        Broker::builder().without_tcp().without_ws().virtual_host("h").virtual_host("i").limits(limits);
    let broker = builder.start().await.expect("started");
    let body = "x".repeat(1000);
    let full = async |destination: &str| {
        let client = Raw::connected(&broker, "1.2").await;
        let error = client.refused(&format!("SEND\nreceipt:r\ndestination:{destination}\n\n{body}\0")).await;
        assert_eq!(
            (header(&error, "message"), header(&error, "receipt-id")),
            ("broker is full".into(), "r".into())
        );
        assert!(error.body_text_lossy().contains(" of 3000 bytes"), "{error}");
    };
    let mut client = Raw::connected(&broker, "1.2").await;
    // One in a queue, one in an open transaction, and no third.
    client.send("/queue/a", &body).await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    client.ask(&format!("SEND\ndestination:/queue/b\ntransaction:t\n\n{body}")).await;
    full("/queue/c").await;
    full("/topic/c").await;
    // Headers take room as well.
    Raw::connected(&broker, "1.2")
        .await
        .refused(&format!("SEND\ndestination:/queue/c\na:{body}\n\n\0"))
        .await;
    // Received is not settled.
    client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
    let message = client.message().await;
    full("/queue/c").await;
    client.ask(&format!("ACK\nid:{}\n\n", header(&message, "ack"))).await;
    client.send("/queue/c", &body).await;
    full("/queue/c").await;
    client.ask("ABORT\ntransaction:t\n\n").await;
    // Other virtual hosts share the memory.
    let mut other = Raw::new(&broker);
    other.say("CONNECT\naccept-version:1.2\nhost:i\n\n\0").await;
    other.frame().await;
    other.send("/queue/c", &body).await;
    full("/queue/d").await;
    assert_eq!(broker.stats().hits(Limit::Storage), 6);
    broker.forget_queues();
    assert_eq!(broker.stats().stored_bytes, 0);
}
