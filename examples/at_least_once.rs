//! How does a message get through although the broker restarts? It stays in the outbox until its RECEIPT, and is written
//! again on each new connection. The broker may get it twice, so whoever consumes it must bear that.
//!
//! `cargo run --example at_least_once`

use std::collections::BTreeMap;
use std::time::Duration;

use stompede::{AckMode, Client, Guarantee, SendPolicy};
use stompede_broker::Broker;

const MESSAGES: usize = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::start().await?;
    let url = broker.tcp_url().ok_or("it listens for no TCP")?.to_owned();

    let mut policy = SendPolicy::default();
    policy.guarantee = Guarantee::AtLeastOnce;
    let publisher = Client::builder(&url).sending(policy).connect().await?;
    let publishing = tokio::spawn(async move {
        for n in 0..MESSAGES {
            // Waits through an outage: `Ok` means that a broker has said that it has the message.
            publisher.send("/queue/orders").text(n.to_string()).confirm().await?;
        }
        publisher.disconnect().await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    });

    let consumer = Client::builder(&url).connect().await?;
    let mut orders = consumer.subscribe("/queue/orders").ack(AckMode::ClientIndividual).await?;
    let mut seen = BTreeMap::new();
    while seen.len() < MESSAGES {
        let message = orders.try_next().await?.ok_or("the stream ended")?;
        let order: usize = message.text()?.parse()?;
        let times = seen.entry(order).or_insert(0);
        *times += 1;
        if order == MESSAGES / 2 && *times == 1 {
            println!("the broker restarts");
            broker.go_down().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            broker.come_up().await?;
        }
        // The connection that delivered it may be gone: then the broker delivers it again.
        if let Err(error) = message.ack() {
            println!("order {order}: {error}");
        }
    }
    publishing.await?.map_err(|error| error.to_string())?;
    let again = seen.values().filter(|times| **times > 1).count();
    println!("{} orders arrived, {again} of them more than once", seen.len());
    consumer.disconnect().await?;
    Ok(())
}
