use std::future::IntoFuture;
use std::time::Duration;

use super::Client;
use super::thread::refuse_runtime;
use crate::{Message, RequestError, SendBuilder};

/// Asks, and waits for answers; made by [`Client::requester`]. See [`crate::Requester`].
#[derive(Clone, Debug)]
pub struct Requester {
    inner: crate::Requester,
    client: Client,
}

impl Requester {
    pub(super) fn new(inner: crate::Requester, client: Client) -> Self {
        Self { inner, client }
    }

    /// Sends a request to `destination` and waits for the reply; the whole of it may take so long. `fill` gives it headers
    /// and a body.
    ///
    /// # Errors
    /// As [`crate::Request`]; [`RequestError::Send`] inside an async runtime.
    pub fn request(
        &self,
        destination: &str,
        within: Duration,
        fill: impl FnOnce(SendBuilder<'_>) -> SendBuilder<'_>,
    ) -> Result<Message, RequestError> {
        let question = fill(self.client.client.send(destination));
        match refuse_runtime() {
            Ok(()) => {
                let asking = self.inner.request(question).within(within).into_future();
                self.client.thread.scoped(asking)
            }
            Err(error) => Err(RequestError::Send(question.give_up(error))),
        }
    }

    /// The async requester below, for what does not wait.
    pub fn inner(&self) -> &crate::Requester {
        &self.inner
    }
}
