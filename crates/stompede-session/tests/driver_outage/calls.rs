//! The calls, and what is expected of each.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use stompede_codec::{Command, Frame, Headers};
use stompede_session::{Error, SendError, SessionState};

use crate::common::{self, SECOND};
use crate::scene::{Returned, Scene};

pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = String> + 'a>>;

/// One public call.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) make: fn(&Scene) -> Answer<'_>,
    /// What it says while there is no connection, for each policy; [`WAITS`] if nothing.
    pub(crate) offline: [&'static str; 4],
    /// What it says once there is one again, if it waited.
    pub(crate) back: &'static str,
    /// What it says once the session has ended, if it waited.
    pub(crate) ended: &'static str,
    /// What goes to the next connection, for each policy.
    pub(crate) wire: [&'static [&'static str]; 4],
    /// The same if the future was dropped before there was one.
    pub(crate) dropped: [&'static [&'static str]; 4],
    /// The session is over with it.
    pub(crate) ends: bool,
}

pub(crate) const WAITS: &str = "waits";
/// The subscription that was there before.
pub(crate) const RESTORED: &[&str] = &["SUBSCRIBE /queue/a"];
pub(crate) const NOTHING: &[&str] = &[];
pub(crate) const SENT: &[&str] = &["SUBSCRIBE /queue/a", "SEND /queue/x"];
pub(crate) const SUBSCRIBED: &[&str] = &["SUBSCRIBE /queue/a", "SUBSCRIBE /queue/x"];
pub(crate) const REFUSED: &str = "NotSent ConnectionLost";
pub(crate) const GONE: &str = "NotSent TransactionEnded";

impl Call {
    /// One that says this whatever the policy.
    pub(crate) fn new(name: &'static str, answer: &'static str, make: fn(&Scene) -> Answer<'_>) -> Self {
        let wire = [RESTORED; 4];
        Self { name, make, offline: [answer; 4], back: "", ended: "", wire, dropped: wire, ends: false }
    }

    /// One that waits, and says this when there is a connection or the session has ended.
    pub(crate) fn waits(
        name: &'static str,
        back: &'static str,
        ended: &'static str,
        make: fn(&Scene) -> Answer<'_>,
    ) -> Self {
        Self { back, ended, ..Self::new(name, WAITS, make) }
    }

    /// A message: refused where it may not wait, and this where it may.
    pub(crate) fn message(name: &'static str, queued: &'static str, make: fn(&Scene) -> Answer<'_>) -> Self {
        let offline = [REFUSED, queued, REFUSED, queued];
        let wire = [RESTORED, SENT, RESTORED, SENT];
        let (back, ended) = ("ok", "NotSent Closed");
        Self { offline, wire, dropped: wire, back, ended, ..Self::new(name, queued, make) }
    }

    pub(crate) fn leaves(self, wire: &'static [&'static str]) -> Self {
        Self { wire: [wire; 4], dropped: [wire; 4], ..self }
    }

    pub(crate) fn ends(self) -> Self {
        Self { ends: true, ..self.leaves(NOTHING) }
    }
}

/// All of them.
pub(crate) fn calls() -> Vec<Call> {
    let mut all = messages();
    all.extend(subscriptions());
    all.extend(acknowledgements());
    all.extend(transactions());
    all.extend(others());
    all.extend(ends());
    all
}

pub(crate) fn messages() -> Vec<Call> {
    vec![
        Call::message("send", "ok", |scene| Box::pin(async { sent(scene.session.send("/queue/x").await) })),
        Call::message("send_frame", "ok", |scene| {
            Box::pin(async { sent(scene.session.send_frame(common::send("/queue/x")).await) })
        }),
        Call::message("confirm", WAITS, |scene| {
            Box::pin(async { sent(scene.session.send("/queue/x").confirm().await) })
        }),
        Call {
            back: "NotSent ReceiptTimedOut",
            wire: [RESTORED; 4],
            ..Call::message("confirm deadline", WAITS, |scene| {
                Box::pin(async { sent(scene.session.send("/queue/x").deadline(SECOND / 20).confirm().await) })
            })
        },
        // Only messages may wait for a connection; any other frame would be a surprise on it.
        Call::new("send_frame BEGIN", REFUSED, |scene| {
            let begin = Frame::new(Command::Begin).with_header("transaction", "t");
            Box::pin(async { sent(scene.session.send_frame(begin).await) })
        }),
        Call::new("send_frame BEGIN confirm", REFUSED, |scene| {
            let begin = Frame::new(Command::Begin).with_header("transaction", "t");
            Box::pin(async { sent(scene.session.send_frame(begin).confirm().await) })
        }),
    ]
}

