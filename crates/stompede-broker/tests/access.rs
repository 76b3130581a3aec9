//! Logins and virtual hosts.

mod common;

use common::{Raw, header};
use stompede_broker::{Broker, BrokerBuilder, Limit};
use stompede_codec::Command;

async fn start(builder: BrokerBuilder) -> Broker {
    builder.without_tcp().without_ws().start().await.expect("started")
}

/// What CONNECT with these headers is answered.
async fn greeted(broker: &Broker, headers: &str) -> (Raw, Command, String) {
    let mut client = Raw::new(broker);
    client.say(&format!("CONNECT\naccept-version:1.2\n{headers}\n\0")).await;
    let answer = client.frame().await;
    let (command, message) = (answer.command(), header(&answer, "message"));
    (client, command, message)
}

#[tokio::test]
async fn a_table_and_a_closure_each_let_in_their_own() {
    let broker = start(
        Broker::builder()
            .login("ann", "a")
            .login("bob", "b")
            .check_login(|who| who.login == Some("eve") && who.passcode.is_some() && who.host == Some("h")),
    )
    .await;
    for (headers, is_in) in [
        ("login:ann\npasscode:a\n", true),
        ("login:bob\npasscode:b\n", true),
        ("login:eve\npasscode:x\nhost:h\n", true),
        ("login:eve\npasscode:x\nhost:other\n", false),
        ("login:ann\npasscode:b\n", false),
        ("login:ann\n", false),
        ("passcode:a\n", false),
        ("", false),
    ] {
        let (_, command, message) = greeted(&broker, headers).await;
        let expected = if is_in { (Command::Connected, "") } else { (Command::Error, "login refused") };
        assert_eq!((command, message.as_str()), expected, "{headers:?}");
    }
    assert_eq!(broker.stats().hits(Limit::Login), 5);
}

#[tokio::test]
async fn anonymous_clients_are_let_in_where_that_is_allowed() {
    let broker = start(Broker::builder().login("ann", "a").allow_anonymous()).await;
    for (headers, is_in) in [
        ("", true),
        ("login:ann\npasscode:a\n", true),
        ("login:ann\npasscode:b\n", false),
        ("login:x\n", false),
    ] {
        let (_, command, _) = greeted(&broker, headers).await;
        assert_eq!(command == Command::Connected, is_in, "{headers:?}");
    }
}

#[tokio::test]
async fn virtual_hosts_have_destinations_of_their_own() {
    let broker = start(Broker::builder().virtual_host("one").virtual_host("two")).await;
    let (mut one, ..) = greeted(&broker, "host:one\n").await;
    let (mut two, ..) = greeted(&broker, "host:two\n").await;
    let (mut unnamed, ..) = greeted(&broker, "").await;
    for client in [&mut one, &mut two] {
        client.ask("SUBSCRIBE\nid:t\ndestination:/topic/a\n\n").await;
    }
    unnamed.send("/topic/a", "for the first").await;
    unnamed.send("/queue/a", "kept on the first").await;
    assert_eq!(one.body().await, "for the first");
    assert!(two.ask("SUBSCRIBE\nid:q\ndestination:/queue/a\n\n").await.is_empty());
    assert_eq!(one.ask("SUBSCRIBE\nid:q\ndestination:/queue/a\n\n").await.len(), 1);
    let (_, command, message) = greeted(&broker, "host:three\n").await;
    assert_eq!((command, message.as_str()), (Command::Error, "unknown virtual host"));
    two.send("/queue/b", "seen from outside").await;
    assert_eq!(broker.messages_on("two", "/queue/b").len(), 1);
    assert!(broker.messages("/queue/b").is_empty() && broker.messages_on("three", "/queue/b").is_empty());
}

#[tokio::test]
async fn no_secret_is_shown() {
    let builder =
        Broker::builder().login("ann", "s3cret").check_login(|who| !format!("{who:?}").contains("s3cret"));
    assert!(!format!("{builder:?}").contains("s3cret"));
    let broker = start(builder).await;
    let (_, command, _) = greeted(&broker, "login:bob\npasscode:s3cret\n").await;
    assert_eq!(command, Command::Connected, "the closure saw no secret in what it printed");
    assert!(!format!("{broker:?} {:?}", broker.connections()).contains("s3cret"));
}
