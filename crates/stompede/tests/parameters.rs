//! stomp.py's parameters under their names, and that each has an effect or is refused by its name.

use std::time::Duration;

use stompede::transport::Transport;
use stompede::{Client, ClientBuilder, Endpoint, ErrorKind, HeartBeat, Limits, TransportErrorKind};
use stompede_broker::{Broker, Personality, TestBroker};

async fn refused(builder: ClientBuilder, name: &str) {
    let error = builder.connect().await.expect_err(name);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.to_string().contains(name), "{name}: {error}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn names_of_stomp_py_do_what_they_say() {
    let settings = Broker::builder().login("me", "s3cret").virtual_host("/v");
    let broker = TestBroker::start_with(settings).await;
    for url in [broker.ws_url(), broker.tcp_url()] {
        let client = Client::builder(url)
            .login("me")
            .passcode("s3cret")
            .vhost("/v")
            .heartbeats(2000, 300)
            .heart_beat_receive_scale(2.0)
            .keepalive(Duration::from_secs(60))
            .upgrade_header("Authorization", "Bearer s3cret")
            .connect()
            .await
            .expect("connected");
        let agreed = client.connected().expect("connected").heart_beat();
        assert_eq!((agreed.send, agreed.receive), (Duration::from_secs(2), Duration::from_millis(300)));
        assert_eq!(broker.connections()[0].session.as_ref().expect("greeted").virtual_host, "/v");
        client.disconnect().await.expect("in order");
    }
}

/// What the system says of the client's sockets: Linux lists their timers, and the whole of 127/8 is the machine itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn keepalive_and_the_local_address_reach_the_socket_over_both_transports() {
    let broker = TestBroker::start().await;
    let mut clients = Vec::new();
    for url in [broker.ws_url(), broker.tcp_url()] {
        let builder = Client::builder(url).heart_beat(HeartBeat::OFF);
        let kept = builder
            .keepalive(Duration::from_secs(60))
            .keepalive_interval(Duration::from_secs(5))
            .keepalive_count(3)
            .bind([127, 0, 0, 2].into());
        clients.push(kept.connect().await.expect("connected"));
        let peer = broker.connections().pop().expect("the newest").peer.expect("it came over a socket");
        assert_eq!(peer.ip().to_string(), "127.0.0.2");
        // Once what was sent has been acknowledged, the timer that is left is that of keep-alive.
        let local = format!("0200007F:{:04X}", peer.port());
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let sockets = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
                let ours = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
                let timer =
                    ours.into_iter().find(|line| line.get(1) == Some(&&*local)).expect("it is open")[5];
                if let Some(left) = timer.strip_prefix("02:") {
                    return u64::from_str_radix(left, 16).expect("hexadecimal") / 100;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let seconds = waited.await.expect("the timer is set");
        assert!((45..=60).contains(&seconds), "{seconds} s until the first probe");
    }
}

#[tokio::test]
async fn binary_mode_decides_how_websocket_messages_go() {
    // ActiveMQ throws binary messages away, so a CONNECT in one is never answered.
    let broker = TestBroker::start_with(Broker::builder().personality(Personality::activemq())).await;
    let short = Duration::from_millis(300);
    let text = Client::builder(broker.ws_url()).connect().await.expect("connected");
    text.disconnect().await.expect("in order");
    let binary = Client::builder(broker.ws_url()).binary_mode(true).handshake_timeout(short).connect().await;
    assert_eq!(binary.expect_err("never answered").kind(), ErrorKind::HandshakeTimedOut);
    let own = TestBroker::start().await;
    Client::builder(own.ws_url()).binary_mode(true).connect().await.expect("connected");
}

#[tokio::test]
async fn the_upgrade_asks_for_the_path_with_the_header_fields_that_were_given() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/app/ws?v=1", listener.local_addr().expect("bound"));
    let connecting = Client::builder(url)
        .upgrade_header("Origin", "http://page.example")
        .upgrade_header("Authorization", "Bearer s3cret")
        .connect();
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let (mut request, mut part) = (Vec::new(), [0; 1024]);
        while !request.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut part).await.expect("a request");
            request.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.expect("an answer");
        String::from_utf8(request).expect("text").to_lowercase()
    };
    let (refused, request) = tokio::join!(connecting, server);
    let error = refused.expect_err("forbidden");
    assert!(error.to_string().contains("403") && !format!("{error:?}").contains("s3cret"), "{error:?}");
    assert!(request.starts_with("get /app/ws?v=1 http/1.1\r\n"), "{request}");
    for line in ["\r\norigin: http://page.example\r\n", "\r\nauthorization: bearer s3cret\r\n"] {
        assert!(request.contains(line), "{request}");
    }
}

