//! Outages by the hundred, under load in both directions: what was confirmed arrives, whatever the broker does meanwhile.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stompede::{
    AckMode, Client, ClientBuilder, ErrorKind, Guarantee, ReconnectPolicy, SendError, SendPolicy,
    SessionState,
};
use stompede_broker::{Broker, BrokerEvent, Events, Faults, Queues};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::support::Checker;

/// Outages, in each way in.
const OUTAGES: usize = 150;

/// Messages that a publisher has to confirm between two outages, so that each one falls into traffic.
const BETWEEN: usize = 10;

/// Far more than all of it takes; a hang fails instead of hanging.
const LIMIT: Duration = Duration::from_secs(60);

fn client(url: &str) -> ClientBuilder {
    let mut policy = ReconnectPolicy::default();
    // Each outage is over at once; the delay would be all that the test waits for.
    policy.initial = Duration::from_millis(2);
    policy.max = Duration::from_millis(20);
    Client::builder(url).reconnect(policy).receipt_timeout(LIMIT)
}

/// What became of what was published.
#[derive(Default)]
struct Published {
    confirmed: BTreeSet<usize>,
    /// It may be at the broker or not.
    unknown: BTreeSet<usize>,
    unsent: BTreeSet<usize>,
}

struct Publisher {
    done: watch::Receiver<usize>,
    enough: Arc<AtomicBool>,
    task: JoinHandle<Published>,
}

impl Publisher {
    async fn start(url: &str, guarantee: Guarantee) -> Self {
        let mut policy = SendPolicy::default();
        policy.guarantee = guarantee;
        let checker = Arc::new(Checker::default());
        let builder = client(url).sending(policy).listener("checker", checker.clone());
        let client = builder.connect().await.expect("connected");
        let (counter, done) = watch::channel(0);
        let enough = Arc::<AtomicBool>::default();
        let (flag, mut states) = (enough.clone(), client.state_changes());
        let task = tokio::spawn(async move {
            let mut published = Published::default();
            for n in 0.. {
                if flag.load(Ordering::Acquire) {
                    break;
                }
                let set = match client.send("/queue/work").text(n.to_string()).confirm().await {
                    Ok(_) => {
                        counter.send_modify(|done| *done += 1);
                        &mut published.confirmed
                    }
                    Err(SendError::Unknown(_)) => &mut published.unknown,
                    Err(SendError::NotSent(_)) => {
                        // It fails at once while there is no connection.
                        let is_there = |state: &SessionState| matches!(state, SessionState::Connected(_));
                        states.wait_for(is_there).await.expect("it comes back");
                        &mut published.unsent
                    }
                    Err(SendError::Rejected(error)) => unreachable!("nobody rejects it: {error}"),
                };
                set.insert(n);
            }
            client.disconnect().await.expect("in order");
            // Whatever happened: one end for each beginning, in order.
            checker.check().await;
            published
        });
        Self { done, enough, task }
    }

    /// Waits until this many more are confirmed.
    async fn confirm(&self, more: usize) {
        let mut done = self.done.clone();
        let wanted = *done.borrow() + more;
        done.wait_for(|done| *done >= wanted).await.expect("the publisher goes on");
    }
}

/// Waits until a connection has ended whose number is greater than this.
async fn ended(events: &mut Events, above: u64) {
    loop {
        match events.next().await.expect("the broker is there") {
            BrokerEvent::Disconnected { connection } if connection > above => return,
            _ => {}
        }
    }
}

/// Makes one outage; each kind comes in its turn.
async fn outage(broker: &Broker, nth: usize) {
    match nth % 5 {
        0 => broker.restart(Queues::Keep).await.expect("up again"),
        1 => broker.hang_up(),
        // In the middle of what it has to say.
        2 => {
            let mut events = broker.events();
            broker.inject(Faults::new().hang_up_within(3, 10));
            ended(&mut events, 0).await;
        }
        // It has the message and never says so.
        3 => {
            // Looked at first: the one message that is on its way may arrive at any time, and no other comes behind it.
            let before = broker.stats().received;
            broker.inject(Faults::new().lose_receipts());
            broker
                .wait_until(LIMIT, |broker| broker.stats().received > before)
                .await
                .expect("it has one more");
            broker.heal();
            broker.hang_up();
        }
        _ => {
            let mut events = broker.events();
            broker.inject(Faults::new().refuse());
            let last = broker.connections().last().map_or(0, |connection| connection.id);
            broker.hang_up();
            // Somebody has tried to come back, in vain.
            ended(&mut events, last).await;
        }
    }
    broker.heal();
}

async fn confirmed_messages_arrive(broker: &Broker, url: &str, guarantee: Guarantee) {
    let publisher = Publisher::start(url, guarantee).await;
    let consumer = client(url).connect().await.expect("connected");
    let mut inbox =
        consumer.subscribe("/queue/work").ack(AckMode::ClientIndividual).await.expect("subscribed");
    let consuming = tokio::spawn(async move {
        let (mut seen, mut stale) = (BTreeMap::<usize, usize>::new(), 0);
        while let Some(message) = inbox.try_next().await.expect("it comes back") {
            let text = message.text().expect("text");
            if text == "end" {
                message.ack().expect("the outages are over");
                break;
            }
            *seen.entry(text.parse().expect("a number")).or_default() += 1;
            match message.ack() {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StaleAck => stale += 1,
                Err(error) => unreachable!("{error}"),
            }
        }
        (seen, stale)
    });

    for nth in 0..OUTAGES {
        publisher.confirm(BETWEEN).await;
        outage(broker, nth).await;
    }
    publisher.confirm(BETWEEN).await;
    publisher.enough.store(true, Ordering::Release);
    let published = publisher.task.await.expect("no panic");
    // Behind all the others. What the consumer had not acknowledged comes before it, too.
    let last = client(url).connect().await.expect("connected");
    last.send("/queue/work").text("end").confirm().await.expect("confirmed");
    let (seen, stale) = consuming.await.expect("no panic");
    consumer.disconnect().await.expect("in order");
    last.disconnect().await.expect("in order");

    let lost: Vec<_> = published.confirmed.iter().filter(|n| !seen.contains_key(n)).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    let false_news: Vec<_> = published.unsent.iter().filter(|n| seen.contains_key(n)).collect();
    assert!(false_news.is_empty(), "said not to be sent, and arrived: {false_news:?}");
    if guarantee == Guarantee::AtLeastOnce {
        assert!(published.unknown.is_empty() && published.unsent.is_empty(), "it waits for the RECEIPT");
    } else {
        assert!(!published.unknown.is_empty(), "no outage fell between a message and its RECEIPT");
    }
    println!(
        "{guarantee:?} over {url}: {OUTAGES} outages; {} confirmed, {} unknown, {} not sent; {} seen more than \
         once, {stale} stale acknowledgements",
        published.confirmed.len(),
        published.unknown.len(),
        published.unsent.len(),
        seen.values().filter(|times| **times > 1).count(),
    );
}

async fn over_every_way_in(guarantee: Guarantee) {
    let broker = Broker::start().await.expect("started");
    for url in [broker.tcp_url(), broker.ws_url()] {
        let run = confirmed_messages_arrive(&broker, url.expect("it listens"), guarantee);
        tokio::time::timeout(LIMIT, run).await.expect("no hang");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_arrives_at_most_once_written() {
    over_every_way_in(Guarantee::AtMostOnce).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_at_least_once_is_confirmed_in_the_end() {
    over_every_way_in(Guarantee::AtLeastOnce).await;
}
