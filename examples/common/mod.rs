//! Where an example talks to: a broker in this very process, or the one that `--url` names.

#![allow(dead_code, reason = "each example uses its own part of it")]

use clap::Parser;
use stompede::{Client, ClientBuilder};
use stompede_broker::{Broker, BrokerBuilder};

#[derive(Parser)]
struct Options {
    /// The broker, ws:// or tcp://; one is started in this process unless given.
    #[arg(long)]
    url: Option<String>,
    #[arg(long, default_value = "guest")]
    login: String,
    #[arg(long, default_value = "guest", env = "STOMP_PASSCODE", hide_env_values = true)]
    passcode: String,
    /// The virtual host.
    #[arg(long, default_value = "/")]
    host: String,
}

/// A place to talk to.
pub(crate) struct Place {
    pub(crate) broker: Option<Broker>,
    url: String,
    options: Options,
}

impl Place {
    pub(crate) async fn find() -> Result<Self, Box<dyn std::error::Error>> {
        Self::find_with(Broker::builder()).await
    }

    /// With settings for the broker in this process.
    pub(crate) async fn find_with(settings: BrokerBuilder) -> Result<Self, Box<dyn std::error::Error>> {
        let options = Options::parse();
        if let Some(url) = options.url.clone() {
            return Ok(Self { broker: None, url, options });
        }
        let broker = settings.start().await?;
        let url = broker.ws_url().ok_or("it listens for no WebSocket")?.to_owned();
        Ok(Self { broker: Some(broker), url, options })
    }

    /// A client for it, which keeps the broker in this process alive, if that is the place.
    pub(crate) async fn connect(self) -> Result<Client, Box<dyn std::error::Error>> {
        let client = self.builder().connect().await?;
        if let Some(broker) = self.broker {
            let ended = client.clone();
            tokio::spawn(async move {
                ended.closed().await;
                broker.stop().await;
            });
        }
        Ok(client)
    }

    /// The settings of a client for it.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let Options { login, passcode, host, .. } = &self.options;
        Client::builder(&self.url).credentials(login, passcode).host(host)
    }
}
