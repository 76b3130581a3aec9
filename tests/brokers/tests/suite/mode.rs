use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use stompede::transport::{BoxTransport, Connector, DefaultConnector, WsConfig};
use stompede::{Client, ClientBuilder, HeartBeat, Message, Proxy, ReconnectPolicy, Subscription, TlsConfig};
use stompede_real_brokers::RabbitMq;
use stompede_test_support::TestProxy;

/// One way into RabbitMQ.
#[derive(Clone)]
pub(crate) struct Mode {
    name: &'static str,
    url: String,
    /// Whether credentials travel in the upgrade instead of in CONNECT.
    basic: bool,
    tls: Option<TlsConfig>,
    /// The same without our certificate, where RabbitMQ asks for one.
    nameless: Option<TlsConfig>,
    proxy: Option<Arc<TestProxy>>,
}

impl Mode {
    pub(crate) async fn all() -> Vec<Self> {
        let broker = RabbitMq::from_env();
        let proxy = Arc::new(TestProxy::start(Some(PROXY_AUTHORIZATION)).await);
        let trust = TlsConfig::new().ca_pem(&broker.ca).expect("a certificate");
        let [chain, key] = &broker.client;
        let shown = trust.clone().client_cert_pem(chain, key).expect("a certificate and its key");
        let mode = |name, url: &str| Self {
            name,
            url: url.to_owned(),
            basic: false,
            tls: None,
            nameless: None,
            proxy: None,
        };
        let tls = |mode| Self { tls: Some(trust.clone()), ..mode };
        let mutual = |mode| Self { tls: Some(shown.clone()), nameless: Some(trust.clone()), ..mode };
        let proxied = |mode| Self { proxy: Some(proxy.clone()), ..mode };
        vec![
            mode("tcp", &broker.tcp_url),
            mode("ws", &broker.ws_url),
            mode("ws binary", &broker.ws_binary_url),
            Self { basic: true, ..mode("ws Basic", &broker.ws_basic_url) },
            tls(mode("tls", &broker.tls_urls[0])),
            tls(mode("wss", &broker.tls_urls[1])),
            mutual(mode("tls mutual", &broker.tls_mutual_urls[0])),
            mutual(mode("wss mutual", &broker.tls_mutual_urls[1])),
            proxied(mode("tcp proxy", &broker.tcp_url)),
            proxied(tls(mode("wss proxy", &broker.tls_urls[1]))),
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn is_ws(&self) -> bool {
        self.url.starts_with("ws")
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn shows_a_certificate(&self) -> bool {
        self.nameless.is_some()
    }

    pub(crate) fn is_proxied(&self) -> bool {
        self.proxy.is_some()
    }

    /// How many connections have gone through the proxy so far, those of other modes included.
    pub(crate) fn proxied(&self) -> usize {
        let requests = self.proxy.iter().map(|proxy| proxy.requests.lock().expect("unpoisoned").len());
        requests.sum()
    }

    /// A name for a queue, a topic or a subscription that no other scenario and no other mode uses.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.name.replace(' ', "-"))
    }

    /// A client of this account, in this mode's way.
    pub(crate) fn login(&self, login: &str, passcode: &str) -> ClientBuilder {
        // These are about one connection; outages have tests of their own.
        let once = ReconnectPolicy::never();
        let connector = self.connector(login, passcode);
        let builder = Client::builder(&self.url).host("/").reconnect(once).connector(connector);
        if self.basic { builder } else { builder.credentials(login, passcode) }
    }

    /// The same over another TLS: with the system's authorities, or without our certificate.
    pub(crate) fn with_tls(&self, tls: TlsConfig) -> ClientBuilder {
        Self { tls: Some(tls), ..self.clone() }.login("guest", "guest")
    }

    pub(crate) fn nameless(&self) -> ClientBuilder {
        self.with_tls(self.nameless.clone().expect("this mode shows a certificate"))
    }

    /// The bare connection, without a session.
    pub(crate) async fn dial(&self) -> BoxTransport {
        let endpoint = self.url.parse().expect("a URL");
        self.connector("guest", "guest").connect(endpoint).await.expect("connected")
    }

    fn connector(&self, login: &str, passcode: &str) -> DefaultConnector {
        let mut connector = DefaultConnector::new();
        if self.basic {
            let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{passcode}")));
            let upgrade = WsConfig::new().header("Authorization", &authorization).expect("a header");
            connector = connector.ws(upgrade);
        }
        if let Some(tls) = &self.tls {
            connector = connector.tls(tls.clone());
        }
        if let Some(proxy) = &self.proxy {
            connector = connector.proxy(Proxy::http(&proxy.address).basic("user", "s3cret"));
        }
        connector
    }

    pub(crate) async fn connect(&self) -> Client {
        self.login("guest", "guest").connect().await.expect("connected")
    }

    /// A client that may publish faster than RabbitMQ stores. It sends no beats: RabbitMQ before rabbitmq-server#15607 cuts a
    /// WebSocket that does, once it has held the client back.
    pub(crate) async fn connect_in_haste(&self) -> Client {
        let silent = HeartBeat { send: Duration::ZERO, receive: Duration::from_secs(10) };
        self.login("guest", "guest").heart_beat(silent).connect().await.expect("connected")
    }
}

/// What `user` and `s3cret` come to.
const PROXY_AUTHORIZATION: &str = "Basic dXNlcjpzM2NyZXQ=";

/// The next message. RabbitMQ answers within milliseconds; the limit only keeps a loss from hanging the test.
pub(crate) async fn next(subscription: &mut Subscription) -> Message {
    let message = tokio::time::timeout(Duration::from_secs(20), subscription.try_next()).await;
    message.expect("a message in time").expect("open").expect("a message")
}

pub(crate) async fn next_text(subscription: &mut Subscription) -> String {
    next(subscription).await.text().expect("text").to_owned()
}

/// Sends a text and waits until RabbitMQ has it.
pub(crate) async fn put(client: &Client, destination: &str, text: &str) {
    client.send(destination).text(text).confirm().await.expect("confirmed");
}
