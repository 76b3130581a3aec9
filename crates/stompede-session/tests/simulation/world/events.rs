//! The grammar of events, and what they tell.

use std::time::Instant;

use stompede_session::ErrorKind;
use stompede_session::protocol::Event;

use super::{Seen, World};
use crate::broker::FORBIDDEN;

#[derive(Default)]
pub(super) struct Grammar {
    pub(super) connected: bool,
    pub(super) stalled: bool,
    pub(super) connected_at: Option<Instant>,
    pub(super) closed: Option<Option<ErrorKind>>,
    pub(super) attempts: u32,
    pub(super) login_refused: bool,
}

impl World {
    pub(super) fn on_event(&mut self, event: Event) -> Seen<()> {
        let grammar = &mut self.grammar;
        if grammar.closed.is_some() {
            return Err(format!("an event after the end: {event:?}"));
        }
        match event {
            Event::Connected(_) => {
                if std::mem::replace(&mut grammar.connected, true) {
                    return Err("connected twice without an end in between".into());
                }
                grammar.connected_at = Some(self.now);
                self.broker.owed.clear();
                for subscribed in self.subscriptions.values_mut() {
                    subscribed.gap_due = self.broker.known.contains_key(&subscribed.wire_id);
                    if subscribed.destination != FORBIDDEN {
                        self.broker.owed.insert(subscribed.wire_id.clone());
                    }
                }
                self.forget_old_messages();
            }
            Event::Disconnected(_) if !std::mem::replace(&mut grammar.connected, false) => {
                return Err("disconnected without a connection".into());
            }
            Event::Disconnected(_) => {
                grammar.stalled = false;
                let lasted = grammar.connected_at.map(|at| self.now - at);
                if lasted.is_some_and(|lasted| lasted >= self.config.reconnect.stable) {
                    grammar.attempts = 0;
                }
            }
            Event::Reconnecting { attempt, next_in, cause } => {
                if grammar.connected {
                    return Err("reconnecting while connected".into());
                }
                grammar.login_refused |= cause.kind() == ErrorKind::LoginRefused;
                grammar.attempts += 1;
                let policy = &self.config.reconnect;
                let plain = policy.initial.as_secs_f64() * policy.multiplier.powi(attempt as i32 - 1);
                let least = plain.min(policy.max.as_secs_f64() / (1.0 + policy.jitter));
                if attempt != grammar.attempts
                    || next_in.as_secs_f64() < least * 0.999
                    || next_in > policy.max
                {
                    return Err(format!("attempt {attempt} in {next_in:?}, expected {}", grammar.attempts));
                }
            }
            Event::Gap(key) => match self.subscriptions.get_mut(&key) {
                Some(subscribed) => subscribed.gap_due = false,
                None => return Err(format!("a gap in {key:?}, which is gone")),
            },
            Event::SubscriptionEnded { subscription, .. } => {
                let ended = self.subscriptions.remove(&subscription).ok_or("ended twice")?;
                self.broker.owed.remove(&ended.wire_id);
                ended.inbox.discard();
            }
            Event::Delivered { subscription, .. } => {
                let slow = self.subscriptions.get(&subscription).is_some_and(|one| one.slow);
                return if slow && self.faults { Ok(()) } else { self.take(subscription) };
            }
            Event::Stalled { bytes, .. } if bytes > self.config.overflow_bytes + 64 * 1024 => {
                return Err(format!("{bytes} bytes are held"));
            }
            Event::Stalled { .. } if !grammar.connected || std::mem::replace(&mut grammar.stalled, true) => {
                return Err("stalled twice".into());
            }
            Event::Resumed { .. } if !std::mem::replace(&mut grammar.stalled, false) => {
                return Err("resumed without having stalled on this connection".into());
            }
            Event::Closed(cause) => grammar.closed = Some(cause.map(|cause| cause.kind())),
            _ => {}
        }
        Ok(())
    }
}
