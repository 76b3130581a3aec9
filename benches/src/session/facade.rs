//! The facade's ways to consume: a stream, a closure, listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stompede::{Client, Listener, Message, SubscribeBuilder};
use tokio::sync::Notify;

use super::cpu::{Sample, Stopwatch};
use super::{BENCH, Flooding, Place, throughput};
use crate::flavor::Flavor;

/// A stream, which is the measure, and what there is beside it.
pub(super) fn clients(place: Place, flavor: Flavor, flooding: Flooding) -> Vec<throughput::Client> {
    vec![
        throughput::Client::new(flavor, "stompede, a stream", move || stream(place, flooding)),
        throughput::Client::new(flavor, "stompede, a closure", move || handle(place, flooding)),
        throughput::Client::new(flavor, "stompede, a listener", move || listen(place, flooding, 1))
            .goal("≥ 0.7"),
        throughput::Client::new(flavor, "stompede, three listeners", move || listen(place, flooding, 3)),
    ]
}

async fn stream(place: Place, flooding: Flooding) -> Sample {
    let client = connect(place).await;
    let stopwatch = Stopwatch::start();
    let mut messages = subscribe(&client, flooding).await.expect("there is a connection");
    let mut octets = 0;
    for _ in 0..flooding.messages {
        let message = messages.try_next().await.expect("the session lives").expect("it goes on");
        octets += message.body().len();
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

async fn handle(place: Place, flooding: Flooding) -> Sample {
    let client = connect(place).await;
    let counter = Arc::new(Counter::new(flooding));
    let counting = counter.clone();
    let stopwatch = Stopwatch::start();
    let handling = subscribe(&client, flooding).handle(move |message| {
        counting.count(&message);
        std::future::ready(())
    });
    handling.await.expect("there is a connection");
    counter.all.notified().await;
    stopwatch.stop(flooding.messages)
}

async fn listen(place: Place, flooding: Flooding, listeners: usize) -> Sample {
    let client = connect(place).await;
    let counters: Vec<_> = (0..listeners).map(|_| Arc::new(Counter::new(flooding))).collect();
    for (nth, counter) in counters.iter().enumerate() {
        client.set_listener(nth.to_string(), counter.clone());
    }
    let stopwatch = Stopwatch::start();
    subscribe(&client, flooding).listen().await.expect("there is a connection");
    for counter in &counters {
        counter.all.notified().await;
    }
    stopwatch.stop(flooding.messages)
}

/// Counts octets, and says when all have come.
struct Counter {
    octets: AtomicUsize,
    expected: usize,
    all: Notify,
}

impl Counter {
    fn new(flooding: Flooding) -> Self {
        let expected = flooding.messages * flooding.body;
        Self { octets: AtomicUsize::new(0), expected, all: Notify::new() }
    }

    fn count(&self, message: &Message) {
        let octets = message.body().len();
        if self.octets.fetch_add(octets, Ordering::Relaxed) + octets == self.expected {
            self.all.notify_one();
        }
    }
}

impl Listener for Counter {
    async fn on_message(&self, message: &Message) {
        self.count(message);
    }
}

async fn connect(place: Place) -> Client {
    Client::builder(place.url()).connect().await.expect("the server answers")
}

/// The subscription to which the flood comes.
fn subscribe(client: &Client, flooding: Flooding) -> SubscribeBuilder<'_> {
    let headers = flooding.headers();
    headers
        .into_iter()
        .fold(client.subscribe(BENCH), |subscribe, (name, value)| subscribe.header(name, value))
}
