//! Sessions of ours, used as an application uses them.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hdrhistogram::Histogram;
use stompede_session::{Config, Session, Subscription};
use stompede_transport::DefaultConnector;

use super::cpu::{Sample, Stopwatch};
use super::{BENCH, ECHO, Flooding, Place, WINDOW, echo, record};
use crate::harness;

pub(super) async fn connect(place: Place) -> Session {
    let config = Config::for_url(&place.url()).expect("the URL of a server");
    Session::connect(config, DefaultConnector::new()).await.expect("the server answers")
}

/// Receives messages through a subscription.
pub(super) async fn consume(place: Place, flooding: Flooding) -> Sample {
    let session = connect(place).await;
    let stopwatch = Stopwatch::start();
    let mut subscription = flooded(&session, flooding).await;
    let octets = take(&mut subscription, flooding.messages).await;
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

/// The same, with many more subscriptions on the connection, to which nothing comes.
pub(super) async fn consume_beside(place: Place, others: usize, flooding: Flooding) -> Sample {
    let session = connect(place).await;
    let others = subscribe_many(&session, others).await;
    let stopwatch = Stopwatch::start();
    let mut subscription = flooded(&session, flooding).await;
    let octets = take(&mut subscription, flooding.messages).await;
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    drop(others);
    sample
}

/// Receives messages through many subscriptions, to each of which they come in turn, with one task.
pub(super) async fn consume_in_turn(place: Place, subscriptions: usize, flooding: Flooding) -> Sample {
    let session = connect(place).await;
    let mut all = subscribe_many(&session, subscriptions - 1).await;
    let stopwatch = Stopwatch::start();
    all.push(flooded(&session, Flooding { to_all: true, ..flooding }).await);
    let mut octets = 0;
    for n in 0..flooding.messages {
        octets += take(&mut all[n % subscriptions], 1).await;
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

/// The same, with a task for each subscription.
pub(super) async fn consume_by_tasks(place: Place, subscriptions: usize, flooding: Flooding) -> Sample {
    let session = connect(place).await;
    let all = subscribe_many(&session, subscriptions - 1).await;
    let each = flooding.messages / subscriptions;
    let consume = |mut subscription: Subscription| {
        // They stay subscribed for as long as this is measured.
        tokio::spawn(async move { (take(&mut subscription, each).await, subscription) })
    };
    let mut tasks: Vec<_> = all.into_iter().map(consume).collect();
    let stopwatch = Stopwatch::start();
    tasks.push(consume(flooded(&session, Flooding { to_all: true, ..flooding }).await));
    let (mut octets, mut ended) = (0, Vec::with_capacity(tasks.len()));
    for task in tasks {
        let (taken, subscription) = task.await.expect("it has said why it failed");
        octets += taken;
        ended.push(subscription);
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

/// Sends messages one after the other from one task.
pub(super) async fn publish(place: Place, messages: usize, body: Bytes) -> Sample {
    let session = connect(place).await;
    let stopwatch = Stopwatch::start();
    for _ in 0..messages {
        session.send(BENCH).body(body.clone()).await.expect("there is a connection");
    }
    session
        .send(BENCH)
        .header("expect", messages.to_string())
        .body(Bytes::new())
        .confirm()
        .await
        .expect("the server counted them all");
    stopwatch.stop(messages)
}

/// Sends messages and waits for their receipts, with as many tasks as may be under way.
pub(super) async fn confirm_by_tasks(place: Place, messages: usize, body: Bytes) -> Sample {
    let session = connect(place).await;
    let each = messages / WINDOW;
    let mut tasks = Vec::with_capacity(WINDOW);
    let stopwatch = Stopwatch::start();
    for _ in 0..WINDOW {
        let (session, body) = (session.clone(), body.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..each {
                session.send(BENCH).body(body.clone()).confirm().await.expect("the server confirms");
            }
        }));
    }
    for task in tasks {
        task.await.expect("it has said why it failed");
    }
    stopwatch.stop(each * WINDOW)
}

/// The same from one task, which holds them in a `FuturesUnordered`.
pub(super) async fn confirm_unordered(place: Place, messages: usize, body: Bytes) -> Sample {
    confirm_window(&connect(place).await, messages, body).await
}

/// Sends messages and waits for their receipts, as many at a time as the window has room for.
pub(crate) async fn confirm_window(session: &Session, messages: usize, body: Bytes) -> Sample {
    let mut window = FuturesUnordered::new();
    let stopwatch = Stopwatch::start();
    for _ in 0..messages {
        window.push(session.send(BENCH).body(body.clone()).confirm());
        if window.len() == WINDOW {
            window.next().await.expect("the window is full").expect("the server confirms");
        }
    }
    while let Some(confirmed) = window.next().await {
        confirmed.expect("the server confirms");
    }
    stopwatch.stop(messages)
}

/// Sends one message after the other, each once that before has come back.
pub(super) async fn round_trips(place: Place, messages: usize, body: Bytes) -> Histogram<u64> {
    let session = connect(place).await;
    let mut subscription = session.subscribe(ECHO).await.expect("there is a connection");
    let mut times = echo::histogram();
    for _ in 0..messages {
        let started = harness::now();
        session.send(ECHO).body(body.clone()).await.expect("there is a connection");
        take(&mut subscription, 1).await;
        record(&mut times, started);
    }
    times
}

/// The subscription to which the flood comes.
async fn flooded(session: &Session, flooding: Flooding) -> Subscription {
    let mut subscribe = session.subscribe(BENCH);
    for (name, value) in flooding.headers() {
        subscribe = subscribe.header(name, value);
    }
    subscribe.await.expect("there is a connection")
}

async fn subscribe_many(session: &Session, subscriptions: usize) -> Vec<Subscription> {
    let mut all = Vec::with_capacity(subscriptions);
    for _ in 0..subscriptions {
        all.push(session.subscribe(BENCH).await.expect("there is a connection"));
    }
    session.flush().await.expect("the server reads");
    all
}

/// Takes so many messages; the octets of their bodies.
async fn take(subscription: &mut Subscription, messages: usize) -> usize {
    let mut octets = 0;
    for _ in 0..messages {
        let message = subscription.try_next().await.expect("the session lives").expect("it goes on");
        octets += message.body().len();
    }
    octets
}
