//! A broker on a runtime and threads of its own, as a program would have it.

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use stompede_broker::{Broker, BrokerBuilder};
use tokio::sync::oneshot;

use super::DEADLINE;
use crate::flavor::Flavor;

/// A broker and the thread that keeps its runtime going; both end when it is dropped.
pub(super) struct Running {
    broker: Option<Broker>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a broker.
    ///
    /// # Panics
    /// If it does not start.
    pub(super) fn start(flavor: Flavor, builder: BrokerBuilder) -> Self {
        let (started, starting) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = flavor.runtime();
            let broker = runtime.block_on(builder.start()).expect("127.0.0.1 has free ports");
            if started.send(broker).is_ok() {
                // An error says that the other end has gone, which is the sign to stop as well.
                let _ = runtime.block_on(stopped);
            }
        });
        let broker = starting.recv_timeout(DEADLINE).expect("the broker starts in time");
        Self { broker: Some(broker), stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("it is taken only when this is dropped")
    }

    /// Where it listens for TCP.
    pub(super) fn address(&self) -> SocketAddr {
        address(self.broker())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The broker's tasks end with it, the runtime with its thread.
        drop(self.broker.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where a broker listens for TCP.
pub(super) fn address(broker: &Broker) -> SocketAddr {
    let url = broker.tcp_url().expect("it listens for TCP unless told not to");
    url.trim_start_matches("tcp://").parse().expect("it was told to listen on an address, not a name")
}
