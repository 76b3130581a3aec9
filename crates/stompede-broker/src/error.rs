use std::io;
use std::time::Duration;

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// An address cannot be listened on: it is taken, or not of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Something that was waited for did not come in time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} did not come within {within:?}{}", .seen.map(|seen| format!("; there were {seen}")).unwrap_or_default())]
pub struct WaitError {
    what: String,
    within: Duration,
    seen: Option<usize>,
}

impl WaitError {
    pub(crate) fn new(within: Duration) -> Self {
        Self { what: "what was waited for".to_owned(), within, seen: None }
    }

    pub(crate) fn about(self, what: String, seen: usize) -> Self {
        Self { what, seen: Some(seen), ..self }
    }
}
