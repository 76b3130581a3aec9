//! How do I reach a broker over something that stompede does not know? Here: a Unix domain socket.
//!
//! `dial` is all that a client needs: `Client::builder("unix:/run/broker.sock").connector(dial)`. Whoever writes a
//! transport lets the conformance suite check it, as `main` does.
//!
//! `cargo run --example custom_transport`

#[cfg(unix)]
mod unix {
    use stompede_transport::{Endpoint, IoTransport, TransportError, from_io};
    use tokio::net::UnixStream;

    /// An async function is a connector. Dropping its future, or the transport, closes the socket.
    pub(super) async fn dial(endpoint: Endpoint) -> Result<IoTransport<UnixStream>, TransportError> {
        Ok(from_io(UnixStream::connect(endpoint.path()).await?))
    }
}

#[cfg(unix)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use stompede_transport::conformance::{Peer, Suite};
    use stompede_transport::{Endpoint, from_io};

    let path = std::env::temp_dir().join(format!("stompede-example-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path)?;
    let endpoint = Endpoint::parse(&format!("unix:{}", path.display()))?;
    let accept = || async { Ok(Peer::new(from_io(listener.accept().await?.0))) };
    let report = Suite::new(&unix::dial, endpoint, accept).half_close().run().await;
    std::fs::remove_file(&path)?;
    println!("{report}");
    if report.passed() { Ok(()) } else { Err("this transport breaks the contract".into()) }
}

#[cfg(not(unix))]
fn main() {
    println!("This system has no Unix domain sockets.");
}
