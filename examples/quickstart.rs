//! One message, end to end: a broker in this very process, a client, and what a listener hears.
//!
//! `cargo run --example quickstart`, or against a broker of yours:
//! `cargo run --example quickstart -- --url ws://127.0.0.1:15674/ws --login guest --passcode guest --host /`

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde::{Deserialize, Serialize};
use stompede::{Client, Listener, Message};
use tokio::sync::Semaphore;

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

#[derive(Debug, Deserialize, Serialize)]
struct Update {
    id: u32,
}

/// Prints what it is told, and counts messages so that `main` can wait for them.
struct Inbox(Semaphore);

impl Listener for Inbox {
    async fn on_message(&self, message: &Message) {
        match message.header("content-type").as_deref() {
            Some("application/json") => println!("received JSON: {:?}", message.json::<Update>()),
            Some("text/plain") => println!("received text: {:?}", message.text()),
            _ => println!("received {} bytes", message.body().len()),
        }
        self.0.add_permits(1);
    }

    async fn on_receipt(&self, receipt_id: &str) {
        println!("receipt {receipt_id}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let embedded = match &options.url {
        Some(_) => None,
        None => Some(stompede_broker::Broker::start().await?),
    };
    let url = match &embedded {
        Some(broker) => broker.ws_url().ok_or("the broker listens on no WebSocket")?.to_owned(),
        None => options.url.unwrap_or_default(),
    };

    let inbox = Arc::new(Inbox(Semaphore::new(0)));
    let client = Client::builder(&url)
        .credentials(options.login, options.passcode)
        .host(options.host)
        .listener("inbox", inbox.clone())
        .connect()
        .await?;
    let broker = client.connected().ok_or("the connection is gone")?;
    println!("connected to {url}: {}, STOMP {}", broker.server().unwrap_or_default(), broker.version());

    client.subscribe("/topic/quickstart").listen().await?;
    client.send("/topic/quickstart").text("Hello via STOMP").confirm().await?;
    client.send("/topic/quickstart").json(&Update { id: 1 }).confirm().await?;
    client.send("/topic/quickstart").body((0..=255).collect::<Vec<u8>>()).confirm().await?;

    // A receipt may overtake the message itself, so wait for what the listener has heard.
    tokio::time::timeout(Duration::from_secs(10), inbox.0.acquire_many(3)).await??.forget();
    client.disconnect().await?;
    println!("disconnected");
    Ok(())
}
