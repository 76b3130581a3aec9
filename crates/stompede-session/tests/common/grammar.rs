//! What may follow what among the events of a session. Every test's events go through here.

use stompede_session::ErrorKind;
use stompede_session::protocol::Event;

/// Where a session stands, judged by its events alone.
#[derive(Debug, Default)]
pub(crate) struct Grammar {
    connected: bool,
    disconnecting: bool,
    stalled: bool,
    /// The end of the connection that has been announced and must come next.
    due: Option<&'static [ErrorKind]>,
    closed: bool,
}

impl Grammar {
    /// Takes one event in, and fails if it may not come here.
    pub(crate) fn step(&mut self, event: &Event) {
        assert!(!self.closed, "{event:?} after the end");
        match (self.due, event) {
            // Whom the broker has refused goes first.
            (None, _) | (Some(_), Event::SubscriptionEnded { .. }) => {}
            // The next host is tried at once.
            (Some(_), Event::Connecting(_)) if !self.connected => self.due = None,
            (
                Some(kinds),
                Event::Closed(Some(cause)) | Event::Disconnected(cause) | Event::Reconnecting { cause, .. },
            ) => {
                assert!(kinds.contains(&cause.kind()), "{cause:?} is not the end that was announced");
                self.due = None;
            }
            (Some(_), _) => unreachable!("{event:?} where the end is due"),
        }
        match event {
            Event::Connecting(_) => assert!(!self.connected, "connecting while connected"),
            Event::Connected(_) => {
                assert!(!self.connected, "connected twice");
                self.connected = true;
            }
            Event::Error(_) if self.connected => self.due = Some(&[ErrorKind::BrokerError]),
            Event::Error(_) => self.due = Some(&[ErrorKind::LoginRefused, ErrorKind::VersionMismatch]),
            Event::HeartBeatTimeout { silent_for } => {
                assert!(self.connected && !self.stalled && !silent_for.is_zero());
                self.due = Some(&[ErrorKind::HeartBeatMissed]);
            }
            Event::Disconnected(_) => {
                assert!(self.connected && !self.disconnecting, "{event:?} in the wrong place");
                (self.connected, self.stalled) = (false, false);
            }
            Event::Reconnecting { .. } => assert!(!self.connected, "reconnecting while connected"),
            Event::Closed(_) => self.closed = true,
            // Both may come while CONNECT waits for its answer.
            Event::Sent(_) | Event::HeartBeat { .. } => {}
            Event::Stalled { bytes, .. } => {
                assert!(self.connected && !self.stalled && *bytes > 0, "stalled twice");
                self.stalled = true;
            }
            Event::Resumed { .. } => {
                assert!(self.stalled, "resumed without having stalled");
                self.stalled = false;
            }
            Event::Disconnecting => {
                assert!(self.connected && !self.disconnecting, "disconnecting twice");
                self.disconnecting = true;
            }
            Event::Delivered { messages, .. } => assert!(self.connected && *messages > 0, "{event:?}"),
            Event::Dropped { messages, .. } => assert!(self.connected && *messages > 0, "{event:?}"),
            Event::Unsettled { messages, .. } => assert!(self.connected && *messages > 0, "{event:?}"),
            _ => assert!(self.connected, "{event:?} before CONNECTED"),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }
}
