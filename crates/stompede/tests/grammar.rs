//! Every way in which a session goes: what a listener hears follows the grammar in the documentation of `Listener`.

mod support;

use std::sync::Arc;
use std::time::Duration;

use stompede::{
    AckMode, Attempt, Client, ClientBuilder, Endpoint, ErrorKind, HeartBeat, HostOrder, Postponed,
    ReconnectPolicy, Version,
};
use stompede_broker::{Broker, Faults, TestBroker};
use support::{Checker, HANG, Word, judge};

/// Connects with a checker, over TCP and WebSocket and in each version. The client ends with its connection.
fn ways(broker: &TestBroker) -> Vec<(Arc<Checker>, ClientBuilder)> {
    let mut ways = Vec::new();
    for url in [broker.ws_url(), broker.tcp_url()] {
        for version in Version::ALL {
            let checker = Arc::new(Checker::default());
            let builder = Client::builder(url)
                .reconnect(ReconnectPolicy::never())
                .versions([version])
                .listener("checker", checker.clone());
            ways.push((checker, builder));
        }
    }
    ways
}

/// A client with some life: messages, receipts, sent frames.
async fn live(client: &Client, checker: &Checker) {
    client.subscribe("/topic/life").listen().await.expect("subscribed");
    for _ in 0..50 {
        client.send("/topic/life").text("x").confirm().await.expect("confirmed");
    }
    checker.wait_for(Word::Message, 50).await;
}

#[tokio::test]
async fn an_orderly_end() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &checker).await;
        client.disconnect().await.expect("in order");
        let words = checker.check().await;
        let count = |word| words.iter().filter(|said| **said == word).count();
        // CONNECT, SUBSCRIBE, 50 SEND, DISCONNECT; a receipt for each SEND and for DISCONNECT.
        assert_eq!((count(Word::Send), count(Word::Receipt), count(Word::Message)), (53, 51, 50));
        assert_eq!(count(Word::Disconnecting), 1);
        assert!(words.ends_with(&[Word::Receipt, Word::Disconnected, Word::Closed]), "{words:?}");
    }
}

#[tokio::test]
async fn the_last_handle_is_dropped_or_the_session_aborted() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &checker).await;
        drop(client);
        assert!(checker.check().await.contains(&Word::Disconnecting));
    }
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &checker).await;
        client.abort();
        assert!(!checker.check().await.contains(&Word::Disconnecting));
    }
}

#[tokio::test]
async fn the_broker_says_error() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &checker).await;
        client.send("/nowhere").text("x").await.expect("handed over");
        assert!(client.closed().await.is_some());
        assert!(checker.check().await.contains(&Word::Error));
    }
}

#[tokio::test]
async fn the_connection_breaks_while_messages_flow() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &checker).await;
        let sender = client.clone();
        let flood = tokio::spawn(async move { while sender.send("/topic/life").text("x").await.is_ok() {} });
        checker.wait_for(Word::Message, 500).await;
        broker.hang_up();
        assert!(client.closed().await.is_some());
        flood.await.expect("no panic");
        assert!(!checker.check().await.contains(&Word::Disconnecting));
    }
}

#[tokio::test]
async fn the_connection_comes_back_again_and_again() {
    let broker = TestBroker::start().await;
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.max) = (Duration::from_millis(5), Duration::from_millis(50));
    for (checker, builder) in ways(&broker) {
        let client = builder.reconnect(policy).connect().await.expect("connected");
        live(&client, &checker).await;
        let mut messages = 50;
        for lost in 1..=4 {
            // Whoever loses it, the client or the broker: a listener hears the same.
            if lost % 2 == 0 {
                client.reconnect();
            } else {
                broker.hang_up();
            }
            checker.wait_for(Word::Disconnected, lost).await;
            checker.wait_for(Word::Connected, lost + 1).await;
            // Nobody subscribes again: the client does.
            while client.send("/topic/life").text("x").confirm().await.is_err() {}
            messages += 1;
            checker.wait_for(Word::Message, messages).await;
        }
        client.disconnect().await.expect("in order");
        let words = checker.check().await;
        let count = |word| words.iter().filter(|said| **said == word).count();
        assert_eq!((count(Word::Connected), count(Word::Disconnected), count(Word::Closed)), (5, 5, 1));
        assert!(count(Word::Reconnecting) >= 4);
    }
}

