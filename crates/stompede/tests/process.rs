//! Working a subscription off: what is acknowledged, what comes again, and when.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stompede::{
    AckMode, Client, Endpoint, ErrorKind, Message, Processed, ReconnectPolicy, Subscription, process,
};
use stompede_broker::TestBroker;
use tokio::sync::{Notify, Semaphore};

/// A client in memory, so that time may be virtual, and its subscription.
async fn worker(broker: &Arc<TestBroker>, ack: AckMode) -> (Client, Subscription) {
    let inside = broker.clone();
    let connector = move |_: Endpoint| {
        let transport = inside.connect();
        async move { Ok(transport) }
    };
    let builder = Client::builder("tcp://inside").reconnect(ReconnectPolicy::never());
    let client = builder.connector(connector).connect().await.expect("connected");
    let jobs = client.subscribe("/queue/jobs").ack(ack).confirm().await.expect("subscribed");
    (client, jobs)
}

async fn send(client: &Client, texts: &[&str]) {
    for text in texts {
        client.send("/queue/jobs").text(*text).confirm().await.expect("confirmed");
    }
}

/// Waits until so much has been done; time may be virtual, so nothing is ever late.
async fn stop_after(count: Arc<Semaphore>, times: u32) {
    count.acquire_many(times).await.expect("open").forget();
}

fn counts(done: Processed) -> (u64, u64, u64, u64) {
    (done.accepted, done.rejected, done.failed_attempts, done.unsettled)
}

#[tokio::test(start_paused = true)]
async fn what_succeeds_is_acknowledged_and_what_fails_is_tried_again_later() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["good", "flaky", "good"]).await;
    let (attempts, handled) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    #[allow(clippy::disallowed_methods, reason = "virtual time")]
    let started = tokio::time::Instant::now();
    let (tried, finished) = (attempts.clone(), handled.clone());
    let handler = move |message: Message| {
        let (tried, finished) = (tried.clone(), finished.clone());
        async move {
            if message.text() == Ok("flaky") && tried.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err("not yet");
            }
            finished.add_permits(1);
            Ok(())
        }
    };
    let done = process(jobs, 2, handler).until(stop_after(handled, 3)).await.expect("in order");
    assert_eq!(counts(done), (3, 0, 2, 0));
    // One second after the first attempt, two after the second.
    assert_eq!(started.elapsed().as_secs(), 3);
    client.disconnect().await.expect("in order");
    assert!(broker.messages("/queue/jobs").is_empty(), "everything was acknowledged");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_can_handle_is_rejected_without_a_hot_loop() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["poison"]).await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let tried = attempts.clone();
    let handler = move |_: Message| {
        tried.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), _>("never") }
    };
    // The broker delivers it again at once, and again: 1 + 2 + 2 seconds each time.
    let minute = tokio::time::sleep(Duration::from_secs(60));
    let work = process(jobs, 4, handler)
        .attempts(3)
        .delay(Duration::from_secs(1), Duration::from_secs(2))
        .drain_timeout(Duration::from_secs(10))
        .until(minute);
    let done = work.await.expect("in order");
    let tried = attempts.load(Ordering::Relaxed);
    assert!((36..=39).contains(&tried), "{tried} attempts in a minute");
    assert!((12..=13).contains(&done.rejected), "{done:?}");
    assert_eq!((done.accepted, done.unsettled), (0, 0));
    client.disconnect().await.expect("in order");
    let left = broker.messages("/queue/jobs");
    assert_eq!(left.len(), 1, "the broker still has it");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt_and_ends_nothing() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["bad", "good"]).await;
    let (handled, tried) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let finished = handled.clone();
    let handler = move |message: Message| {
        let (finished, tried) = (finished.clone(), tried.clone());
        async move {
            if message.text() == Ok("bad") && tried.fetch_add(1, Ordering::Relaxed) == 0 {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
            finished.add_permits(1);
            Ok::<(), &str>(())
        }
    };
    let done = process(jobs, 1, handler).until(stop_after(handled, 2)).await.expect("in order");
    assert_eq!(counts(done), (2, 0, 1, 0));
    client.disconnect().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_are_worked_on_at_a_time() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["x"; 40]).await;
    let (now, most, handled) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (inside, highest, finished) = (now.clone(), most.clone(), handled.clone());
    let handler = move |_: Message| {
        let (inside, highest, finished) = (inside.clone(), highest.clone(), finished.clone());
        async move {
            highest.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            finished.add_permits(1);
            Ok::<(), &str>(())
        }
    };
    let done = process(jobs, 7, handler).until(stop_after(handled, 40)).await.expect("in order");
    assert_eq!((counts(done), most.load(Ordering::SeqCst)), ((40, 0, 0, 0), 7));
    client.disconnect().await.expect("in order");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_was_begun_and_leaves_the_rest_to_the_broker() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["x"; 5]).await;
    let begun = Arc::new(Notify::new());
    let beginning = begun.clone();
    let handler = move |_: Message| {
        beginning.notify_one();
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok::<(), &str>(())
        }
    };
    let stop = async move { begun.notified().await };
    let done = process(jobs, 1, handler).until(stop).await.expect("in order");
    assert_eq!(counts(done), (1, 0, 0, 0));
    client.disconnect().await.expect("in order");
    assert_eq!(broker.messages("/queue/jobs").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn draining_the_client_ends_the_work_when_all_that_had_come_is_done() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["x"; 10]).await;
    let begun = Arc::new(Notify::new());
    let beginning = begun.clone();
    let handler = move |_: Message| {
        beginning.notify_one();
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<(), &str>(())
        }
    };
    let work = tokio::spawn(process(jobs, 2, handler).into_future());
    begun.notified().await;
    client.drain(Duration::from_secs(60)).await.expect("the consumer finishes");
    let done = work.await.expect("no panic").expect("in order");
    assert_eq!(counts(done), (10, 0, 0, 0));
    assert!(broker.messages("/queue/jobs").is_empty(), "the acknowledgements came before DISCONNECT");
}

