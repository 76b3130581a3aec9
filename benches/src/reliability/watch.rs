//! When things happened in a session.

use std::sync::Mutex;
use std::time::Instant;

use stompede_session::Observer;
use stompede_session::protocol::{Event, ReceiptName};
use tokio::sync::Notify;

use crate::harness;

/// An observer that notes times.
#[derive(Debug, Default)]
pub(super) struct Watch {
    noted: Mutex<Vec<(Instant, Noted)>>,
    news: Notify,
}

/// What is of interest here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Noted {
    /// A dial begins.
    Connecting,
    Connected,
    /// There is no connection any more.
    Disconnected,
    /// It was silent for too long.
    Silent,
    /// A RECEIPT of the session's own.
    Receipt(String),
    /// The next attempt, by its number, comes in so many nanoseconds.
    Reconnecting(u32, u64),
}

impl Watch {
    pub(super) fn all(&self) -> Vec<(Instant, Noted)> {
        self.noted.lock().expect("nobody panics").clone()
    }

    /// Waits until this has happened `after` then, and says when.
    pub(super) async fn until(&self, after: Instant, what: impl Fn(&Noted) -> bool) -> Instant {
        loop {
            let news = self.news.notified();
            let at = self.all().into_iter().find(|(at, noted)| *at >= after && what(noted));
            match at {
                Some((at, _)) => return at,
                None => news.await,
            }
        }
    }
}

impl Observer for Watch {
    fn on_event(&self, event: &Event) {
        let noted = match event {
            Event::Connecting(_) => Noted::Connecting,
            Event::Connected(_) => Noted::Connected,
            Event::Disconnected(_) => Noted::Disconnected,
            Event::HeartBeatTimeout { .. } => Noted::Silent,
            Event::Receipt(ReceiptName::Other(name)) => Noted::Receipt(name.to_string()),
            Event::Reconnecting { attempt, next_in, .. } => {
                Noted::Reconnecting(*attempt, u64::try_from(next_in.as_nanos()).unwrap_or(u64::MAX))
            }
            _ => return,
        };
        self.noted.lock().expect("nobody panics").push((harness::now(), noted));
        self.news.notify_one();
    }
}
