//! One message, end to end: a broker in this very process, a client, and what a listener hears.
//!
//! `cargo run --example quickstart`, or against a broker of yours:
//! `cargo run --example quickstart -- --url ws://127.0.0.1:15674/ws --login guest --passcode guest --host /`

mod common;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stompede::{Listener, Message};
use tokio::sync::Semaphore;

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
    let place = common::Place::find().await?;
    let inbox = Arc::new(Inbox(Semaphore::new(0)));
    let client = place.builder().listener("inbox", inbox.clone()).connect().await?;
    let broker = client.connected().ok_or("the connection is gone")?;
    println!("connected: {}, STOMP {}", broker.server().unwrap_or_default(), broker.version());

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
