//! Patterns, fair queues, replies, and messages that come again.

mod common;

use common::{Raw, broker, header, limited, queue};

#[tokio::test]
async fn a_pattern_gets_the_topics_that_fit_under_their_own_names() {
    let broker = broker().await;
    let mut listener = Raw::connected(&broker, "1.2").await;
    listener.ask("SUBSCRIBE\nid:star\ndestination:/topic/*.eur\n\n").await;
    listener.ask("SUBSCRIBE\nid:hash\ndestination:/topic/stock.#\n\n").await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    for topic in
        ["/topic/stock.usd", "/topic/bond.eur", "/topic/stock.eur.spot", "/topic/bond.usd", "/topic/stock"]
    {
        sender.send(topic, topic).await;
    }
    for (subscription, topic) in [
        ("hash", "/topic/stock.usd"),
        ("star", "/topic/bond.eur"),
        ("hash", "/topic/stock.eur.spot"),
        ("hash", "/topic/stock"),
    ] {
        let message = listener.message().await;
        assert_eq!(
            (header(&message, "subscription").as_str(), header(&message, "destination").as_str()),
            (subscription, topic)
        );
    }
    listener.ask("UNSUBSCRIBE\nid:hash\n\n").await;
    sender.send("/topic/stock.usd", "nobody").await;
    sender.send("/topic/x.eur", "still").await;
    assert_eq!(listener.body().await, "still");
}

#[tokio::test]
async fn overlapping_subscriptions_of_one_client_each_get_the_message() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    for (id, topic) in [("1", "a.b"), ("2", "a.*"), ("3", "#"), ("4", "a.b.#")] {
        client.ask(&format!("SUBSCRIBE\nid:{id}\ndestination:/topic/{topic}\n\n")).await;
    }
    let messages = client.ask("SEND\ndestination:/topic/a.b\n\nx").await;
    let mut ids: Vec<_> = messages.iter().map(|message| header(message, "subscription")).collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_full_subscriber_is_passed_over_and_has_its_turn_again() {
    for prefetch in ["prefetch-count:1", "activemq.prefetchSize:1"] {
        let broker = broker().await;
        let (mut slow, mut brisk) =
            (Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.2").await);
        slow.ask(&format!("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n{prefetch}\n\n")).await;
        brisk.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n").await;
        let mut sender = Raw::connected(&broker, "1.2").await;
        for n in 0..4 {
            sender.send("/queue/a", &n.to_string()).await;
        }
        let first = slow.message().await;
        assert_eq!(first.body_text(), Ok("0"));
        assert_eq!([brisk.body().await, brisk.body().await, brisk.body().await], ["1", "2", "3"]);
        slow.ask(&format!("ACK\nid:{}\n\n", header(&first, "ack"))).await;
        for n in 4..6 {
            sender.send("/queue/a", &n.to_string()).await;
        }
        assert_eq!((slow.body().await, brisk.body().await), ("5".into(), "4".into()), "{prefetch}");
    }
}

#[tokio::test]
async fn a_reply_finds_whoever_asked() {
    let broker = broker().await;
    let mut server = Raw::connected(&broker, "1.2").await;
    server.ask("SUBSCRIBE\nid:s\ndestination:/queue/service\n\n").await;
    let mut askers = [Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.1").await];
    // The first does as ActiveMQ wants it and subscribes; the second does as RabbitMQ wants it and does not.
    askers[0].ask("SUBSCRIBE\nid:mine\ndestination:/temp-queue/r\n\n").await;
    for (n, asker) in askers.iter_mut().enumerate() {
        asker.ask(&format!("SEND\ndestination:/queue/service\nreply-to:/temp-queue/r\n\nquestion {n}")).await;
    }
    let questions = [server.message().await, server.message().await];
    for (n, question) in questions.iter().enumerate() {
        let reply_to = header(question, "reply-to");
        assert!(!reply_to.starts_with("/temp-queue/"), "{reply_to} would be the server's own");
        server.send(&reply_to, &format!("answer {n}")).await;
    }
    for (n, id) in ["mine", "/temp-queue/r"].into_iter().enumerate() {
        let answer = askers[n].message().await;
        assert_eq!(
            (answer.body_text(), header(&answer, "subscription").as_str()),
            (Ok(format!("answer {n}").as_str()), id)
        );
    }
}

#[tokio::test]
async fn who_subscribes_later_gets_replies_there_and_only_there() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:q\ndestination:/queue/service\n\n").await;
    let question = client.ask("SEND\ndestination:/queue/service\nreply-to:/temp-queue/r\n\n?").await;
    let reply_to = header(&question[0], "reply-to");
    client.ask("SUBSCRIBE\nid:mine\ndestination:/temp-queue/r\n\n").await;
    let answers = client.ask(&format!("SEND\ndestination:{reply_to}\n\n!")).await;
    assert_eq!(answers.iter().map(|m| header(m, "subscription")).collect::<Vec<_>>(), ["mine"]);
    client.ask("UNSUBSCRIBE\nid:mine\n\n").await;
    assert!(client.ask("SEND\ndestination:/temp-queue/r\n\nkept").await.is_empty());
    assert_eq!(client.ask("SUBSCRIBE\nid:mine\ndestination:/temp-queue/r\n\n").await.len(), 1);
}

#[tokio::test]
async fn a_client_of_1_0_names_its_own_queue_by_destination() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.0").await;
    client.ask("SUBSCRIBE\ndestination:/temp-queue/r\n\n").await;
    assert_eq!(client.ask("SEND\ndestination:/temp-queue/r\n\nx").await.len(), 1);
    client.ask("UNSUBSCRIBE\ndestination:/temp-queue/r\n\n").await;
    assert!(client.ask("SEND\ndestination:/temp-queue/r\n\nx").await.is_empty());
}

