//! What each client frame asks for, and whether it may.

mod transaction;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stompede_codec::{Command, Frame, Version};

use self::transaction::{Ended, Transactions};
use crate::broker::Shared;
use crate::personality::{Personality, ReceiptOrder, Replies};
use crate::place::Entry;
use crate::refusal::Refusal;
use crate::router::{Ack, ConnectionId, Destination, MAX_NAME, Name, Named, Operation, Router, Stored, Wish};

/// One client that has said CONNECT.
pub(crate) struct Requests {
    shared: Arc<Shared>,
    router: Arc<Mutex<Router>>,
    id: ConnectionId,
    version: Version,
    transactions: Transactions,
}

/// Only SEND may have a body; of what servers send there is something else to be said.
pub(crate) fn check_body(frame: &Frame, version: Version, habits: &Personality) -> Result<(), Refusal> {
    let command = frame.command();
    let may = matches!(command, Command::Send | Command::Message | Command::Error);
    if may || frame.body().is_empty() || version == Version::V1_0 || !habits.errors.refuse_bodies {
        return Ok(());
    }
    Err(Refusal::new("body not allowed", format!("{command} may not have a body in STOMP {version}")))
}

/// The RECEIPTs that are due once a frame is done.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// The frame's own is not among them.
    pub(crate) own_is_late: bool,
    /// Those of frames before it, which follow its own.
    pub(crate) earlier: Vec<String>,
}

