//! Dials one host, or several of which the first one wins.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use stompede_transport::{BoxTransport, Connecting, Connector, Endpoint, TransportError};

use crate::before_connect::Answer;
use crate::protocol::{Attempt, Race};
use crate::{BeforeConnect, Postponed, rt};

/// The dials of one attempt.
pub(super) struct Dials {
    waiting: VecDeque<Attempt>,
    running: Vec<Runner>,
    head_start: Duration,
    /// When the next one begins, whatever becomes of those that run.
    next_at: Option<Pin<Box<rt::Sleep>>>,
}

struct Runner {
    /// As it was listed; who is asked may have changed where the attempt goes.
    host: Endpoint,
    attempt: Attempt,
    step: Step,
}

enum Step {
    /// Somebody is asked before the dial.
    Preparing(Answer),
    Dialing(Connecting),
}

/// What has come of one of them.
pub(super) struct News {
    pub(super) host: Endpoint,
    pub(super) attempt: Attempt,
    pub(super) what: What,
}

pub(super) enum What {
    /// It is being dialled now.
    Dialing,
    Open(BoxTransport),
    Failed(TransportError),
    Postponed(Postponed),
}

impl Dials {
    pub(super) fn new(race: Race) -> Self {
        let Race { runners, head_start, .. } = race;
        Self { waiting: runners.into(), running: Vec::new(), head_start, next_at: None }
    }

    /// Whether nobody is left.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// The next thing that comes of one of them. Whoever has failed is out.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connector: &dyn Connector,
        before_connect: Option<&BeforeConnect>,
    ) -> Poll<News> {
        loop {
            for at in 0..self.running.len() {
                let Poll::Ready(what) = self.running[at].poll(cx, connector) else { continue };
                let Runner { host, attempt, .. } = &self.running[at];
                let news = News { host: host.clone(), attempt: attempt.clone(), what };
                if !matches!(news.what, What::Dialing) {
                    self.running.swap_remove(at);
                    // Who has failed gives way to the next one at once.
                    self.next_at = None;
                }
                return Poll::Ready(news);
            }
            if let Some(next_at) = &mut self.next_at
                && next_at.as_mut().poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            self.next_at = None;
            let Some(attempt) = self.waiting.pop_front() else { return Poll::Pending };
            if !self.waiting.is_empty() {
                let next_at = rt::now().checked_add(self.head_start);
                self.next_at = next_at.map(|at| Box::pin(rt::sleep_until(at)));
            }
            self.begin(attempt, before_connect);
        }
    }

    fn begin(&mut self, attempt: Attempt, before_connect: Option<&BeforeConnect>) {
        let host = attempt.endpoint.clone();
        let asked: Answer = match before_connect {
            Some(before_connect) => before_connect.ask(attempt.clone()),
            None => Box::pin(std::future::ready(Ok(attempt.clone()))),
        };
        self.running.push(Runner { host, attempt, step: Step::Preparing(asked) });
    }
}

impl Runner {
    fn poll(&mut self, cx: &mut Context<'_>, connector: &dyn Connector) -> Poll<What> {
        match &mut self.step {
            Step::Preparing(asked) => asked.as_mut().poll(cx).map(|answer| match answer {
                Ok(attempt) => {
                    self.step = Step::Dialing(connector.connect(attempt.endpoint.clone()));
                    self.attempt = attempt;
                    What::Dialing
                }
                Err(postponed) => What::Postponed(postponed),
            }),
            Step::Dialing(dial) => dial.as_mut().poll(cx).map(|outcome| match outcome {
                Ok(transport) => What::Open(transport),
                Err(error) => What::Failed(error),
            }),
        }
    }
}