#[tokio::test]
async fn the_broker_falls_silent() {
    let broker = TestBroker::start().await;
    broker.inject(Faults::new().stall_writing());
    for url in [broker.ws_url(), broker.tcp_url()] {
        let checker = Arc::new(Checker::default());
        broker.heal();
        let client = Client::builder(url)
            .heart_beat(HeartBeat::every(Duration::from_millis(100)))
            .heart_beat_tolerance(1.0, Duration::from_millis(300))
            .reconnect(ReconnectPolicy::never())
            .listener("checker", checker.clone())
            .connect()
            .await
            .expect("connected");
        checker.wait_for(Word::HeartBeat, 2).await;
        broker.inject(Faults::new().mute_heart_beats());
        assert!(client.closed().await.is_some());
        assert!(checker.check().await.contains(&Word::Timeout));
    }
}

#[tokio::test]
async fn the_connection_cannot_be_had() {
    let broker = TestBroker::start_with(Broker::builder().login("me", "right")).await;
    for (checker, builder) in ways(&broker) {
        builder.credentials("me", "wrong").connect().await.expect_err("refused");
        assert_eq!(checker.check().await, [Word::Connecting, Word::Send, Word::Error, Word::Closed]);
    }
    broker.inject(Faults::new().refuse());
    for (checker, builder) in ways(&broker) {
        builder.credentials("me", "right").connect().await.expect_err("hung up");
        checker.check().await;
    }
    let ways = ways(&broker);
    broker.stop().await;
    for (checker, builder) in ways {
        builder.connect().await.expect_err("nobody there");
        assert_eq!(checker.check().await, [Word::Connecting, Word::Closed]);
    }
}

#[tokio::test]
async fn it_is_ended_while_there_is_no_connection() {
    let broker = TestBroker::start().await;
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.max) = (Duration::from_millis(5), Duration::from_millis(20));
    for (n, (checker, builder)) in ways(&broker).into_iter().enumerate() {
        broker.heal();
        let client = builder.reconnect(policy).connect().await.expect("connected");
        live(&client, &checker).await;
        broker.inject(Faults::new().refuse());
        broker.hang_up();
        checker.wait_for(Word::Reconnecting, 2).await;
        // In order, at once, or by nobody being left.
        match n % 3 {
            0 => drop(client.disconnect().await),
            1 => client.abort(),
            _ => drop(client),
        }
        checker.check().await;
    }
}

#[tokio::test]
async fn its_attempts_are_used_up() {
    let broker = TestBroker::start().await;
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.max, policy.attempts) =
        (Duration::from_millis(5), Duration::from_millis(20), Some(3));
    for (checker, builder) in ways(&broker) {
        broker.heal();
        let client = builder.reconnect(policy).connect().await.expect("connected");
        live(&client, &checker).await;
        broker.inject(Faults::new().refuse());
        broker.hang_up();
        assert!(client.closed().await.is_some());
        let words = checker.check().await;
        let count = |word| words.iter().filter(|said| **said == word).count();
        assert_eq!((count(Word::Reconnecting), count(Word::Connecting)), (3, 4), "{words:?}");
    }
}

#[tokio::test]
async fn other_hosts_are_tried_and_the_callback_has_the_last_word() {
    let broker = TestBroker::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = free.local_addr().expect("bound");
    drop(free);
    let at_once = Duration::from_millis(5);
    for url in [broker.tcp_url(), broker.ws_url()] {
        for order in [HostOrder::Listed, HostOrder::Shuffled, HostOrder::Raced] {
            let checker = Arc::new(Checker::default());
            let there: Endpoint = url.parse().expect("a URL");
            let client = Client::builder(format!("tcp://{dead}"))
                .failover([there])
                .host_order(order)
                .reconnect_sleep_initial(at_once)
                .before_connect(|attempt: Attempt| async move {
                    if attempt.number > 0 { Err(Postponed::stop("enough")) } else { Ok(attempt) }
                })
                .listener("checker", checker.clone())
                .connect()
                .await
                .expect("the second host is there");
            live(&client, &checker).await;
            broker.hang_up();
            assert_eq!(client.closed().await.expect("a cause").kind(), ErrorKind::NotPrepared);
            checker.check().await;
        }
    }
}

