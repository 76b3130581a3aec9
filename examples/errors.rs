//! An error handler that tells refused from unauthorised from everything else, while the client backs off between attempts.
//!
//! `cargo run --example errors`, or `-- --url URL --login … --passcode … --host …` for a broker of yours.

mod common;

use std::sync::Arc;
use std::time::Duration;

use stompede::{Client, ClientBuilder, Error, ErrorKind, Frame, Listener};
use stompede::{ReconnectPolicy, TransportError, TransportErrorKind};
use stompede_broker::Broker;

struct ErrorHandler;

fn explain(error: &Error) -> &'static str {
    match (error.kind(), error.transport().map(TransportError::kind)) {
        (ErrorKind::LoginRefused, _) | (_, Some(TransportErrorKind::Unauthorized)) => "unauthorised",
        (_, Some(TransportErrorKind::Refused)) => "refused: is the broker running?",
        _ => "something else",
    }
}

impl Listener for ErrorHandler {
    async fn on_error(&self, frame: &Frame) {
        println!("the broker says: {}", frame.header("message").unwrap_or_default());
    }

    async fn on_reconnecting(&self, cause: &Error, attempt: u32, delay: Duration) {
        println!("{}: {cause}; attempt {attempt} in {delay:.0?}", explain(cause));
    }

    async fn on_closed(&self, cause: Option<&Error>) {
        println!("{}", cause.map_or("closed in order", explain));
    }
}

/// The first connection is tried again as well, three times at most, twice as long after each.
async fn connect(settings: ClientBuilder) -> Result<Client, Error> {
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.attempts, policy.retry_initial_connect) =
        (Duration::from_millis(50), Some(3), true);
    settings.reconnect(policy).listener("errors", Arc::new(ErrorHandler)).connect().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = common::Place::find_with(Broker::builder().login("guest", "guest")).await?;
    let unauthorised = connect(place.builder().passcode("wrong")).await.err().ok_or("it must not do")?;
    assert_eq!((explain(&unauthorised), unauthorised.kind()), ("unauthorised", ErrorKind::LoginRefused));
    // The broker answers what it cannot do with ERROR, and hangs up; the client comes back.
    let client = connect(place.builder()).await?;
    let generic = client.send("/no/such/place").confirm().await.err().ok_or("there is no such place")?;
    assert_eq!(explain(generic.cause()), "something else");
    client.disconnect().await?;
    let refused = connect(Client::builder("tcp://127.0.0.1:9")).await.err().ok_or("nobody listens there")?;
    assert_eq!(explain(&refused), "refused: is the broker running?");
    Ok(())
}
