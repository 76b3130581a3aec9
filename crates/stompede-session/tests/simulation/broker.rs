//! A broker that knows no more of STOMP than the simulation needs, and notes whatever it should never have seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use stompede_codec::{Command, Decoder, Frame, Item, Limits, Version};

/// What outlives its connections, and what it notes about them.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    pub(crate) queues: BTreeMap<String, VecDeque<String>>,
    /// Which messages it took, in the order in which it took them, with repetitions.
    pub(crate) accepted: Vec<usize>,
    pub(crate) rejected: BTreeSet<usize>,
    pub(crate) refuses_login: bool,
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
    pub(crate) subscriptions: BTreeMap<String, (String, bool)>,
    unacked: BTreeMap<String, (String, String)>,
    /// What each open transaction holds back: numbers, destinations and bodies.
    transactions: BTreeMap<String, Vec<(usize, String, String)>>,
    deliveries: u32,
    /// It has said its last word.
    pub(crate) over: bool,
}

impl Broker {
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
        for (_, (queue, body)) in conn.unacked.into_iter().rev() {
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
                conn.decoder.set_version(Version::V1_2);
                *said += "CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\0";
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
                let body = frame.body_text_lossy().into_owned();
                if frame.headers().contains("transaction") {
                    let held = conn.transactions.get_mut(&header("transaction"));
                    held.ok_or("a SEND in an old transaction")?.push((number, header("destination"), body));
                    return Ok(());
                }
                self.accepted.push(number);
                self.queues.entry(header("destination")).or_default().push_back(body);
            }
            Command::Subscribe => {
                let settles = header("ack") != "auto";
                if header("destination") == FORBIDDEN {
                    conn.over = true;
                    *said += &refusal;
                    return Ok(());
                }
                let made = (header("destination"), settles);
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
            }
            Command::Ack | Command::Nack => {
                let Some((queue, body)) = conn.unacked.remove(&header("id")) else {
                    return Err(format!("a stale {} for {}", frame.command(), header("id")));
                };
                if frame.command() == Command::Nack {
                    self.queues.entry(queue).or_default().push_front(body);
                }
            }
            Command::Begin => {
                conn.transactions.insert(header("transaction"), Vec::new());
            }
            Command::Commit => {
                let held = conn.transactions.remove(&header("transaction")).ok_or("an old COMMIT")?;
                for (number, destination, body) in held {
                    self.accepted.push(number);
                    self.queues.entry(destination).or_default().push_back(body);
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

    fn deliver(&mut self) -> String {
        let mut said = String::new();
        let Some(conn) = self.conn.as_mut().filter(|conn| conn.open && !conn.over) else { return said };
        for (id, (destination, settles)) in &conn.subscriptions {
            let Some(queue) = self.queues.get_mut(destination) else { continue };
            while conn.unacked.len() < PREFETCH
                && let Some(body) = queue.pop_front()
            {
                conn.deliveries += 1;
                let ack = format!("{}-{:06}", conn.number, conn.deliveries);
                said += &format!("MESSAGE\nsubscription:{id}\nmessage-id:{ack}\nack:{ack}\n\n{body}\0");
                if *settles {
                    conn.unacked.insert(ack, (destination.clone(), body));
                }
            }
        }
        said
    }
}

/// The number of a message: it stands in front of its padding.
pub(crate) fn body_number(frame: &Frame) -> Option<usize> {
    frame.body_text().ok()?.split(' ').next()?.strip_prefix('m')?.parse().ok()
}

/// Nobody may send to it or subscribe to it.
pub(crate) const FORBIDDEN: &str = "/queue/forbidden";

const PREFETCH: usize = 4;
