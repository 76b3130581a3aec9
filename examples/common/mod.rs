//! Where an example talks to: a broker in this very process, or the one that `--url` names.

#![allow(dead_code, reason = "each example uses its own part of it")]

use clap::Parser;
use stompede::{Client, ClientBuilder};
use stompede_broker::Broker;

#[derive(Parser)]
struct Options {
    /// The broker, ws:// or tcp://; one is started in this process unless given.
    #[arg(long)]
    url: Option<String>,
    #[arg(long, default_value = "guest")]
    login: String,
    #[arg(long, default_value = "guest")]
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
        let options = Options::parse();
        if let Some(url) = options.url.clone() {
            return Ok(Self { broker: None, url, options });
        }
        let broker = Broker::start().await?;
        let url = broker.ws_url().ok_or("it listens for no WebSocket")?.to_owned();
        Ok(Self { broker: Some(broker), url, options })
    }

    /// The settings of a client for it.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let Options { login, passcode, host, .. } = &self.options;
        Client::builder(&self.url).credentials(login, passcode).host(host)
    }
}
