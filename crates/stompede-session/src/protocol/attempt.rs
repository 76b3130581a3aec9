use std::fmt;

use stompede_transport::Endpoint;

use crate::Error;

/// One try to connect to one host: where to, and what CONNECT is going to say.
///
/// Everything but the count and the last error may be changed before the dial: see
/// [`Machine::set_attempt`](super::Machine::set_attempt).
#[derive(Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// Where to.
    pub endpoint: Endpoint,
    /// The `login` header of CONNECT.
    pub login: Option<String>,
    /// The `passcode` header of CONNECT.
    pub passcode: Option<String>,
    /// More headers for CONNECT, in this order.
    pub headers: Vec<(String, String)>,
    /// Which attempt since the last stable connection; 0 for the first connect, and all hosts of one attempt have the
    /// same number.
    pub number: u32,
    /// Why the one before failed, or why the connection was lost.
    pub last_error: Option<Error>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values stay out: tokens travel in them.
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Attempt")
            .field("endpoint", &self.endpoint)
            .field("login", &self.login)
            .field("passcode", &self.passcode.as_ref().map(|_| "***"))
            .field("headers", &headers)
            .field("number", &self.number)
            .field("last_error", &self.last_error)
            .finish()
    }
}
