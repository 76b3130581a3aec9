//! One end of the traffic: a client that sends to one queue and consumes another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stompede::{
    AckMode, Client, Connected, ErrorKind, Guarantee, HeartBeat, Message, ReconnectPolicy, SendError,
    SendPolicy, SessionState, Subscription,
};
use stompede_real_brokers::Ledger;
use tokio::task::JoinSet;

use crate::watch::{Watch, now};

/// How often either side lets the other hear from it.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// How long a broker may be silent: 1.5 times what it promised, and 0.5 s.
pub(crate) const SILENCE: Duration = Duration::from_millis(3500);

/// The longest delay between two attempts to come back.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(2);

/// What one attempt may take.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(5);

/// Messages of one client that wait for their RECEIPT at the same time. RabbitMQ holds back who publishes faster than it
/// stores, from 400 on, and over WebSocket cuts such a client if it beats (rabbitmq-server#15607).
const OUTSTANDING: usize = 150;

/// Messages that the broker hands to one client ahead of their ACKs.
const WINDOW: usize = 100;

/// Messages that a consumer works on at a time, so that each outage finds some that are not acknowledged.
const AT_WORK: usize = 10;

/// ACKs between two that ask for a RECEIPT. The broker takes them in order, so one RECEIPT covers those before it.
const ACKS: usize = 50;

/// Far longer than any outage.
const RECEIPT: Duration = Duration::from_secs(150);

pub(crate) struct Party {
    pub(crate) client: Client,
    pub(crate) watch: Arc<Watch>,
    guarantee: Guarantee,
}

impl Party {
    pub(crate) async fn connect(url: &str, guarantee: Guarantee) -> Self {
        let mut reconnect = ReconnectPolicy::default();
        reconnect.max = MAX_DELAY;
        let mut sending = SendPolicy::default();
        sending.guarantee = guarantee;
        let watch = Arc::<Watch>::default();
        let client = Client::builder(url)
            .host("/")
            .credentials("guest", "guest")
            .heart_beat(HeartBeat::every(BEAT))
            .total_connect_timeout(ATTEMPT)
            .receipt_timeout(RECEIPT)
            .reconnect(reconnect)
            .sending(sending)
            .listener("watch", watch.clone())
            .connect()
            .await
            .expect("connected");
        let agreed = client.connected().expect("connected").heart_beat();
        assert_eq!(agreed, HeartBeat::every(BEAT), "RabbitMQ beats as it is asked to");
        Self { client, watch, guarantee }
    }

    /// Sends until the ledger has enough, each message until it is confirmed.
    pub(crate) async fn publish(&self, queue: &str, ledger: &Arc<Ledger>) {
        let mut senders = JoinSet::new();
        for _ in 0..OUTSTANDING {
            let sender = Sender {
                client: self.client.clone(),
                watch: self.watch.clone(),
                again_by_itself: self.guarantee == Guarantee::AtLeastOnce,
                queue: queue.to_owned(),
                ledger: ledger.clone(),
            };
            senders.spawn(sender.send_all());
        }
        senders.join_all().await;
    }

    /// Consumes until every message that was sent has arrived, and been acknowledged.
    pub(crate) async fn consume(&self, queue: &str, ledger: &Arc<Ledger>) {
        let subscribe = self.client.subscribe(queue).ack(AckMode::ClientIndividual).window(WINDOW);
        let inbox = subscribe.confirm().await.expect("subscribed");
        let ledger = ledger.clone();
        Consumer { inbox, ledger, at_work: VecDeque::new(), unsure: Vec::new() }.consume_all().await;
    }
}

struct Sender {
    client: Client,
    watch: Arc<Watch>,
    again_by_itself: bool,
    queue: String,
    ledger: Arc<Ledger>,
}

impl Sender {
    async fn send_all(self) {
        loop {
            let message = self.ledger.books().begin();
            let Some(message) = message else { return };
            loop {
                let connection = self.client.connected();
                if self.send(message, connection.as_ref()).await {
                    break;
                }
                self.other_connection(connection.as_ref()).await;
            }
            self.ledger.books().confirm(message);
        }
    }