#[tokio::test]
async fn an_open_connection_is_taken_as_it_is() {
    let broker = TestBroker::start().await;
    let client =
        Client::builder("tcp://in.memory").transport(broker.connect()).connect().await.expect("connected");
    client.send("/queue/a").text("hi").confirm().await.expect("confirmed");
    assert_eq!(broker.messages("/queue/a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_is_not_cut_short_by_another_that_nobody_set() {
    #[allow(clippy::disallowed_methods, reason = "virtual time")]
    let now = tokio::time::Instant::now;
    let builder = || {
        Client::builder("tcp://a").connector(|_: Endpoint| {
            std::future::pending::<Result<Box<dyn Transport + Send>, stompede::TransportError>>()
        })
    };
    let seconds = Duration::from_secs;
    for (settings, expected) in [
        (builder(), 10),
        (builder().connect_timeout(seconds(40)), 40),
        (builder().connect_timeout(seconds(40)).total_connect_timeout(seconds(20)), 20),
        (builder().total_connect_timeout(seconds(20)).connect_timeout(seconds(40)), 20),
    ] {
        let started = now();
        let error = settings.connect().await.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::ConnectTimedOut);
        assert_eq!(started.elapsed().as_secs(), expected);
    }
}

/// The system accepts for this listener, and nobody answers the upgrade.
#[tokio::test(start_paused = true)]
async fn the_time_to_connect_is_that_of_its_steps_too() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}", silent.local_addr().expect("bound"));
    #[allow(clippy::disallowed_methods, reason = "virtual time")]
    let now = tokio::time::Instant::now;
    for (limit, expected) in [(None, 8), (Some(100), 80)] {
        let builder = Client::builder(&url);
        let builder = match limit {
            Some(seconds) => builder.connect_timeout(Duration::from_secs(seconds)),
            None => builder,
        };
        let started = now();
        let error = builder.connect().await.expect_err("no upgrade");
        assert_eq!(
            error.transport().map(|error| error.kind()),
            Some(&TransportErrorKind::TimedOut),
            "{error}"
        );
        assert_eq!(started.elapsed().as_secs(), expected, "{error}");
    }
}

#[tokio::test]
async fn nonsense_is_reported_with_the_name_of_the_parameter() {
    let url = "ws://localhost:1/ws";
    refused(Client::builder("nonsense"), "URL").await;
    refused(Client::builder("ws://"), "URL").await;
    refused(Client::builder(url).versions([]), "versions").await;
    refused(Client::builder(url).heart_beat_receive_scale(0.5), "receive_scale").await;
    refused(Client::builder(url).heart_beat_receive_scale(f64::NAN), "receive_scale").await;
    refused(Client::builder(url).keepalive(Duration::from_millis(10)), "keepalive").await;
    refused(Client::builder(url).keepalive_interval(Duration::ZERO), "keepalive_interval").await;
    refused(Client::builder(url).keepalive_count(0), "keepalive_count").await;
    let years = Duration::from_secs(3 * 366 * 24 * 3600);
    type Setter = fn(ClientBuilder, Duration) -> ClientBuilder;
    let limits: [(&str, Setter); 8] = [
        ("connect_timeout", ClientBuilder::connect_timeout),
        ("handshake_timeout", ClientBuilder::handshake_timeout),
        ("total_connect_timeout", ClientBuilder::total_connect_timeout),
        ("write_timeout", ClientBuilder::write_timeout),
        ("idle_timeout", |builder, within| builder.idle_timeout(Some(within))),
        ("stall_timeout", ClientBuilder::stall_timeout),
        ("receipt_timeout", ClientBuilder::receipt_timeout),
        ("disconnect_timeout", ClientBuilder::disconnect_timeout),
    ];
    for (name, set) in limits {
        for absurd in [Duration::ZERO, years, Duration::MAX] {
            refused(set(Client::builder(url), absurd), name).await;
        }
    }
    refused(Client::builder(url).heart_beat_tolerance(1.5, Duration::MAX), "heart_beat_tolerance").await;
    refused(Client::builder(url).heart_beat(HeartBeat::every(years)), "heart_beat").await;
    refused(Client::builder(url).reconnect_sleep_initial(years), "reconnect_sleep_initial").await;
    refused(Client::builder(url).reconnect_sleep_max(Duration::MAX), "reconnect_sleep_max").await;
    refused(Client::builder(url).keepalive(years), "keepalive").await;
    refused(Client::builder(url).keepalive_interval(years), "keepalive_interval").await;
    refused(Client::builder(url).keepalive_count(1000), "keepalive_count").await;
    refused(Client::builder(url).limits(Limits::default().with_max_head(0)), "limits").await;
    for made in ["accept-version", "host", "login", "passcode"] {
        refused(Client::builder(url).header(made, "s3cret"), made).await;
    }
    for reserved in ["Upgrade", "connection", "Sec-WebSocket-Key", "sec-websocket-protocol", "Content-Length"]
    {
        refused(Client::builder(url).upgrade_header(reserved, "s3cret"), "upgrade_header").await;
        refused(Client::builder(url).upgrade_header(reserved, "s3cret"), reserved).await;
    }
    refused(Client::builder(url).upgrade_header("X", "s3cret\0"), "upgrade_header").await;
    refused(Client::builder(url).upgrade_header("X\r\nY", "s3cret"), "upgrade_header").await;
    refused(Client::builder(url).upgrade_header("X", "s3cret\r\nY: z"), "upgrade_header").await;
    refused(Client::builder(url).upgrade_header("", "s3cret"), "upgrade_header").await;
    refused(Client::builder(url).upgrade_header("Origin", "s3cret\n"), "upgrade_header").await;
    refused(Client::builder(url).upgrade_header("Host", "s3cret"), "upgrade_header").await;
    refused(Client::builder(url).header("heart-beat", "1,1"), "heart-beat").await;
    refused(Client::builder(url).header("x", "s3cret\n"), "\"x\"").await;
    refused(Client::builder(url).header("x", "s3cret\0"), "\"x\"").await;
    refused(Client::builder(url).host("s3cret\n"), "host").await;
    refused(Client::builder(url).login("s3cret\n"), "login").await;
    refused(Client::builder(url).passcode("s3cret\0"), "passcode").await;
    let own = |_: Endpoint| async {
        Ok(Box::new(TestBroker::start().await.connect()) as Box<dyn Transport + Send>)
    };
    refused(Client::builder(url).binary_mode(true).connector(own), "binary_mode").await;
    refused(Client::builder(url).bind([127, 0, 0, 1].into()).connector(own), "bind").await;
}
