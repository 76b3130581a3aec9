//! How do I run client and broker in one process, without a socket? Here: over a pair of streams, and by hand, frame by
//! frame.
//!
//! `cargo run --example in_process`

use std::sync::Arc;

use stompede::transport::{Endpoint, from_io};
use stompede::{Client, FramedTransport};
use stompede_broker::Broker;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Arc::new(Broker::start().await?);
    let serving = broker.clone();
    // An async closure is a connector; it is asked for each attempt.
    let connector = move |endpoint: Endpoint| {
        println!("dialling {endpoint}");
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        serving.accept(Box::new(from_io(theirs)));
        async move { Ok(from_io(ours)) }
    };
    let client = Client::builder("pipe:/dev/broker").connector(connector).connect().await?;
    let mut inbox = client.subscribe("/topic/a").confirm().await?;
    client.send("/topic/a").text("through a pipe").confirm().await?;
    println!("{}", inbox.try_next().await?.ok_or("the stream ended")?.text()?);
    client.disconnect().await?;

    // The same without a session: frames, and nothing that was not sent by hand.
    let mut wire = FramedTransport::over(broker.connect());
    wire.send(&stompede::Frame::connect("/", &stompede::Version::ALL)?).await?;
    println!("{:?}", wire.receive().await?);
    Ok(())
}
