//! The way through an HTTP proxy.
#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;

use std::time::Duration;

use stompede_test_support::TestProxy;
use stompede_transport::{
    BoxTransport, Connector, DefaultConnector, Endpoint, Proxy, TcpConnector, TransportError,
    TransportErrorKind as Kind,
};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// `dXNlcjpzM2NyZXQ=` is `user:s3cret`.
const AUTHORIZATION: &str = "Basic dXNlcjpzM2NyZXQ=";

async fn through(proxy: Proxy, url: &str) -> Result<BoxTransport, TransportError> {
    DefaultConnector::new().proxy(proxy).connect(Endpoint::parse(url).unwrap()).await
}

/// A broker that says `MESSAGE` to everybody, and its URL.
async fn broker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://user:s3cret@localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let first = stream.read_u8().await;
                stream.write_all(b"MESSAGE").await.unwrap();
                first
            });
        }
    });
    url
}

#[tokio::test]
async fn the_proxy_is_told_where_to_and_who_asks_and_nothing_else() {
    let url = broker().await;
    for (authorization, proxy) in [
        (None, (|address: &str| Proxy::http(address)) as fn(&str) -> Proxy),
        (Some(AUTHORIZATION), |address| Proxy::http(address).basic("user", "s3cret")),
        (Some(AUTHORIZATION), |address| Proxy::http(format!("http://us%65r:s3cret@{address}/"))),
        (Some(AUTHORIZATION), |address| Proxy::http(format!("http://a:b@{address}")).basic("user", "s3cret")),
    ] {
        let server = TestProxy::start(authorization).await;
        let mut transport = through(proxy(&server.address), &url).await.unwrap();
        send(&mut transport, whole("CONNECT")).await.unwrap();
        assert_eq!(recv_bytes(&mut transport, 7).await, "MESSAGE");
        let place = url.split('@').nth(1).unwrap();
        let line =
            authorization.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
        let expected = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{line}\r\n");
        assert_eq!(*server.requests.lock().unwrap(), [expected]);
    }
}

/// One test proxy's answer to everything, and what a client makes of it.
async fn answered(answer: &'static [u8], then_hang: bool) -> TransportError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer).await.unwrap();
        if then_hang {
            std::future::pending::<()>().await;
        }
    });
    let proxy = Proxy::http(address).basic("user", "s3cret").timeout(Duration::from_millis(100));
    let error = through(proxy, "tcp://me:s3cret@broker.invalid").await.err().unwrap();
    peer.abort();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("dXNl"), "{shown}");
    error
}

#[tokio::test]
async fn refusals_say_what_to_do_and_what_was_answered() {
    for (answer, status, hint) in [
        (&b"HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nlogin"[..], 407, "Proxy::basic"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nlogin", 403, "does not let through"),
        (b"HTTP/1.1 502 No\r\nContent-Length: 5\r\n\r\nlogin", 502, "could not reach the broker"),
        (b"HTTP/1.1 302 No\r\nContent-Length: 5\r\n\r\nlogin", 302, "HTTP status 302"),
    ] {
        let error = answered(answer, true).await;
        assert_eq!(error.kind(), &Kind::ProxyRefused { status });
        assert!(error.to_string().contains("the way to broker.invalid:61613"), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
        let response = error.response().unwrap();
        assert_eq!((response.status, &response.body[..]), (status, &b"login"[..]));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_handshake_error() {
    for (answer, hint) in [
        (&b""[..], "instead of answering"),
        (b"HTTP/1.1 200", "in the middle"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nand more", "more than its answer"),
    ] {
        let error = answered(answer, false).await;
        assert_eq!(error.kind(), &Kind::Handshake, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(20_000));
    let error = answered(Box::leak(endless.into_boxed_str()).as_bytes(), false).await;
    assert_eq!(error.kind(), &Kind::Handshake, "{error}");
    assert!(error.to_string().contains("16 KiB"), "{error}");
}

#[tokio::test]
async fn an_interim_answer_is_not_yet_the_answer() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nlogin";
    assert_eq!(answered(answer, true).await.kind(), &Kind::ProxyRefused { status: 407 });
    let answer = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    let error = answered(Box::leak(answer.repeat(1000).into_boxed_slice()), false).await;
    assert!(error.kind() == &Kind::Handshake && error.to_string().contains("16 KiB"), "{error}");
    // What is no number is no interim answer either.
    assert!(answered(b"HTTP/1.1 1x0 No\r\n\r\n", true).await.to_string().contains("not HTTP"));
}

#[tokio::test]
async fn a_proxy_that_hangs_costs_its_limit() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nX: "] {
        let error = answered(answer, true).await;
        assert_eq!(error.kind(), &Kind::TimedOut);
        assert!(
            error.to_string().contains("did not connect to broker.invalid:61613 within 100ms"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_a_broker_that_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = through(Proxy::http(&gone), "tcp://broker.invalid").await.err().unwrap();
    assert_eq!(error.kind(), &Kind::Refused);
    assert!(error.to_string().starts_with(&format!("connecting to the proxy: {gone}")), "{error}");

    let server = TestProxy::start(None).await;
    let error = through(Proxy::http(&server.address), &format!("tcp://{gone}")).await.err().unwrap();
    assert_eq!(error.kind(), &Kind::ProxyRefused { status: 502 });
}

#[tokio::test]
async fn nonsense_is_told_when_connecting() {
    for (proxy, hint) in [
        (Proxy::http(""), "a host and a port"),
        (Proxy::http("proxy"), "host and a port"),
        (Proxy::http("proxy:port"), "not a number"),
        (Proxy::http("proxy:1/path"), "no path"),
        (Proxy::http("https://user:s3cret@proxy:1"), "over http:"),
        (Proxy::http("http://user:s3cret@"), "the proxy's address"),
        (Proxy::http("proxy:1").basic("us:er", "s3cret"), "login with a colon"),
    ] {
        let shown = format!("{proxy:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("us:er"), "{shown}");
        let error = through(proxy, "tcp://broker.invalid").await.err().unwrap();
        assert_eq!(error.kind(), &Kind::InvalidSetting, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(hint) && !shown.contains("s3cret"), "{shown}");
    }
}

#[tokio::test]
async fn sockets_to_the_proxy_are_made_as_others_are() {
    let connector = DefaultConnector::new()
        .proxy(Proxy::http("127.0.0.1:1"))
        .tcp(TcpConnector::new().bind("::1".parse().unwrap()));
    let error = connector.connect(Endpoint::parse("tcp://broker.invalid").unwrap()).await.err().unwrap();
    assert!(error.to_string().contains("127.0.0.1 has no IPv6 address"), "{error}");
}