impl Requests {
    pub(crate) fn new(
        shared: Arc<Shared>,
        router: Arc<Mutex<Router>>,
        version: Version,
        entry: &Entry,
    ) -> Self {
        let id = ConnectionId(entry.id);
        lock(&router).connect(id, version, entry.outbox.clone());
        Self { shared, router, id, version, transactions: Transactions::default() }
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// There is room again for what queues have.
    pub(crate) fn feed(&self) {
        lock(&self.router).feed(self.id);
    }

    /// Does what a frame asks for. The caller sends the RECEIPTs, or the ERROR and the end.
    pub(crate) fn handle(&mut self, frame: Frame) -> Result<Due, Refusal> {
        let ignores = self.habits().errors.ignore_unknown_destinations;
        match self.carry_out(frame) {
            Err(refusal) if ignores && refusal.is_unknown_destination() => Ok(Due::default()),
            outcome => outcome,
        }
    }

    fn carry_out(&mut self, frame: Frame) -> Result<Due, Refusal> {
        check_body(&frame, self.version, self.habits())?;
        let done = match frame.command() {
            Command::Send => return self.send(frame),
            Command::Subscribe => self.subscribe(&frame),
            Command::Unsubscribe => self.unsubscribe(&frame),
            Command::Ack | Command::Nack | Command::Begin | Command::Commit | Command::Abort
                if !self.habits().messages.settle =>
            {
                Ok(())
            }
            Command::Ack => self.settle(&frame, true),
            Command::Nack if self.version == Version::V1_0 => {
                Err(Refusal::new("unknown command", "there is no NACK in STOMP 1.0"))
            }
            Command::Nack => self.settle(&frame, false),
            Command::Begin => self.begin(&frame),
            Command::Commit => return self.commit(&frame),
            Command::Abort => self.abort(&frame),
            Command::Disconnect => Ok(()),
            Command::Connect | Command::Stomp => {
                Err(Refusal::new("connected already", "CONNECT may be sent once on a connection"))
            }
            other => Err(Refusal::new("unknown command", format!("{other} is for servers to send"))),
        };
        done.map(|()| Due::default())
    }

    fn send(&mut self, frame: Frame) -> Result<Due, Refusal> {
        if self.habits().errors.refuse_message_ids && frame.headers().contains("message-id") {
            return Err(Refusal::new("invalid header", "message-id is not allowed on SEND"));
        }
        let destination = self.destination(&frame)?;
        if let Destination::Reply(name, owner) = &destination
            && *owner == self.id
        {
            lock(&self.router).open_reply_queue(self.id, name)?;
        }
        let reply_to = self.reply_to(&frame)?;
        let settles = self.habits().messages.settle;
        let transaction = frame.header("transaction").filter(|_| settles).map(String::from);
        let confirms_late = self.habits().order == ReceiptOrder::AfterCommit && transaction.is_some();
        let receipt = frame.header("receipt").filter(|_| confirms_late).map(String::from);
        let message = Stored::new(destination, frame, reply_to.as_ref(), &self.shared)?;
        match transaction {
            Some(transaction) => self.postpone(&transaction, Operation::Send(message), receipt)?,
            None => lock(&self.router).send(message)?,
        }
        Ok(Due { own_is_late: confirms_late, ..Due::default() })
    }

    /// What others have to make of the `reply-to` header, if it names a queue of this client's own.
    fn reply_to(&self, frame: &Frame) -> Result<Option<Destination>, Refusal> {
        let Some(own_name) = frame.header("reply-to").filter(|name| Destination::is_own(name)) else {
            return Ok(None);
        };
        let destination = match self.habits().replies {
            Replies::None => return Ok(None),
            _ => Destination::parse(&own_name, self.id, self.habits())?,
        };
        if let Destination::Reply(name, _) = &destination {
            let mut router = lock(&self.router);
            match self.habits().replies {
                Replies::Subscribed | Replies::None => router.open_reply_queue(self.id, name)?,
                Replies::Both | Replies::Implied => router.expect_reply(self.id, name, &own_name)?,
            }
        }
        Ok(Some(destination))
    }

    fn destination(&self, frame: &Frame) -> Result<Destination, Refusal> {
        Destination::parse(&required(frame, "destination")?, self.id, self.habits())
    }

    fn habits(&self) -> &Personality {
        &self.shared.settings.personality
    }

    fn settle(&mut self, frame: &Frame, accept: bool) -> Result<(), Refusal> {
        let named = Named::read(frame, self.version)?;
        let Some(transaction) = frame.header("transaction") else {
            return lock(&self.router).settle(self.id, &named, accept);
        };
        // COMMIT looks again; who learns of it here knows which frame it was.
        lock(&self.router).check_settle(self.id, &named)?;
        self.postpone(&transaction, Operation::Settle { named, accept }, None)
    }

    fn subscribe(&self, frame: &Frame) -> Result<(), Refusal> {
        let destination = self.destination(frame)?;
        if self.habits().replies == Replies::Implied && matches!(destination, Destination::Reply(..)) {
            let text = "/temp-queue/NAME is for reply-to; replies come without a subscription";
            return Err(Refusal::new("bad destination", text));
        }
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
        let ack = if self.habits().messages.settle { ack } else { Ack::Auto };
        if frame.headers().contains("selector") {
            return Err(Refusal::new("selectors are not supported", "subscribe without a selector"));
        }
        if frame.header("browser").as_deref() == Some("true") {
            // Who takes it for a look would find the queue empty afterwards.
            return Err(Refusal::new("browsers are not supported", "subscribe without browser:true"));
        }
        let prefetch = prefetch(frame)?;
        lock(&self.router).subscribe(self.id, Wish { name, destination, ack, prefetch })
    }

    /// By id; in STOMP 1.0 by destination where no id was given.
    fn unsubscribe(&self, frame: &Frame) -> Result<(), Refusal> {
        let name = match self.name(frame)? {
            Some(name) => name,
            None => Name::Destination(self.destination(frame)?.text().clone()),
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
        if let Some(id) = &id {
            check_length(id)?;
        }
        Ok(id.map(|id| Name::Id(id.into())))
    }

    fn begin(&mut self, frame: &Frame) -> Result<(), Refusal> {
        let id = required(frame, "transaction")?;
        check_length(&id)?;
        self.transactions.begin(&id, &self.shared.settings.limits)
    }

    fn commit(&mut self, frame: &Frame) -> Result<Due, Refusal> {
        let Ended { operations, receipts } = self.transactions.end(&required(frame, "transaction")?)?;
        lock(&self.router).commit(self.id, operations)?;
        Ok(Due { own_is_late: false, earlier: receipts })
    }

    fn abort(&mut self, frame: &Frame) -> Result<(), Refusal> {
        self.transactions.end(&required(frame, "transaction")?).map(drop)
    }

    fn postpone(&mut self, id: &str, operation: Operation, receipt: Option<String>) -> Result<(), Refusal> {
        self.transactions.add(id, operation, receipt, &self.shared.settings.limits)
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

/// Ids are kept, and nothing else counts what they take.
fn check_length(id: &str) -> Result<(), Refusal> {
    if id.len() <= MAX_NAME {
        return Ok(());
    }
    let text = format!("an id may have {MAX_NAME} bytes, and this has {}", id.len());
    Err(Refusal::new("id is too long", text))
}

fn required(frame: &Frame, name: &'static str) -> Result<String, Refusal> {
    match frame.header(name) {
        Some(value) if !value.is_empty() => Ok(value.into_owned()),
        _ => Err(Refusal::missing(frame, name)),
    }
}

pub(crate) fn lock(router: &Mutex<Router>) -> MutexGuard<'_, Router> {
    router.lock().unwrap_or_else(PoisonError::into_inner)
}
