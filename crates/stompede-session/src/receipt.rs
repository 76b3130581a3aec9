use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::driver::Shared;
use crate::protocol::{Outcome, ReceiptId};

/// Waits for one receipt. Dropping it gives its slot back; the frame is sent all the same.
pub(crate) struct Receipt {
    shared: Arc<Shared>,
    id: Option<ReceiptId>,
}

impl Receipt {
    pub(crate) fn new(shared: Arc<Shared>, id: ReceiptId) -> Self {
        Self { shared, id: Some(id) }
    }
}

impl Future for Receipt {
    /// `None` only if it is polled again after it was ready.
    type Output = Option<Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.id else { return Poll::Ready(None) };
        let outcome = self.shared.poll_receipt(id, cx);
        if outcome.is_ready() {
            self.id = None;
        }
        outcome
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.command(|machine| machine.forget_receipt(id));
        }
    }
}
