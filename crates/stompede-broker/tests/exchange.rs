//! Who gets what: topics, queues, acknowledgements, transactions, limits.

mod common;

use common::{Raw, broker, header, limited, queue, three};
use stompede_codec::Command;

#[tokio::test]
async fn a_topic_goes_to_every_subscriber_and_is_not_kept() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    sender.send("/topic/a", "nobody hears").await;
    let mut listeners = [Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.1").await];
    for listener in &mut listeners {
        listener.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    }
    sender.ask("SEND\ndestination:/topic/a\ncolour:a\\cb\ntransaction-hint:x\nmessage-id:mine\n\nhi").await;
    for listener in &mut listeners {
        let message = listener.message().await;
        assert_eq!((message.body_text(), header(&message, "subscription").as_str()), (Ok("hi"), "s"));
        assert_eq!(
            (header(&message, "colour").as_str(), header(&message, "content-length").as_str()),
            ("a:b", "2")
        );
        assert_eq!(header(&message, "destination"), "/topic/a");
        assert_ne!(header(&message, "message-id"), "mine", "it is the broker's to choose");
        assert!(message.header("receipt").is_none() && message.header("ack").is_none());
    }
}

#[tokio::test]
async fn a_queue_holds_messages_and_shares_them_out() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    sender.send("/queue/a", "held").await;
    let mut first = Raw::connected(&broker, "1.2").await;
    first
        .ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n")
        .await
        .iter()
        .for_each(|m| assert_eq!(m.body(), "held"));
    let mut second = Raw::connected(&broker, "1.2").await;
    second.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n").await;
    for n in 0..4 {
        sender.send("/queue/a", &n.to_string()).await;
    }
    assert_eq!([first.body().await, first.body().await], ["0", "2"]);
    assert_eq!([second.body().await, second.body().await], ["1", "3"]);
}

#[tokio::test]
async fn every_frame_that_asks_gets_its_receipt() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    for frame in [
        "SUBSCRIBE\nid:s\ndestination:/topic/a\n\n",
        "BEGIN\ntransaction:t\n\n",
        "SEND\ndestination:/topic/b\ntransaction:t\n\n",
        "COMMIT\ntransaction:t\n\n",
        "BEGIN\ntransaction:t\n\n",
        "ABORT\ntransaction:t\n\n",
        "UNSUBSCRIBE\nid:s\n\n",
        "DISCONNECT\n\n",
    ] {
        assert!(client.ask(frame).await.is_empty(), "{frame}");
    }
    assert!(client.try_frame().await.is_none(), "DISCONNECT ends the connection behind its RECEIPT");
}

#[tokio::test]
async fn what_a_frame_lacks_or_names_wrongly_is_an_error_with_its_receipt_id() {
    let broker = broker().await;
    for frame in [
        "SEND\nreceipt:r\n\nx\0",
        "SEND\nreceipt:r\ndestination:/nowhere\n\nx\0",
        "SEND\nreceipt:r\ndestination:/queue/\n\nx\0",
        "SEND\nreceipt:r\ndestination:/queue/a\ntransaction:none\n\nx\0",
        "SUBSCRIBE\nreceipt:r\ndestination:/queue/a\n\n\0",
        "SUBSCRIBE\nreceipt:r\nid:s\n\n\0",
        "SUBSCRIBE\nreceipt:r\nid:s\ndestination:/queue/a\nack:often\n\n\0",
        "SUBSCRIBE\nreceipt:r\nid:s\ndestination:/queue/a\nselector:x = 1\n\n\0",
        "SUBSCRIBE\nreceipt:r\nid:s\ndestination:/queue/a\nbrowser:true\n\n\0",
        "SUBSCRIBE\nreceipt:r\nid:s\ndestination:/queue/a\nprefetch-count:0\n\n\0",
        "UNSUBSCRIBE\nreceipt:r\nid:never\n\n\0",
        "ACK\nreceipt:r\nid:never\n\n\0",
        "ACK\nreceipt:r\n\n\0",
        "COMMIT\nreceipt:r\ntransaction:none\n\n\0",
        "BEGIN\nreceipt:r\n\n\0",
        "MESSAGE\nreceipt:r\n\n\0",
    ] {
        let error = Raw::connected(&broker, "1.2").await.refused(frame).await;
        assert_eq!(header(&error, "receipt-id"), "r", "{frame:?}");
        let is_clear = header(&error, "message").ends_with("are not supported");
        assert_eq!(is_clear, frame.contains("\nselector:") || frame.contains("\nbrowser:"), "{error}");
    }
    Raw::connected(&broker, "1.2").await.refused("NONSENSE\n\n\0").await;
    Raw::connected(&broker, "1.2").await.refused("SEND\ndestination:/queue/a\na:\\t\n\nx\0").await;
    Raw::connected(&broker, "1.0").await.refused("NACK\nmessage-id:1\n\n\0").await;
    let individual = "SUBSCRIBE\ndestination:/queue/a\nack:client-individual\n\n\0";
    Raw::connected(&broker, "1.0").await.refused(individual).await;
}

