//! A relay that stops forwarding without closing, as a firewall does that has forgotten a connection.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A running relay; it ends when it is dropped, with all that it forwards.
pub(crate) struct Relay {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    stalled: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Forwards to this `host:port`.
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let stalled = watch::Sender::new(false);
        let watching = stalled.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, target.clone(), watching.subscribe()));
            }
        });
        Self { address, stalled, task }
    }

    /// From here on nothing is forwarded. Nothing is closed either, and whoever connects is let in.
    pub(crate) fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Puts a new relay in the place of the stalled one: new connections are forwarded, the stalled ones stay so.
    pub(crate) fn replace(&self) {
        self.stalled.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, target: String, mut stalled: watch::Receiver<bool>) {
    let mut broker = None;
    let forward = async {
        if let Ok(stream) = TcpStream::connect(target).await {
            // A cut on one side cuts the other; what is in between does not matter.
            let _ = copy_bidirectional(&mut client, broker.insert(stream)).await;
        }
    };
    tokio::select! {
        biased;
        _ = stalled.wait_for(|stalled| *stalled) => {}
        () = forward => return,
    }
    // Both sockets are kept, and nobody looks at them again.
    std::future::pending::<()>().await;
    drop((client, broker));
}
