//! What goes wrong in practice: each case its own typed error, in time, with a text that says what to do.

use std::time::Duration;

use stompede::{
    AckMode, Client, Error, ErrorKind, Recovery, TransportError, TransportErrorKind, Version, WhenFull,
};
use stompede_broker::Broker;
use tokio::net::TcpListener;

async fn connect_error(url: &str) -> Error {
    Client::builder(url).connect().await.expect_err(url)
}

fn transport_kind(error: &Error) -> Option<&TransportErrorKind> {
    error.transport().map(TransportError::kind)
}

/// A URL of a port on which nothing listens.
async fn closed_port(scheme: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("{scheme}://{}", listener.local_addr().expect("bound"))
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    for scheme in ["tcp", "ws"] {
        let url = closed_port(scheme).await;
        let error = connect_error(&url).await;
        assert_eq!(
            (error.kind(), transport_kind(&error)),
            (ErrorKind::DialFailed, Some(&TransportErrorKind::Refused))
        );
        assert_eq!(error.recovery(), Recovery::Reconnect);
        let port = url.rsplit(':').next().expect("a port");
        assert!(error.to_string().contains(port), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_host_name_is_told_apart() {
    let error = connect_error("tcp://does-not-exist.invalid").await;
    assert_eq!(transport_kind(&error), Some(&TransportErrorKind::NameNotFound), "{error}");
    assert!(error.to_string().contains("does-not-exist.invalid"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    // The system accepts for this listener; nobody ever reads or writes.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("bound");
    let limit = Duration::from_millis(300);
    let tcp = Client::builder(format!("tcp://{address}")).handshake_timeout(limit).connect();
    let ws = Client::builder(format!("ws://{address}")).connect_timeout(limit).connect();
    let (tcp, ws) = tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(tcp, ws) })
        .await
        .expect("both give up");
    assert_eq!(tcp.expect_err("no CONNECTED").kind(), ErrorKind::HandshakeTimedOut);
    assert_eq!(ws.expect_err("no upgrade").kind(), ErrorKind::ConnectTimedOut);
}

#[tokio::test]
async fn a_url_that_makes_no_sense_is_refused_before_anything_is_dialled() {
    for url in [
        "",
        "localhost",
        "tcp://",
        "tcp://:1",
        "tcp://h:port",
        "tcp://h:99999",
        "ws://h/a b",
        "ws://h\r\nX:1",
    ] {
        let error = connect_error(url).await;
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{url:?}: {error}");
        assert_eq!(error.recovery(), Recovery::Fatal);
    }
    let error = connect_error("gopher://localhost").await;
    assert_eq!(transport_kind(&error), Some(&TransportErrorKind::UnsupportedScheme));
    assert!(error.to_string().contains("gopher"), "{error}");
}

#[tokio::test]
async fn a_url_never_gives_its_passcode_away() {
    for url in
        ["tcp://me:hunter2@127.0.0.1:1", "tcp://me:hunter2@does-not-exist.invalid", "tcp://me:hunter2@h:port"]
    {
        let error = connect_error(url).await;
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let builder = Client::builder("tcp://h").credentials("me", "hunter2").header("token", "hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
}

#[tokio::test]
async fn nonsense_settings_are_named() {
    let zero = Client::builder("tcp://h").receipt_timeout(Duration::ZERO).connect().await.expect_err("zero");
    assert!(zero.to_string().contains("receipt_timeout"), "{zero}");
    let none = Client::builder("tcp://h").versions([]).connect().await.expect_err("no versions");
    assert!(none.to_string().contains("versions"), "{none}");
    let injected =
        Client::builder("tcp://h").credentials("a\nx:y", "p").connect().await.expect_err("two lines");
    assert_eq!(injected.kind(), ErrorKind::InvalidArgument);
    assert!(injected.to_string().contains("login"), "{injected}");
}

#[tokio::test]
async fn a_refused_login_is_told_at_once_and_in_the_brokers_words() {
    let broker = Broker::builder().login("me", "right").start().await.expect("started");
    for url in [broker.tcp_url(), broker.ws_url()] {
        let url = url.expect("it listens");
        let error = Client::builder(url).credentials("me", "wrong").connect().await.expect_err("refused");
        assert_eq!((error.kind(), error.recovery()), (ErrorKind::LoginRefused, Recovery::Fatal));
        let frame = error.frame().expect("the ERROR frame");
        assert!(error.to_string().contains(&*frame.header("message").expect("a message")), "{error}");
        Client::builder(url).credentials("me", "right").connect().await.expect("the right passcode");
    }
}

#[tokio::test]
async fn what_a_version_cannot_carry_is_refused_and_harms_nothing() {
    let broker = Broker::start().await.expect("started");
    let url = broker.tcp_url().expect("it listens");
    let client = Client::builder(url).versions([Version::V1_0]).connect().await.expect("connected");
    let error = client.send("/topic/a").header("note", "two\nlines").await.expect_err("1.0 has no escapes");
    assert_eq!(error.cause().kind(), ErrorKind::Unencodable);
    assert!(error.to_string().contains("note"), "{error}");
    let error = client.send("").text("x").confirm().await.expect_err("no destination");
    assert_eq!(error.cause().kind(), ErrorKind::InvalidArgument);
    client.send("/topic/a").text("still here").confirm().await.expect("the connection goes on");
    client.disconnect().await.expect("in order");
}

/// No line of a frame may begin with a colon: the broker would end the connection over it.
#[tokio::test]
async fn a_header_without_a_name_is_refused_wherever_one_can_be_given_and_harms_nothing() {
    let broker = Broker::start().await.expect("started");
    for version in [Version::V1_1, Version::V1_2] {
        for url in [broker.tcp_url(), broker.ws_url()] {
            let url = url.expect("it listens");
            let nameless = [("", "value")];
            let builder = || Client::builder(url).versions([version]);
            let refused = builder().header("", "value").connect().await.expect_err("CONNECT");
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
            let client = builder().connect().await.expect("connected");
            let queue = format!("/queue/{version}.{}", &url[..2]);
            let mut jobs = client.subscribe(&queue).ack(AckMode::ClientIndividual).await.expect("subscribed");
            client.send(&queue).text("job").confirm().await.expect("confirmed");
            let job = jobs.try_next().await.expect("open").expect("a message");
            let unsendable = client.send(&queue).header("", "value").await.expect_err("SEND");
            for error in [
                unsendable.cause().clone(),
                client.subscribe(&queue).header("", "value").await.expect_err("SUBSCRIBE"),
                client.unsubscribe_with(jobs.id(), nameless).expect_err("UNSUBSCRIBE"),
                client.begin_with(nameless).await.expect_err("BEGIN"),
                job.ack_with(nameless).expect_err("ACK"),
                job.nack_with(nameless).expect_err("NACK"),
                client.disconnect_with(nameless).await.expect_err("DISCONNECT"),
            ] {
                let expected = [ErrorKind::InvalidArgument, ErrorKind::Unencodable];
                assert!(expected.contains(&error.kind()), "{error}");
            }
            job.ack_confirmed().await.expect("it is still to be acknowledged, and the connection goes on");
            client.disconnect().await.expect("in order");
            assert!(broker.messages(&queue).is_empty());
        }
    }
}

#[tokio::test]
async fn nonsense_in_a_subscription_is_named_and_harms_nothing() {
    let broker = Broker::start().await.expect("started");
    for url in [broker.tcp_url(), broker.ws_url()] {
        let client = Client::builder(url.expect("it listens")).connect().await.expect("connected");
        let _taken = client.subscribe("/topic/a").id("taken").await.expect("subscribed");
        let subscribe = || client.subscribe("/topic/a");
        for (nonsense, name) in [
            (subscribe().id("taken"), "taken"),
            (subscribe().id(""), "id"),
            (client.subscribe(""), "destination"),
            (subscribe().window(0), "window"),
            (subscribe().queue_bytes(0), "queue_bytes"),
            (subscribe().ack(AckMode::Client).when_full(WhenFull::DropOldest), "when_full"),
            (subscribe().ack(AckMode::ClientIndividual).when_full(WhenFull::DropNewest), "when_full"),
            (subscribe().coalesce_acks(), "coalesce_acks"),
            (subscribe().header("selector", "a\0b"), "selector"),
            // A second one would be ignored, and the messages be lost that were to be acknowledged.
            (subscribe().header("ack", "client"), "ack"),
            (subscribe().id("b").header("id", "c"), "id"),
            (
                subscribe().headers(&[("x", "y"), ("destination", "/topic/b")].into_iter().collect()),
                "destination",
            ),
        ] {
            let error = nonsense.await.expect_err(name);
            let expected = [ErrorKind::InvalidArgument, ErrorKind::Unencodable];
            assert!(expected.contains(&error.kind()) && error.to_string().contains(name), "{name}: {error}");
        }
        let error = client.send("/topic/a").header("note", "a\0b").await.expect_err("no version has NUL");
        assert!(error.to_string().contains("note"), "{error}");
        client.send("/topic/a").text("still here").confirm().await.expect("the connection goes on");
        client.disconnect().await.expect("in order");
    }
}

#[tokio::test]
async fn a_value_without_json_form_is_refused() {
    let broker = Broker::start().await.expect("started");
    let client = Client::builder(broker.tcp_url().expect("it listens")).connect().await.expect("connected");
    let keys_are_no_text = std::collections::BTreeMap::from([((1, 2), 3)]);
    let error = client.send("/topic/a").json(&keys_are_no_text).confirm().await.expect_err("no JSON form");
    assert_eq!(error.cause().kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn http_that_is_no_websocket_says_its_status() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/ws", listener.local_addr().expect("bound"));
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.read(&mut [0; 4096]).await.expect("a request");
        stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")
            .await
            .expect("an answer");
        stream
    };
    let (error, _stream) = tokio::join!(connect_error(&url), server);
    assert_eq!(transport_kind(&error), Some(&TransportErrorKind::Unauthorized), "{error}");
    assert!(error.to_string().contains("401"), "{error}");
}