#[tokio::test]
async fn the_error_about_a_frame_that_cannot_be_read_names_its_receipt() {
    let broker =
        limited(|limits| limits.frames = limits.frames.with_max_body(100).with_max_header_count(10)).await;
    let body = "x".repeat(101);
    let many = "a:b\n".repeat(20);
    for frame in [
        "NONSENSE\nreceipt:r\n\n\0".to_owned(),
        "SEND\nreceipt:r\ndestination:/queue/a\na:\\t\n\nx\0".to_owned(),
        "SEND\na:\\t\ndestination:/queue/a\nreceipt:r\n\nx\0".to_owned(),
        "SEND\nreceipt:r\nno colon\n\nx\0".to_owned(),
        format!("SEND\ndestination:/queue/a\nreceipt:r\n\n{body}\0"),
        format!("SEND\ndestination:/queue/a\ncontent-length:101\nreceipt:r\n\n{body}\0"),
        "SEND\nreceipt:r\ndestination:/queue/a\ncontent-length:1\n\nmore\0".to_owned(),
        format!("SEND\nreceipt:r\n{many}\n\0"),
    ] {
        let error = Raw::connected(&broker, "1.2").await.refused(&frame).await;
        assert_eq!(header(&error, "receipt-id"), "r", "{frame:?}");
        if frame.starts_with("NONSENSE") || frame.contains("content-length:101") {
            // Refused before the receipt is read, so it has to have come with what is refused.
            continue;
        }
        // In pieces, and behind another frame.
        let mut client = Raw::connected(&broker, "1.1").await;
        let (first, second) = frame.split_at(frame.find("ipt:r").expect("a receipt"));
        client.say(&format!("SEND\nreceipt:before\ndestination:/topic/a\n\n\0{first}")).await;
        assert_eq!(header(&client.frame().await, "receipt-id"), "before");
        assert_eq!(header(&client.refused(second).await, "receipt-id"), "r", "{frame:?}");
    }
    let error = Raw::connected(&broker, "1.2").await.refused("NONSENSE\n\nreceipt:body\n\0").await;
    assert!(error.header("receipt-id").is_none());
}

#[tokio::test]
async fn an_id_is_used_once_and_1_0_needs_none() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    client.refused("SUBSCRIBE\nid:s\ndestination:/topic/b\n\n\0").await;

    let mut old = Raw::connected(&broker, "1.0").await;
    old.ask("SUBSCRIBE\ndestination:/queue/old\n\n").await;
    let messages = old.ask("SEND\ndestination:/queue/old\n\nhi").await;
    assert!(messages.len() == 1 && messages[0].header("subscription").is_none());
    old.ask("UNSUBSCRIBE\ndestination:/queue/old\n\n").await;
    assert!(old.ask("SEND\ndestination:/queue/old\n\nkept").await.is_empty());
}

#[tokio::test]
async fn acknowledgements_cover_what_their_mode_and_version_say() {
    for (version, ack, expected) in [
        ("1.2", "client", vec!["3"]),
        ("1.1", "client", vec!["3"]),
        ("1.0", "client", vec!["1", "3"]),
        ("1.2", "client-individual", vec!["1", "3"]),
        ("1.1", "client-individual", vec!["1", "3"]),
    ] {
        let broker = broker().await;
        let (mut client, names) = three(&broker, version, ack).await;
        client.ask(&format!("ACK\n{}\n", names[1])).await;
        client.ask("DISCONNECT\n\n").await;
        assert_eq!(queue(&broker, "/queue/work").await, expected, "{version} {ack}");
    }
}

