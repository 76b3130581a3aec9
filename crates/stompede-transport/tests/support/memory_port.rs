//! Something to dial in memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use stompede_transport::conformance::Peer;
use stompede_transport::memory::{Config, MemoryTransport};
use stompede_transport::{Connector, Endpoint, Transport, TransportError};
use tokio::sync::{Mutex, mpsc};

type Accepting<'a> = Pin<Box<dyn Future<Output = Result<Peer, TransportError>> + Send + 'a>>;

/// Where connections in memory are accepted.
pub(crate) struct Port(Mutex<mpsc::Receiver<MemoryTransport>>);

/// A connector whose end is made by `wrap`, and the port that it leads to.
pub(crate) fn listening<T: Transport + Send + 'static>(
    config: Config,
    wrap: impl Fn(MemoryTransport) -> T + Send + Sync + 'static,
) -> (impl Connector, Port) {
    let (dialled, port) = mpsc::channel(16);
    let wrap = Arc::new(wrap);
    let connector = move |_: Endpoint| {
        let (dialled, wrap, config) = (dialled.clone(), wrap.clone(), config.clone());
        async move {
            let (near, far, _) = config.pair();
            // Nobody accepts any more only at the end of a test.
            let _ = dialled.send(far).await;
            Ok(wrap(near))
        }
    };
    (connector, Port(Mutex::new(port)))
}

impl Port {
    pub(crate) fn accept(&self) -> Accepting<'_> {
        Box::pin(async {
            let far = self.0.lock().await.recv().await;
            Ok(Peer::new(far.expect("the connector is kept")).on_reset(|| {}))
        })
    }
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint::parse("memory://test").expect("a scheme and a host")
}
