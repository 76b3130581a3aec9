use std::ops::Deref;
use std::time::Duration;

use crate::{Broker, BrokerBuilder};

/// A [`Broker`] for a test, which panics where a test would unwrap.
///
/// It listens for WebSocket and TCP on free ports of 127.0.0.1, and is everything that a [`Broker`] is.
///
/// ```
/// use stompede_broker::TestBroker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let broker = TestBroker::start().await;
/// // … point what is to be tested at broker.ws_url() or broker.tcp_url() …
/// assert!(broker.messages("/queue/orders").is_empty());
/// # }
/// ```
#[derive(Debug)]
pub struct TestBroker {
    broker: Broker,
    ws_url: String,
    tcp_url: String,
}

impl TestBroker {
    /// Starts a broker with the default settings.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        Self::start_with(Broker::builder()).await
    }

    /// Starts a broker with these settings.
    ///
    /// # Panics
    /// If an address cannot be listened on.
    pub async fn start_with(builder: BrokerBuilder) -> Self {
        let broker = builder.start().await.expect("a broker for this test");
        let url = |url: Option<&str>| url.unwrap_or_default().to_owned();
        Self { ws_url: url(broker.ws_url()), tcp_url: url(broker.tcp_url()), broker }
    }

    /// Where it listens for WebSocket without TLS; empty if it does not.
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// Where it listens for TCP without TLS; empty if it does not.
    pub fn tcp_url(&self) -> &str {
        &self.tcp_url
    }

    /// Waits up to 10 s until at least `count` subscriptions to this destination are there.
    ///
    /// # Panics
    /// If they do not come; see [`Broker::wait_for_subscriptions`].
    pub async fn subscribed(&self, destination: &str, count: usize) {
        let waited = self.broker.wait_for_subscriptions(destination, count, PATIENCE).await;
        waited.unwrap_or_else(|error| fail(&error));
    }

    /// Waits up to 10 s until a queue holds at least `count` messages.
    ///
    /// # Panics
    /// If they do not come; see [`Broker::wait_for_messages`].
    pub async fn holds(&self, destination: &str, count: usize) {
        let waited = self.broker.wait_for_messages(destination, count, PATIENCE).await;
        waited.unwrap_or_else(|error| fail(&error));
    }

    /// Stops in order; see [`Broker::stop`].
    pub async fn stop(self) {
        self.broker.stop().await;
    }
}

impl Deref for TestBroker {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

#[expect(clippy::panic, reason = "a test that waits for what does not come has failed")]
fn fail(error: &crate::WaitError) {
    panic!("{error}");
}

/// Longer than a busy machine takes for anything, shorter than somebody waits for a test.
const PATIENCE: Duration = Duration::from_secs(10);
