//! What other brokers do otherwise, trait by trait, each beside what this broker does by itself.

#![expect(clippy::disallowed_methods, reason = "a test may read the time that it has made pass")]

mod common;

use std::time::Duration;

use common::ws::{BINARY, CLOSE, CONNECT, RawWs, TEXT};
use common::{Raw, header};
use stompede_broker::{Broker, Limit, Personality, TestBroker};
use stompede_codec::Command;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

async fn like(personality: Personality) -> Broker {
    let builder = Broker::builder().without_tcp().without_ws().personality(personality);
    builder.start().await.expect("started")
}

async fn listening(personality: Personality) -> TestBroker {
    TestBroker::start_with(Broker::builder().personality(personality)).await
}

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

#[tokio::test]
async fn an_error_of_rabbitmq_and_activemq_ends_nothing() {
    for (personality, receipt_id) in [(Personality::rabbitmq(), None), (Personality::activemq(), Some("r"))] {
        let broker = like(personality).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say("SEND\ndestination:/nowhere\nreceipt:r\n\nx\0").await;
        let error = client.frame().await;
        assert_eq!((error.command(), error.header("receipt-id").as_deref()), (Command::Error, receipt_id));
        // No RECEIPT, and it goes on.
        assert!(client.ask("SEND\ndestination:/topic/a\n\nx").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_leaves_rabbitmq_open_until_its_time_is_over() {
    for (personality, stays) in [(Personality::rabbitmq(), true), (Personality::activemq(), false)] {
        let builder =
            Broker::builder().without_tcp().without_ws().login("me", "right").personality(personality);
        let broker = builder.start().await.expect("started");
        let mut client = Raw::new(&broker);
        client.say(CONNECT).await;
        assert_eq!(client.frame().await.command(), Command::Error);
        tokio::time::sleep(8 * SECOND).await;
        assert_eq!(broker.stats().connections, usize::from(stays));
        assert!(client.try_frame().await.is_none(), "and then it ends without another word");
        drop(client);
        assert_eq!(broker.stats().hits(Limit::ConnectTime), u64::from(stays));
    }
}

#[tokio::test]
async fn what_is_not_stomp_gets_no_error_from_rabbitmq() {
    for (personality, says_so) in [(Personality::rabbitmq(), false), (Personality::activemq(), true)] {
        let broker = like(personality).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say("SEND\ndestination:/queue/a\nno colon\n\nx\0").await;
        let frame = client.try_frame().await;
        assert_eq!(frame.map(|frame| frame.command()), says_so.then_some(Command::Error));
        assert!(client.try_frame().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn silence_gets_no_error_from_rabbitmq() {
    let broker = like(Personality::rabbitmq()).await;
    let mut client = Raw::new(&broker);
    client.say("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1000,0\n\n\0").await;
    client.frame().await;
    assert!(client.try_frame().await.is_none());
    assert_eq!((broker.stats().hits(Limit::HeartBeat), broker.stats().errors), (1, 0));
}

#[tokio::test]
async fn a_failed_subscribe_of_rabbitmq_gets_error_receipt_and_end() {
    let broker = listening(Personality::rabbitmq()).await;
    let subscribe = "SUBSCRIBE\nid:s\nreceipt:r\ndestination:/queue/a\nselector:x\n\n\0";
    let mut client = Raw::connected(&broker, "1.2").await;
    client.say(subscribe).await;
    assert_eq!(client.frame().await.command(), Command::Error);
    assert_eq!(header(&client.frame().await, "receipt-id"), "r");
    assert!(client.try_frame().await.is_none());
    // Over WebSocket there is only the end.
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(subscribe.as_bytes()).await;
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8STOMP died".to_vec())));
}

#[tokio::test]
async fn disconnect_over_websocket_ends_rabbitmq_without_its_receipt() {
    let broker = listening(Personality::rabbitmq()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"DISCONNECT\nreceipt:r\n\n\0").await;
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8STOMP died".to_vec())));
    let mut client = Raw::dialled(broker.tcp_url()).await;
    assert!(client.ask("DISCONNECT\n\n").await.is_empty(), "over TCP it comes");
    let own = TestBroker::start().await;
    let mut client = RawWs::connected(own.ws_url()).await;
    client.say(b"DISCONNECT\nreceipt:r\n\n\0").await;
    assert!(client.text().await.starts_with("RECEIPT\n"));
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8".to_vec())));
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
async fn springs_simple_broker_answers_disconnect_alone_and_lets_the_client_close() {
    let broker = listening(Personality::spring_simple_broker()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"SUBSCRIBE\nid:s\nreceipt:1\ndestination:/topic/a\n\n\0").await;
    client.say(b"SEND\nreceipt:2\ndestination:/topic/a\n\nx\0").await;
    assert!(client.text().await.starts_with("MESSAGE\n"));
    client.say(b"DISCONNECT\nreceipt:3\n\n\0").await;
    assert_eq!(client.text().await, "RECEIPT\nreceipt-id:3\n\n\0");
    assert!(
        broker.stats().subscriptions == 0 && broker.stats().connections == 1,
        "it left, and has not closed"
    );
    client.say_as(CLOSE, b"\x03\xe8").await;
    assert_eq!(client.message().await.expect("the answer").0, CLOSE);
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

#[tokio::test]
async fn an_error_of_spring_closes_with_its_own_code() {
    let broker = listening(Personality::spring_simple_broker()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"SEND\nreceipt:r\n\nno destination\0").await;
    assert!(client.text().await.starts_with("ERROR\n"));
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xea".to_vec())));
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

/// A WebSocket client that is connected; from now on time passes when nothing else is left to do.
async fn waiting(broker: &TestBroker, heart_beat: &str) -> RawWs {
    let mut client = RawWs::dialled(broker.ws_url()).await;
    client
        .say(format!("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:{heart_beat}\n\n\0").as_bytes())
        .await;
    assert!(client.text().await.starts_with("CONNECTED\n"));
    tokio::time::pause();
    client
}

#[tokio::test]
async fn a_missed_heart_beat_over_websocket_ends_rabbitmq_with_stomp_died() {
    let broker = listening(Personality::rabbitmq()).await;
    let mut client = waiting(&broker, "1000,0").await;
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8STOMP died".to_vec())), "and no ERROR");
    assert_eq!((broker.stats().hits(Limit::HeartBeat), broker.stats().errors), (1, 0));
}

#[tokio::test]
async fn a_missed_heart_beat_over_websocket_is_an_error_of_this_broker() {
    let broker = TestBroker::start().await;
    let mut client = waiting(&broker, "1000,0").await;
    assert!(client.text().await.starts_with("ERROR\nmessage:heart-beat missed\n"));
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8".to_vec())));
}

#[tokio::test]
async fn a_minute_of_silence_over_websocket_ends_rabbitmq() {
    let broker = listening(Personality::rabbitmq()).await;
    let mut client = waiting(&broker, "0,0").await;
    let started = Instant::now();
    let (kind, close) = client.message().await.expect("a close frame");
    assert_eq!((kind, &close[..2]), (CLOSE, &b"\x03\xe8"[..]));
    let silence = started.elapsed().as_secs();
    assert!((59..=61).contains(&silence), "{silence}");
    assert_eq!(broker.stats().errors, 0);
}

#[tokio::test]
async fn rabbitmq_confirms_what_was_sent_in_a_transaction_behind_its_commit() {
    for (personality, expected) in [
        (Personality::rabbitmq(), &["plain", "begin", "commit", "s1", "s2"][..]),
        (Personality::stompede(), &["plain", "begin", "s1", "s2", "commit"]),
        (Personality::activemq(), &["plain", "begin", "s1", "s2", "commit"]),
    ] {
        let broker = like(personality.clone()).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say("SEND\nreceipt:plain\ndestination:/queue/a\n\n\0").await;
        client.say("BEGIN\nreceipt:begin\ntransaction:t\n\n\0").await;
        for n in 1..=2 {
            client.say(&format!("SEND\nreceipt:s{n}\ntransaction:t\ndestination:/queue/a\n\n\0")).await;
        }
        client.say("SEND\ntransaction:t\ndestination:/queue/a\n\nwithout\0").await;
        client.say("COMMIT\nreceipt:commit\ntransaction:t\n\n\0").await;
        for receipt in expected {
            assert_eq!(header(&client.frame().await, "receipt-id"), *receipt, "{personality:?}");
        }
        // What is aborted is never confirmed.
        client.ask("BEGIN\ntransaction:t\n\n").await;
        client.say("SEND\nreceipt:never\ntransaction:t\ndestination:/queue/a\n\n\0").await;
        if expected[2] == "s1" {
            client.frame().await;
        }
        client.ask("ABORT\ntransaction:t\n\n").await;
    }
}

#[tokio::test]
async fn activemq_confirms_a_send_before_its_sender_gets_the_message() {
    let wire = "SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0SEND\ndestination:/queue/a\n\n1\0\
                SEND\nreceipt:r\ndestination:/queue/a\n\n2\0";
    for (personality, first) in
        [(Personality::activemq(), Command::Receipt), (Personality::rabbitmq(), Command::Message)]
    {
        let broker = like(personality.clone()).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.say(wire).await;
        assert_eq!(client.body().await, "1");
        let both = [client.frame().await, client.frame().await];
        assert_eq!(both[0].command(), first, "{personality:?}");
        assert!(both.iter().any(|frame| header(frame, "receipt-id") == "r"));
        assert!(both.iter().any(|frame| frame.body_text() == Ok("2")));
        client.say("SEND\nreceipt:r\n\nno destination\0").await;
        assert_eq!(client.frame().await.command(), Command::Error, "and what is refused is not confirmed");
        client.ask("SEND\ndestination:/topic/a\n\n").await;
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

#[tokio::test]
async fn what_comes_before_connect_ends_nothing_at_activemq() {
    for (personality, goes_on) in [(Personality::activemq(), true), (Personality::stompede(), false)] {
        let broker = like(personality).await;
        let mut client = Raw::new(&broker);
        client.say("SEND\nreceipt:r\ndestination:/queue/a\n\nx\0").await;
        let error = client.frame().await;
        assert_eq!((error.command(), header(&error, "receipt-id").as_str()), (Command::Error, "r"));
        if goes_on {
            client.greet("1.2").await;
            client.say(CONNECT).await;
            assert_eq!(client.frame().await.command(), Command::Error, "once is enough");
            client.ask("SEND\ndestination:/topic/a\n\n").await;
        } else {
            assert!(client.try_frame().await.is_none());
        }
    }
}
