//! An order service: a listener that counts, a queue that is worked off, an answer to whoever asks. Exits with 0 if all of it
//! went well.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stompede::listeners::StatisticsListener;
use stompede::{AckMode, Client, Message, ReplyTo, TransportErrorKind, process};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Order {
    id: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = stompede_broker::Broker::start().await?;
    let url = broker.ws_url().ok_or("it listens")?;
    let statistics = Arc::new(StatisticsListener::new());
    let client = Client::builder(url).listener("statistics", statistics.clone()).connect().await?;

    // Whoever asks how an order stands is answered.
    let answering = client.clone();
    let questions = client.subscribe("/queue/status").handle(move |question: Message| {
        let client = answering.clone();
        async move {
            if let Ok(reply) = client.reply(&question) {
                let _ = reply.text("brewing").await;
            }
        }
    });
    questions.await?;
    let requests = client.requester(ReplyTo::Temporary).await?;
    let question = client.send("/queue/status").json(&Order { id: 1 });
    let answer = requests.request(question).within(Duration::from_secs(10)).await?;
    assert_eq!(answer.text()?, "brewing");

    // Orders are taken, worked off, and acknowledged.
    for id in 0..10 {
        client.send("/queue/orders").json(&Order { id }).confirm().await?;
    }
    let orders = client.subscribe("/queue/orders").ack(AckMode::ClientIndividual).await?;
    let (served, mut counted) = tokio::sync::mpsc::channel(10);
    let work = process(orders, 4, move |message: Message| {
        let served = served.clone();
        async move {
            let order: Order = message.json().map_err(|error| error.to_string())?;
            served.send(order.id).await.map_err(|error| error.to_string())
        }
    });
    let done = work
        .until(async move {
            for _ in 0..10 {
                counted.recv().await;
            }
        })
        .await?;
    assert_eq!((done.accepted, done.rejected), (10, 0));

    // TLS is there without being asked for; nothing listens at this port.
    for url in ["tls://127.0.0.1:1", "wss://127.0.0.1:1/ws"] {
        let error = Client::builder(url).connect().await.err().ok_or("it cannot")?;
        let kind = error.transport().ok_or("the transport says why")?.kind();
        assert_eq!(kind, &TransportErrorKind::Refused, "{error}");
    }

    client.disconnect().await?;
    assert!(broker.messages("/queue/orders").is_empty());
    println!("{}", statistics.read());
    broker.stop().await;
    Ok(())
}
