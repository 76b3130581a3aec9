//! The client over TLS and through a proxy.
#![cfg(all(feature = "proxy", feature = "tls", feature = "ws"))]

use stompede::transport::CertificateFault;
use stompede::transport::memory;
use stompede::{Client, ClientBuilder, Endpoint, Error, ErrorKind, Proxy, TlsConfig, TransportErrorKind};
use stompede_broker::{Broker, TestBroker, TlsAcceptConfig};
use stompede_test_support::TestProxy;
use stompede_test_support::certificates::{Authority, Identity};

async fn broker(identity: &Identity, clients: Option<&Authority>) -> TestBroker {
    let mut tls = TlsAcceptConfig::from_pem(&identity.chain, &identity.key).expect("a certificate");
    if let Some(clients) = clients {
        tls = tls.client_ca_pem(&clients.pem).expect("a certificate");
    }
    TestBroker::start_with(Broker::builder().tls("127.0.0.1:0", tls.clone()).wss("127.0.0.1:0", tls)).await
}

fn encrypted(broker: &Broker) -> [&str; 2] {
    [broker.tls_url().expect("it listens"), broker.wss_url().expect("it listens")]
}

fn trust(root: &Authority) -> TlsConfig {
    TlsConfig::new().ca_pem(&root.pem).expect("a certificate")
}

async fn works(builder: ClientBuilder) {
    let client = builder.connect().await.expect("connected");
    let mut inbox = client.subscribe("/topic/a").confirm().await.expect("subscribed");
    client.send("/topic/a").text("hello").confirm().await.expect("confirmed");
    assert_eq!(inbox.try_next().await.expect("open").expect("a message").text(), Ok("hello"));
    client.disconnect().await.expect("in order");
    assert!(client.closed().await.is_none(), "TLS said goodbye as well");
}

async fn refused(builder: ClientBuilder) -> (Error, TransportErrorKind) {
    let error = builder.connect().await.expect_err("refused");
    let kind = error.transport().expect("the transport's reason").kind().clone();
    (error, kind)
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given_and_nowhere_else() {
    let root = Authority::new("root");
    let broker = broker(&root.loopback(), None).await;
    for url in encrypted(&broker) {
        works(Client::builder(url).tls(trust(&root))).await;
        works(Client::builder(url).tls(TlsConfig::new().dangerous().accept_any_certificate())).await;
        // The operating system does not know it.
        let (error, kind) = refused(Client::builder(url)).await;
        assert_eq!(error.kind(), ErrorKind::DialFailed);
        assert_eq!(kind, TransportErrorKind::Certificate { fault: CertificateFault::UnknownIssuer });
        assert!(error.to_string().contains("TlsConfig::ca_pem"), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_lets_in_and_its_lack_is_told() {
    let root = Authority::new("root");
    let broker = broker(&root.loopback(), Some(&root)).await;
    let client = root.client();
    for url in encrypted(&broker) {
        let shown = trust(&root).client_cert_pem(&client.chain, &client.key).expect("a pair");
        works(Client::builder(url).tls(shown)).await;
        // Under TLS 1.3 it shows when the broker's answer is awaited.
        let (error, kind) = refused(Client::builder(url).tls(trust(&root))).await;
        assert_eq!(kind, TransportErrorKind::ClientCertificateRequired, "{error}");
        assert!(error.to_string().contains("TlsConfig::client_cert_pem"), "{error}");
    }
}

#[tokio::test]
async fn everything_goes_through_a_proxy_that_is_given() {
    let root = Authority::new("root");
    let broker = broker(&root.loopback(), None).await;
    let plain = TestBroker::start().await;
    let proxy = TestProxy::start(Some("Basic dXNlcjpzM2NyZXQ=")).await;
    let urls = [&encrypted(&broker)[..], &[plain.tcp_url(), plain.ws_url()]].concat();
    for url in &urls {
        let by = Proxy::http(&proxy.address).basic("user", "s3cret");
        works(Client::builder(*url).tls(trust(&root)).proxy(by)).await;
    }
    assert_eq!(proxy.requests.lock().expect("unpoisoned").len(), urls.len());
    let builder = Client::builder(urls[0]).tls(trust(&root)).proxy(Proxy::http(&proxy.address));
    let (error, kind) = refused(builder).await;
    assert_eq!(kind, TransportErrorKind::ProxyRefused { status: 407 });
    assert!(error.to_string().contains("Proxy::basic"), "{error}");
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_one_with() {
    let root = Authority::new("root");
    let broker = TestBroker::start().await;
    for (url, scheme) in [(broker.tcp_url(), "tls"), (broker.ws_url(), "wss")] {
        let url = format!("{scheme}{}", &url[url.find(':').expect("a scheme")..]);
        let (error, kind) = refused(Client::builder(&url).tls(trust(&root))).await;
        assert_eq!(kind, TransportErrorKind::NotTls, "{error}");
    }
}

#[cfg(feature = "config")]
#[tokio::test]
async fn a_file_says_whom_to_trust_and_which_way_to_go() {
    let root = Authority::new("root");
    let broker = broker(&root.loopback(), Some(&root)).await;
    let proxy = TestProxy::start(Some("Basic dXNlcjpzM2NyZXQ=")).await;
    let Identity { chain, key } = root.client();
    let url = broker.wss_url().expect("it listens");
    let read = |tls: serde_json::Value| {
        let proxy = format!("http://user:s3cret@{}", proxy.address);
        let settings = serde_json::json!({ "url": url, "proxy": proxy, "tls": tls });
        let config: stompede::config::ClientConfig = serde_json::from_value(settings).expect("it is fine");
        assert!(!format!("{config:?}").contains("s3cret") && !format!("{config:?}").contains("BEGIN"));
        config.builder()
    };
    works(read(serde_json::json!({ "ca": root.pem, "cert": chain, "key": key })).expect("all is there"))
        .await;
    assert_eq!(proxy.requests.lock().expect("unpoisoned").len(), 1);
    for (tls, name) in [
        (serde_json::json!({ "ca": "none" }), "tls.ca: "),
        (serde_json::json!({ "ca": { "file": "/no/such/file" } }), "tls.ca: cannot read /no/such/file"),
        (serde_json::json!({ "cert": chain }), "tls.key: "),
        (serde_json::json!({ "key": key }), "tls.cert: "),
        (serde_json::json!({ "cert": chain, "key": chain }), "tls.cert: there is no private key"),
        (serde_json::json!({ "server_name": "a b" }), "tls.server_name: "),
    ] {
        let error = read(tls).map(drop).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[tokio::test]
async fn settings_for_another_connector_are_not_lost_silently() {
    let own = |_: Endpoint| async { Ok(memory::pair(1024).0) };
    let builder = Client::builder("wss://broker").connector(own);
    let proxy = Proxy::http("http://user:s3cret@proxy:3128");
    let error = builder.tls(TlsConfig::new()).proxy(proxy).connect().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().ends_with(": tls, proxy"), "{error}");
}
