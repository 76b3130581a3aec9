//! The client's side of the WebSocket upgrade, against every kind of answer.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

mod support;
#[path = "support/ws.rs"]
mod ws_support;

use std::future::pending;

use stompede_transport::{
    Connector, DefaultConnector, Endpoint, TransportErrorKind as Kind, WsConfig, WsConnector,
};
use support::*;
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::TcpListener;
use ws_support::*;

#[tokio::test]
async fn refusals_say_why_and_what_was_answered() {
    for (status, kind, hint) in [
        (200, Kind::UpgradeRefused { status: 200 }, "web page"),
        (301, Kind::UpgradeRefused { status: 301 }, "https://elsewhere/"),
        (401, Kind::Unauthorized, "credentials"),
        (403, Kind::Forbidden, "origin"),
        (404, Kind::UpgradeRefused { status: 404 }, "path"),
        (407, Kind::UpgradeRefused { status: 407 }, "proxy"),
        (503, Kind::UpgradeRefused { status: 503 }, "503"),
    ] {
        let answer = format!(
            "HTTP/1.1 {status} Whatever\r\nLocation: https://elsewhere/\r\nContent-Length: 4\r\n\r\nbody, and more"
        );
        let error = answered(answer.as_bytes()).await.unwrap_err();
        assert_eq!(error.kind(), &kind);
        assert!(error.to_string().contains(hint) && error.to_string().contains("broker:8080"), "{error}");
        let response = error.response().unwrap();
        assert_eq!((response.status, &response.body[..]), (status, &b"body"[..]));
        assert_eq!(response.header("LOCATION"), Some(&b"https://elsewhere/"[..]));
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_is_cut_at_4_kib() {
    let answer = format!("HTTP/1.1 403 No\r\n\r\n{}", "x".repeat(50_000));
    let error = answered(answer.as_bytes()).await.unwrap_err();
    assert_eq!(error.response().unwrap().body.len(), 4096);
}

#[tokio::test]
async fn a_chunked_body_is_read_to_its_end() {
    let (near, mut far) = duplex(1024);
    let peer = async {
        read_request(&mut far).await;
        far.write_all(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
            .await
            .unwrap();
        pending::<()>().await
    };
    let error = tokio::select! {
        () = peer => panic!("it waits"),
        outcome = upgrade(near, "ws://broker", WsConfig::new()) => outcome.unwrap_err(),
    };
    assert_eq!(error.response().unwrap().body, "2\r\nno\r\n0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_refusal_is_not_waited_for_long() {
    let (near, mut far) = duplex(1024);
    let peer = async {
        read_request(&mut far).await;
        far.write_all(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        pending::<()>().await
    };
    let error = tokio::select! {
        () = peer => panic!("it waits"),
        outcome = upgrade(near, "ws://broker", WsConfig::new()) => outcome.unwrap_err(),
    };
    assert_eq!(kind(&error), Kind::Unauthorized);
    assert_eq!(error.response().unwrap().body, "half");
}

#[tokio::test]
async fn what_is_no_answer_to_an_upgrade_is_a_handshake_error() {
    for (answer, hint) in [
        (&b""[..], "instead of answering"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"ERROR\nmessage:unknown command\n\n\0", "does not speak HTTP"),
        (b"\xff\xfe\x00\x00", "does not speak HTTP"),
        (b"HTT", "in the middle"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: web", "in the middle"),
        (b"HTTP/1.1 abc\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 101 x\r\nno colon here\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 101 x\r\n\r\n", "Sec-WebSocket-Accept"),
        (
            b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
    ] {
        let error = answered(answer).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Handshake, "{}", answer.escape_ascii());
        assert!(error.to_string().contains(hint), "{}: {error}", answer.escape_ascii());
        assert!(error.response().is_none());
    }
}

#[tokio::test]
async fn a_peer_that_waits_for_something_else_than_http_is_found_out_at_once() {
    let (near, mut far) = duplex(1024);
    far.write_all(b"220 smtp.example.org ESMTP").await.unwrap();
    let error = upgrade(near, "ws://broker", WsConfig::new()).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Handshake);
}

#[tokio::test]
async fn interim_answers_are_passed_over_but_not_for_ever() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    for (times, piece) in [(1, 1 << 16), (1, 1), (4, 1 << 16)] {
        let (near, mut far) = duplex(1 << 16);
        let peer = async {
            let request = read_request(&mut far).await;
            let behind = frame(true, TEXT, b"behind");
            let wire = [hints.repeat(times).as_bytes(), accepted(&request, "").as_bytes(), &behind].concat();
            for piece in wire.chunks(piece) {
                far.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(upgrade(near, "ws://broker", WsConfig::new()), peer);
        assert_eq!(recv(&mut client.unwrap()).await.unwrap().unwrap(), "behind");
    }
    let error = answered(hints.repeat(500).as_bytes()).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Handshake);
    assert!(error.to_string().contains("16 KiB"), "{error}");
}

#[tokio::test]
async fn the_answer_of_an_old_or_careless_server_is_taken_for_what_it_is() {
    type Change = fn(&str) -> String;
    let changes: [(&str, Change); 4] = [
        ("HTTP/1.0", |answer| answer.replace("HTTP/1.1", "HTTP/1.0")),
        ("other case", |answer| answer.replace("Sec-WebSocket-Accept", "SEC-websocket-ACCEPT")),
        ("blanks", |answer| answer.replace("Accept: ", "Accept: \t ").replace("=\r\n", "= \t\r\n")),
        ("line feeds", |answer| answer.replace("\r\n", "\n")),
    ];
    for (what, change) in changes {
        let (near, mut far) = duplex(1 << 16);
        let peer = async {
            let request = read_request(&mut far).await;
            far.write_all(change(&accepted(&request, "")).as_bytes()).await.unwrap();
        };
        let (client, ()) = tokio::join!(upgrade(near, "ws://broker", WsConfig::new()), peer);
        assert!(client.is_ok(), "{what}: {:?}", client.err());
    }
    // RFC 9112, section 5.2: whoever folds lines is to be refused, or else read with care.
    for field in ["X: folded\r\n line\r\n", "X : blank\r\n", ": no name\r\n", "X: \0\r\n"] {
        let error = answered(format!("HTTP/1.1 101 x\r\n{field}\r\n").as_bytes()).await.unwrap_err();
        assert!(error.kind() == &Kind::Handshake && error.to_string().contains("not HTTP"), "{error}");
    }
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    for answer in [
        format!("HTTP/1.1 101 x\r\n{}", "X: y\r\n".repeat(10_000)),
        format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(100_000)),
        format!("HTTP/1.1 101 x\r\n{}\r\n", "X: y\r\n".repeat(500)),
    ] {
        let error = answered(answer.as_bytes()).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Handshake, "{error}");
    }
}

#[tokio::test]
async fn an_extension_that_was_not_offered_is_refused() {
    let (near, mut far) = duplex(1024);
    let peer = async {
        let request = read_request(&mut far).await;
        assert!(!request.contains("Extensions"));
        let answer = accepted(&request, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        far.write_all(answer.as_bytes()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(upgrade(near, "ws://broker", WsConfig::new()), peer);
    assert_eq!(kind(&outcome.unwrap_err()), Kind::Handshake);
}

#[tokio::test]
async fn any_subprotocol_and_none_are_accepted_and_remembered() {
    for (field, subprotocol) in [
        ("", None),
        ("Sec-WebSocket-Protocol: v11.stomp\r\n", Some("v11.stomp")),
        ("sec-websocket-protocol: stomp\r\n", Some("stomp")),
        ("Sec-WebSocket-Protocol: foo\r\n", Some("foo")),
        ("Sec-WebSocket-Protocol:\r\n", None),
    ] {
        let (near, mut far) = duplex(1024);
        let peer = async {
            let request = read_request(&mut far).await;
            // One byte at a time: the head may be cut anywhere.
            for byte in accepted(&request, field).as_bytes() {
                far.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (client, ()) = tokio::join!(upgrade(near, "ws://broker", WsConfig::new()), peer);
        assert_eq!(client.unwrap().subprotocol(), subprotocol);
    }
}

/// The lines of the request, without the key.
async fn request_lines(url: &str, config: WsConfig) -> Vec<String> {
    let (near, mut far) = duplex(1024);
    let (request, outcome) = tokio::join!(
        async {
            let request = read_request(&mut far).await;
            drop(far);
            request
        },
        upgrade(near, url, config)
    );
    outcome.unwrap_err();
    let lines = request.trim_end().lines().map(str::to_owned);
    lines.filter(|line| !line.starts_with("Sec-WebSocket-Key: ")).collect()
}

#[tokio::test]
async fn the_request_offers_stomp_and_keeps_credentials_to_itself() {
    assert_eq!(
        request_lines("ws://user:s3cret@[::1]:15674/ws?x=%20", WsConfig::new()).await,
        [
            "GET /ws?x=%20 HTTP/1.1",
            "Host: [::1]:15674",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: v12.stomp, v11.stomp, v10.stomp",
        ]
    );
}

#[tokio::test]
async fn the_request_carries_what_was_asked_for() {
    let config = WsConfig::new().subprotocols(["v10.stomp"]).unwrap();
    let config = config.origin("https://here").unwrap().header("X-Tenant", " a ").unwrap().basic_auth(true);
    assert_eq!(
        request_lines("ws://us%65r:p%C3%A4ss@broker:80", config.clone()).await,
        [
            "GET / HTTP/1.1",
            "Host: broker",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: v10.stomp",
            "Origin: https://here",
            "X-Tenant: a",
            "Authorization: Basic dXNlcjpww6Rzcw==",
        ]
    );
    let config = config.subprotocols::<&str>([]).unwrap().header("authorization", "Bearer x").unwrap();
    let lines = request_lines("ws://user:pass@broker", config).await;
    assert!(!lines.iter().any(|line| line.starts_with("Sec-WebSocket-Protocol") || line.contains("Basic")));
    assert!(lines.contains(&"authorization: Bearer x".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_an_error_and_no_request() {
    for (url, config) in [
        ("unix:/run/br\u{f6}ker.sock", WsConfig::new()),
        ("ws://us%3Aer:pass@broker", WsConfig::new().basic_auth(true)),
    ] {
        let (near, _far) = duplex(1024);
        let error = upgrade(near, url, config).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::InvalidEndpoint);
    }
}

#[tokio::test]
async fn dialling_reports_what_tcp_says() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    drop(listener);
    for (url, expected) in
        [(url.as_str(), Kind::Refused), ("ws://does-not-exist.invalid/", Kind::NameNotFound)]
    {
        let error = DefaultConnector::new().connect(Endpoint::parse(url).unwrap()).await.err().unwrap();
        assert_eq!(error.kind(), &expected, "{error}");
    }
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn wss_does_not_go_out_in_the_clear() {
    let connector = WsConnector::new(WsConfig::new());
    let error = connector.connect(endpoint("wss://localhost")).await.err().unwrap();
    assert_eq!(error.kind(), &Kind::UnsupportedScheme);
}

#[tokio::test]
async fn other_schemes_are_refused() {
    let connector = WsConnector::new(WsConfig::new());
    let error = connector.connect(endpoint("tcp://localhost")).await.err().unwrap();
    assert_eq!(error.kind(), &Kind::UnsupportedScheme);
}

#[tokio::test]
async fn an_upgrade_that_is_never_answered_ends_at_its_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let config = WsConfig::new().upgrade_timeout(std::time::Duration::from_millis(50));
    let error = WsConnector::new(config).connect(endpoint(&url)).await.err().unwrap();
    assert_eq!(error.kind(), &Kind::TimedOut);
    assert!(error.to_string().contains("no answer to the WebSocket upgrade within 50ms"), "{error}");
}