#[tokio::test]
async fn a_nack_brings_again_what_its_mode_and_version_say() {
    for (version, ack, again) in [
        ("1.2", "client", &["1", "2"][..]),
        ("1.1", "client", &["1", "2"]),
        ("1.2", "client-individual", &["2"]),
        ("1.1", "client-individual", &["2"]),
    ] {
        let broker = broker().await;
        let (mut client, names) = three(&broker, version, ack).await;
        let redelivered = client.ask(&format!("NACK\n{}\n", names[1])).await;
        let seen = redelivered.iter().map(|message| (message.body_text(), message.header("redelivered")));
        let expected = again.iter().map(|body| (Ok(*body), Some("true".into())));
        assert!(seen.eq(expected), "{version} {ack}: {redelivered:?}");
        drop(client);
        while broker.stats().connections > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            queue(&broker, "/queue/work").await,
            ["1", "2", "3"],
            "{version} {ack}: nothing is settled"
        );
    }
}

#[tokio::test]
async fn a_nack_in_a_transaction_takes_effect_at_commit() {
    for version in ["1.1", "1.2"] {
        let broker = broker().await;
        let (mut client, names) = three(&broker, version, "client-individual").await;
        client.ask("BEGIN\ntransaction:t\n\n").await;
        assert!(client.ask(&format!("NACK\ntransaction:t\n{}\n", names[1])).await.is_empty(), "not yet");
        assert!(client.ask(&format!("ACK\ntransaction:t\n{}\n", names[0])).await.is_empty());
        let again = client.ask("COMMIT\ntransaction:t\n\n").await;
        let bodies: Vec<_> = again.iter().map(|message| message.body_text().expect("text")).collect();
        assert_eq!((bodies, header(&again[0], "redelivered").as_str()), (vec!["2"], "true"), "{version}");
        client.ask("DISCONNECT\n\n").await;
        assert_eq!(queue(&broker, "/queue/work").await, ["2", "3"], "{version}: 1 was acknowledged");
    }
}

#[tokio::test]
async fn what_was_sent_in_a_transaction_that_is_not_committed_never_was() {
    for end in ["ABORT\ntransaction:t\n\n", "DISCONNECT\n\n", ""] {
        let broker = broker().await;
        let mut listener = Raw::connected(&broker, "1.2").await;
        listener.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("BEGIN\ntransaction:t\n\n").await;
        for destination in ["/queue/a", "/topic/a"] {
            client.ask(&format!("SEND\ndestination:{destination}\ntransaction:t\n\nx")).await;
        }
        if !end.is_empty() {
            client.ask(end).await;
        }
        drop(client);
        // The broker notices at its own time that it has lost the connection.
        while broker.stats().connections > 1 {
            tokio::task::yield_now().await;
        }
        assert!(broker.messages("/queue/a").is_empty(), "{end:?}");
        assert!(listener.ask("SEND\ndestination:/queue/b\n\n").await.is_empty(), "{end:?}");
        assert_eq!(broker.stats().received, 1, "{end:?}");
    }
}

#[tokio::test]
async fn nack_and_a_lost_connection_bring_messages_again_in_order() {
    let broker = broker().await;
    let (mut client, names) = three(&broker, "1.2", "client").await;
    client.say(&format!("NACK\n{}\n\0", names[1])).await;
    for expected in ["1", "2"] {
        let again = client.message().await;
        assert_eq!((again.body_text(), header(&again, "redelivered").as_str()), (Ok(expected), "true"));
    }
    drop(client);
    // The broker notices at its own time; the messages are there once it has.
    while broker.stats().connections > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue(&broker, "/queue/work").await, ["1", "2", "3"]);
}