#[tokio::test(start_paused = true)]
async fn draining_has_a_time_limit_whatever_a_handler_does() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["x"; 2]).await;
    let begun = Arc::new(Notify::new());
    let beginning = begun.clone();
    let handler = move |_: Message| {
        beginning.notify_one();
        std::future::pending::<Result<(), &str>>()
    };
    let work = tokio::spawn(process(jobs, 1, handler).drain_timeout(Duration::from_secs(60)).into_future());
    begun.notified().await;
    let late = client.drain(Duration::from_secs(5)).await.expect_err("it is stuck");
    assert_eq!(late.kind(), ErrorKind::DrainTimedOut);
    work.abort();
    assert!(work.await.expect_err("aborted").is_cancelled());
    assert_eq!(broker.messages("/queue/jobs").len(), 2, "the broker still has them");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_does_not_hold_up_the_shutdown_for_ever() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    send(&client, &["x"]).await;
    let begun = Arc::new(Notify::new());
    let beginning = begun.clone();
    let handler = move |_: Message| {
        beginning.notify_one();
        std::future::pending::<Result<(), &str>>()
    };
    let work = process(jobs, 1, handler).until(async move { begun.notified().await });
    let done = work.drain_timeout(Duration::from_secs(2)).await.expect("in order");
    assert_eq!(counts(done), (0, 0, 0, 1));
    client.disconnect().await.expect("in order");
    assert_eq!(broker.messages("/queue/jobs").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_is_the_end_of_the_work_with_its_cause() {
    let broker = Arc::new(TestBroker::start().await);
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    let work = tokio::spawn(process(jobs, 1, |_| async { Ok::<(), &str>(()) }).into_future());
    client.send("/nowhere").await.expect("handed over");
    let error = work.await.expect("no panic").expect_err("the broker sent ERROR");
    assert_eq!(error.kind(), ErrorKind::BrokerError);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_named() {
    let broker = Arc::new(TestBroker::start().await);
    for (ack, concurrency, attempts, name) in [
        (AckMode::ClientIndividual, 0, 1, "concurrency"),
        (AckMode::ClientIndividual, 1, 0, "attempts"),
        (AckMode::Client, 2, 1, "concurrency"),
        (AckMode::Auto, 1, 1, "subscription"),
    ] {
        let (client, jobs) = worker(&broker, ack).await;
        let work = process(jobs, concurrency, |_| async { Ok::<(), &str>(()) }).attempts(attempts);
        let error = work.await.expect_err("nonsense");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().starts_with(name), "{error}");
        client.disconnect().await.expect("in order");
    }
    let (client, jobs) = worker(&broker, AckMode::ClientIndividual).await;
    let work = process(jobs, 1, |_| async { Ok::<(), &str>(()) }).delay(Duration::ZERO, Duration::ZERO);
    let error = work.await.expect_err("a hot loop");
    assert!(error.to_string().starts_with("delay: "), "{error}");
    client.disconnect().await.expect("in order");
}
