//! Traffic both ways between two clients, in one way in.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stompede::{AckMode, Client, ErrorKind, Guarantee, ReconnectPolicy};
use stompede_real_brokers::Ledger;
use tokio::task::JoinSet;

use crate::MESSAGES;
use crate::party::{ATTEMPT, MAX_DELAY, Party, SILENCE};
use crate::watch::until;

/// What a busy machine may add to any time.
const SLACK: Duration = Duration::from_secs(5);

/// Two clients, and the messages from each to the other.
pub(crate) struct Flow {
    way: &'static str,
    url: String,
    lanes: [Lane; 2],
    tasks: JoinSet<()>,
}

/// The messages from one client to the other.
struct Lane {
    guarantee: Guarantee,
    queue: String,
    sender: Arc<Party>,
    ledger: Arc<Ledger>,
}

/// The words above the rows.
pub(crate) const TITLES: &str = "way sends         confirmed lost unknown not sent sent again not settled forgotten stale ACKs   \
                                 noticed     back";

/// What happened, and when.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) began: Instant,
    /// When the broker could be reached again.
    pub(crate) over: Instant,
    /// What the broker had said at such a time it may not have known any more when it was over.
    pub(crate) forgotten: Range<Instant>,
    /// How the clients should notice it.
    pub(crate) noticed_by: ErrorKind,
    /// Whether an attempt may hang that began before it was over.
    pub(crate) attempts_hang: bool,
}

impl Flow {
    /// Connects both and sets them going.
    pub(crate) async fn start(kind: &str, way: &'static str, url: &str) -> Self {
        let lane = async |guarantee, from| Lane {
            guarantee,
            queue: format!("/queue/outage-{kind}-{way}-from-{from}"),
            sender: Arc::new(Party::connect(url, guarantee).await),
            ledger: Arc::default(),
        };
        let lanes = [lane(Guarantee::AtLeastOnce, "left").await, lane(Guarantee::AtMostOnce, "right").await];
        let mut tasks = JoinSet::new();
        let [left, right] = &lanes;
        for (lane, receiver) in [(left, &right.sender), (right, &left.sender)] {
            let (queue, ledger, sender) = (lane.queue.clone(), lane.ledger.clone(), lane.sender.clone());
            tasks.spawn(async move { sender.publish(&queue, &ledger).await });
            let (queue, ledger, receiver) = (lane.queue.clone(), lane.ledger.clone(), receiver.clone());
            tasks.spawn(async move { receiver.consume(&queue, &ledger).await });
        }
        Self { way, url: url.to_owned(), lanes, tasks }
    }

    /// Waits until half of the messages are through, both ways, and both clients are connected.
    pub(crate) async fn in_the_middle(&self) {
        let half = MESSAGES / 2;
        let through = |lane: &Lane| {
            let books = lane.ledger.books();
            books.confirmed >= half && books.arrived >= half
        };
        until(|| self.lanes.iter().all(|lane| through(lane) && lane.sender.client.is_connected())).await;
    }

    /// Waits until both clients have lost the connection that they had at this time.
    pub(crate) async fn notice(&self, began: Instant) {
        until(|| self.parties().all(|party| party.watch.seen().loss_after(began).is_some())).await;
    }

    /// Waits until both have begun an attempt to come back.
    pub(crate) async fn try_again(&self, began: Instant) {
        until(|| self.parties().all(|party| party.watch.seen().has_tried_after(began))).await;
    }

    /// Waits until both are back.
    pub(crate) async fn come_back(&self, began: Instant) {
        until(|| self.parties().all(|party| party.watch.seen().back_after(began).is_some())).await;
    }

    /// Lets the rest through, and waits until all is done.
    pub(crate) async fn finish(&mut self) {
        self.lanes.iter().for_each(|lane| lane.ledger.books().end_at(MESSAGES));
        while let Some(done) = self.tasks.join_next().await {
            done.expect("no panic");
        }
        for party in self.parties() {
            party.client.disconnect().await.expect("in order");
        }
        for lane in &self.lanes {
            self.empty(lane).await;
        }
    }

    /// Takes out what is left in a queue: copies that nobody had to wait for.
    async fn empty(&self, lane: &Lane) {
        let mark = "mark";
        let builder = Client::builder(&self.url).host("/").credentials("guest", "guest");
        let client = builder.reconnect(ReconnectPolicy::never()).connect().await.expect("connected");
        client.send(&lane.queue).text(mark).confirm().await.expect("confirmed");
        let subscribe = client.subscribe(&lane.queue).ack(AckMode::Client);
        let mut inbox = subscribe.confirm().await.expect("subscribed");
        loop {
            let message = inbox.try_next().await.expect("open").expect("a message");
            let text = message.text().expect("text");
            if text == mark {
                message.ack_confirmed().await.expect("acknowledged");
                break;
            }
            lane.ledger.books().arrive(text.parse().expect("a number"));
        }
        client.disconnect().await.expect("in order");
    }

