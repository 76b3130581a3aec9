//! What each client frame asks for, and whether it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stompede_codec::{Command, Frame, Version};

use crate::BrokerLimits;
use crate::outbox::Outbox;
use crate::refusal::Refusal;
use crate::router::{Ack, ConnectionId, Destination, Name, Named, Operation, Router, Stored, Wish};

/// The logins that are let in; none means that anybody is.
#[derive(Debug, Default)]
pub(crate) struct Logins(pub(crate) HashMap<String, String>);

/// One client that has said CONNECT.
#[derive(Debug)]
pub(crate) struct Requests {
    router: Arc<Mutex<Router>>,
    limits: Arc<BrokerLimits>,
    id: ConnectionId,
    version: Version,
    transactions: HashMap<Box<str>, Vec<Operation>>,
    /// Frames and bytes in all open transactions.
    pending: (usize, usize),
}

/// What CONNECT came to.
pub(crate) struct Welcome {
    pub(crate) version: Version,
    pub(crate) connected: Frame,
}

/// Judges a CONNECT or STOMP frame.
pub(crate) fn welcome(connect: &Frame, logins: &Logins, session: u64) -> Result<Welcome, (Refusal, bool)> {
    let version = choose_version(connect).map_err(|refusal| (refusal, true))?;
    check_heart_beat(connect).map_err(|refusal| (refusal, false))?;
    if !logins.0.is_empty() {
        let login = connect.header("login").unwrap_or_default();
        let passcode = connect.header("passcode").unwrap_or_default();
        if logins.0.get(&*login).is_none_or(|right| *right != *passcode) {
            let text = format!("login {login:?} or its passcode is wrong");
            return Err((Refusal::new("login refused", text), false));
        }
    }
    let mut connected = Frame::new(Command::Connected);
    if version > Version::V1_0 {
        let server = concat!("stompede-broker/", env!("CARGO_PKG_VERSION"));
        connected = connected
            .with_header("version", version.as_str())
            .with_header("server", server)
            .with_header("heart-beat", "0,0");
    }
    Ok(Welcome { version, connected: connected.with_header("session", format!("session-{session}")) })
}

/// The highest version that both speak; no `accept-version` means a client of 1.0.
fn choose_version(connect: &Frame) -> Result<Version, Refusal> {
    let Some(accepted) = connect.header("accept-version") else { return Ok(Version::V1_0) };
    let common =
        Version::ALL.into_iter().rev().find(|ours| accepted.split(',').any(|one| one == ours.as_str()));
    common.ok_or_else(|| Refusal::new("version mismatch", "supported versions are 1.0,1.1,1.2"))
}

fn check_heart_beat(connect: &Frame) -> Result<(), Refusal> {
    let Some(text) = connect.header("heart-beat") else { return Ok(()) };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once(',') {
        Some((sends, wants)) if is_number(sends) && is_number(wants) => Ok(()),
        _ => Err(Refusal::new(
            "bad heart-beat",
            format!("heart-beat is two numbers with a comma, not {text:?}"),
        )),
    }
}

