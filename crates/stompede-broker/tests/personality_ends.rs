//! How other brokers refuse, confirm and end otherwise, trait by trait, each beside what this broker does by itself.

#![expect(clippy::disallowed_methods, reason = "a test may read the time that it has made pass")]

mod common;

use std::time::Duration;

use common::ws::{CLOSE, CONNECT, RawWs};
use common::{Raw, header, like, listening};
use stompede_broker::{Broker, Limit, Personality, TestBroker};
use stompede_codec::Command;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

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

#[tokio::test]
async fn what_is_not_stomp_over_websocket_is_named_in_the_close_of_rabbitmq() {
    let broker = listening(Personality::rabbitmq()).await;
    for (header, words) in [
        ("a:b\\t", r#"{bad_escape,"\\t"}"#),
        ("a:\\\\\\n\\\"", r#"{bad_escape,"\\\""}"#),
        ("a:\\\u{1}", "{bad_escape,[92,1]}"),
        ("no colon", "header line without ':'"),
    ] {
        let mut client = RawWs::connected(broker.ws_url()).await;
        client.say(format!("SEND\ndestination:/queue/a\n{header}\n\nx\0").as_bytes()).await;
        let (kind, close) = client.message().await.expect("a close frame");
        assert_eq!((kind, &close[..2]), (CLOSE, &1007_u16.to_be_bytes()[..]));
        let close = String::from_utf8_lossy(&close[2..]);
        assert!(close.starts_with(words), "{close}");
    }
    assert_eq!(broker.stats().errors, 0);
    // This broker itself says it in an ERROR.
    let own = TestBroker::start().await;
    let mut client = RawWs::connected(own.ws_url()).await;
    client.say(b"SEND\ndestination:/queue/a\na:\\t\n\nx\0").await;
    assert!(client.text().await.starts_with("ERROR\nmessage:bad frame\n"));
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xe8".to_vec())));
}

#[tokio::test]
async fn too_large_a_websocket_message_ends_rabbitmq_without_a_word() {
    let broker = listening(Personality::rabbitmq()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.announce(17 * 1024 * 1024).await;
    assert_eq!(client.message().await, Some((CLOSE, 1009_u16.to_be_bytes().to_vec())));
    assert_eq!((broker.stats().hits(Limit::FrameSize), broker.stats().errors), (1, 0));
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
async fn an_error_of_spring_closes_with_its_own_code() {
    let broker = listening(Personality::spring_simple_broker()).await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.say(b"SEND\nreceipt:r\n\nno destination\0").await;
    assert!(client.text().await.starts_with("ERROR\n"));
    assert_eq!(client.message().await, Some((CLOSE, b"\x03\xea".to_vec())));
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
