//! A subscription as a stream: with a selector, a small window, acknowledgements, and what a slow consumer missed.
//!
//! `cargo run --example streams`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use std::error::Error;

use stompede::{AckMode, WhenFull};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = common::Place::find().await?.connect().await?;
    // Work: the broker sends eight at a time and waits for their ACK.
    let orders = client.subscribe("/queue/example.orders").ack(AckMode::ClientIndividual).window(8);
    let mut orders = orders.confirm().await?;
    for n in 0..20 {
        client.send("/queue/example.orders").text(format!("order {n}")).await?;
    }
    for _ in 0..20 {
        let Some(order) = orders.try_next().await? else { break };
        println!("{}", order.text()?);
        order.ack()?;
    }

    // News: whoever comes late gets the newest.
    let news = client.subscribe("/topic/example.news").window(4).when_full(WhenFull::DropOldest);
    let mut news = news.confirm().await?;
    for n in 0..100 {
        client.send("/topic/example.news").text(format!("headline {n}")).confirm().await?;
    }
    let (mut read, mut missed) = (0, 0);
    while let Some(headline) = news.try_next().await? {
        read += 1;
        missed += headline.gap().and_then(|gap| gap.messages).unwrap_or(0);
        if headline.text()? == "headline 99" {
            break;
        }
    }
    println!("{read} headlines read, {missed} missed");
    assert_eq!(read + missed, 100);
    client.disconnect().await?;
    Ok(())
}
