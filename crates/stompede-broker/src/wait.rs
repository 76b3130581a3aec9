//! Waiting for what a test needs to be there.

use std::time::Duration;

use crate::requests::lock;
use crate::{Broker, WaitError};

impl Broker {
    /// Waits until at least `count` subscriptions to this destination are there, written as SUBSCRIBE wrote it.
    ///
    /// A subscription is made before its RECEIPT; a client that asks for none may be waited for here. With virtual hosts
    /// this is about the first.
    ///
    /// # Errors
    /// [`WaitError`] if they are not there in time; it says how many were.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_for_subscriptions(
        &self,
        destination: &str,
        count: usize,
        within: Duration,
    ) -> Result<(), WaitError> {
        let number = || self.first_host(|router| router.subscriptions_to(destination));
        self.wait_until(within, |_| number() >= count)
            .await
            .map_err(|error| error.about(format!("{count} subscriptions to {destination}"), number()))
    }

    /// Waits until a queue holds at least `count` messages, those not counted that have been delivered.
    ///
    /// With virtual hosts this is about the first.
    ///
    /// # Errors
    /// [`WaitError`] if they are not there in time; it says how many were.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_for_messages(
        &self,
        destination: &str,
        count: usize,
        within: Duration,
    ) -> Result<(), WaitError> {
        let number = || self.first_host(|router| router.messages_in(destination));
        self.wait_until(within, |_| number() >= count)
            .await
            .map_err(|error| error.about(format!("{count} messages in {destination}"), number()))
    }

    /// Waits until something about the broker is so; looks again after each change of what can be looked at.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(broker: stompede_broker::Broker) -> Result<(), stompede_broker::WaitError> {
    /// broker.wait_until(Duration::from_secs(5), |broker| broker.stats().connections == 0).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WaitError`] if it is not so in time.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_until(&self, within: Duration, is_so: impl Fn(&Self) -> bool) -> Result<(), WaitError> {
        let watcher = self.shared().hub.watch();
        let waiting = watcher.until(|| is_so(self));
        tokio::time::timeout(within, waiting).await.map_err(|_| WaitError::new(within))
    }

    fn first_host<T>(&self, look: impl FnOnce(&crate::router::Router) -> T) -> T
    where
        T: Default,
    {
        self.shared().hosts.find(None).map(|host| look(&lock(&host.router))).unwrap_or_default()
    }
}
