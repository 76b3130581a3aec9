//! Asks the outbox for what the protocol says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Driver;
use crate::protocol::OutboxJob;
use crate::{Error, ErrorKind, Outbox, Stored, rt};

/// An outbox, and what it has been asked.
pub(super) struct Storing {
    outbox: Arc<dyn Outbox>,
    within: Duration,
    asked: Option<Asked>,
}

type Asked = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Storing {
    pub(super) fn new(outbox: Arc<dyn Outbox>, within: Duration) -> Self {
        Self { outbox, within, asked: None }
    }

    /// Whether an answer is awaited.
    pub(super) fn is_busy(&self) -> bool {
        self.asked.is_some()
    }

    fn ask(&mut self, job: OutboxJob) -> &mut Asked {
        let (outbox, within) = (self.outbox.clone(), self.within);
        let answer = async move {
            match job {
                OutboxJob::Append(messages) => outbox.append(&messages).await,
                OutboxJob::Remove(ids) => outbox.remove(&ids).await,
            }
        };
        self.asked
            .insert(Box::pin(async move { rt::timeout(within, answer).await.map_err(|_| too_late(within))? }))
    }
}

impl Driver {
    /// `true` if the outbox has answered, which may have left something to write.
    pub(super) fn poll_outbox(&mut self, cx: &mut Context<'_>) -> bool {
        let mut answered = false;
        while let Some(storing) = &mut self.storing {
            let asked = match &mut storing.asked {
                Some(asked) => asked,
                None => match self.shared.lock().machine.poll_outbox() {
                    Some(job) => storing.ask(job),
                    None => break,
                },
            };
            let Poll::Ready(done) = asked.as_mut().poll(cx) else { break };
            storing.asked = None;
            answered = true;
            self.shared.lock().machine.outbox_done(rt::now(), done);
            self.run_and_wait(None);
        }
        answered
    }
}

/// What an earlier session has left.
pub(crate) async fn load(outbox: &dyn Outbox, within: Duration) -> Result<Vec<Stored>, Error> {
    let loaded = rt::timeout(within, outbox.load()).await.unwrap_or_else(|_| Err(too_late(within)));
    let text = "the outbox does not say what it holds";
    loaded.map_err(|error| Error::with_other(ErrorKind::OutboxFailed, text, error))
}

fn too_late(within: Duration) -> BoxError {
    format!("it has not answered within {within:?}").into()
}