#[tokio::test]
async fn a_reply_to_somebody_who_has_gone_is_dropped_and_its_queue_too() {
    let broker = limited(|limits| limits.max_destinations = 2).await;
    let mut asker = Raw::connected(&broker, "1.2").await;
    asker.ask("SEND\ndestination:/queue/service\nreply-to:/temp-queue/r\n\n?").await;
    let mut server = Raw::connected(&broker, "1.2").await;
    let question = server.ask("SUBSCRIBE\nid:s\ndestination:/queue/service\n\n").await;
    let reply_to = header(&question[0], "reply-to");
    let mut thief = Raw::connected(&broker, "1.2").await;
    thief.send("/topic/x", "alive").await;
    let refused = thief.refused(&format!("SUBSCRIBE\nid:t\ndestination:{reply_to}\n\n\0")).await;
    assert_eq!(header(&refused, "message"), "not your queue");
    asker.ask("DISCONNECT\n\n").await;
    server.send(&reply_to, "too late").await;
    assert_eq!(broker.stats().dropped, 1);
    // Two destinations at most, and the service's queue is one.
    server.send("/queue/other", "there is room again").await;
}

#[tokio::test]
async fn a_lost_connection_gives_back_what_it_had_in_the_old_order() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    let mut holders = [Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.2").await];
    for holder in &mut holders {
        holder
            .ask("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\nprefetch-count:2\n\n")
            .await;
    }
    for n in 0..6 {
        sender.send("/queue/a", &n.to_string()).await;
    }
    for holder in holders {
        drop(holder);
    }
    while broker.stats().connections > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue(&broker, "/queue/a").await, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn destinations_that_could_not_be_written_back_are_refused() {
    let broker = broker().await;
    let long = format!("SEND\ndestination:/queue/{}\n\nx\0", "n".repeat(1100));
    for frame in
        [&long, "SEND\ndestination:/queue/a\\nb\n\nx\0", "SUBSCRIBE\nid:a\\nb\ndestination:/queue/a\n\n\0"]
    {
        Raw::connected(&broker, "1.2").await.refused(frame).await;
    }
}

#[tokio::test]
async fn a_long_queue_is_handed_out_whole_and_in_order() {
    let broker = broker().await;
    let mut sender = Raw::connected(&broker, "1.2").await;
    for n in 0..3000 {
        sender.say(&format!("SEND\ndestination:/queue/a\n\n{n}\0")).await;
    }
    sender.ask("SEND\ndestination:/topic/nobody\n\n").await;
    assert_eq!(broker.messages("/queue/a").len(), 3000);
    let mut only = Raw::connected(&broker, "1.2").await;
    only.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
    for n in 0..3000 {
        assert_eq!(only.body().await, n.to_string());
    }
    drop(only);
    let gone = broker
        .wait_until(std::time::Duration::from_secs(10), |broker| broker.messages("/queue/a").len() == 3000);
    gone.await.expect("all of it is back");
    let (mut one, mut other) = (Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.2").await);
    for client in [&mut one, &mut other] {
        client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0").await;
    }
    let (mut seen, mut last) = (Vec::new(), [None; 2]);
    while seen.len() < 3000 {
        let (who, body) = tokio::select! {
            body = one.body() => (0, body),
            body = other.body() => (1, body),
        };
        let number: u32 = body.parse().expect("a number");
        assert!(last[who].is_none_or(|last| last < number), "each gets its own in order");
        last[who] = Some(number);
        seen.push(number);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..3000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_topic_brings_again_what_was_refused_to_who_refused_it() {
    let broker = broker().await;
    let mut other = Raw::connected(&broker, "1.2").await;
    other.ask("SUBSCRIBE\nid:o\ndestination:/topic/#\n\n").await;
    for ack in ["client", "client-individual"] {
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask(&format!("SUBSCRIBE\nid:s\ndestination:/topic/*\nack:{ack}\n\n")).await;
        let mut messages = Vec::new();
        for n in 0..3 {
            messages.extend(client.ask(&format!("SEND\ndestination:/topic/a\n\n{n}")).await);
            assert_eq!(other.body().await, n.to_string());
        }
        let again = client.ask(&format!("NACK\nid:{}\n\n", header(&messages[1], "ack"))).await;
        let expected: &[&str] = if ack == "client" { &["0", "1"] } else { &["1"] };
        assert_eq!(again.iter().map(|m| m.body_text().expect("text")).collect::<Vec<_>>(), expected);
        assert!(again.iter().all(|m| header(m, "redelivered") == "true" && header(m, "subscription") == "s"));
        // It has a new name, and may be settled for good.
        client.ask(&format!("ACK\nid:{}\n\n", header(again.last().expect("one"), "ack"))).await;
        // A topic keeps nothing for who has left it.
        client.ask("UNSUBSCRIBE\nid:s\n\n").await;
        if ack == "client-individual" {
            assert!(client.ask(&format!("NACK\nid:{}\n\n", header(&messages[0], "ack"))).await.is_empty());
        }
    }
    assert!(other.ask("SEND\ndestination:/queue/b\n\n").await.is_empty(), "nobody else gets it twice");
}
