//! How do I put something between a client and its transport?
//!
//! A layer is a transport that has a transport. Three of them, each in a file of its own: one records what passes, one
//! slows sending down, one breaks the connection. A connector that wraps what another one dials is a closure.
//!
//! `cargo run --example layers`

mod fault;
mod record;
mod throttle;

use std::sync::{Arc, Mutex};

use fault::Fault;
use record::Record;
use stompede::{Client, Endpoint};
use stompede_broker::Broker;
use stompede_transport::conformance::{Peer, Suite};
use stompede_transport::{Connector, DefaultConnector, TransportError, from_io};
use throttle::Throttle;
use tokio::net::{TcpListener, TcpStream};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    a_client_through_two_layers().await?;
    the_layers_keep_the_contract().await?;
    a_fault_is_an_error_where_it_was_set().await
}

async fn a_client_through_two_layers() -> Outcome {
    let broker = Broker::builder().tcp("127.0.0.1:0").start().await?;
    let log = record::Log::default();
    let dialled = Arc::new(DefaultConnector::new());
    let kept = log.clone();
    let connector = move |endpoint: Endpoint| {
        let (dialled, log) = (dialled.clone(), kept.clone());
        async move {
            let transport = dialled.connect(endpoint).await?;
            Ok(Throttle::new(Record::new(transport, log), 1_000_000))
        }
    };
    let client = Client::builder(broker.tcp_url().unwrap_or_default()).connector(connector).connect().await?;
    client.send("/queue/a").text("hello").confirm().await?;
    client.disconnect().await?;
    println!("What passed:");
    for line in log.lines() {
        println!("  {line}");
    }
    assert!(log.lines().iter().any(|line| line.contains("sent") && line.contains("SEND")));
    Ok(())
}

/// A layer that is in the way only a little keeps the contract of what is below it.
async fn the_layers_keep_the_contract() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint::parse(&format!("mine://{}", listener.local_addr()?))?;
    let connector = |endpoint: Endpoint| async move {
        let transport = from_io(TcpStream::connect(endpoint.authority()).await?);
        let recorded = Record::new(Fault::never(transport), record::Log::default());
        Ok(Throttle::new(recorded, 1_000_000_000))
    };
    let accept = || async { Ok(Peer::new(from_io(listener.accept().await?.0))) };
    let report = Suite::new(&connector, endpoint, accept).half_close().run().await;
    println!("{report}");
    if report.passed() { Ok(()) } else { Err("a layer breaks the contract".into()) }
}

async fn a_fault_is_an_error_where_it_was_set() -> Outcome {
    let broker = Broker::builder().tcp("127.0.0.1:0").start().await?;
    let dialled = Arc::new(DefaultConnector::new());
    let connector = move |endpoint: Endpoint| {
        let dialled = dialled.clone();
        async move { Ok(Fault::after_bytes_sent(dialled.connect(endpoint).await?, 500)) }
    };
    let client = Client::builder(broker.tcp_url().unwrap_or_default()).connector(connector).connect().await?;
    let sent = client.send("/queue/a").body(vec![b'x'; 1000]).confirm().await;
    println!("With a fault: {}", sent.as_ref().err().map_or("no error".to_owned(), ToString::to_string));
    if sent.is_err() { Ok(()) } else { Err("the fault made no difference".into()) }
}

/// What a lock holds after a panic elsewhere is still whole here.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How the layers name what they do on purpose.
fn on_purpose() -> TransportError {
    TransportError::new(stompede_transport::TransportErrorKind::Lost, "the connection was broken on purpose")
}
