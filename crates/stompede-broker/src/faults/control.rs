//! How faults are put in force, and outages made.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Faults;
use crate::hosts::Host;
use crate::requests::lock;
use crate::{Broker, BrokerError};

/// What becomes of queues when a broker restarts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Queues {
    /// They keep what they hold, as durable queues do.
    Keep,
    /// They are forgotten.
    Forget,
}

impl Broker {
    /// Puts these faults in force on every connection, open or to come, in the place of those before.
    pub fn inject(&self, faults: Faults) {
        self.shared().faults.set_everywhere(faults);
        self.wake_all();
    }

    /// Puts these faults in force on the next connection that comes, and on no other.
    ///
    /// Said several times, it is about the next one, the one after it, and so on. [`inject`](Self::inject) and
    /// [`heal`](Self::heal) overrule it where that connection is open already.
    pub fn inject_next(&self, faults: Faults) {
        self.shared().faults.add_next(faults);
    }

    /// Ends all faults. What was stalled or late goes on its way.
    pub fn heal(&self) {
        self.shared().faults.heal();
        self.wake_all();
    }

    /// Cuts off every open connection at once, without a goodbye. Others may come.
    pub fn hang_up(&self) {
        for entry in self.shared().places.lock().values() {
            entry.cut.store(true, Ordering::Release);
            entry.outbox.wake();
        }
    }

    /// Goes down: cuts off every connection without a goodbye and listens no more. Queues stay as they are, and what
    /// was not acknowledged is back in them.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, the broker is down all the same.
    pub async fn go_down(&self) {
        // Before and after: the first so that nobody has time for a goodbye, the second for who came in between.
        self.hang_up();
        self.set_down(true);
        self.hang_up();
        let mut tasks = std::mem::take(&mut *self.tasks().lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }

    /// Listens again where it did before it went down. Without effect if it is not down.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] if somebody has taken an address in the meantime. It is down then, and may be told again.
    pub async fn come_up(&self) -> Result<(), BrokerError> {
        if !self.is_down() {
            return Ok(());
        }
        let listeners = self.bind_again().await?;
        self.set_down(false);
        listeners.into_iter().for_each(|listener| self.serve(listener));
        Ok(())
    }

    /// Goes down and comes up again.
    ///
    /// # Errors
    /// As [`come_up`](Self::come_up).
    pub async fn restart(&self, queues: Queues) -> Result<(), BrokerError> {
        self.go_down().await;
        if queues == Queues::Forget {
            self.forget_queues();
        }
        self.come_up().await
    }

    /// Empties every queue.
    pub fn forget_queues(&self) {
        self.shared().hosts.all().for_each(|Host { router, .. }| lock(router).forget_queues());
    }

    fn wake_all(&self) {
        self.shared().places.lock().values().for_each(|entry| entry.outbox.wake());
    }
}
