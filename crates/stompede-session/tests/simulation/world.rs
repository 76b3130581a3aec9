//! One world: a machine, its users, a link and a broker, all of it made from one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use stompede_codec::{Command, Frame};
use stompede_session::protocol::{
    Delivery, Event, Inbox, Input, Machine, Outcome, Output, ReceiptId, Settle, SubscribeRequest,
    SubscriptionId, Ticket,
};
use stompede_session::{AckMode, Config, ErrorKind, Guarantee, WhileOffline};
use stompede_transport::{TransportError, TransportErrorKind};

use crate::broker::{Broker, FORBIDDEN, body_number};
use crate::random::Random;

pub(crate) struct World {
    random: Random,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) machine: Machine,
    deadline: Option<Instant>,
    config: Config,
    broker: Broker,
    broker_up: bool,
    broker_up_at: Option<Instant>,
    dial: Option<(Instant, bool)>,
    link: Option<Link>,
    sends: Vec<Send>,
    subscriptions: BTreeMap<SubscriptionId, Subscribed>,
    transactions: Vec<Transaction>,
    /// Delivered and not settled yet.
    inbox: Vec<(Frame, Ticket)>,
    faults: bool,
    lost_receipts: bool,
    grammar: Grammar,
}

struct Link {
    to_broker: VecDeque<(Instant, Bytes)>,
    to_client: VecDeque<(Instant, Bytes)>,
    /// Bytes towards the client stand still until then.
    stalled_until: Option<Instant>,
    /// The broker closes once what it said has arrived.
    closes: bool,
    next_beat: Instant,
    heard: Instant,
}

struct Send {
    receipt: Option<ReceiptId>,
    deadline: Option<Instant>,
    outcome: Option<Outcome>,
    accepted_when_resolved: usize,
    destination: String,
    made: Instant,
    /// Part of a transaction: no promise of its own.
    in_transaction: bool,
}

/// What takes effect together, or not at all.
struct Transaction {
    sends: Vec<usize>,
    commit: Option<ReceiptId>,
    outcome: Option<Outcome>,
}

struct Subscribed {
    wire_id: String,
    destination: String,
    /// It was made on an earlier connection, and no gap has been told on this one.
    gap_due: bool,
    inbox: Arc<Inbox>,
    /// Which connection the last message came on.
    epoch: u64,
    /// There was a gap in the stream since.
    gap: bool,
    /// Its consumer comes when it likes.
    slow: bool,
}

#[derive(Default)]
struct Grammar {
    connected: bool,
    stalled: bool,
    connected_at: Option<Instant>,
    closed: Option<Option<ErrorKind>>,
    attempts: u32,
    login_refused: bool,
}

/// What was seen that must never be.
pub(crate) type Seen<T> = Result<T, String>;

