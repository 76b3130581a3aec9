//! A broker that knows no more of STOMP than the simulation needs, and notes whatever it should never have seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use stompede_codec::{Command, Decoder, Frame, Item, Limits, Version};
use stompede_session::AckMode;

/// What outlives its connections, and what it notes about them.
#[derive(Debug)]
pub(crate) struct Broker {
    /// What it speaks.
    version: Version,
    pub(crate) queues: BTreeMap<String, VecDeque<String>>,
    /// Which messages it took, in the order in which it took them, with repetitions.
    pub(crate) accepted: Vec<usize>,
    /// How often it took each.
    times: Vec<usize>,
    pub(crate) rejected: BTreeSet<usize>,
    /// Messages that were settled since somebody looked, by their ids, and whether by ACK.
    pub(crate) settled: Vec<(String, bool)>,
    /// All that ever were.
    pub(crate) ever_settled: BTreeSet<String>,
    /// Messages that were not settled when their subscription ended, since somebody looked.
    pub(crate) left: Vec<String>,
    pub(crate) refuses_login: bool,
    /// It takes an ACK of ack mode client for all earlier messages of the connection.
    reaches_too_far: bool,
    /// Its ERRORs say by `receipt-id` which frame they are about.
    pub(crate) names_culprit: bool,
    /// Subscriptions that any new connection has to make before it sends anything.
    pub(crate) owed: BTreeSet<String>,
    /// Subscriptions that were ever made, and on which connection first.
    pub(crate) known: BTreeMap<String, u64>,
    pub(crate) conn: Option<Conn>,
    pub(crate) conns: u32,
}

#[derive(Debug)]
pub(crate) struct Conn {
    number: u32,
    decoder: Decoder,
    pub(crate) open: bool,
    pub(crate) subscriptions: BTreeMap<String, Subscribed>,
    /// Delivered and not settled, by number of delivery.
    unacked: BTreeMap<u64, Unacked>,
    /// What each open transaction holds back.
    transactions: BTreeMap<String, Vec<Held>>,
    deliveries: u64,
    /// It has said its last word.
    pub(crate) over: bool,
}

#[derive(Debug)]
pub(crate) struct Subscribed {
    destination: String,
    ack: AckMode,
}

#[derive(Debug)]
struct Unacked {
    subscription: String,
    queue: String,
    body: String,
}

#[derive(Debug)]
enum Held {
    Send { number: usize, destination: String, body: String },
    Settling(Settling),
}

/// An ACK, or a NACK.
#[derive(Debug)]
struct Settling {
    /// Of the delivery that it names.
    number: u64,
    subscription: String,
    /// It settles all earlier ones of the subscription too.
    cumulative: bool,
    accepted: bool,
}

impl Broker {
    pub(crate) fn new(version: Version, names_culprit: bool, reaches_too_far: bool) -> Self {
        Self {
            version,
            reaches_too_far,
            names_culprit,
            queues: BTreeMap::new(),
            accepted: Vec::new(),
            times: Vec::new(),
            rejected: BTreeSet::new(),
            settled: Vec::new(),
            ever_settled: BTreeSet::new(),
            left: Vec::new(),
            refuses_login: false,
            owed: BTreeSet::new(),
            known: BTreeMap::new(),
            conn: None,
            conns: 0,
        }
    }

    /// How often it took this message.
    pub(crate) fn times(&self, number: usize) -> usize {
        self.times.get(number).copied().unwrap_or_default()
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Whether both sides beat: STOMP 1.0 has no heart-beats.
    pub(crate) fn beats(&self) -> bool {
        self.version > Version::V1_0
    }

    /// The ids of messages that wait to be settled, and the ids of their subscriptions.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (String, &str)> {
        self.conn.iter().flat_map(|conn| {
            let name = |number: &u64| message_id(conn.number, *number);
            conn.unacked.iter().map(move |(number, one)| (name(number), one.subscription.as_str()))
        })
    }

    pub(crate) fn accept(&mut self) {
        self.conns += 1;
        self.conn = Some(Conn {
            number: self.conns,
            decoder: Decoder::new(Limits::default()),
            open: false,
            subscriptions: BTreeMap::new(),
            unacked: BTreeMap::new(),
            transactions: BTreeMap::new(),
            deliveries: 0,
            over: false,
        });
    }

    /// The connection is gone: what was not acknowledged goes back to where it was.
    pub(crate) fn drop_connection(&mut self) {
        let Some(conn) = self.conn.take() else { return };
        for (_, Unacked { queue, body, .. }) in conn.unacked.into_iter().rev() {
            self.queues.entry(queue).or_default().push_front(body);
        }
    }