pub(crate) fn subscriptions() -> Vec<Call> {
    vec![
        Call::new("subscribe", "ok", |scene| {
            Box::pin(async { scene.keep(scene.session.subscribe("/queue/x").await) })
        })
        .leaves(SUBSCRIBED),
        Call {
            wire: [SUBSCRIBED; 4],
            ..Call::waits("subscribe confirm", "ok", "Closed", |scene| {
                Box::pin(async {
                    scene.keep(scene.session.subscribe("/queue/x").confirm().into_future().await)
                })
            })
        },
        Call::waits("subscribe confirm deadline", "ReceiptTimedOut", "Closed", |scene| {
            Box::pin(async {
                let within = scene.session.subscribe("/queue/x").confirm().deadline(SECOND / 20);
                scene.keep(within.into_future().await)
            })
        }),
        Call::waits("try_next", "again after a gap", "end", |scene| {
            Box::pin(async {
                let mut inbox = Returned::take(scene);
                match inbox.inner().try_next().await {
                    Ok(Some(message)) if message.gap().is_some() => {
                        format!("{} after a gap", message.text().expect("text"))
                    }
                    Ok(Some(_)) => "no gap".into(),
                    Ok(None) => "end".into(),
                    Err(error) => format!("{:?}", error.kind()),
                }
            })
        }),
        Call::new("Session::unsubscribe", "ok", |scene| {
            Box::pin(async { told(scene.session.unsubscribe(scene.message().subscription())) })
        })
        .leaves(NOTHING),
        Call::new("unsubscribe_with", "ok", |scene| {
            Box::pin(async {
                let headers = Headers::from_iter([("a", "b")]);
                told(scene.session.unsubscribe_with(scene.message().subscription(), &headers))
            })
        })
        .leaves(NOTHING),
        Call::new("Subscription::unsubscribe", "ok", |scene| {
            Box::pin(async {
                told(scene.inbox.lock().expect("no panic").take().expect("there").unsubscribe())
            })
        })
        .leaves(NOTHING),
        Call::new("drop a subscription", "ok", |scene| {
            Box::pin(async {
                drop(scene.inbox.lock().expect("no panic").take());
                "ok".into()
            })
        })
        .leaves(NOTHING),
        Call::new("find_subscriptions", "1", |scene| {
            Box::pin(async { scene.session.find_subscriptions("/queue/a").len().to_string() })
        }),
    ]
}

pub(crate) fn acknowledgements() -> Vec<Call> {
    let stale = "StaleAck";
    vec![
        Call::new("ack", stale, |scene| Box::pin(async { told(scene.message().ack()) })),
        Call::new("nack", stale, |scene| Box::pin(async { told(scene.message().nack()) })),
        Call::new("ack_with", stale, |scene| {
            Box::pin(async { told(scene.message().ack_with([("a", "b")])) })
        }),
        Call::new("nack_with", stale, |scene| {
            Box::pin(async { told(scene.message().nack_with([("a", "b")])) })
        }),
        Call::new("ack_confirmed", stale, |scene| {
            Box::pin(async { told(scene.message().ack_confirmed().await) })
        }),
    ]
}

pub(crate) fn transactions() -> Vec<Call> {
    vec![
        Call::new("begin", "ConnectionLost", |scene| {
            Box::pin(async { told(scene.session.begin().await.map(|_| ())) })
        }),
        Call::new("Transaction::send", GONE, |scene| {
            Box::pin(async { sent(scene.transaction().send("/queue/x").await) })
        }),
        Call::new("Transaction::send confirm", GONE, |scene| {
            Box::pin(async { sent(scene.transaction().send("/queue/x").confirm().await) })
        }),
        Call::new("Transaction::ack", "StaleAck", |scene| {
            Box::pin(async { told(scene.transaction().ack(&scene.message())) })
        }),
        Call::new("Transaction::nack", "StaleAck", |scene| {
            Box::pin(async { told(scene.transaction().nack(&scene.message())) })
        }),
        Call::new("commit", GONE, |scene| Box::pin(async { sent(scene.transaction().commit().await) })),
        Call::new("Transaction::abort", "ok", |scene| {
            Box::pin(async {
                scene.transaction().abort();
                "ok".into()
            })
        }),
    ]
}

