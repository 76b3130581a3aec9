//! STOMP over TLS, and over WebSocket over TLS.
#![cfg(feature = "tls")]

mod common;

use std::time::Duration;

use common::Raw;
use stompede_broker::{Broker, BrokerLimits, Limit, Queues, TestBroker, TlsAcceptConfig};
use stompede_test_support::certificates::{Authority, Identity};
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, TlsConfig, TransportError, TransportErrorKind,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn serve(identity: &Identity) -> TlsAcceptConfig {
    TlsAcceptConfig::from_pem(&identity.chain, &identity.key).expect("a certificate and its key")
}

fn trust(root: &Authority) -> TlsConfig {
    TlsConfig::new().ca_pem(&root.pem).expect("a certificate")
}

/// One that listens in all four ways.
async fn broker(tls: TlsAcceptConfig, limits: BrokerLimits) -> TestBroker {
    let builder = Broker::builder().tcp("127.0.0.1:0").ws("127.0.0.1:0").limits(limits);
    let builder = builder.tls("127.0.0.1:0", tls.clone()).wss("127.0.0.1:0", tls);
    TestBroker::start_with(builder).await
}

fn encrypted(broker: &Broker) -> [&str; 2] {
    [broker.tls_url().expect("it listens"), broker.wss_url().expect("it listens")]
}

async fn dial(url: &str, tls: TlsConfig) -> Result<BoxTransport, TransportError> {
    DefaultConnector::new().tls(tls).connect(Endpoint::parse(url).expect("a URL")).await
}

/// What a client of that URL gets for an answer to CONNECT.
async fn answer(url: &str, tls: TlsConfig) -> Result<String, TransportErrorKind> {
    let kind = |error: TransportError| error.kind().clone();
    let mut transport = dial(url, tls).await.map_err(kind)?;
    let connect = stompede_transport::Outbound::whole("CONNECT\naccept-version:1.2\nhost:h\n\n\0".into());
    std::future::poll_fn(|cx| transport.poll_ready(cx)).await.map_err(kind)?;
    transport.start_send(connect).map_err(kind)?;
    // Who has been refused already can still read why.
    let _ = std::future::poll_fn(|cx| transport.poll_flush(cx)).await;
    let answer = std::future::poll_fn(|cx| transport.poll_recv(cx)).await.expect("not just an end");
    Ok(String::from_utf8_lossy(&answer.map_err(kind)?).into_owned())
}

async fn works(url: &str, tls: TlsConfig) {
    let mut client = Raw::over(dial(url, tls).await.expect("let in"));
    client.greet("1.2").await;
    client.ask("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n").await;
    client.say("SEND\ndestination:/topic/a\n\nhello\0").await;
    assert_eq!(client.body().await, "hello");
    assert!(client.ask("DISCONNECT\n\n").await.is_empty());
    assert!(client.chunk().await.is_none(), "an end in order, with TLS's goodbye");
}

#[tokio::test]
async fn stomp_runs_over_tls_with_an_authority_of_ones_own() {
    let root = Authority::new("root");
    let broker = broker(serve(&root.loopback()), BrokerLimits::default()).await;
    for url in encrypted(&broker) {
        works(url, trust(&root)).await;
    }
    assert_eq!(broker.urls().len(), 4);
    assert!(broker.wss_url().expect("it listens").ends_with("/stomp"));
}

