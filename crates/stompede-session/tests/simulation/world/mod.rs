//! One world: a machine, its users, a link and a broker, all of it made from one seed.

mod acks;
mod disk;
mod events;
mod link;
mod look;
mod transactions;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use stompede_codec::Version;
use stompede_session::protocol::{Input, Machine, Output, SubscriptionId};
use stompede_session::{BrokerProfile, Config, Cumulative, Guarantee, WhileOffline};
use stompede_transport::{TransportError, TransportErrorKind};

use self::acks::{Confirmation, Received, Settlement};
use self::disk::Disk;
use self::events::Grammar;
use self::link::Link;
use self::transactions::Transaction;
use self::users::{Send, Subscribed};
use crate::broker::Broker;
use crate::random::Random;

pub(crate) struct World {
    random: Random,
    /// For a user that asks for another connection now and then, whether there is one or not. Chance of its own, so that all
    /// other lives are as they were when their seeds were found.
    impatience: Option<Random>,
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
    disk: Disk,
    sends: Vec<Send>,
    subscriptions: BTreeMap<SubscriptionId, Subscribed>,
    transactions: Vec<Transaction>,
    /// All messages that have come in an ack mode.
    received: Vec<Received>,
    confirmations: Vec<Confirmation>,
    /// Messages that were settled when their subscription was ended.
    settled_at_unsubscribe: BTreeSet<String>,
    /// What was settled, in order.
    settlements: Vec<Settlement>,
    /// The broker takes a cumulative ACK for more than it says, so that none may be sent.
    acks_reach_too_far: bool,
    faults: bool,
    lost_receipts: bool,
    grammar: Grammar,
}

/// What was seen that must never be.
pub(crate) type Seen<T> = Result<T, String>;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

impl World {
    pub(crate) fn new(seed: u64, prepare: impl FnOnce(&mut Machine)) -> Self {
        let mut random = Random(seed);
        let mut impatience = Random(!seed);
        let impatience = impatience.one_in(8).then_some(impatience);
        #[allow(clippy::disallowed_methods, reason = "any start will do: the world moves its clock itself")]
        let start = Instant::now();
        let mut config = Config::for_url("tcp://broker.example").expect("a URL");
        config.reconnect.retry_initial_connect = true;
        if random.one_in(2) {
            config.sending.guarantee = Guarantee::AtLeastOnce;
        }
        let queues = random.one_in(2);
        config.sending.while_offline = if queues { WhileOffline::Queue } else { WhileOffline::Fail };
        if random.one_in(3) {
            config.sending.outbox.messages = 4;
        }
        if random.one_in(2) {
            config.overflow_bytes = 10_000;
        }
        let names_culprit = random.one_in(2);
        let version = match random.up_to(6) {
            0 => Version::V1_0,
            1 | 2 => Version::V1_1,
            _ => Version::V1_2,
        };
        let disk = Disk::new(seed, &mut config);
        // Not by what the rest of the world is made from: seeds that were kept stay what they were.
        let acks_reach_too_far = Random(!seed).one_in(4);
        if acks_reach_too_far {
            let mut profile = BrokerProfile::GENERIC;
            profile.cumulative = Cumulative::Connection;
            config.profile = Some(profile);
        }
        let mut machine = Machine::with_seed(config.clone(), seed).expect("the settings are fine");
        prepare(&mut machine);
        Self {
            random,
            impatience,
            start,
            now: start,
            machine,
            deadline: None,
            config,
            broker: Broker::new(version, names_culprit, acks_reach_too_far),
            broker_up: true,
            broker_up_at: None,
            dial: None,
            link: None,
            disk,
            sends: Vec::new(),
            transactions: Vec::new(),
            subscriptions: BTreeMap::new(),
            received: Vec::new(),
            confirmations: Vec::new(),
            settled_at_unsubscribe: BTreeSet::new(),
            settlements: Vec::new(),
            acks_reach_too_far,
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
            if self.impatience.as_mut().is_some_and(|chance| chance.one_in(6)) {
                self.machine.reconnect(self.now);
                self.settle()?;
            }
            for _ in 0..1 + self.random.up_to(3) {
                self.act()?;
            }
            self.settle()?;
        }
        self.faults = false;
        self.consume_all()?;
        self.settle()?;
        self.broker_up_at.get_or_insert(self.now);
        if let Some(link) = &mut self.link {
            link.stalled_until = None;
            link.blocked_until = link.blocked_until.map(|_| self.now);
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
        let unblocked = link.and_then(|link| link.blocked_until);
        let disk = self.disk.due();
        let all = [self.deadline, self.broker_up_at, dial, to_client, to_broker, beat, unblocked, disk];
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
                self.open_link();
                self.input(Input::Opened { now })?;
            } else {
                let error = TransportError::new(TransportErrorKind::Refused, "nothing listens");
                self.input(Input::DialFailed { now, error })?;
            }
        }
        self.disk_answers()?;
        self.unblock();
        self.carry_to_broker()?;
        self.carry_to_client()?;
        self.beat()?;
        if self.deadline.is_some_and(|at| at <= now) {
            let due = self.deadline;
            self.input(Input::Timer { now })?;
            if self.deadline == due {
                return Err("a deadline that has passed is still there".into());
            }
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Seen<()> {
        self.machine.handle_input(input);
        self.settle()
    }

    /// Carries out what the machine wants, as a driver would, and looks at everything afterwards.
    fn settle(&mut self) -> Seen<()> {
        let mut blocked = false;
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
                    if self.write() || self.ask_disk() {
                        continue;
                    }
                    // What the machine makes of that is another deadline.
                    let link = self.link.as_ref().filter(|link| link.blocked_until.is_some());
                    let stuck = link.is_some() && self.machine.wants_to_write();
                    if !stuck || std::mem::replace(&mut blocked, true) {
                        break;
                    }
                    self.machine.handle_input(Input::Blocked { now: self.now });
                }
            }
        }
        self.look()
    }

    /// How long the world has lived, for a report.
    pub(crate) fn age(&self) -> Duration {
        self.now - self.start
    }
}