pub(crate) fn others() -> Vec<Call> {
    vec![
        Call::new("flush", "ConnectionLost", |scene| Box::pin(async { told(scene.session.flush().await) })),
        Call::new("state", "Reconnecting", |scene| Box::pin(async { standing(&scene.session.state()) })),
        // Each attempt that fails is a change; this one waits for what it wants to see.
        Call::waits("state_changes", "Connected", "Closed", |scene| {
            let mut changes = scene.session.state_changes();
            Box::pin(async move {
                let seen =
                    changes.wait_for(|state| !matches!(state, SessionState::Reconnecting { .. })).await;
                standing(&seen.expect("it says how it ended"))
            })
        }),
        Call::new("connected", "none", |scene| {
            Box::pin(async { if scene.session.connected().is_none() { "none" } else { "some" }.into() })
        }),
        Call::new("history", "attempt 1", |scene| {
            Box::pin(async {
                let text = scene.session.history().to_string();
                if text.contains("attempt 1 in") { "attempt 1".into() } else { text }
            })
        }),
        Call::new("tell_sends", "ok", |scene| {
            Box::pin(async {
                scene.session.tell_sends(true);
                "ok".into()
            })
        }),
        // A connection is no end.
        Call::waits("closed", WAITS, "none", |scene| {
            Box::pin(async {
                scene.session.closed().await.map_or("none".into(), |error| format!("{:?}", error.kind()))
            })
        }),
    ]
}

pub(crate) fn ends() -> Vec<Call> {
    vec![
        Call::new("disconnect", "ok", |scene| Box::pin(async { told(scene.session.disconnect().await) }))
            .ends(),
        Call::new("disconnect_with", "ok", |scene| {
            Box::pin(async { told(scene.session.disconnect_with(Headers::from_iter([("a", "b")])).await) })
        })
        .ends(),
        Call::new("abort", "ok", |scene| {
            Box::pin(async {
                scene.session.abort();
                "ok".into()
            })
        })
        .ends(),
        Call::new("drain", "ok", |scene| {
            Box::pin(async {
                scene.let_go();
                told(scene.session.drain(SECOND).await)
            })
        })
        .ends(),
        Call::waits("drain with a message in hand", "DrainTimedOut", "DrainTimedOut", |scene| {
            Box::pin(async { told(scene.session.drain(SECOND).await) })
        })
        .leaves(NOTHING),
    ]
}

/// Those that are under way when the connection is lost: `offline` is what they say then.
pub(crate) fn under_way() -> Vec<Call> {
    let resent = [RESTORED, RESTORED, SENT, SENT];
    vec![
        Call {
            offline: ["Unknown ConnectionLost", "Unknown ConnectionLost", WAITS, WAITS],
            back: "ok",
            wire: resent,
            dropped: resent,
            ..Call::new("confirm", "", |scene| {
                Box::pin(async { sent(scene.session.send("/queue/x").confirm().await) })
            })
        },
        Call {
            wire: [SUBSCRIBED; 4],
            ..Call::waits("subscribe confirm", "ok", "Closed", |scene| {
                Box::pin(async {
                    scene.keep(scene.session.subscribe("/queue/x").confirm().into_future().await)
                })
            })
        },
        Call::new("ack_confirmed", "ConnectionLost", |scene| {
            Box::pin(async { told(scene.message().ack_confirmed().await) })
        }),
        Call::new("commit", "Unknown ConnectionLost", |scene| {
            Box::pin(async { sent(scene.transaction().commit().await) })
        }),
        Call::new("Transaction::send confirm", "Unknown ConnectionLost", |scene| {
            Box::pin(async {
                let transaction = scene.transaction();
                sent(transaction.send("/queue/x").confirm().await)
            })
        }),
    ]
}

pub(crate) fn told(result: Result<(), Error>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |()| "ok".into())
}

pub(crate) fn sent<T>(result: Result<T, SendError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(SendError::NotSent(unsent)) => {
            assert!(unsent.frame.headers().iter().next().is_some(), "the frame comes back");
            format!("NotSent {:?}", unsent.cause.kind())
        }
        Err(SendError::Unknown(cause)) => format!("Unknown {:?}", cause.kind()),
        Err(SendError::Rejected(cause)) => format!("Rejected {:?}", cause.kind()),
    }
}

pub(crate) fn standing(state: &SessionState) -> String {
    let text = format!("{state:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