/// Where messages of transactions go, and no others.
const TRANSACTED: &str = "/queue/transacted";

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub(crate) fn new(seed: u64, prepare: impl FnOnce(&mut Machine)) -> Self {
        let mut random = Random(seed);
        #[allow(clippy::disallowed_methods, reason = "any start will do: the world moves its clock itself")]
        let start = Instant::now();
        let mut config = Config::for_url("tcp://broker.example").expect("a URL");
        config.reconnect.retry_initial_connect = true;
        if random.one_in(2) {
            config.sending.guarantee = Guarantee::AtLeastOnce;
        }
        if random.one_in(2) {
            config.sending.while_offline = WhileOffline::Queue;
        }
        if random.one_in(3) {
            config.sending.outbox.messages = 4;
        }
        if random.one_in(2) {
            config.overflow_bytes = 10_000;
        }
        let names_culprit = random.one_in(2);
        let mut machine = Machine::with_seed(config.clone(), seed).expect("the settings are fine");
        prepare(&mut machine);
        Self {
            random,
            start,
            now: start,
            machine,
            deadline: None,
            config,
            broker: Broker { names_culprit, ..Broker::default() },
            broker_up: true,
            broker_up_at: None,
            dial: None,
            link: None,
            sends: Vec::new(),
            transactions: Vec::new(),
            subscriptions: BTreeMap::new(),
            inbox: Vec::new(),
            faults: true,
            lost_receipts: false,
            grammar: Grammar::default(),
        }
    }

    /// A minute of life with faults, then peace, then the end.
    pub(crate) fn run(&mut self) -> Seen<()> {
        self.machine.start(self.now);
        self.settle()?;
        let revoked_at = self.random.one_in(12).then(|| self.random.up_to(40));
        for step in 0..60 {
            let pause = MS * self.random.up_to(2000) as u32;
            self.advance(pause)?;
            if revoked_at == Some(step) {
                self.broker.refuses_login = true;
            }
            if self.random.one_in(6) {
                self.fault()?;
            }
            self.act()?;
            self.settle()?;
        }
        self.faults = false;
        self.consume_all()?;
        self.settle()?;
        self.broker_up_at.get_or_insert(self.now);
        if let Some(link) = &mut self.link {
            link.stalled_until = None;
        }
        // One refused subscription or message is found with each connection, and delays grow to half a minute.
        for _ in 0..60 {
            self.advance(10 * SECOND)?;
            let since = self.grammar.connected_at.filter(|_| self.grammar.connected);
            if self.grammar.closed.is_some() || since.is_some_and(|at| self.now - at > 15 * SECOND) {
                break;
            }
        }
        self.at_peace()?;
        self.advance(320 * SECOND)?;
        self.machine.disconnect(self.now);
        self.settle()?;
        self.advance(60 * SECOND)?;
        self.at_the_end()
    }

    /// Lets time pass; whatever is due in between happens in order.
    fn advance(&mut self, by: Duration) -> Seen<()> {
        let end = self.now + by;
        let mut rounds = 0;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            rounds += 1;
            if rounds > 20_000 {
                return Err("time stands still: something is due for ever".into());
            }
            self.now = self.now.max(due);
            self.happen()?;
            self.settle()?;
        }
        self.now = end;
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        let link = self.link.as_ref();
        let to_client = link.and_then(|link| {
            let at = link.to_client.front().filter(|_| self.machine.wants_bytes())?.0;
            Some(link.stalled_until.map_or(at, |until| at.max(until)))
        });
        let to_broker = link.and_then(|link| Some(link.to_broker.front()?.0));
        let beat = link.map(|link| link.next_beat);
        let dial = self.dial.map(|(at, _)| at);
        let all = [self.deadline, self.broker_up_at, dial, to_client, to_broker, beat];
        all.into_iter().flatten().min()
    }

    fn happen(&mut self) -> Seen<()> {
        let now = self.now;
        if self.broker_up_at.is_some_and(|at| at <= now) {
            self.broker_up_at = None;
            self.broker_up = true;
        }
        if let Some((_, accepted)) = self.dial.filter(|(at, _)| *at <= now) {
            self.dial = None;
            if accepted && self.broker_up {
                self.broker.drop_connection();
                self.broker.accept();
                self.link = Some(Link {
                    to_broker: VecDeque::new(),
                    to_client: VecDeque::new(),
                    stalled_until: None,
                    closes: false,
                    next_beat: now + 5 * SECOND,
                    heard: now,
                });
                self.input(Input::Opened { now })?;
            } else {
                let error = TransportError::new(TransportErrorKind::Refused, "nothing listens");
                self.input(Input::DialFailed { now, error })?;
            }
        }
        self.carry_to_broker()?;
        self.carry_to_client()?;
        if let Some(link) = &mut self.link
            && link.next_beat <= now
        {
            link.next_beat = now + 5 * SECOND;
            if self.broker.conn.as_ref().is_some_and(|conn| conn.open && !conn.over) {
                link.to_client.push_back((now, Bytes::from_static(b"\n")));
                if now - link.heard > 10 * SECOND {
                    return Err("a heart-beat of the client's is missing".into());
                }
            }
        }
        if self.deadline.is_some_and(|at| at <= now) {
            let due = self.deadline;
            self.input(Input::Timer { now })?;
            if self.deadline == due {
                return Err("a deadline that has passed is still there".into());
            }
        }
        Ok(())
    }

    fn carry_to_broker(&mut self) -> Seen<()> {
        let now = self.now;
        while let Some(link) = &mut self.link
            && link.to_broker.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, bytes)) = link.to_broker.pop_front()
        {
            link.heard = now;
            let (random, faults) = (&mut self.random, self.faults);
            let lost = &mut self.lost_receipts;
            let said = self.broker.read(bytes, || {
                let loses = faults && random.one_in(40);
                *lost |= loses;
                loses
            })?;
            self.say(said);
        }
        Ok(())
    }

    /// The broker's words go on their way, in pieces.
    fn say(&mut self, said: String) {
        let over = self.broker.conn.as_ref().is_none_or(|conn| conn.over);
        let Some(link) = &mut self.link else { return };
        let mut bytes = Bytes::from(said);
        while !bytes.is_empty() {
            let piece = bytes.len().min(1 + self.random.up_to(400) as usize);
            let earliest = link.to_client.back().map_or(self.now, |(at, _)| *at);
            let at = earliest.max(self.now + MS * self.random.up_to(20) as u32);
            link.to_client.push_back((at, bytes.split_to(piece)));
        }
        link.closes |= over;
    }

    fn carry_to_client(&mut self) -> Seen<()> {
        let now = self.now;
        while self.machine.wants_bytes()
            && let Some(link) = &mut self.link
            && link.stalled_until.is_none_or(|until| until <= now)
            && link.to_client.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, bytes)) = link.to_client.pop_front()
        {
            self.input(Input::Received { now, bytes })?;
        }
        if self.link.as_ref().is_some_and(|link| link.closes && link.to_client.is_empty()) {
            self.cut(None)?;
        }
        Ok(())
    }

    /// The connection ends. What the broker has not read by now it never will.
    fn cut(&mut self, error: Option<TransportError>) -> Seen<()> {
        if self.link.take().is_some() {
            self.broker.drop_connection();
            self.input(Input::Closed { now: self.now, error })?;
        }
        Ok(())
    }

    fn fault(&mut self) -> Seen<()> {
        let reset = || Some(TransportError::new(TransportErrorKind::Lost, "cut"));
        match self.random.up_to(6) {
            0 => {
                // In the middle of a frame: a part of what was under way still arrives.
                if let Some(link) = &mut self.link
                    && let Some((_, bytes)) = link.to_broker.front_mut()
                {
                    bytes.truncate(bytes.len() / 2);
                    bytes_arrive(&mut self.broker, bytes.clone())?;
                }
                self.cut(reset())
            }
            1 => {
                let until = self.now + SECOND * self.random.up_to(30) as u32;
                if let Some(link) = &mut self.link {
                    link.stalled_until = Some(until);
                }
                Ok(())
            }
            2 | 3 => {
                self.broker_up = false;
                self.broker_up_at = Some(self.now + MS * self.random.up_to(15_000) as u32);
                if self.random.one_in(4) {
                    self.broker.drop_connection();
                    self.broker.queues.clear();
                }
                self.cut(reset())
            }
            4 => {
                if let Some(conn) = self.broker.conn.as_mut().filter(|conn| conn.open && !conn.over) {
                    conn.over = true;
                    self.say("ERROR\nmessage:internal error\n\n\0".into());
                }
                Ok(())
            }
            _ => self.cut(None),
        }
    }

    /// A user does something.
    fn act(&mut self) -> Seen<()> {
        match self.random.up_to(15) {
            0..=5 => (0..1 + self.random.up_to(3)).try_for_each(|_| self.send()),
            6 | 7 => self.subscribe(),
            8 => {
                let keys: Vec<_> = self.subscriptions.keys().copied().collect();
                if !keys.is_empty() && self.random.one_in(2) {
                    let key = keys[self.random.up_to(keys.len() as u64) as usize];
                    let gone = self.subscriptions.remove(&key);
                    let _ = self.machine.unsubscribe(key);
                    if let Some(gone) = gone {
                        gone.inbox.discard();
                        self.broker.owed.remove(&gone.wire_id);
                    }
                }
                Ok(())
            }
            9 => {
                // A future is dropped.
                let awaited: Vec<_> = (0..self.sends.len()).filter(|at| self.awaits(*at)).collect();
                if !awaited.is_empty() {
                    let at = awaited[self.random.up_to(awaited.len() as u64) as usize];
                    if let Some(receipt) = self.sends[at].receipt.take() {
                        self.machine.forget_receipt(receipt);
                    }
                }
                Ok(())
            }
            12 => self.transact(),
            13 => self.consume_all(),
            _ => {
                for _ in 0..self.inbox.len().min(3) {
                    let at = self.random.up_to(self.inbox.len() as u64) as usize;
                    let (message, ticket) = self.inbox.swap_remove(at);
                    let accept = !self.random.one_in(4);
                    let told = self.machine.settle(&ticket, &message, Settle::new(accept));
                    if told.is_ok() && epoch_of(&message) != Some(self.machine.epoch()) {
                        return Err("a stale ack was taken".into());
                    }
                }
                Ok(())
            }
        }
    }

    fn awaits(&self, at: usize) -> bool {
        self.sends[at].receipt.is_some() && self.sends[at].outcome.is_none()
    }

    fn send(&mut self) -> Seen<()> {
        let number = self.sends.len();
        let destination = match self.random.up_to(30) {
            0 => FORBIDDEN.to_owned(),
            other => format!("/queue/{}", other % 3),
        };
        let padding = "x".repeat(self.random.up_to(3000) as usize);
        let mut frame = Frame::new(Command::Send)
            .with_header("destination", &destination)
            .with_body(format!("m{number} {padding}"));
        let awaited = !self.random.one_in(4);
        let deadline = self.random.one_in(2).then(|| self.now + SECOND * (1 + self.random.up_to(30) as u32));
        let mut send = Send {
            receipt: None,
            deadline: deadline.filter(|_| awaited),
            outcome: None,
            accepted_when_resolved: 0,
            destination,
            made: self.now,
            in_transaction: false,
        };
        let sent = if awaited {
            self.machine.send_with_receipt(&mut frame, deadline).map(|id| send.receipt = Some(id))
        } else {
            self.machine.send(&frame)
        };
        if let Err(error) = sent {
            send.outcome = Some(Outcome::NotSent(error));
        }
        self.sends.push(send);
        Ok(())
    }

    /// Begins a transaction, sends in it, and commits it, or leaves it open, or aborts it.
    fn transact(&mut self) -> Seen<()> {
        let Ok(id) = self.machine.begin() else { return Ok(()) };
        let mut made = Transaction { sends: Vec::new(), commit: None, outcome: None };
        for _ in 0..1 + self.random.up_to(3) {
            // Now and then the connection takes what there is so far, so that a loss falls in between.
            if self.random.one_in(3) {
                self.settle()?;
            }
            let number = self.sends.len();
            let destination = TRANSACTED.to_owned();
            let frame = Frame::new(Command::Send)
                .with_header("destination", &destination)
                .with_header("transaction", id.to_string())
                .with_body(format!("m{number} "));
            if self.machine.check_transaction(id).and_then(|()| self.machine.send(&frame)).is_ok() {
                made.sends.push(number);
            }
            self.sends.push(Send {
                receipt: None,
                deadline: None,
                outcome: None,
                accepted_when_resolved: 0,
                destination,
                made: self.now,
                in_transaction: true,
            });
        }
        match self.random.up_to(4) {
            0 => self.machine.abort_transaction(id),
            1 => {}
            _ => match self.machine.commit(id, self.now.checked_add(20 * SECOND)) {
                Ok(receipt) => made.commit = Some(receipt),
                Err(error) => made.outcome = Some(Outcome::NotSent(error)),
            },
        }
        self.transactions.push(made);
        Ok(())
    }

    /// All or nothing, and what was said of it is true.
    fn look_at_transactions(&mut self) -> Seen<()> {
        let mut cx = Context::from_waker(Waker::noop());
        for made in &mut self.transactions {
            let taken =
                made.sends.iter().filter(|number| count(&self.broker.accepted, **number) == 1).count();
            if taken != 0 && taken != made.sends.len() {
                return Err(format!("half of a transaction arrived: {:?}", made.sends));
            }
            if let Some(receipt) = made.commit.filter(|_| made.outcome.is_none())
                && let Poll::Ready(Some(outcome)) = self.machine.poll_receipt(receipt, &mut cx)
            {
                made.outcome = Some(outcome);
            }
            let truth = match &made.outcome {
                None => made.commit.is_some() || taken == 0,
                Some(Outcome::Confirmed) => taken == made.sends.len(),
                Some(Outcome::NotSent(_) | Outcome::Rejected(_)) => taken == 0,
                Some(Outcome::Unknown(_)) => true,
            };
            if !truth {
                return Err(format!("{:?}: {:?}, but {taken} arrived", made.sends, made.outcome));
            }
        }
        Ok(())
    }

    /// Every slow consumer takes what waits for it.
    fn consume_all(&mut self) -> Seen<()> {
        let all: Vec<_> = self.subscriptions.keys().copied().collect();
        all.into_iter().try_for_each(|key| self.consume(key))?;
        self.machine.handle_input(Input::Taken { now: self.now });
        Ok(())
    }

    fn subscribe(&mut self) -> Seen<()> {
        if self.subscriptions.len() >= 6 {
            return Ok(());
        }
        let wire_id = format!("s{}", self.random.next());
        let destination = match self.random.up_to(10) {
            0 => FORBIDDEN.to_owned(),
            1 => TRANSACTED.to_owned(),
            other => format!("/queue/{}", other % 3),
        };
        let slow = self.random.one_in(3);
        let mut request = SubscribeRequest::new(&destination);
        request.id = Some(wire_id.clone());
        if slow {
            request.window = 2;
        }
        if self.random.one_in(2) {
            request.ack = AckMode::ClientIndividual;
        }
        if let Ok(key) = self.machine.subscribe(request) {
            let inbox = self.machine.inbox(key).ok_or("a subscription without a queue")?;
            let made = Subscribed { wire_id, destination, gap_due: false, inbox, epoch: 0, gap: false, slow };
            self.subscriptions.insert(key, made);
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Seen<()> {
        self.machine.handle_input(input);
        self.settle()
    }

    /// Carries out what the machine wants, as a driver would, and looks at everything afterwards.
    fn settle(&mut self) -> Seen<()> {
        loop {
            match self.machine.poll_output() {
                Output::Dial(_) => {
                    if self.grammar.login_refused {
                        return Err("it dials again although the login was refused".into());
                    }
                    let at = self.now + MS * (1 + self.random.up_to(300) as u32);
                    let refused = self.faults && self.random.one_in(5);
                    self.dial = Some((at, !refused));
                }
                Output::Close => {
                    if self.link.take().is_some() {
                        self.broker.drop_connection();
                        self.machine.handle_input(Input::Closed { now: self.now, error: None });
                    }
                }
                Output::Abandon => {
                    self.dial = None;
                    if self.link.take().is_some() {
                        self.broker.drop_connection();
                    }
                }
                Output::Event(event) => self.on_event(event)?,
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    if self.link.is_none() || !self.write() {
                        break;
                    }
                }
            }
        }
        self.look()
    }

    /// Writes what waits; `false` if there was nothing.
    fn write(&mut self) -> bool {
        let mut wrote = false;
        // Now and then the connection takes only a part, so that something is left when it breaks.
        let mut room = if self.faults && self.random.one_in(4) { self.random.up_to(3) } else { 1000 };
        while room > 0
            && let Some(mut item) = self.machine.poll_transmit(self.now)
        {
            room -= 1;
            wrote = true;
            let mut bytes = item.copy_to_bytes(item.remaining());
            let Some(link) = &mut self.link else { return false };
            let earliest = link.to_broker.back().map_or(self.now, |(at, _)| *at);
            let at = earliest.max(self.now + MS * self.random.up_to(20) as u32);
            let cut = bytes.len().min(1 + self.random.up_to(2000) as usize);
            link.to_broker.push_back((at, bytes.split_to(cut)));
            if !bytes.is_empty() {
                link.to_broker.push_back((at, bytes));
            }
        }
        if wrote {
            self.machine.handle_input(Input::Flushed { now: self.now });
        }
        wrote
    }

    fn on_event(&mut self, event: Event) -> Seen<()> {
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

    /// The same, and says so.
    fn take(&mut self, key: SubscriptionId) -> Seen<()> {
        self.consume(key)?;
        self.machine.handle_input(Input::Taken { now: self.now });
        Ok(())
    }

    /// A consumer takes what waits for it.
    fn consume(&mut self, key: SubscriptionId) -> Seen<()> {
        let Some(subscribed) = self.subscriptions.get_mut(&key) else {
            return Err("a message for a subscription that is gone".into());
        };
        let mut taken = VecDeque::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(_)) = subscribed.inbox.poll_take(&mut cx, &mut taken) {}
        for delivery in taken {
            let Delivery::Message { frame, ticket } = delivery else {
                subscribed.gap = true;
                continue;
            };
            let number = body_number(&frame).filter(|number| *number < self.sends.len());
            let number = number.ok_or("a message that nobody sent")?;
            let epoch = epoch_of(&frame).ok_or("a message without an epoch")?;
            let is_new =
                epoch > subscribed.epoch && self.broker.known.get(&subscribed.wire_id) < Some(&epoch);
            if (is_new && !subscribed.gap) || (subscribed.gap_due && epoch == self.machine.epoch()) {
                return Err("a message before the gap marker".into());
            }
            (subscribed.epoch, subscribed.gap) = (epoch, false);
            if subscribed.destination != self.sends[number].destination {
                return Err(format!("m{number} came to the wrong subscription"));
            }
            if self.machine.ack_mode(key) == Some(AckMode::ClientIndividual) {
                self.inbox.push((frame, ticket));
            }
        }
        Ok(())
    }

    /// What has to be true after every step.
    fn look(&mut self) -> Seen<()> {
        let mut cx = Context::from_waker(Waker::noop());
        for (number, send) in self.sends.iter_mut().enumerate() {
            let Some(receipt) = send.receipt.filter(|_| send.outcome.is_none()) else { continue };
            match self.machine.poll_receipt(receipt, &mut cx) {
                Poll::Ready(Some(outcome)) => {
                    let accepted = count(&self.broker.accepted, number);
                    let truth = match &outcome {
                        Outcome::Confirmed => accepted > 0,
                        Outcome::Rejected(_) => self.broker.rejected.contains(&number),
                        Outcome::NotSent(_) => accepted == 0,
                        Outcome::Unknown(_) => true,
                    };
                    if !truth {
                        return Err(format!("m{number}: {outcome:?}, but taken {accepted} times"));
                    }
                    send.accepted_when_resolved = accepted;
                    send.outcome = Some(outcome);
                }
                Poll::Ready(None) => return Err(format!("m{number} has lost its receipt")),
                Poll::Pending if send.deadline.is_some_and(|deadline| deadline + SECOND < self.now) => {
                    return Err(format!("m{number} is still awaited after its deadline"));
                }
                Poll::Pending => {}
            }
        }
        self.look_at_transactions()?;
        let (messages, bytes) = self.machine.kept();
        let limits = self.config.sending.outbox;
        if messages > limits.messages || bytes > limits.bytes {
            return Err(format!("the outbox holds {messages} messages, {bytes} bytes"));
        }
        if self.machine.queued_bytes() > limits.bytes + 64 * 1024 {
            return Err("the queue has no bound".into());
        }
        Ok(())
    }

    /// Faults are over for two minutes.
    fn at_peace(&mut self) -> Seen<()> {
        if self.broker.refuses_login {
            match self.grammar.closed {
                Some(Some(ErrorKind::LoginRefused)) => return Ok(()),
                // It was connected when the login was revoked, and stays so.
                None if self.grammar.connected => {}
                other => return Err(format!("the login is refused, and the session: {other:?}")),
            }
        }
        if let Some(closed) = &self.grammar.closed {
            return Err(format!(
                "it has ended for good: {closed:?}, {:?}",
                self.machine.history().to_string()
            ));
        }
        if !self.grammar.connected {
            return Err(format!("it never came back: {:?}", self.machine.attempt().last_error));
        }
        let conn = self.broker.conn.as_ref().ok_or("connected to nobody")?;
        let at_broker: BTreeSet<_> = conn.subscriptions.keys().collect();
        let wanted: BTreeSet<_> = self.subscriptions.values().map(|one| &one.wire_id).collect();
        if at_broker != wanted {
            return Err(format!("subscribed at the broker: {at_broker:?}, wanted: {wanted:?}"));
        }
        for (number, send) in self.sends.iter().enumerate() {
            let refused = send.destination == FORBIDDEN;
            let given_up = matches!(send.outcome, Some(Outcome::NotSent(_) | Outcome::Unknown(_)));
            let replayed = self.config.sending.guarantee == Guarantee::AtLeastOnce;
            if send.in_transaction {
                continue;
            }
            let age = self.now - send.made;
            let expired = self.config.sending.outbox.expiry.is_some_and(|expiry| age >= expiry);
            if replayed && !refused && !given_up && !expired && count(&self.broker.accepted, number) == 0 {
                return Err(format!("m{number} was taken in {age:?} ago, and never arrived"));
            }
        }
        Ok(())
    }

    fn at_the_end(&mut self) -> Seen<()> {
        match (&self.grammar.closed, self.broker.refuses_login) {
            (Some(None), _) | (Some(Some(ErrorKind::LoginRefused)), true) => {}
            // It waited, in vain, for the one that was lost.
            (Some(Some(ErrorKind::DisconnectTimedOut)), _) if self.lost_receipts => {}
            (other, _) => return Err(format!("the end: {other:?}")),
        }
        if self.deadline.is_some() || self.machine.kept() != (0, 0) || self.machine.queued_bytes() > 0 {
            return Err(format!("something is left: {:?}, {:?}", self.deadline, self.machine.kept()));
        }
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for number in self.broker.accepted.iter().copied().filter(|number| seen.insert(*number)) {
            if self.sends[number].in_transaction {
                continue;
            }
            let before = last.insert(&self.sends[number].destination, number);
            if before.is_some_and(|before| before > number) {
                return Err(format!("m{number} arrived after m{before:?}"));
            }
        }
        for (number, send) in self.sends.iter().enumerate() {
            let accepted = count(&self.broker.accepted, number);
            match (&send.outcome, send.receipt) {
                (None, Some(_)) => return Err(format!("m{number} never got an outcome")),
                (Some(Outcome::NotSent(_)), _) if accepted > 0 => {
                    return Err(format!("m{number} was called not sent, and arrived"));
                }
                (Some(Outcome::Confirmed), _) if accepted > send.accepted_when_resolved => {
                    return Err(format!("m{number} was sent again after it was confirmed"));
                }
                _ => {}
            }
            if accepted > 1 && self.config.sending.guarantee == Guarantee::AtMostOnce {
                return Err(format!("m{number} arrived {accepted} times, at most once was promised"));
            }
        }
        Ok(())
    }

    /// How long the world has lived, for a report.
    pub(crate) fn age(&self) -> Duration {
        self.now - self.start
    }
}

/// The connection that a message came on: it stands in front of its `ack` header.
fn epoch_of(message: &Frame) -> Option<u64> {
    message.header("ack")?.split_once('-')?.0.parse().ok()
}

fn bytes_arrive(broker: &mut Broker, bytes: Bytes) -> Seen<()> {
    broker.read(bytes, || true).map(drop)
}

fn count(all: &[usize], number: usize) -> usize {
    all.iter().filter(|one| **one == number).count()
}
