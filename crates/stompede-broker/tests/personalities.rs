//! What other brokers write and take otherwise, trait by trait, each beside what this broker does by itself.

#![expect(clippy::disallowed_methods, reason = "a test may read the time that it has made pass")]

mod common;

use std::time::Duration;

use common::ws::{BINARY, CONNECT, RawWs, TEXT};
use common::{Raw, header, like, listening};
use stompede_broker::{Personality, TestBroker};
use stompede_codec::Command;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// All bytes up to and with the next NUL, and the line feeds behind it that have come with it.
async fn raw_frame(client: &mut Raw) -> String {
    let mut wire = Vec::new();
    while !wire.contains(&0) {
        wire.extend_from_slice(&client.chunk().await.expect("more"));
    }
    String::from_utf8(wire).expect("text")
}

#[tokio::test]
async fn a_line_feed_follows_each_frame_of_rabbitmq_and_activemq() {
    for (personality, end) in [
        (Personality::stompede(), "\0"),
        (Personality::rabbitmq(), "\0\n"),
        (Personality::activemq(), "\0\n"),
        (Personality::spring_simple_broker(), "\0"),
    ] {
        let broker = listening(personality.clone()).await;
        let mut client = Raw::new(&broker);
        client.say(CONNECT).await;
        assert!(raw_frame(&mut client).await.ends_with(&format!("\n\n{end}")), "{personality:?}");
        // Large bodies go another way, and one frame is still one WebSocket message.
        let mut listener = RawWs::connected(broker.ws_url()).await;
        listener.say(b"SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
        broker.subscribed("/topic/a", 1).await;
        for body in ["x".to_owned(), "x".repeat(20_000)] {
            client.say(&format!("SEND\ndestination:/topic/a\n\n{body}\0")).await;
            let message = listener.text().await;
            assert!(
                message.starts_with("MESSAGE\n") && message.ends_with(&format!("x{end}")),
                "{personality:?}"
            );
        }
    }
}

#[tokio::test]
async fn connected_says_who_it_is() {
    for (personality, server, session) in [
        (Personality::stompede(), "stompede-broker/", "session-1"),
        (Personality::rabbitmq(), "RabbitMQ/", "session-1"),
        (Personality::activemq(), "ActiveMQ/", "ID:broker-61616-1700000000000-3:1"),
    ] {
        let broker = like(personality).await;
        let mut client = Raw::new(&broker);
        client.say(CONNECT).await;
        let wire = raw_frame(&mut client).await;
        assert!(wire.contains(&format!("\nserver:{server}")), "{wire}");
        assert!(wire.contains(&format!("\nsession:{session}\n")), "no colon is escaped: {wire}");
    }
    let broker = like(Personality::spring_simple_broker()).await;
    let mut client = Raw::new(&broker);
    client.say(CONNECT).await;
    assert_eq!(raw_frame(&mut client).await, "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0");
}

#[tokio::test]
async fn heart_beats_are_answered_as_each_does() {
    for (personality, answers) in [
        (Personality::stompede(), ["100,100", "100,100", "100,100"]),
        (Personality::rabbitmq(), ["1000,1000", "0,1000", "99999000,2000"]),
        (Personality::activemq(), ["100,100", "0,500", "99999999,2500"]),
        (Personality::spring_simple_broker(), ["0,0", "0,0", "0,0"]),
    ] {
        let broker = like(personality).await;
        for (asked, answer) in ["100,100", "500,0", "2500,99999999"].into_iter().zip(answers) {
            let mut client = Raw::new(&broker);
            client.say(&format!("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:{asked}\n\n\0")).await;
            assert_eq!(header(&client.frame().await, "heart-beat"), answer);
        }
    }
}

/// How a MESSAGE with these bytes comes over WebSocket.
async fn message_of(broker: &TestBroker, body: &[u8]) -> (u8, Vec<u8>) {
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
    broker.subscribed("/topic/a", 1).await;
    let mut sender = Raw::connected(broker, "1.2").await;
    sender.say_bytes(&[b"SEND\ndestination:/topic/a\n\n", body, b"\0"].concat()).await;
    let message = client.message().await.expect("a message");
    drop(client);
    let gone = broker.wait_until(10 * SECOND, |broker| broker.stats().subscriptions == 0).await;
    assert!(gone.is_ok());
    message
}

#[tokio::test]
async fn rabbitmq_and_activemq_write_text_whatever_it_is() {
    for (personality, kind) in
        [(Personality::stompede(), BINARY), (Personality::rabbitmq(), TEXT), (Personality::activemq(), TEXT)]
    {
        let broker = listening(personality).await;
        assert_eq!(message_of(&broker, b"\xff").await.0, kind);
        assert_eq!(message_of(&broker, b"text").await.0, TEXT);
    }
}

#[tokio::test]
async fn activemq_counts_bytes_only_if_the_sender_did() {
    let broker = like(Personality::activemq()).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    for (send, counted) in [
        ("SEND\ndestination:/topic/a\n\ntext\0", false),
        ("SEND\ndestination:/topic/a\ncontent-length:4\n\ntext\0", true),
        ("SEND\ndestination:/topic/a\ncontent-length:3\n\na\0b\0", true),
    ] {
        client.say(send).await;
        assert_eq!(client.message().await.header("content-length").is_some(), counted, "{send:?}");
    }
    client.say("SEND\ndestination:/nowhere\n\n\0").await;
    assert!(client.frame().await.header("content-length").is_none(), "nor in an ERROR");
}

#[tokio::test]
async fn activemq_throws_binary_away_and_takes_one_frame_of_a_message() {
    let broker = listening(Personality::activemq()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    let ask = |n| format!("SEND\ndestination:/topic/a\nreceipt:{n}\n\n\0");
    client.say_as(BINARY, ask(1).as_bytes()).await;
    client.say((ask(2) + &ask(3)).as_bytes()).await;
    client.say(b"\n").await;
    client.say(ask(4).as_bytes()).await;
    for n in [2, 4] {
        assert_eq!(client.text().await, format!("RECEIPT\nreceipt-id:{n}\n\n\0\n"));
    }
    for (n, broken) in ["SEND\ndestination:/topic/a\n\nhalf", "NONSENSE\n\n\0"].into_iter().enumerate() {
        let mut client = RawWs::connected(broker.ws_url()).await;
        client.say(broken.as_bytes()).await;
        assert!(client.text().await.starts_with("ERROR\n"));
        assert_eq!(broker.stats().errors, n as u64 + 1, "it is told once");
    }
}

#[tokio::test]
async fn rabbitmq_passes_on_headers_that_were_not_meant_for_others() {
    for (personality, passes) in [(Personality::rabbitmq(), true), (Personality::stompede(), false)] {
        let broker = like(personality).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
        client.say("SEND\ndestination:/topic/a\nreceipt:r\nack:foreign\nsubscription:theirs\n\nx\0").await;
        let message = client.message().await;
        assert_eq!(message.header("receipt").is_some(), passes);
        assert_eq!(message.header("ack").as_deref(), passes.then_some("foreign"));
        assert_eq!(header(&message, "subscription"), "s", "the broker's own comes first");
    }
}

#[tokio::test]
async fn temp_queues_are_used_as_each_wants_it() {
    let subscribe = "SUBSCRIBE\nid:s\ndestination:/temp-queue/r\n\n";
    let ask = "SEND\ndestination:/queue/service\nreply-to:/temp-queue/r\n\n?";
    // Whether it may subscribe, whether replies come without, and whether it goes on after SUBSCRIBE: Spring ignores
    // what it does not know.
    for (personality, [may_subscribe, implied, goes_on]) in [
        (Personality::rabbitmq(), [false, true, false]),
        (Personality::activemq(), [true, false, true]),
        (Personality::spring_simple_broker(), [false, false, true]),
    ] {
        let broker = like(personality.clone()).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say(&(ask.to_owned() + "\0")).await;
        // What everybody understands, and an answer to it.
        client.say("SUBSCRIBE\nid:t\ndestination:/topic/a\n\n\0SEND\ndestination:/topic/a\n\n\0").await;
        client.message().await;
        let has = |id: &str| {
            let session = broker.connections().pop().and_then(|info| info.session);
            session.is_some_and(|session| session.subscriptions.iter().any(|s| s.id == id))
        };
        assert_eq!(has("/temp-queue/r"), implied, "{personality:?}");
        client.say(&(subscribe.to_owned() + "\0SEND\ndestination:/topic/a\n\n\0")).await;
        let frame = client.frame().await;
        assert_eq!(frame.command() == Command::Message, goes_on, "{personality:?}: {frame}");
        assert_eq!(has("s"), may_subscribe, "{personality:?}");
    }
}

#[tokio::test]
async fn springs_simple_broker_has_no_queues_no_acks_and_no_transactions() {
    let broker = like(Personality::spring_simple_broker()).await;
    let mut listeners = [Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.1").await];
    for listener in &mut listeners {
        listener.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
    }
    let ready = broker.wait_for_subscriptions("/queue/a", 2, 10 * SECOND).await;
    assert!(ready.is_ok());
    let mut sender = Raw::connected(&broker, "1.2").await;
    sender.say("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nnow\0").await;
    sender.say("SEND\ndestination:/nowhere\n\nignored\0SEND\ndestination:/queue/a\n\nlater\0").await;
    for listener in &mut listeners {
        let message = listener.message().await;
        assert_eq!((message.body_text(), message.header("ack")), (Ok("now"), None));
        listener.say("ACK\nid:none\nmessage-id:none\nsubscription:none\n\n\0").await;
        assert_eq!(listener.body().await, "later");
    }
    assert!(broker.messages("/queue/a").is_empty());
}

#[tokio::test(start_paused = true)]
async fn rabbitmq_beats_at_once_and_then_twice_as_often() {
    for (personality, expected) in
        [(Personality::rabbitmq(), [0, 2000, 4000]), (Personality::activemq(), [3000, 6000, 9000])]
    {
        let broker = like(personality).await;
        let mut client = Raw::new(&broker);
        client.say("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:0,4000\n\n\0").await;
        let started = Instant::now();
        let mut wire = raw_frame(&mut client).await;
        wire.drain(..wire.find('\0').map_or(0, |nul| nul + 2));
        for beat in expected {
            while wire.is_empty() {
                wire = String::from_utf8(client.chunk().await.expect("more").to_vec()).expect("text");
            }
            assert_eq!((wire.as_str(), started.elapsed().as_millis()), ("\n", beat));
            wire.clear();
        }
    }
}

#[tokio::test]
async fn rabbitmq_takes_no_message_id_from_a_sender() {
    for (personality, takes) in [(Personality::rabbitmq(), false), (Personality::stompede(), true)] {
        let broker = like(personality).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say("SEND\nmessage-id:mine\nreceipt:r\ndestination:/queue/a\n\nx\0").await;
        let answer = client.frame().await;
        assert_eq!(answer.command() == Command::Receipt, takes, "{answer}");
        assert_eq!(broker.messages("/queue/a").len(), usize::from(takes));
    }
}

#[tokio::test]
async fn rabbitmq_escapes_headers_in_every_version() {
    for (personality, escapes) in [(Personality::rabbitmq(), true), (Personality::stompede(), false)] {
        for version in ["1.0", "1.1"] {
            let broker = like(personality.clone()).await;
            let mut client = Raw::connected(&broker, version).await;
            let subscribe = "SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0";
            client.say(&format!("{subscribe}SEND\ndestination:/topic/a\nkey:a\\nb\n\n\0")).await;
            // In 1.0 without escapes a backslash is a backslash.
            assert!(raw_frame(&mut client).await.contains("\nkey:a\\nb\n"));
            let mut reader = Raw::connected(&broker, "1.2").await;
            reader.ask("SUBSCRIBE\nid:s\ndestination:/topic/b\n\n").await;
            client.say("SEND\ndestination:/topic/b\nkey:a\\nb\n\n\0").await;
            let read = header(&reader.message().await, "key");
            let literal = version == "1.0" && !escapes;
            assert_eq!(read, if literal { "a\\nb" } else { "a\nb" }, "{personality:?} {version}");
            if version == "1.1" {
                continue;
            }
            // What came to others with a line break goes to a client of 1.0 escaped, or not at all.
            reader.say("SEND\ndestination:/topic/a\nkey:a\\nb\n\n\0").await;
            assert_eq!(raw_frame(&mut client).await.contains("\nkey:a\\nb\n"), escapes, "{personality:?}");
        }
    }
}

#[tokio::test]
async fn activemq_keeps_an_escape_that_is_none() {
    let broker = listening(Personality::activemq()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0").await;
    client.say(b"SEND\ndestination:/topic/a\nkey:a\\tb\n\n\0").await;
    assert!(client.text().await.contains("\nkey:a\\\\tb\n"));
}

#[tokio::test]
async fn activemq_lets_two_subscriptions_have_one_id() {
    let broker = like(Personality::activemq()).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    for topic in ["a", "b", "c"] {
        client.ask(&format!("SUBSCRIBE\nid:s\nack:client\ndestination:/topic/{topic}\n\n")).await;
    }
    assert_eq!(broker.stats().subscriptions, 3);
    let send = async |client: &mut Raw, topic: &str| {
        client.ask(&format!("SEND\ndestination:/topic/{topic}\n\n")).await;
    };
    // The RECEIPT comes first.
    for topic in ["a", "b", "c"] {
        send(&mut client, topic).await;
        let message = client.message().await;
        assert_eq!(header(&message, "subscription"), "s");
        client.ask(&format!("ACK\nid:{}\n\n", header(&message, "ack"))).await;
    }
    client.ask("UNSUBSCRIBE\nid:s\n\n").await;
    assert_eq!(broker.stats().subscriptions, 2, "the last one");
    client.say("UNSUBSCRIBE\nid:s\n\n\0").await;
    assert_eq!(client.frame().await.command(), Command::Error, "the others cannot be named any more");
    send(&mut client, "a").await;
    client.message().await;
    client.ask("DISCONNECT\n\n").await;
    assert_eq!(broker.stats().subscriptions, 0);
}

#[tokio::test]
async fn activemq_adds_its_properties_to_a_message() {
    let broker = like(Personality::activemq()).await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    for (send, priority) in [("", "4"), ("priority:9\n", "9")] {
        client.say(&format!("SEND\ndestination:/topic/a\n{send}\nx\0")).await;
        let message = client.message().await;
        assert_eq!(
            (header(&message, "expires").as_str(), header(&message, "priority").as_str()),
            ("0", priority)
        );
        assert_eq!(message.headers().get_all("priority").count(), 1);
        assert!(header(&message, "timestamp").parse::<u64>().is_ok_and(|millis| millis > 1_700_000_000_000));
    }
}
