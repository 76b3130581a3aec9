use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use stompede::transport::{BoxTransport, Connector, DefaultConnector, WsConfig};
use stompede::{Client, ClientBuilder, Message, ReconnectPolicy, Subscription};
use stompede_real_brokers::RabbitMq;

/// One way into RabbitMQ.
#[derive(Clone)]
pub(crate) struct Mode {
    name: &'static str,
    url: String,
    /// Whether credentials travel in the upgrade instead of in CONNECT.
    basic: bool,
}

impl Mode {
    pub(crate) fn all() -> [Self; 4] {
        let broker = RabbitMq::from_env();
        let mode = |name, url: &str, basic| Self { name, url: url.to_owned(), basic };
        [
            mode("tcp", &broker.tcp_url, false),
            mode("ws", &broker.ws_url, false),
            mode("ws binary", &broker.ws_binary_url, false),
            mode("ws Basic", &broker.ws_basic_url, true),
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
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

    /// The bare connection, without a session.
    pub(crate) async fn dial(&self) -> BoxTransport {
        let endpoint = self.url.parse().expect("a URL");
        self.connector("guest", "guest").connect(endpoint).await.expect("connected")
    }

    fn connector(&self, login: &str, passcode: &str) -> DefaultConnector {
        if !self.basic {
            return DefaultConnector::new();
        }
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{login}:{passcode}")));
        DefaultConnector::new().ws(WsConfig::new().header("Authorization", &authorization).expect("a header"))
    }

    pub(crate) async fn connect(&self) -> Client {
        self.login("guest", "guest").connect().await.expect("connected")
    }
}

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
