//! Every transport of ours keeps the contract over TLS and through a proxy, too.
#![cfg(all(feature = "conformance", feature = "proxy", feature = "server", feature = "tls", feature = "ws"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failed test")]

use std::time::Duration;

use socket2::SockRef;
use stompede_test_support::TestProxy;
use stompede_test_support::certificates::Authority;
use stompede_transport::conformance::{Peer, Suite, Verdict};
use stompede_transport::server::{
    AcceptConfig, TlsAcceptConfig, accept_tcp, accept_tls, accept_ws, accept_wss,
};
use stompede_transport::{DefaultConnector, Endpoint, Proxy, TlsConfig};
use tokio::net::TcpListener;

/// A WebSocket receives nothing after its goodbye, and only a WebSocket has messages.
const STREAM: &[&str] = &["an_item_is_one_message"];
const WEBSOCKET: &[&str] = &["a_closed_side_still_receives"];

/// Runs the whole suite over one scheme, through a proxy or straight; no more than what is said may be skipped.
async fn holds(scheme: &'static str, through_a_proxy: bool) {
    let root = Authority::new("root");
    let identity = root.localhost();
    let tls = TlsAcceptConfig::from_pem(&identity.chain, &identity.key).unwrap();
    let is_ws = scheme.starts_with("ws");
    let ws = AcceptConfig::new().separate_messages(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let accept = || async {
        let stream = listener.accept().await?.0;
        let handle = SockRef::from(&stream).try_clone()?;
        let transport = match scheme {
            "tcp" => accept_tcp(stream)?,
            "tls" => accept_tls(stream, &tls).await?,
            "ws" => accept_ws(stream, &ws).await?,
            _ => accept_wss(stream, &tls, &ws).await?,
        };
        // What is closed now ends with a reset.
        Ok(Peer::new(transport).on_reset(move || handle.set_linger(Some(Duration::ZERO)).unwrap()))
    };

    let proxy = TestProxy::start(Some("Basic dXNlcjpzM2NyZXQ=")).await;
    let mut connector = DefaultConnector::new().tls(TlsConfig::new().ca_pem(&root.pem).unwrap());
    if through_a_proxy {
        connector = connector.proxy(Proxy::http(&proxy.address).basic("user", "s3cret"));
    }
    let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let suite = Suite::new(&connector, Endpoint::parse(&url).unwrap(), accept);
    let (suite, may_skip) = if is_ws { (suite.messages(), WEBSOCKET) } else { (suite.half_close(), STREAM) };

    let report = suite.run().await;
    println!("{report}");
    assert!(report.passed(), "{url}: {report}");
    let skipped: Vec<&str> = report.skipped().map(|check| check.name).collect();
    assert_eq!(skipped, may_skip, "{url}: {report}");
    assert!(report.checks().iter().filter(|check| check.verdict == Verdict::Passed).count() >= 24);
    // Each check dials once or more.
    assert_eq!(proxy.requests.lock().unwrap().len() >= 24, through_a_proxy);
}

#[tokio::test]
async fn stomp_over_tls() {
    holds("tls", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stomp_over_tls_on_several_threads() {
    tokio::spawn(holds("tls", false)).await.unwrap();
}

#[tokio::test]
async fn websocket_over_tls() {
    holds("wss", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_over_tls_on_several_threads() {
    tokio::spawn(holds("wss", false)).await.unwrap();
}

#[tokio::test]
async fn stomp_through_a_proxy() {
    holds("tcp", true).await;
}

#[tokio::test]
async fn stomp_over_tls_through_a_proxy() {
    holds("tls", true).await;
}

#[tokio::test]
async fn websocket_through_a_proxy() {
    holds("ws", true).await;
}

#[tokio::test]
async fn websocket_over_tls_through_a_proxy() {
    holds("wss", true).await;
}
