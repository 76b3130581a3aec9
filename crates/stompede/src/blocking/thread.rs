//! The thread that does the client's work.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::Error;

/// The thread with the runtime. It ends when this is dropped, wherever that is.
#[derive(Debug)]
pub(super) struct Thread {
    runtime: Handle,
    _alive: oneshot::Sender<()>,
}

impl Thread {
    pub(super) fn start() -> Result<Self, Error> {
        let failed =
            |error| Error::invalid(format!("blocking: no thread for the client could be started: {error}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("stompede".to_owned());
        let serve = move || {
            // Ends when the sender is dropped; then the session's last words have a moment to be written.
            let _ = runtime.block_on(ended);
            runtime.block_on(async { tokio::time::sleep(LAST_WORDS).await });
        };
        thread.spawn(serve).map_err(failed)?;
        Ok(Self { runtime: handle, _alive: alive })
    }

    /// Has the thread do this, and waits.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        self.runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        receiver.recv().map_err(|_| Error::invalid("blocking: the client's thread has ended"))
    }

    /// Does this in the caller's thread, with the timers of the other.
    pub(super) fn scoped<T>(&self, work: impl Future<Output = T>) -> T {
        // Not inside a runtime: every caller has looked.
        self.runtime.block_on(work)
    }
}

pub(super) fn refuse_runtime() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::invalid(
            "blocking: called inside an async runtime, where a thread must not wait; use stompede::Client there",
        )),
        Err(_) => Ok(()),
    }
}

/// How long the thread outlives its client, so that DISCONNECT of a dropped client is written.
const LAST_WORDS: Duration = Duration::from_secs(1);
