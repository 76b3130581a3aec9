//! CONNECT: versions, logins, and what is no handshake.

mod common;

use common::{Raw, broker, header, like};
use stompede_broker::{Broker, BrokerLimits, Limit, Personality};
use stompede_codec::Command;

#[tokio::test]
async fn the_highest_common_version_is_chosen() {
    let broker = broker().await;
    for (accept, chosen) in [("1.0,1.1,1.2", "1.2"), ("1.1,1.0", "1.1"), ("1.2,9.9", "1.2")] {
        for command in ["CONNECT", "STOMP"] {
            let mut client = Raw::new(&broker);
            client.say(&format!("{command}\naccept-version:{accept}\nhost:h\nheart-beat:0,5000\n\n\0")).await;
            let connected = client.frame().await;
            assert_eq!(
                (connected.command(), header(&connected, "version").as_str()),
                (Command::Connected, chosen)
            );
            assert_eq!(header(&connected, "heart-beat"), "100,100");
        }
    }
}

#[tokio::test]
async fn no_accept_version_is_1_0_and_its_connected_names_no_version() {
    let broker = broker().await;
    let mut client = Raw::new(&broker);
    client.say("CONNECT\n\n\0").await;
    let connected = client.frame().await;
    assert!(connected.header("version").is_none() && connected.header("session").is_some());
}

#[tokio::test]
async fn no_common_version_is_an_error_that_lists_ours() {
    let broker = broker().await;
    for accept in ["1.3", "2.0,3.0", "", " 1.2"] {
        let connect = format!("CONNECT\naccept-version:{accept}\nhost:h\n\n\0");
        let error = Raw::new(&broker).refused(&connect).await;
        assert_eq!(header(&error, "version"), "1.0,1.1,1.2");
    }
}

#[tokio::test]
async fn only_the_right_passcode_gets_in() {
    let broker =
        Broker::builder().without_tcp().without_ws().login("me", "right").start().await.expect("started");
    for credentials in ["", "login:me\n", "login:me\npasscode:wrong\n", "login:you\npasscode:right\n"] {
        let connect = format!("CONNECT\naccept-version:1.2\nhost:h\n{credentials}\n\0");
        let error = Raw::new(&broker).refused(&connect).await;
        assert_eq!(header(&error, "message"), "login refused");
        assert!(!error.body_text_lossy().contains("wrong\""), "the passcode is not repeated");
    }
    let mut client = Raw::new(&broker);
    client.say("CONNECT\naccept-version:1.2\nhost:h\nlogin:me\npasscode:right\n\n\0").await;
    assert_eq!(client.frame().await.command(), Command::Connected);
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let broker = broker().await;
    for wire in [
        "SEND\ndestination:/queue/a\n\n\0",
        "CONNECTED\nversion:1.2\n\n\0",
        "CONNECT\naccept-version:1.2\nheart-beat:abc\n\n\0",
        "CONNECT\naccept-version:1.2\nheart-beat:1,-1\n\n\0",
        "GET / HTTP/1.1\r\n\r\n",
        "CONNECT\nno colon\n\n\0",
    ] {
        Raw::new(&broker).refused(wire).await;
    }
    let error = Raw::new(&broker).refused("SEND\nreceipt:r\ndestination:/queue/a\n\n\0").await;
    assert_eq!(header(&error, "receipt-id"), "r");
    let connected = Raw::connected(&broker, "1.2").await;
    connected.refused("CONNECT\naccept-version:1.2\n\n\0").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go_in_time() {
    let broker = broker().await;
    let mut client = Raw::new(&broker);
    client.say("CONNECT\nhost:").await;
    assert_eq!(client.frame().await.command(), Command::Error);
    assert!(client.try_frame().await.is_none());
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let mut limits = BrokerLimits::default();
    limits.max_connections = 1;
    let broker = Broker::builder().without_tcp().without_ws().limits(limits).start().await.expect("started");
    let first = Raw::connected(&broker, "1.2").await;
    let error = Raw::new(&broker).refused("").await;
    assert_eq!(header(&error, "message"), "too many connections");
    assert_eq!((broker.stats().connections, broker.stats().hits(Limit::Connections)), (1, 1));
    drop(first);
}

#[tokio::test]
async fn stop_ends_every_connection_and_every_task() {
    let broker = Broker::start().await.expect("started");
    let mut client = Raw::connected(&broker, "1.2").await;
    let mut idle = Raw::new(&broker);
    let (_, ended, idle_ended) = tokio::join!(broker.stop(), client.try_frame(), idle.try_frame());
    assert!(ended.is_none() && idle_ended.is_none());
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn only_send_has_a_body_from_1_1_on() {
    let frames = [
        "SUBSCRIBE\nid:s\ndestination:/queue/a\n",
        "UNSUBSCRIBE\nid:s\n",
        "BEGIN\ntransaction:t\n",
        "DISCONNECT\n",
    ];
    let broker = broker().await;
    for version in ["1.1", "1.2"] {
        for frame in frames {
            let client = Raw::connected(&broker, version).await;
            let error = client.refused(&format!("{frame}receipt:r\n\nbody\0")).await;
            assert_eq!(header(&error, "message"), "body not allowed", "{frame}");
            assert_eq!(header(&error, "receipt-id"), "r", "{frame}");
        }
        let connect = format!("CONNECT\naccept-version:{version}\nhost:h\ncontent-length:4\n\nbody\0");
        let error = Raw::new(&broker).refused(&connect).await;
        assert_eq!(header(&error, "message"), "body not allowed");
    }
    // 1.0 says that it is ignored, and other brokers do so in every version.
    let mut client = Raw::connected(&broker, "1.0").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\nbody").await;
    for personality in [Personality::rabbitmq(), Personality::activemq()] {
        let broker = like(personality).await;
        let mut client = Raw::connected(&broker, "1.2").await;
        client.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\n\nbody").await;
    }
}