    /// Sends it once, or as often as the client does; whether it is confirmed.
    async fn send(&self, message: usize, connection: Option<&Arc<Connected>>) -> bool {
        let losses = self.watch.seen().losses.len();
        let send = self.client.send(&self.queue).header("persistent", "true").text(message.to_string());
        let outcome = send.confirm().await;
        match outcome {
            Ok(_) if self.again_by_itself => {
                // The client does not tell when it sends again: it does when a connection ends before the RECEIPT.
                let same = is_same(connection, self.client.connected().as_ref());
                let times = self.watch.seen().losses.len() - losses;
                self.ledger.books().doubt_send(message, times.max(usize::from(!same)));
                true
            }
            Ok(_) => true,
            Err(SendError::Unknown(_)) if !self.again_by_itself => {
                let mut books = self.ledger.books();
                books.unknown += 1;
                books.doubt_send(message, 1);
                false
            }
            Err(SendError::NotSent(_)) if !self.again_by_itself => {
                self.ledger.books().unsent += 1;
                false
            }
            Err(error) => unreachable!("{}: {error}", self.queue),
        }
    }

    /// Waits for a connection other than this one.
    async fn other_connection(&self, than: Option<&Arc<Connected>>) {
        let mut state = self.client.state_changes();
        let wanted = |state: &SessionState| match state {
            SessionState::Connected(connection) => !is_same(than, Some(connection)),
            SessionState::Closed(cause) => unreachable!("it comes back: {cause:?}"),
            _ => false,
        };
        state.wait_for(wanted).await.expect("the client lives");
    }
}

/// Whether both are one and the same connection.
fn is_same(one: Option<&Arc<Connected>>, other: Option<&Arc<Connected>>) -> bool {
    one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
}

struct Consumer {
    inbox: Subscription,
    ledger: Arc<Ledger>,
    at_work: VecDeque<Work>,
    /// ACKs that the broker may not have seen.
    unsure: Vec<usize>,
}

struct Work {
    number: usize,
    message: Message,
    /// Whether its connection is known to be gone.
    old: bool,
}

impl Consumer {
    async fn consume_all(mut self) {
        loop {
            tokio::select! {
                message = self.inbox.try_next() => {
                    let message = message.expect("it comes back").expect("nobody ends it");
                    self.take(message).await;
                }
                () = all_arrived(&self.ledger) => break,
            }
        }
        while !self.at_work.is_empty() {
            self.acknowledge().await;
        }
        // None, unless the last ACK, which asks for a RECEIPT, met the end of its connection.
        self.note_loss();
    }

    async fn take(&mut self, message: Message) {
        if message.gap().is_some() {
            self.note_loss();
        }
        let number = message.text().expect("text").parse().expect("a number");
        self.ledger.books().arrive(number);
        self.at_work.push_back(Work { number, message, old: false });
        if self.at_work.len() > AT_WORK {
            self.acknowledge().await;
        }
    }

    /// There is another connection now: the broker delivers again what it does not know to be acknowledged.
    fn note_loss(&mut self) {
        let mut books = self.ledger.books();
        for number in self.unsure.drain(..) {
            books.doubt_ack(number);
        }
        for work in self.at_work.iter_mut().filter(|work| !work.old) {
            books.doubt_ack(work.number);
            work.old = true;
        }
    }

    /// Acknowledges the one that it has worked on for longest.
    async fn acknowledge(&mut self) {
        let Some(Work { number, message, old }) = self.at_work.pop_front() else { return };
        let confirm = self.unsure.len() + 1 >= ACKS || self.at_work.is_empty();
        let acknowledged = if confirm { message.ack_confirmed().await } else { message.ack() };
        match acknowledged {
            Err(error) if error.kind() == ErrorKind::StaleAck => {
                let mut books = self.ledger.books();
                books.stale += 1;
                if !old {
                    books.doubt_ack(number);
                }
            }
            _ if old => unreachable!("an ACK of {number} went to another connection: {acknowledged:?}"),
            Ok(()) if confirm => {
                let (mut books, now) = (self.ledger.books(), now());
                let unsure = std::mem::take(&mut self.unsure);
                unsure.into_iter().chain([number]).for_each(|number| books.settle(number, now));
            }
            Ok(()) => self.unsure.push(number),
            // Written or not, and the connection is gone; the loss is noted when there is another.
            Err(error) if confirm => {
                assert!(error.kind() != ErrorKind::ReceiptTimedOut, "{error}");
                self.unsure.push(number);
            }
            Err(error) => unreachable!("{error}"),
        }
    }
}

/// Waits until nothing more is sent, and all that was has arrived.
async fn all_arrived(ledger: &Ledger) {
    crate::watch::until(|| ledger.books().is_complete()).await;
}
