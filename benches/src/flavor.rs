//! The runtimes that everything is measured on.

use tokio::runtime::{Builder, Runtime};

/// What drives the tasks of a broker or a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flavor {
    /// One thread, as `#[tokio::test]` has it.
    CurrentThread,
    /// A worker for each of two cores.
    TwoWorkers,
}

impl Flavor {
    pub(crate) const ALL: [Self; 2] = [Self::CurrentThread, Self::TwoWorkers];

    /// The name on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "ct",
            Self::TwoWorkers => "mt",
        }
    }

    /// A new runtime.
    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::TwoWorkers => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("the system has threads and descriptors left")
    }
}