    /// Reads, and gives what it says to that. `loses` says whether the next RECEIPT is lost.
    pub(crate) fn read(&mut self, bytes: Bytes, mut loses: impl FnMut() -> bool) -> Result<String, String> {
        let mut said = String::new();
        if let Some(conn) = &mut self.conn {
            conn.decoder.push(bytes);
        }
        loop {
            let Some(conn) = self.conn.as_mut().filter(|conn| !conn.over) else { return Ok(said) };
            match conn.decoder.next().map_err(|error| format!("the client sent no STOMP: {error}"))? {
                None => break,
                Some(Item::HeartBeat) => {}
                Some(Item::Frame(frame)) => self.on_frame(&frame, &mut said, &mut loses)?,
            }
        }
        said += &self.deliver();
        Ok(said)
    }

    fn on_frame(
        &mut self,
        frame: &Frame,
        said: &mut String,
        loses: &mut impl FnMut() -> bool,
    ) -> Result<(), String> {
        let header = |name: &str| frame.header(name).unwrap_or_default().into_owned();
        let receipt = header("receipt");
        let named = self.names_culprit && !receipt.is_empty();
        let name = if named { format!("receipt-id:{receipt}\n") } else { String::new() };
        let refusal = format!("ERROR\nmessage:access_refused\n{name}\n\0");
        let Some(conn) = &mut self.conn else { return Ok(()) };
        match frame.command() {
            Command::Connect if self.refuses_login => {
                conn.over = true;
                *said += "ERROR\nmessage:Bad CONNECT\n\nAccess refused\0";
                return Ok(());
            }
            Command::Connect => {
                conn.open = true;
                conn.decoder.set_version(self.version);
                *said += &match self.version {
                    Version::V1_0 => "CONNECTED\nsession:s-1\n\n\0".to_owned(),
                    version => format!("CONNECTED\nversion:{version}\nheart-beat:10000,10000\n\n\0"),
                };
                return Ok(());
            }
            _ if !conn.open => return Err(format!("{} before CONNECT", frame.command())),
            Command::Send => {
                let number = body_number(frame).ok_or("a SEND that nobody sent")?;
                if let Some(late) = self.owed.iter().find(|id| !conn.subscriptions.contains_key(*id)) {
                    return Err(format!("m{number} was sent before the subscription {late} was made again"));
                }
                if header("destination") == FORBIDDEN {
                    self.rejected.insert(number);
                    conn.over = true;
                    *said += &refusal;
                    return Ok(());
                }
                let (destination, body) = (header("destination"), frame.body_text_lossy().into_owned());
                if frame.headers().contains("transaction") {
                    let held = conn.transactions.get_mut(&header("transaction"));
                    let send = Held::Send { number, destination, body };
                    held.ok_or("a SEND in an old transaction")?.push(send);
                } else {
                    self.take(number, destination, body);
                }
            }
            Command::Subscribe => {
                if header("destination") == FORBIDDEN {
                    conn.over = true;
                    *said += &refusal;
                    return Ok(());
                }
                let far = self.reaches_too_far;
                let ack = match header("ack").as_str() {
                    "auto" => AckMode::Auto,
                    "client" if !far => AckMode::Client,
                    "client-individual" if far || self.version > Version::V1_0 => AckMode::ClientIndividual,
                    other => return Err(format!("a SUBSCRIBE with ack:{other} in {}", self.version)),
                };
                let made = Subscribed { destination: header("destination"), ack };
                self.known.entry(header("id")).or_insert(u64::from(conn.number));
                if conn.subscriptions.insert(header("id"), made).is_some() {
                    return Err(format!("a second SUBSCRIBE for {}", header("id")));
                }
            }
            Command::Unsubscribe => {
                self.owed.remove(&header("id"));
                if conn.subscriptions.remove(&header("id")).is_none() {
                    return Err(format!("UNSUBSCRIBE for {}, which was never made here", header("id")));
                }
                let left = conn.unacked.iter().filter(|(_, one)| one.subscription == header("id"));
                self.left.extend(left.map(|(at, _)| message_id(conn.number, *at)));
            }
            Command::Ack | Command::Nack => {
                let settling = conn.settling(frame, self.version)?;
                if frame.headers().contains("transaction") {
                    let held = conn.transactions.get_mut(&header("transaction"));
                    let held = held.ok_or_else(|| format!("{} in an old transaction", frame.command()))?;
                    held.push(Held::Settling(settling));
                } else {
                    self.settle(&settling);
                }
            }
            Command::Begin => {
                conn.transactions.insert(header("transaction"), Vec::new());
            }
            Command::Commit => {
                let held = conn.transactions.remove(&header("transaction")).ok_or("an old COMMIT")?;
                for one in held {
                    match one {
                        Held::Send { number, destination, body } => self.take(number, destination, body),
                        Held::Settling(Settling { number, .. })
                            if self.reaches_too_far && !self.is_unsettled(number) =>
                        {
                            return Err(format!("COMMIT settles delivery {number} a second time"));
                        }
                        Held::Settling(settling) => self.settle(&settling),
                    }
                }
            }
            Command::Abort => {
                conn.transactions.remove(&header("transaction")).ok_or("an old ABORT")?;
            }
            Command::Disconnect => conn.over = true,
            other => return Err(format!("an old {other}")),
        }
        // The last one is never lost: how an end without it looks is told by the cut.
        if !receipt.is_empty() && (frame.command() == Command::Disconnect || !loses()) {
            *said += &format!("RECEIPT\nreceipt-id:{receipt}\n\n\0\n");
        }
        Ok(())
    }

