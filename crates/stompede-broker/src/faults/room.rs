//! Which faults are in force.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Faults;

/// The faults of a broker.
#[derive(Debug, Default)]
pub(crate) struct FaultRoom {
    /// Counts changes, so that connections see cheaply that there was one.
    epoch: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    everywhere: Arc<Faults>,
    next: VecDeque<Faults>,
}

/// The faults of one connection, and since which change.
#[derive(Clone, Debug, Default)]
pub(crate) struct InForce {
    pub(crate) faults: Arc<Faults>,
    pub(crate) epoch: u64,
}

impl FaultRoom {
    pub(crate) fn set_everywhere(&self, faults: Faults) {
        let mut state = self.lock();
        state.everywhere = Arc::new(faults);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn add_next(&self, faults: Faults) {
        self.lock().next.push_back(faults);
    }

    pub(crate) fn heal(&self) {
        self.lock().next.clear();
        self.set_everywhere(Faults::new());
    }

    /// What a new connection has.
    pub(crate) fn for_new(&self) -> InForce {
        let mut state = self.lock();
        let faults = state.next.pop_front().map_or_else(|| state.everywhere.clone(), Arc::new);
        InForce { faults, epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// What has changed since, for a connection that is there already.
    pub(crate) fn changed_since(&self, epoch: u64) -> Option<InForce> {
        if self.epoch.load(Ordering::Acquire) == epoch {
            return None;
        }
        let state = self.lock();
        Some(InForce { faults: state.everywhere.clone(), epoch: self.epoch.load(Ordering::Acquire) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
