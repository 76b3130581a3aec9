//! How do messages outlive the process? They are kept in an outbox of one's own until their RECEIPT: here in a file. What a
//! process leaves there, the next one sends first.
//!
//! `cargo run --example durable_outbox`

mod journal;

use std::path::Path;
use std::sync::Arc;

use journal::Journal;
use stompede::{BoxError, Client, Guarantee, SendPolicy};
use stompede_broker::Broker;

/// A client as each start of the process makes it.
async fn publisher(url: &str, file: &Path) -> Result<Client, BoxError> {
    let mut policy = SendPolicy::default();
    policy.guarantee = Guarantee::AtLeastOnce;
    // Sits out an outage of any length.
    policy.outbox.expiry = None;
    let outbox = Arc::new(Journal::open(file).await?);
    Ok(Client::builder(url).sending(policy).outbox(outbox).connect().await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let file = std::env::temp_dir().join(format!("stompede-outbox-{}", std::process::id()));
    let broker = Broker::start().await?;
    let url = broker.tcp_url().ok_or("it listens for no TCP")?.to_owned();

    let first = publisher(&url, &file).await?;
    broker.go_down().await;
    for n in 1..=3 {
        // `Ok`: it is in the file. The broker cannot have it.
        first.send("/queue/orders").text(format!("order {n}")).await?;
    }
    println!("the process dies with {} bytes in its outbox", std::fs::metadata(&file)?.len());
    first.abort();

    broker.come_up().await?;
    let second = publisher(&url, &file).await?;
    second.send("/queue/orders").text("order 4").confirm().await?;
    let mut orders = second.subscribe("/queue/orders").await?;
    for _ in 1..=4 {
        println!("{}", orders.try_next().await?.ok_or("the stream ended")?.text()?);
    }
    second.disconnect().await?;
    std::fs::remove_file(&file)?;
    Ok(())
}
