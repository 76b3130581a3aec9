//! What once went wrong: clients that never read, refused queues, late acknowledgements, half transactions.

mod common;

use std::time::Duration;

use common::{Raw, broker, header, limited, queue};

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_never_reads_is_told_off_once_and_loses_its_place() {
    let broker = limited(|limits| limits.max_outbox_bytes = 100_000).await;
    let mut deaf = Raw::connected(&broker, "1.2").await;
    deaf.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let body = "x".repeat(10_000);
    for _ in 0..50 {
        sender.send("/topic/a", &body).await;
    }
    assert_eq!(broker.stats().errors, 1, "one ERROR, however many messages it missed");
    let alone = broker.wait_until(Duration::from_secs(5), |broker| broker.stats().connections == 1);
    alone.await.expect("in time");
    drop(deaf);
}

#[tokio::test]
async fn a_queue_that_refused_its_first_message_takes_no_place() {
    let broker = limited(|limits| {
        limits.max_queue_bytes = 10;
        limits.max_destinations = 1;
    })
    .await;
    let client = Raw::connected(&broker, "1.2").await;
    client.refused("SEND\ndestination:/queue/a\n\n12345678901\0").await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.send("/queue/b", "fits").await;
}

#[tokio::test]
async fn what_was_delivered_may_be_settled_after_unsubscribe() {
    for version in ["1.1", "1.2"] {
        for (ack, left) in [("client", vec!["3"]), ("client-individual", vec!["1", "3"])] {
            let broker = broker().await;
            let (mut client, names) = common::three(&broker, version, ack).await;
            client.ask("UNSUBSCRIBE\nid:s\n\n").await;
            client.ask(&format!("ACK\n{}\n", names[1])).await;
            client.ask("DISCONNECT\n\n").await;
            assert_eq!(queue(&broker, "/queue/work").await, left, "{version} {ack}");
        }
        let broker = broker().await;
        let (mut client, names) = common::three(&broker, version, "client").await;
        client.ask("UNSUBSCRIBE\nid:s\n\n").await;
        client.ask(&format!("NACK\n{}\n", names[1])).await;
        assert_eq!(queue(&broker, "/queue/work").await, ["1", "2"], "{version}");
    }
}

#[tokio::test]
async fn a_transaction_learns_of_an_unknown_destination_at_once() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    let error = client.refused("SEND\nreceipt:r\ndestination:/nowhere\ntransaction:t\n\nx\0").await;
    assert_eq!(
        (header(&error, "message").as_str(), header(&error, "receipt-id").as_str()),
        ("unknown destination", "r")
    );
}

#[tokio::test]
async fn a_commit_that_fails_leaves_everything_as_it_was() {
    let broker = limited(|limits| limits.max_queue_messages = 3).await;
    let (mut client, names) = common::three(&broker, "1.2", "client-individual").await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    client.ask(&format!("ACK\ntransaction:t\n{}\n", names[0])).await;
    client.ask("SEND\ndestination:/queue/other\ntransaction:t\n\nmust not show").await;
    for n in 0..4 {
        client.ask(&format!("SEND\ndestination:/queue/small\ntransaction:t\n\n{n}")).await;
    }
    let error = client.refused("COMMIT\ntransaction:t\n\n\0").await;
    assert_eq!(header(&error, "message"), "queue is full");
    assert_eq!(queue(&broker, "/queue/work").await, ["1", "2", "3"]);
    assert!(queue(&broker, "/queue/other").await.is_empty());
    assert!(queue(&broker, "/queue/small").await.is_empty());
}

#[tokio::test]
async fn a_commit_counts_the_queues_that_it_would_make() {
    let broker = limited(|limits| limits.max_destinations = 2).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.send("/queue/known", "1").await;
    for (queues, fits) in [(&["known", "a", "a", "known"][..], true), (&["a", "b"], false)] {
        client.ask("BEGIN\ntransaction:t\n\n").await;
        for queue in queues {
            client.ask(&format!("SEND\ndestination:/queue/{queue}\ntransaction:t\n\nx")).await;
        }
        if fits {
            client.ask("COMMIT\ntransaction:t\n\n").await;
        }
    }
    let error = client.refused("COMMIT\ntransaction:t\n\n\0").await;
    assert_eq!(header(&error, "message"), "too many destinations");
    assert_eq!((broker.messages("/queue/known").len(), broker.messages("/queue/a").len()), (3, 2));
}

#[tokio::test]
async fn a_message_is_settled_once_within_a_transaction_too() {
    let broker = broker().await;
    let (mut client, names) = common::three(&broker, "1.2", "client").await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    client.ask(&format!("ACK\ntransaction:t\n{}\n", names[1])).await;
    client.ask(&format!("NACK\ntransaction:t\n{}\n", names[0])).await;
    client.refused("COMMIT\ntransaction:t\n\n\0").await;
    assert_eq!(queue(&broker, "/queue/work").await, ["1", "2", "3"]);
}