    /// What came of it, in rows below [`TITLES`].
    pub(crate) fn rows(&self, outage: &Outage) -> impl Iterator<Item = String> {
        self.lanes.iter().map(move |lane| {
            let (books, times) = (lane.ledger.books(), lane.times(outage));
            let balance = books.balance(&outage.forgotten);
            let sends = match lane.guarantee {
                Guarantee::AtLeastOnce => "at least once",
                _ => "at most once",
            };
            format!(
                "{:3} {sends:13} {:>9} {:>4} {:>7} {:>8} {:>10} {:>11} {:>9} {:>10} {:>8.2} s {:>6.2} s",
                self.way,
                books.confirmed,
                balance.lost.len(),
                books.unknown,
                books.unsent,
                balance.sent_again,
                balance.not_settled,
                balance.forgotten,
                books.stale,
                times.noticed.as_secs_f64(),
                times.back.as_secs_f64(),
            )
        })
    }

    /// How long before the outage the first ACK had been confirmed that the broker did not know of afterwards.
    pub(crate) fn forgot(&self, outage: &Outage) -> Option<Duration> {
        let balances = self.lanes.iter().map(|lane| lane.ledger.books().balance(&outage.forgotten));
        let first = balances.filter_map(|balance| balance.first_forgotten).min()?;
        Some(outage.began.saturating_duration_since(first))
    }

    /// Fails if that is not what is promised.
    pub(crate) fn judge(&self, outage: &Outage) {
        for lane in &self.lanes {
            lane.judge(outage);
        }
    }

    /// What is known when it takes too long.
    pub(crate) fn describe(&self) {
        for lane in &self.lanes {
            let books = lane.ledger.books();
            let Lane { guarantee, queue, sender, .. } = lane;
            println!("{queue} ({guarantee:?}): {} confirmed, {} arrived", books.confirmed, books.arrived);
            println!("{}", sender.client.history());
        }
    }

    fn parties(&self) -> impl Iterator<Item = &Party> {
        self.lanes.iter().map(|lane| &*lane.sender)
    }
}

/// How long it took one client, which sends in this lane.
struct Times {
    /// To lose its connection, from the beginning of the outage on.
    noticed: Duration,
    /// To have the next one, from its end on.
    back: Duration,
    cause: ErrorKind,
}

impl Lane {
    fn times(&self, outage: &Outage) -> Times {
        let seen = self.sender.watch.seen();
        let (lost_at, cause) = seen.loss_after(outage.began).expect("noticed");
        let back_at = seen.back_after(outage.began).expect("back");
        let noticed = lost_at - outage.began;
        Times { noticed, back: back_at.saturating_duration_since(outage.over), cause }
    }

    fn judge(&self, outage: &Outage) {
        let books = self.ledger.books();
        let balance = books.balance(&outage.forgotten);
        assert!(balance.lost.is_empty(), "confirmed and lost: {:?}", balance.lost);
        assert!(balance.unexplained.is_empty(), "came again for no known reason: {:?}", balance.unexplained);
        assert!(books.confirmed >= MESSAGES, "all are confirmed in the end");
        assert!(books.stale > 0, "the outage found no message at work");
        match self.guarantee {
            Guarantee::AtLeastOnce => assert_eq!(books.unknown + books.unsent, 0, "it waits for the RECEIPT"),
            _ => assert!(books.unknown > 0, "the outage found no message without its RECEIPT"),
        }
        let Times { noticed, back, cause } = self.times(outage);
        let seen = self.sender.watch.seen();
        assert_eq!(cause, outage.noticed_by);
        let silence = if cause == ErrorKind::HeartBeatMissed { SILENCE } else { Duration::ZERO };
        assert!(noticed <= silence + SLACK, "{noticed:?}");
        let granted = |silent_for: &Duration| *silent_for >= SILENCE && *silent_for <= SILENCE + SLACK;
        assert!(seen.silences.iter().all(granted), "{:?}", seen.silences);
        // An attempt that began before the end may have to fail first.
        let running = if outage.attempts_hang { ATTEMPT } else { Duration::ZERO };
        assert!(back <= running + MAX_DELAY + SLACK, "{back:?} after the broker");
        for (_, delay, took) in &seen.attempts {
            assert!(*delay <= MAX_DELAY && *took <= *delay + SLACK, "{took:?} instead of {delay:?}");
        }
    }
}
