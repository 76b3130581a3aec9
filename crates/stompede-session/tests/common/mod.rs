//! A machine, a scripted broker and a clock that only the test moves.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub(crate) mod grammar;
#[cfg(feature = "tokio")]
pub(crate) mod peer;

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use stompede_codec::{Command, Decoder, Frame, Item, Limits};
use stompede_session::protocol::{
    Batch, Delivery, End, Event, Inbox, Input, Machine, Output, SubscriptionId, Ticket,
};
use stompede_session::{Config, Error, ReconnectPolicy};
use stompede_transport::TransportError;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A machine and everything it asked for.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) machine: Machine,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) dialed: usize,
    pub(crate) close_asked: bool,
    pub(crate) abandoned: bool,
    pub(crate) deadline: Option<Instant>,
    /// Heart-beats among what was written.
    pub(crate) beats: usize,
    grammar: grammar::Grammar,
    written: Decoder,
}

impl Rig {
    /// A machine that has asked for its connection.
    pub(crate) fn dialing(config: Config) -> Self {
        #[allow(clippy::disallowed_methods, reason = "any start will do: the test moves the clock from here")]
        let now = Instant::now();
        let mut machine = Machine::new(config).expect("the settings are fine");
        machine.start(now);
        let mut rig = Self {
            machine,
            now,
            events: Vec::new(),
            dialed: 0,
            close_asked: false,
            abandoned: false,
            deadline: None,
            beats: 0,
            grammar: grammar::Grammar::default(),
            written: Decoder::new(Limits::default()),
        };
        rig.drain();
        rig
    }

    /// A machine whose connection is open and whose CONNECT has been written.
    pub(crate) fn opened(config: Config) -> Self {
        let mut rig = Self::dialing(config);
        rig.input(Input::Opened { now: rig.now });
        assert_eq!(rig.frames().len(), 1, "CONNECT and nothing else");
        rig
    }

    /// A machine that is logged in, with the broker speaking this version.
    pub(crate) fn connected(version: &str) -> Self {
        Self::connected_with(config(), version, "")
    }

    /// The same with settings, and more headers of CONNECTED.
    pub(crate) fn connected_with(config: Config, version: &str, headers: &str) -> Self {
        let mut rig = Self::opened(config);
        rig.receive(&format!("CONNECTED\nversion:{version}\n{headers}\n\0"));
        assert!(matches!(rig.events.remove(0), Event::Connected(_)));
        rig.written.set_version(version.parse().expect("a version"));
        rig
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.machine.handle_input(input);
        self.drain();
    }

    pub(crate) fn receive(&mut self, wire: &str) {
        let bytes = Bytes::copy_from_slice(wire.as_bytes());
        self.input(Input::Received { now: self.now, bytes });
    }

    pub(crate) fn cut(&mut self, error: Option<TransportError>) {
        self.input(Input::Closed { now: self.now, error });
    }

    /// Moves the clock, firing the timer whenever it is due, with a broker that reads what is written.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.deadline.filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.input(Input::Timer { now: self.now });
            self.frames();
            assert_ne!(self.deadline, Some(due), "a timer that has fired must not stay");
        }
        self.now = end;
    }

    /// Moves the clock, firing the timer whenever it is due, with a connection that takes nothing.
    pub(crate) fn advance_unwritten(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.deadline.filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.input(Input::Timer { now: self.now });
            assert_ne!(self.deadline, Some(due), "a timer that has fired must not stay");
        }
        self.now = end;
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Dial(_) => self.dialed += 1,
                Output::Close => self.close_asked = true,
                Output::Abandon => self.abandoned = true,
                Output::Event(event) => {
                    self.grammar.step(&event);
                    self.events.push(event);
                }
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    /// Writes everything that waits, and reads it as a broker would.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        let mut batch = Batch::default();
        loop {
            if batch.is_empty() {
                self.machine.take_batch(self.now, &mut batch);
            }
            let Some(mut item) = batch.next_frame() else { break };
            if item.is_heart_beat() {
                self.beats += 1;
            }
            self.written.push(item.copy_to_bytes(item.remaining()));
        }
        self.input(Input::Flushed { now: self.now });
        let mut frames = Vec::new();
        while let Some(item) = self.written.next().expect("what the machine writes is STOMP") {
            if let Item::Frame(frame) = item {
                frames.push(frame);
            }
        }
        frames
    }

    /// Takes what waits in the queue of a subscription.
    pub(crate) fn take(&mut self, id: SubscriptionId) -> Vec<Delivery> {
        let inbox = self.machine.inbox(id).expect("a subscription");
        let taken = self.take_from(&inbox);
        self.input(Input::Taken { now: self.now });
        taken
    }

    /// The same from a queue whose subscription may be gone.
    pub(crate) fn take_from(&self, inbox: &Inbox) -> Vec<Delivery> {
        let mut taken = VecDeque::new();
        let _ = inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken);
        taken.into()
    }

    /// Takes everything there is, and gives the bodies.
    pub(crate) fn bodies(&mut self, id: SubscriptionId) -> Vec<String> {
        let mut bodies = Vec::new();
        loop {
            let taken = self.take(id);
            if taken.is_empty() {
                return bodies;
            }
            bodies.extend(taken.iter().map(body));
        }
    }

    /// The next message of a subscription, with the right to acknowledge it.
    pub(crate) fn message(&mut self, id: SubscriptionId) -> (Frame, Ticket) {
        let mut taken = self.take(id);
        assert_eq!(taken.len(), 1, "one message: {taken:?}");
        match taken.remove(0) {
            Delivery::Message { frame, ticket } => (frame, ticket),
            Delivery::Gap(gap) => unreachable!("a message, not {gap:?}"),
        }
    }

    /// How a subscription ended, once its queue is empty.
    pub(crate) fn ending(&self, inbox: &Inbox) -> Option<End> {
        match inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut VecDeque::new()) {
            Poll::Ready(Err(end)) => Some(end),
            _ => None,
        }
    }

    /// The one frame that was written.
    pub(crate) fn frame(&mut self) -> Frame {
        let mut frames = self.frames();
        assert_eq!(frames.len(), 1, "one frame: {frames:?}");
        frames.remove(0)
    }

    /// How the session ended. It must be the last event, and there must be one only.
    pub(crate) fn end(&self) -> Option<Error> {
        let ends = self.events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
        assert_eq!(ends, 1, "one end: {:?}", self.events);
        match self.events.last() {
            Some(Event::Closed(cause)) => cause.clone(),
            other => unreachable!("the end comes last, not {other:?}"),
        }
    }
}

/// A session that ends with its connection.
pub(crate) fn config() -> Config {
    let mut config = Config::for_url("tcp://broker.example").expect("a URL");
    config.reconnect = ReconnectPolicy::never();
    config
}

pub(crate) fn send(destination: &str) -> Frame {
    Frame::new(Command::Send).with_header("destination", destination)
}

/// The header of a frame, or nothing.
pub(crate) fn header(frame: &Frame, name: &str) -> String {
    frame.header(name).unwrap_or_default().into_owned()
}

/// The body of a message; a gap says how large it is.
pub(crate) fn body(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Message { frame, .. } => frame.body_text_lossy().into_owned(),
        Delivery::Gap(gap) => format!("gap of {:?}", gap.messages),
    }
}
