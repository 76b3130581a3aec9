//! The quickstart's client: `client-consumer ws://127.0.0.1:15674/ws guest guest /`

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stompede::{Client, Listener, Message};
use tokio::sync::Semaphore;

#[derive(Debug, Deserialize, Serialize)]
struct Update {
    id: u32,
}

struct Inbox(Semaphore);

impl Listener for Inbox {
    async fn on_message(&self, message: &Message) {
        match message.header("content-type").as_deref() {
            Some("application/json") => println!("received JSON: {:?}", message.json::<Update>()),
            _ => println!("received text: {:?}", message.text()),
        }
        self.0.add_permits(1);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, login, passcode, host] = &arguments[..] else {
        return Err("say URL, login, passcode and virtual host".into());
    };
    let inbox = Arc::new(Inbox(Semaphore::new(0)));
    let builder = Client::builder(url).credentials(login, passcode).host(host);
    let client = builder.listener("inbox", inbox.clone()).connect().await?;
    client.subscribe("/topic/quickstart").listen().await?;
    client.send("/topic/quickstart").text("Hello via STOMP").confirm().await?;
    client.send("/topic/quickstart").json(&Update { id: 1 }).confirm().await?;
    tokio::time::timeout(Duration::from_secs(10), inbox.0.acquire_many(2)).await??.forget();
    client.disconnect().await?;
    Ok(())
}
