//! A WebSocket connection with a listener that tells JSON by its `type`, falls back to text, and keeps messages for polling.
//!
//! `cargo run --example listener`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stompede::listeners::{MessageQueue, PrintingListener};
use stompede::{Listener, Message};

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event {
    Price { value: f64 },
    Alert { text: String },
}

struct Handler;

impl Listener for Handler {
    async fn on_message(&self, message: &Message) {
        match message.json::<Event>() {
            Ok(Event::Price { value }) => println!("the price is {value}"),
            Ok(Event::Alert { text }) => println!("alert: {text}"),
            // The error keeps the message; here its text will do.
            Err(error) => println!("text: {:?}", error.message().text()),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = common::Place::find().await?;
    let queue = Arc::new(MessageQueue::new());
    let client = place
        .builder()
        .listener("handler", Arc::new(Handler))
        .listener("queue", queue.clone())
        .listener("log", Arc::new(PrintingListener::to(std::io::stderr())))
        .connect()
        .await?;
    client.subscribe("/topic/events").listen().await?;
    client.send("/topic/events").json(&Event::Price { value: 3.2 }).confirm().await?;
    client.send("/topic/events").json(&Event::Alert { text: "no more milk".into() }).confirm().await?;
    client.send("/topic/events").text("just so").confirm().await?;
    // A program that polls takes what has come since the last time.
    let mut polled = 0;
    while polled < 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for message in queue.drain() {
            println!("polled: {} bytes", message.body().len());
            polled += 1;
        }
    }
    client.disconnect().await?;
    Ok(())
}
