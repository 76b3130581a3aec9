//! Looking inside, waiting, events, and the listeners.

mod common;

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::ws::{CLOSE, CONNECT, RawWs};
use common::{Raw, broker, header};
use stompede_broker::{Broker, BrokerEvent, Limit, Listen, MemoryTransport, TestBroker};
use stompede_transport::{
    Connector, DefaultConnector, Endpoint, Outbound, Transport, TransportError, TransportErrorKind, WsConfig,
    memory,
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_test_starts_a_broker_in_one_line_and_finds_it() {
    let broker = TestBroker::start().await;
    for url in [broker.ws_url(), broker.tcp_url()] {
        let mut client = Raw::dialled(url).await;
        client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
        assert_eq!(client.ask("SEND\ndestination:/topic/a\n\nhi").await.len(), 1);
        let info = broker.connections().pop().expect("it is there");
        assert_eq!(info.url, url);
        assert!(info.peer.is_some());
        client.ask("DISCONNECT\n\n").await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn connections_tell_what_they_agreed_on_and_hold() {
    let broker = broker().await;
    let mut client = Raw::new(&broker);
    assert!(broker.connections()[0].session.is_none(), "no CONNECT yet");
    client.say("CONNECT\naccept-version:1.1\nhost:h\nlogin:ann\nheart-beat:500,20\n\n\0").await;
    client.frame().await;
    client.send("/queue/a", "x").await;
    client.say("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0").await;
    client.message().await;
    let info = &broker.connections()[0];
    let session = info.session.as_ref().expect("connected");
    assert_eq!(
        (session.version.as_str(), session.login.as_deref(), session.unsettled),
        ("1.1", Some("ann"), 1)
    );
    let millis = |ms| Some(Duration::from_millis(ms));
    assert_eq!((session.heart_beat_sent, session.heart_beat_received), (millis(100), millis(500)));
    let subscription = &session.subscriptions[0];
    assert_eq!(
        (
            subscription.id.as_str(),
            subscription.destination.as_str(),
            subscription.ack,
            subscription.unsettled
        ),
        ("s", "/queue/a", "client", 1)
    );
}

#[tokio::test]
async fn a_queue_shows_what_it_holds() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SEND\ndestination:/queue/a\ncolour:a\\cb\n\nfirst").await;
    client.send("/queue/a", "second").await;
    let messages = broker.messages("/queue/a");
    let bodies: Vec<_> = messages.iter().map(|message| message.body_text().expect("text")).collect();
    assert_eq!(bodies, ["first", "second"]);
    assert_eq!(
        (header(&messages[0], "colour").as_str(), header(&messages[0], "destination").as_str()),
        ("a:b", "/queue/a")
    );
    assert!(broker.messages("/queue/none").is_empty() && broker.messages("/topic/a").is_empty());
}

#[tokio::test]
async fn waiting_ends_when_it_is_so_and_says_what_was_missing_otherwise() {
    let broker = broker().await;
    let (mut client, mut other) =
        (Raw::connected(&broker, "1.2").await, Raw::connected(&broker, "1.2").await);
    let waited = async {
        tokio::try_join!(
            broker.wait_for_subscriptions("/topic/*", 2, SOON),
            broker.wait_for_messages("/queue/a", 2, SOON),
        )
    };
    let done = async {
        for client in [&mut client, &mut other] {
            client.say("SUBSCRIBE\nid:s\ndestination:/topic/*\n\n\0SEND\ndestination:/queue/a\n\nx\0").await;
        }
    };
    let (waited, ()) = tokio::join!(waited, done);
    assert_eq!(waited.map(drop), Ok(()));
    drop(other);
    assert_eq!(broker.wait_until(SOON, |broker| broker.stats().connections == 1).await, Ok(()));
    let error = broker.wait_for_messages("/queue/a", 3, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "3 messages in /queue/a did not come within 1ms; there were 2");
}

#[tokio::test]
async fn events_come_in_order() {
    let broker = broker().await;
    let mut events = broker.events();
    let mut client = Raw::connected(&broker, "1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n").await;
    let message = client.ask("SEND\ndestination:/queue/a\n\nx").await.remove(0);
    client.ask(&format!("NACK\nid:{}\n\n", header(&message, "ack"))).await;
    client.refused("ACK\nid:none\n\n\0").await;
    let destination = || "/queue/a".to_owned();
    let (connection, id, message_id) = (1, "s".to_owned(), header(&message, "message-id"));
    let delivered = |redelivered| BrokerEvent::Delivered {
        connection,
        destination: destination(),
        message_id: message_id.clone(),
        redelivered,
    };
    for expected in [
        BrokerEvent::Connected { connection, login: None, version: stompede_broker::Version::V1_2 },
        BrokerEvent::Subscribed { connection, id: id.clone(), destination: destination() },
        BrokerEvent::Received { destination: destination(), message_id: message_id.clone() },
        delivered(false),
        BrokerEvent::Settled {
            connection,
            destination: destination(),
            message_id: message_id.clone(),
            accepted: false,
        },
        delivered(true),
        BrokerEvent::Refused { connection, message: "nothing to acknowledge".to_owned() },
        BrokerEvent::Unsubscribed { connection, id, destination: destination() },
        BrokerEvent::Disconnected { connection },
    ] {
        assert_eq!(events.next().await, Some(expected));
    }
    drop(broker);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn who_reads_events_too_slowly_learns_how_many_are_lost() {
    let broker = broker().await;
    let mut client = Raw::connected(&broker, "1.2").await;
    let mut events = broker.events();
    for _ in 0..1500 {
        client.say("SEND\ndestination:/topic/a\n\n\0").await;
    }
    client.ask("DISCONNECT\n\n").await;
    let Some(BrokerEvent::Lagged(missed)) = events.next().await else { panic!("it has lagged") };
    assert!(missed >= 1500 - 1024, "{missed}");
    assert!(matches!(events.next().await, Some(BrokerEvent::Received { .. })));
}

#[tokio::test]
async fn several_listeners_lead_to_the_same_destinations() {
    let broker = Broker::builder()
        .listen(Listen::tcp("127.0.0.1:0"))
        .listen(Listen::tcp("127.0.0.1:0"))
        .listen(Listen::ws("127.0.0.1:0").path("/ws"))
        .listen(Listen::ws("127.0.0.1:0"))
        .start()
        .await
        .expect("started");
    let urls: Vec<String> = broker.urls().into_iter().map(String::from).collect();
    assert_eq!(urls.len(), 4);
    assert!(urls[2].ends_with("/ws") && urls[3].ends_with("/stomp"), "{urls:?}");
    let mut listeners = vec![Raw::connected(&broker, "1.2").await];
    for url in &urls {
        listeners.push(Raw::dialled(url).await);
    }
    for listener in &mut listeners {
        listener.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    }
    Raw::connected(&broker, "1.2").await.send("/topic/a", "to all").await;
    for listener in &mut listeners {
        assert_eq!(listener.body().await, "to all");
    }
    let elsewhere = urls[2].replace("/ws", "/other").replace("other://", "ws://");
    assert!(DefaultConnector::new().connect(Endpoint::parse(&elsewhere).expect("a URL")).await.is_err());
    assert!(
        DefaultConnector::new()
            .connect(Endpoint::parse(&urls[3].replace("/stomp", "/any")).expect("a URL"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_subprotocols_of_a_listener_may_be_chosen() {
    let listen = Listen::ws("127.0.0.1:0").subprotocols(["v10.stomp", "stomp"]);
    let broker = Broker::builder().without_tcp().listen(listen).start().await.expect("started");
    let url = Endpoint::parse(broker.ws_url().expect("ws")).expect("a URL");
    for (offered, chosen) in
        [(&["v12.stomp", "stomp", "v10.stomp"][..], Some("v10.stomp")), (&["v12.stomp"], None)]
    {
        let config = WsConfig::new().subprotocols(offered.iter().copied()).expect("tokens");
        let stream = tokio::net::TcpStream::connect(url.authority()).await.expect("it listens");
        let client = stompede_transport::ws::upgrade(stream, &url, &config).await.expect("upgraded");
        assert_eq!(client.subprotocol(), chosen);
        drop::<Box<dyn Transport>>(Box::new(client));
    }
}

#[tokio::test]
async fn a_frame_that_is_too_large_gets_its_error_over_websocket_too() {
    let mut limits = stompede_broker::BrokerLimits::default();
    limits.frames = limits.frames.with_max_body(10);
    let broker = TestBroker::start_with(Broker::builder().limits(limits)).await;
    let client = Raw::dialled(broker.ws_url()).await;
    let error = client.refused(&format!("SEND\ndestination:/topic/a\n\n{}\0", "x".repeat(1000))).await;
    assert_eq!(header(&error, "message"), "frame is too large");
}

#[tokio::test]
async fn a_websocket_message_beyond_every_frame_gets_its_error_and_its_close_code() {
    let broker = TestBroker::start().await;
    let mut client = RawWs::connected(broker.ws_url()).await;
    client.announce(17 * 1024 * 1024).await;
    // The client does not look up before it has sent all of it.
    client.say_raw(&vec![b'x'; 17 * 1024 * 1024]).await;
    let error = client.text().await;
    assert!(error.starts_with("ERROR\nmessage:frame is too large\n"), "{error}");
    let (kind, close) = client.message().await.expect("a close frame");
    assert_eq!(
        (kind, &close[..2]),
        (CLOSE, &1009_u16.to_be_bytes()[..]),
        "{}",
        String::from_utf8_lossy(&close)
    );
    assert!(client.message().await.is_none());
    assert_eq!((broker.stats().hits(Limit::FrameSize), broker.stats().errors), (1, 1));
}

/// What a transport may do: it refuses to receive more, and still sends.
#[derive(Debug)]
struct Choked(MemoryTransport);

impl Transport for Choked {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let received = self.0.poll_recv(cx);
        received.map(|_| Some(Err(TransportError::new(TransportErrorKind::TooLarge, "more than I take"))))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, item: Outbound) -> Result<(), TransportError> {
        self.0.start_send(item)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.0.poll_close(cx)
    }
}

#[tokio::test]
async fn what_a_transport_refuses_gets_an_error_where_it_still_sends() {
    let broker = broker().await;
    let (client, ours) = memory::pair(1024);
    broker.accept(Box::new(Choked(ours)));
    let error = Raw::over(Box::new(client)).refused(CONNECT).await;
    assert_eq!(header(&error, "message"), "frame is too large");
    assert_eq!((broker.stats().hits(Limit::FrameSize), broker.stats().errors), (1, 1));
}