#[tokio::test]
async fn consumers_finish_and_transactions_end_before_it_goes() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        client.subscribe("/queue/jobs").ack(AckMode::Client).listen().await.expect("subscribed");
        let transaction = client.begin().await.expect("begun");
        transaction.send("/queue/jobs").text("x").await.expect("sent");
        transaction.commit().await.expect("committed");
        checker.wait_for(Word::Message, 1).await;
        client.drain(HANG).await.expect("a listener that drops its message has finished");
        assert!(checker.check().await.contains(&Word::Disconnecting));
    }
}

#[tokio::test]
async fn the_attempt_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("tcp://{}", silent.local_addr().expect("bound"));
    let checker = Arc::new(Checker::default());
    let connecting = Client::builder(url).listener("checker", checker.clone()).connect();
    tokio::select! {
        _ = connecting => unreachable!("nobody answers"),
        () = checker.wait_for(Word::Send, 1) => {}
    }
    assert_eq!(checker.check().await, [Word::Connecting, Word::Send, Word::Closed]);
}

#[tokio::test]
async fn a_listener_that_comes_later_and_one_that_goes() {
    let broker = TestBroker::start().await;
    for (first, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        live(&client, &first).await;
        let later = Arc::new(Checker::default());
        client.set_listener("later", later.clone());
        assert!(client.remove_listener("checker") && !client.remove_listener("checker"));
        let heard = first.words().len();
        client.send("/topic/life").text("x").confirm().await.expect("confirmed");
        later.wait_for(Word::Message, 1).await;
        client.disconnect().await.expect("in order");
        let words = later.check().await;
        assert_eq!(words.first(), Some(&Word::Connected));
        assert_eq!(first.words().len(), heard, "it hears no more");
    }
}

#[tokio::test]
async fn acknowledgements_are_sent_frames_too() {
    let broker = TestBroker::start().await;
    for (checker, builder) in ways(&broker) {
        let client = builder.connect().await.expect("connected");
        let mut jobs = client.subscribe("/queue/jobs").ack(AckMode::Client).await.expect("subscribed");
        client.send("/queue/jobs").text("x").confirm().await.expect("confirmed");
        jobs.try_next().await.expect("open").expect("a message").ack().expect("queued");
        client.disconnect().await.expect("in order");
        // CONNECT, SUBSCRIBE, SEND, ACK, DISCONNECT.
        assert_eq!(checker.check().await.iter().filter(|word| **word == Word::Send).count(), 5);
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    use Word::*;
    judge(&[Connecting, Send, Connected, Message, Disconnecting, Receipt, Disconnected, Closed])
        .expect("fine");
    judge(&[
        Connecting,
        Send,
        Connected,
        Disconnected,
        Reconnecting,
        Message,
        Connecting,
        Reconnecting,
        Closed,
    ])
    .expect("fine");
    for wrong in [
        &[Connecting, Send, Connected, Disconnected][..],
        &[Connecting, Send, Connected, Closed],
        &[Connecting, Send, Connected, Disconnected, Message, Closed],
        &[Connecting, Send, Connected, Disconnected, Receipt, Closed],
        &[Connecting, Send, Connected, Connected, Disconnected, Closed],
        &[Connecting, Send, Connected, Disconnected, Disconnected, Closed],
        &[Connecting, Send, Connected, Disconnected, Timeout, Closed],
        &[Connecting, Disconnected, Closed],
        &[Connecting, Send, Connected, Disconnected, Connecting],
        &[Connecting, Send, Connected, Reconnecting, Closed],
        &[Connecting, Send, Connected, Disconnected, Reconnecting, Connecting, Receipt, Closed],
        &[Message, Connecting, Closed],
    ] {
        assert!(judge(wrong).is_err(), "{wrong:?}");
    }
}