    fn is_unsettled(&self, number: u64) -> bool {
        self.conn.as_ref().is_some_and(|conn| conn.unacked.contains_key(&number))
    }

    fn take(&mut self, number: usize, destination: String, body: String) {
        self.accepted.push(number);
        if self.times.len() <= number {
            self.times.resize(number + 1, 0);
        }
        self.times[number] += 1;
        self.queues.entry(destination).or_default().push_back(body);
    }

    /// Settles what it names and, if it is cumulative, what is left of all that was delivered before.
    fn settle(&mut self, settling: &Settling) {
        let Some(conn) = &mut self.conn else { return };
        let Settling { number, subscription, cumulative, accepted } = settling;
        let covers = |at: &u64, one: &Unacked| {
            at == number || (*cumulative && at < number && one.subscription == *subscription)
        };
        let covered: Vec<_> =
            conn.unacked.iter().filter(|(at, one)| covers(at, one)).map(|(at, _)| *at).collect();
        // The last one goes to the front first, so that they stand there in order.
        for at in covered.into_iter().rev() {
            let Some(Unacked { queue, body, .. }) = conn.unacked.remove(&at) else { continue };
            let id = message_id(conn.number, at);
            self.ever_settled.insert(id.clone());
            self.settled.push((id, *accepted));
            if !accepted {
                self.queues.entry(queue).or_default().push_front(body);
            }
        }
    }

    fn deliver(&mut self) -> String {
        let mut said = String::new();
        let Some(conn) = self.conn.as_mut().filter(|conn| conn.open && !conn.over) else { return said };
        for (id, Subscribed { destination, ack }) in &conn.subscriptions {
            let Some(queue) = self.queues.get_mut(destination) else { continue };
            let mut on_their_way = conn.unacked.values().filter(|one| one.subscription == *id).count();
            while on_their_way < PREFETCH
                && let Some(body) = queue.pop_front()
            {
                conn.deliveries += 1;
                let name = message_id(conn.number, conn.deliveries);
                let ack_name =
                    if self.version > Version::V1_1 { format!("ack:a{name}\n") } else { String::new() };
                said += &format!("MESSAGE\nsubscription:{id}\nmessage-id:{name}\n{ack_name}\n{body}\0");
                if *ack != AckMode::Auto {
                    on_their_way += 1;
                    let one = Unacked { subscription: id.clone(), queue: destination.clone(), body };
                    conn.unacked.insert(conn.deliveries, one);
                }
            }
        }
        said
    }
}

impl Conn {
    /// Reads an ACK or a NACK as the version has it: what it names must be there to be settled.
    fn settling(&self, frame: &Frame, version: Version) -> Result<Settling, String> {
        let (command, accepted) = (frame.command(), frame.command() == Command::Ack);
        let header = |name: &str| frame.header(name).unwrap_or_default().into_owned();
        if version == Version::V1_0 && !accepted {
            return Err("a NACK in STOMP 1.0".into());
        }
        let name = match version {
            Version::V1_2 => header("id").strip_prefix('a').unwrap_or_default().to_owned(),
            Version::V1_0 | Version::V1_1 => header("message-id"),
        };
        let stale = || format!("a stale {command} for {name:?}");
        let (conn, number) = read_id(&name).ok_or_else(stale)?;
        let one = self.unacked.get(&number).filter(|_| conn == u64::from(self.number)).ok_or_else(stale)?;
        if version == Version::V1_1 && header("subscription") != one.subscription {
            return Err(format!("{command} for {name}, which came to another subscription"));
        }
        let Some(subscribed) = self.subscriptions.get(&one.subscription) else {
            return Err(format!("{command} for {name} after UNSUBSCRIBE"));
        };
        // STOMP 1.0 says of ACK that it is for one message.
        let cumulative = subscribed.ack == AckMode::Client && version > Version::V1_0;
        Ok(Settling { number, subscription: one.subscription.clone(), cumulative, accepted })
    }
}

fn message_id(conn: u32, number: u64) -> String {
    format!("{conn}-{number:06}")
}

/// The connection that a message came on and its number there, from its id.
pub(crate) fn read_id(id: &str) -> Option<(u64, u64)> {
    let (conn, number) = id.split_once('-')?;
    Some((conn.parse().ok()?, number.parse().ok()?))
}

/// The number of a message: it stands in front of its padding.
pub(crate) fn body_number(frame: &Frame) -> Option<usize> {
    frame.body_text().ok()?.split(' ').next()?.strip_prefix('m')?.parse().ok()
}

/// Nobody may send to it or subscribe to it.
pub(crate) const FORBIDDEN: &str = "/queue/forbidden";

/// Messages of one subscription that are on their way and not settled.
const PREFETCH: usize = 5;
