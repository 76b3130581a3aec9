//! What all messages of a broker take together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Limit;
use crate::hub::Hub;
use crate::refusal::Refusal;

/// One message's share of the memory for messages; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    hub: Arc<Hub>,
    bytes: usize,
}

impl Share {
    /// Takes room for a message with so many bytes of headers and body, unless more than `limit` would be in use.
    pub(crate) fn take(hub: &Arc<Hub>, bytes: usize, limit: usize) -> Result<Self, Refusal> {
        let bytes = bytes.saturating_add(OVERHEAD);
        let held = hub.counters.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        // From here on it is given back, also if it is refused.
        let share = Self { hub: hub.clone(), bytes };
        if held.saturating_add(bytes) <= limit {
            return Ok(share);
        }
        let text = format!("all messages together take {held} of {limit} bytes, and this one {bytes}");
        Err(Refusal::limit(Limit::Storage, "broker is full", text))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hub.counters.stored_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a message takes besides its text: its entries in a queue and in a ledger, and the allocations around them.
const OVERHEAD: usize = 256;