impl Requests {
    pub(crate) fn new(
        router: Arc<Mutex<Router>>,
        limits: Arc<BrokerLimits>,
        version: Version,
        outbox: Arc<Outbox>,
    ) -> Self {
        let id = lock(&router).connect(version, outbox);
        Self { router, limits, id, version, transactions: HashMap::new(), pending: (0, 0) }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// There is room again for what queues have.
    pub(crate) fn feed(&self) {
        lock(&self.router).feed(self.id);
    }

    /// Does what a frame asks for. The caller sends the RECEIPT, or the ERROR and the end.
    pub(crate) fn handle(&mut self, frame: Frame) -> Result<(), Refusal> {
        match frame.command() {
            Command::Send => self.send(frame),
            Command::Subscribe => self.subscribe(&frame),
            Command::Unsubscribe => self.unsubscribe(&frame),
            Command::Ack => self.settle(&frame, true),
            Command::Nack if self.version == Version::V1_0 => {
                Err(Refusal::new("unknown command", "there is no NACK in STOMP 1.0"))
            }
            Command::Nack => self.settle(&frame, false),
            Command::Begin => self.begin(&frame),
            Command::Commit => self.commit(&frame),
            Command::Abort => self.end_transaction(&frame).map(drop),
            Command::Disconnect => Ok(()),
            Command::Connect | Command::Stomp => {
                Err(Refusal::new("connected already", "CONNECT may be sent once on a connection"))
            }
            other => Err(Refusal::new("unknown command", format!("{other} is for servers to send"))),
        }
    }

    fn send(&mut self, frame: Frame) -> Result<(), Refusal> {
        let destination = Destination::parse(&required(&frame, "destination")?, self.id)?;
        if let Destination::Reply(name, owner) = &destination
            && *owner == self.id
        {
            lock(&self.router).open_reply_queue(self.id, name)?;
        }
        let reply_to = self.reply_to(&frame)?;
        let transaction = frame.header("transaction").map(String::from);
        let message = Stored::new(destination, frame, reply_to.as_ref());
        match transaction {
            Some(transaction) => {
                let bytes = message.len();
                self.postpone(&transaction, Operation::Send(message), bytes)
            }
            None => lock(&self.router).send(message),
        }
    }

    /// What others have to make of the `reply-to` header, if it names a queue of this client's own.
    fn reply_to(&self, frame: &Frame) -> Result<Option<Destination>, Refusal> {
        let Some(own_name) = frame.header("reply-to") else { return Ok(None) };
        let destination = Destination::parse_reply_to(&own_name, self.id)?;
        if let Some(Destination::Reply(name, _)) = &destination {
            lock(&self.router).expect_reply(self.id, name, &own_name)?;
        }
        Ok(destination)
    }

    fn settle(&mut self, frame: &Frame, accept: bool) -> Result<(), Refusal> {
        let named = Named::read(frame, self.version)?;
        let Some(transaction) = frame.header("transaction") else {
            return lock(&self.router).settle(self.id, &named, accept);
        };
        // COMMIT looks again; who learns of it here knows which frame it was.
        lock(&self.router).check_settle(self.id, &named)?;
        self.postpone(&transaction, Operation::Settle { named, accept }, 0)
    }

    fn subscribe(&self, frame: &Frame) -> Result<(), Refusal> {
        let destination = Destination::parse(&required(frame, "destination")?, self.id)?;
        let name = self.name(frame)?.unwrap_or_else(|| Name::Destination(destination.text().clone()));
        let ack = match frame.header("ack").as_deref() {
            None | Some("auto") => Ack::Auto,
            Some("client") => Ack::Client,
            Some("client-individual") if self.version > Version::V1_0 => Ack::ClientIndividual,
            Some(other) => {
                let text = format!("STOMP {} has no ack mode {other:?}", self.version);
                return Err(Refusal::new("bad ack mode", text));
            }
        };
        if frame.headers().contains("selector") {
            return Err(Refusal::new("selectors are not supported", "subscribe without a selector"));
        }
        let prefetch = prefetch(frame)?;
        lock(&self.router).subscribe(self.id, Wish { name, destination, ack, prefetch })
    }

    /// By id; in STOMP 1.0 by destination where no id was given.
    fn unsubscribe(&self, frame: &Frame) -> Result<(), Refusal> {
        let name = match self.name(frame)? {
            Some(name) => name,
            None => Name::Destination(required(frame, "destination")?.into()),
        };
        lock(&self.router).unsubscribe(self.id, &name)
    }

    /// The `id` of a subscription, which only STOMP 1.0 may leave out.
    fn name(&self, frame: &Frame) -> Result<Option<Name>, Refusal> {
        let id = match self.version {
            Version::V1_0 => frame.header("id").map(String::from),
            Version::V1_1 | Version::V1_2 => Some(required(frame, "id")?),
        };
        if id.as_ref().is_some_and(|id| id.contains(char::is_control)) {
            let text = "a control character in an id cannot be written back in every version";
            return Err(Refusal::new("bad subscription id", text));
        }
        Ok(id.map(|id| Name::Id(id.into())))
    }

    fn begin(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let id = required(frame, "transaction")?;
        if self.transactions.contains_key(id.as_str()) {
            return Err(Refusal::new(
                "transaction is open",
                format!("there is a transaction {id:?} already"),
            ));
        }
        self.check_pending(1, 0)?;
        self.pending.0 += 1;
        self.transactions.insert(id.into_boxed_str(), Vec::new());
        Ok(())
    }

    fn commit(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let operations = self.end_transaction(frame)?;
        lock(&self.router).commit(self.id, operations)
    }

    fn postpone(&mut self, id: &str, operation: Operation, bytes: usize) -> Result<(), Refusal> {
        self.check_pending(1, bytes)?;
        let Some(operations) = self.transactions.get_mut(id) else { return Err(no_transaction(id)) };
        operations.push(operation);
        self.pending.0 += 1;
        self.pending.1 += bytes;
        Ok(())
    }

    fn end_transaction(&mut self, frame: &Frame) -> Result<Vec<Operation>, Refusal> {
        let id = required(frame, "transaction")?;
        let operations = self.transactions.remove(id.as_str()).ok_or_else(|| no_transaction(&id))?;
        let bytes: usize = operations
            .iter()
            .map(|operation| match operation {
                Operation::Send(message) => message.len(),
                Operation::Settle { .. } => 0,
            })
            .sum();
        self.pending.0 -= 1 + operations.len();
        self.pending.1 -= bytes;
        Ok(operations)
    }

    fn check_pending(&self, frames: usize, bytes: usize) -> Result<(), Refusal> {
        let limits = &self.limits;
        if self.pending.0 + frames > limits.max_transaction_frames {
            let text = format!("open transactions may hold {} frames", limits.max_transaction_frames);
            return Err(Refusal::new("transaction is too large", text));
        }
        if self.pending.1 + bytes > limits.max_transaction_bytes {
            let text = format!("open transactions may hold {} bytes", limits.max_transaction_bytes);
            return Err(Refusal::new("transaction is too large", text));
        }
        Ok(())
    }
}

impl Drop for Requests {
    /// However the connection ended: what it has not settled goes back, what it has not committed is forgotten.
    fn drop(&mut self) {
        lock(&self.router).disconnect(self.id);
    }
}

/// How many messages a subscription wants to have unsettled: RabbitMQ's and ActiveMQ's names for it.
fn prefetch(frame: &Frame) -> Result<Option<usize>, Refusal> {
    for name in ["prefetch-count", "activemq.prefetchSize"] {
        if let Some(text) = frame.header(name) {
            return match text.parse() {
                Ok(count) if count > 0 => Ok(Some(count)),
                _ => Err(Refusal::new("bad prefetch", format!("{name} is a count above 0, not {text:?}"))),
            };
        }
    }
    Ok(None)
}

fn required(frame: &Frame, name: &'static str) -> Result<String, Refusal> {
    match frame.header(name) {
        Some(value) if !value.is_empty() => Ok(value.into_owned()),
        _ => Err(Refusal::missing(frame, name)),
    }
}

fn no_transaction(id: &str) -> Refusal {
    Refusal::new("no such transaction", format!("there is no open transaction {id:?}"))
}

pub(crate) fn lock(router: &Mutex<Router>) -> MutexGuard<'_, Router> {
    router.lock().unwrap_or_else(PoisonError::into_inner)
}