#[tokio::test]
async fn prefetch_holds_messages_back() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    for n in 0..3 {
        sender.send("/queue/a", &n.to_string()).await;
    }
    let mut client = Raw::connected(&broker, "1.2").await;
    client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\nprefetch-count:1\n\n\0").await;
    for n in 0..3 {
        let message = client.message().await;
        assert_eq!(message.body_text(), Ok(n.to_string().as_str()));
        assert!(client.ask("SEND\ndestination:/topic/nobody\n\n").await.is_empty(), "one at a time");
        client.say(&format!("ACK\nid:{}\n\n\0", header(&message, "ack"))).await;
    }
}

#[tokio::test]
async fn transactions_take_effect_at_commit_and_not_at_all_otherwise() {
    let broker = broker().await;
    let (mut client, names) = three(&broker, "1.2", "client-individual").await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    client.ask(&format!("ACK\ntransaction:t\n{}\n", names[0])).await;
    client.ask("SEND\ndestination:/queue/other\ntransaction:t\n\nin t").await;
    client.ask("BEGIN\ntransaction:u\n\n").await;
    client.ask(&format!("ACK\ntransaction:u\n{}\n", names[1])).await;
    client.ask("ABORT\ntransaction:u\n\n").await;
    let mut other = Raw::connected(&broker, "1.2").await;
    assert!(other.ask("SUBSCRIBE\nid:s\ndestination:/queue/other\n\n").await.is_empty(), "not yet");
    client.ask("COMMIT\ntransaction:t\n\n").await;
    assert_eq!(other.body().await, "in t");
    client.ask("BEGIN\ntransaction:v\n\n").await;
    client.ask(&format!("ACK\ntransaction:v\n{}\n", names[2])).await;
    client.ask("DISCONNECT\n\n").await;
    assert_eq!(queue(&broker, "/queue/work").await, ["2", "3"], "aborted, and forgotten with the connection");
    let mut twice = Raw::connected(&broker, "1.2").await;
    twice.ask("BEGIN\ntransaction:t\n\n").await;
    twice.refused("BEGIN\ntransaction:t\n\n\0").await;
}

#[tokio::test]
async fn limits_are_errors_that_name_them() {
    let broker = limited(|limits| limits.max_queue_messages = 2).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.send("/queue/a", "1").await;
    client.send("/queue/a", "2").await;
    let error = client.refused("SEND\ndestination:/queue/a\n\n3\0").await;
    assert_eq!(header(&error, "message"), "queue is full");

    let broker = limited(|limits| limits.max_subscriptions = 1).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:a\ndestination:/topic/a\n\n").await;
    client.refused("SUBSCRIBE\nid:b\ndestination:/topic/a\n\n\0").await;

    let broker = limited(|limits| limits.max_transaction_frames = 2).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("BEGIN\ntransaction:t\n\n").await;
    client.ask("SEND\ndestination:/queue/a\ntransaction:t\n\n1").await;
    client.refused("SEND\ndestination:/queue/a\ntransaction:t\n\n2\0").await;

    let broker = limited(|limits| limits.frames = limits.frames.with_max_body(10)).await;
    let client = Raw::connected(&broker, "1.2").await;
    client.refused("SEND\ndestination:/queue/a\ncontent-length:11\n\n12345678901\0").await;
}

#[tokio::test]
async fn a_stuck_subscriber_is_ended_and_slows_nobody() {
    let broker = limited(|limits| limits.max_outbox_bytes = 100_000).await;
    let mut stuck = Raw::connected(&broker, "1.2").await;
    let mut brisk = Raw::connected(&broker, "1.2").await;
    for client in [&mut stuck, &mut brisk] {
        client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    }
    let mut sender = Raw::connected(&broker, "1.2").await;
    let body = "x".repeat(10_000);
    for _ in 0..100 {
        sender.send("/topic/a", &body).await;
        assert_eq!(brisk.body().await.len(), 10_000);
    }
    let last = loop {
        match stuck.try_frame().await {
            Some(frame) if frame.command() == Command::Message => {}
            other => break other,
        }
    };
    // The goodbye has its own time limit, so the ERROR itself may be cut off; the end is not.
    assert!(last.is_none_or(|frame| header(&frame, "message") == "slow consumer"));
}
