//! Transactions: an order is acknowledged and its bill is sent, both or neither.
//!
//! `cargo run --example transactions`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use std::error::Error;
use std::time::Duration;

use stompede::{AckMode, Client, Message, TransactionError, TransactionPolicy};

/// Takes an order and sends its bill. If this fails on the way, the transaction is aborted.
async fn bill(client: &Client, order: &Message) -> Result<(), Box<dyn Error>> {
    let billed = client.transaction(|transaction| async move {
        transaction.ack(order)?;
        let price: u32 = order.text()?.parse()?;
        transaction.send("/queue/example.bills").text(format!("{} to pay", price * 2)).await?;
        Ok::<_, Box<dyn Error>>(())
    });
    match billed.await {
        Ok(()) => Ok(()),
        // Nothing has taken effect: the price is no number, or the connection was lost. Then the broker delivers the
        // order again.
        Err(TransactionError::Failed(error)) => Err(error),
        Err(error @ (TransactionError::Rejected(_) | TransactionError::NotCommitted { .. })) => {
            Err(error.to_string().into())
        }
        // The connection was lost before the RECEIPT of COMMIT: all of it has happened, or nothing.
        Err(TransactionError::Unknown(cause)) => Err(cause.into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = common::Place::find().await?.connect().await?;
    let mut bills = client.subscribe("/queue/example.bills").confirm().await?;
    let orders = client.subscribe("/queue/example.orders").ack(AckMode::ClientIndividual);
    let mut orders = orders.confirm().await?;
    // Two orders that belong together are sent in a transaction as well. It is run again if the connection is lost before
    // COMMIT.
    let both = client.transaction_with(TransactionPolicy::run_again(3), |transaction| async move {
        transaction.send("/queue/example.orders").text("21").await?;
        transaction.send("/queue/example.orders").text("a lot").await
    });
    both.await?;

    for _ in 0..2 {
        let order = orders.try_next().await?.ok_or("the stream ended")?;
        if let Err(error) = bill(&client, &order).await {
            println!("{:?} cannot be billed: {error}", order.text());
            // Its ACK was aborted with the rest, so it can be settled again.
            order.ack()?;
        }
    }
    println!("{}", bills.try_next().await?.ok_or("the stream ended")?.text()?);
    drop((orders, bills));
    // Nobody is at work any more: says DISCONNECT behind the acknowledgements.
    client.drain(Duration::from_secs(5)).await?;
    Ok(())
}
