//! What is said at an end, with headers of the caller's.

use std::time::Instant;

use stompede_codec::{Command, Encoder, Frame, Headers};

use super::{Machine, SubscriptionId};
use crate::Error;

impl Machine {
    /// As [`unsubscribe`](Self::unsubscribe), with more headers for UNSUBSCRIBE.
    ///
    /// # Errors
    /// As [`unsubscribe`](Self::unsubscribe); [`Unencodable`](crate::ErrorKind::Unencodable) for headers that the version
    /// cannot carry, and then the subscription goes on.
    pub fn unsubscribe_with(&mut self, id: SubscriptionId, headers: &Headers) -> Result<(), Error> {
        self.check_headers(Command::Unsubscribe, headers)?;
        if let Some(entry) = self.subscriptions.get_mut(id) {
            entry.farewell = headers.clone();
        }
        self.unsubscribe(id)
    }

    /// As [`disconnect`](Self::disconnect), with more headers for DISCONNECT. A `receipt` among them is the one that is
    /// asked for.
    ///
    /// # Errors
    /// [`Unencodable`](crate::ErrorKind::Unencodable) for headers that the version cannot carry; then nothing happens.
    pub fn disconnect_with(&mut self, now: Instant, headers: Headers) -> Result<(), Error> {
        self.check_headers(Command::Disconnect, &headers)?;
        // Whoever comes later finds that DISCONNECT is under way, or has been said.
        if self.open_version().is_ok() {
            self.farewell = headers;
        }
        self.disconnect(now);
        Ok(())
    }

    /// The subscriptions whose `id` header this is; else those to this destination.
    pub fn find_subscriptions(&self, name: &str) -> Vec<SubscriptionId> {
        let all = || self.subscriptions.iter();
        if let Some(entry) = all().find(|entry| entry.has_wire_id(name)) {
            return vec![entry.id];
        }
        all().filter(|entry| entry.request.destination == name).map(|entry| entry.id).collect()
    }

    fn check_headers(&mut self, command: Command, headers: &Headers) -> Result<(), Error> {
        let version = self.version().unwrap_or(self.config.highest_version());
        let mut frame = Frame::new(command);
        frame.headers_mut().extend(headers);
        self.transmit.check(Encoder::new(version), &frame)
    }
}
