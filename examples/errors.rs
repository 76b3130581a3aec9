//! What kept a connection from being had: refused, unauthorised, or something else; and whether to come back later.
//!
//! `cargo run --example errors`

use std::time::Duration;

use stompede::{Client, Error, ErrorKind, Recovery, TransportError, TransportErrorKind};
use stompede_broker::Broker;

fn explain(error: &Error) -> &'static str {
    match (error.kind(), error.transport().map(TransportError::kind)) {
        (ErrorKind::LoginRefused, _) | (_, Some(TransportErrorKind::Unauthorized)) => "unauthorised",
        (_, Some(TransportErrorKind::Refused)) => "refused: is the broker running?",
        (_, Some(TransportErrorKind::NameNotFound)) => "no such host",
        _ => "something else",
    }
}

/// Tries up to three times, waiting twice as long each time, as long as that can help.
async fn connect(url: &str, passcode: &str) -> Result<Client, Error> {
    let mut wait = Duration::from_millis(50);
    for attempt in 1.. {
        let error = match Client::builder(url).credentials("me", passcode).connect().await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        println!("attempt {attempt}: {}: {error}", explain(&error));
        if attempt == 3 || error.recovery() == Recovery::Fatal {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    unreachable!("it has returned")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::builder().login("me", "right").start().await?;
    let url = broker.tcp_url().ok_or("it listens")?.to_owned();
    connect(&url, "right").await?.disconnect().await?;
    let refused = connect(&url, "wrong").await.err().ok_or("a wrong passcode must not do")?;
    assert_eq!(refused.kind(), ErrorKind::LoginRefused);
    broker.stop().await;
    let gone = connect(&url, "right").await.err().ok_or("nobody is there")?;
    assert_eq!(gone.kind(), ErrorKind::DialFailed);
    Ok(())
}
