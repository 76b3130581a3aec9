use crate::requests::Logins;
use crate::{Broker, BrokerError, BrokerLimits};

/// Settings of a [`Broker`]; made by [`Broker::builder`].
#[derive(Debug)]
#[must_use = "nothing happens before start()"]
pub struct BrokerBuilder {
    pub(crate) tcp: Option<String>,
    pub(crate) ws: Option<String>,
    pub(crate) logins: Logins,
    pub(crate) limits: BrokerLimits,
}

impl BrokerBuilder {
    pub(crate) fn new() -> Self {
        let free_port = || Some("127.0.0.1:0".to_owned());
        Self { tcp: free_port(), ws: free_port(), logins: Logins::default(), limits: BrokerLimits::default() }
    }

    /// Where to listen for TCP, as `host:port`; a free port of 127.0.0.1 unless set.
    pub fn tcp(mut self, address: impl Into<String>) -> Self {
        self.tcp = Some(address.into());
        self
    }

    /// Where to listen for WebSocket, as `host:port`; a free port of 127.0.0.1 unless set. Any path will do.
    pub fn ws(mut self, address: impl Into<String>) -> Self {
        self.ws = Some(address.into());
        self
    }

    /// Does not listen for TCP.
    pub fn without_tcp(mut self) -> Self {
        self.tcp = None;
        self
    }

    /// Does not listen for WebSocket.
    pub fn without_ws(mut self) -> Self {
        self.ws = None;
        self
    }

    /// Lets in only who gives this login and passcode, or another one named so. Anybody is let in unless set.
    pub fn login(mut self, login: impl Into<String>, passcode: impl Into<String>) -> Self {
        self.logins.0.insert(login.into(), passcode.into());
        self
    }

    /// What clients may take.
    pub fn limits(mut self, limits: BrokerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts to listen.
    ///
    /// Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] if an address cannot be listened on.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        Broker::listen(self).await
    }
}