#[tokio::test]
async fn what_is_said_of_websocket_holds_for_wss() {
    let root = Authority::new("root");
    let listen = stompede_broker::Listen::wss("127.0.0.1:0", serve(&root.loopback())).path("/ws");
    let broker = Broker::builder().listen(listen).start().await.expect("started");
    // Nothing was said about TCP; about WebSocket, there was.
    assert_eq!((broker.urls().len(), broker.ws_url()), (2, None));
    let url = broker.wss_url().expect("it listens");
    assert!(url.ends_with("/ws"), "{url}");
    works(url, trust(&root)).await;
    let refused = answer(&url.replace("/ws", "/other"), trust(&root)).await;
    assert_eq!(refused, Err(TransportErrorKind::UpgradeRefused { status: 404 }));
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_right_authority_are_let_in() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let wants = serve(&root.loopback()).client_ca_pem(&root.pem).expect("a certificate");
    let broker = broker(wants, BrokerLimits::default()).await;
    let with = |client: Identity| trust(&root).client_cert_pem(&client.chain, &client.key).expect("a pair");
    for url in encrypted(&broker) {
        works(url, with(root.client())).await;
        assert_eq!(answer(url, trust(&root)).await, Err(TransportErrorKind::ClientCertificateRequired));
        let refused = answer(url, with(stranger.client())).await;
        assert_eq!(refused, Err(TransportErrorKind::ClientCertificateRefused));
        works(url, with(root.client())).await;
    }
}

#[tokio::test]
async fn who_mistakes_the_port_is_told_and_others_are_let_in_after() {
    let root = Authority::new("root");
    let broker = broker(serve(&root.loopback()), BrokerLimits::default()).await;
    let [tls, wss] = encrypted(&broker).map(str::to_owned);
    for (url, plain) in [(&tls, "tcp"), (&wss, "ws")] {
        let plain = url.replacen(url.split(':').next().expect("a scheme"), plain, 1);
        assert_eq!(answer(&plain, trust(&root)).await, Err(TransportErrorKind::TlsRequired), "{plain}");
    }
    for (url, encrypted) in [(broker.tcp_url(), "tls"), (broker.ws_url(), "wss")] {
        let encrypted = url.replacen(url.split(':').next().expect("a scheme"), encrypted, 1);
        assert_eq!(answer(&encrypted, trust(&root)).await, Err(TransportErrorKind::NotTls), "{encrypted}");
    }
    // Garbage, half a handshake, and nothing.
    for hello in [&b"\x16\x03\x01\x40\x00garbage"[..], b"\x16\x03\x01", b""] {
        let address = tls.trim_start_matches("tls://");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(hello).await.expect("sent");
    }
    for url in [&tls, &wss] {
        works(url, trust(&root)).await;
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_has_the_time_of_connect() {
    let root = Authority::new("root");
    let mut limits = BrokerLimits::default();
    limits.connect_within = Duration::from_millis(100);
    let broker = broker(serve(&root.loopback()), limits).await;
    for (done, url) in encrypted(&broker).into_iter().enumerate() {
        let address = url.split('/').nth(2).expect("an address");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        // The beginning of a long record.
        stream.write_all(b"\x16\x03\x01\x40\x00").await.expect("sent");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it is hung up on");
        assert_eq!(ended.map_err(|error| error.kind()), Ok(0));
        assert_eq!(broker.stats().hits(Limit::ConnectTime), done as u64 + 1);
    }
}

#[tokio::test]
async fn a_restart_keeps_certificate_and_address() {
    let root = Authority::new("root");
    let broker = broker(serve(&root.loopback()), BrokerLimits::default()).await;
    broker.restart(Queues::Forget).await.expect("the addresses are free");
    for url in encrypted(&broker) {
        works(url, trust(&root)).await;
    }
}

#[cfg(feature = "scripted")]
#[tokio::test]
async fn a_script_can_be_played_over_tls() -> Result<(), Box<dyn std::error::Error>> {
    use stompede_broker::scripted::{ScriptedListener, ScriptedPeer};

    let root = Authority::new("root");
    let identity = serve(&root.loopback());
    for listener in [ScriptedListener::tls(identity.clone()).await?, ScriptedListener::wss(identity).await?] {
        let (peer, client) = tokio::join!(listener.accept(), dial(listener.url(), trust(&root)));
        let (mut peer, mut client) = (peer?, ScriptedPeer::over(client?));
        client.send("CONNECT\naccept-version:1.2\nhost:h\n\n\0").await?;
        peer.greet(stompede_broker::Version::V1_2).await?;
        client.expect("CONNECTED\nversion:1.2").await?;
    }
    Ok(())
}
