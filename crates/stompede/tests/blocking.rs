//! The client without async, and that it refuses to wait where it must not.
#![cfg(feature = "blocking")]

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use stompede::blocking::Client;
use stompede::{
    AckMode, ErrorKind, Postponed, ReconnectPolicy, ReplyTo, RequestError, SendError, TransactionError,
    TransactionPolicy,
};
use stompede_broker::TestBroker;

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(20);

/// A broker in a thread of its own; it hangs up when it is sent something, and lives until the sender is dropped.
#[allow(clippy::disallowed_methods, reason = "one message each way")]
fn broker() -> (String, Sender<()>) {
    let (tell_url, url) = channel();
    let (alive, ended) = channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let broker = runtime.block_on(TestBroker::start());
        tell_url.send(broker.ws_url().to_owned()).expect("the test waits");
        while ended.recv().is_ok() {
            broker.hang_up();
        }
    });
    (url.recv().expect("started"), alive)
}

fn connect(url: &str) -> Client {
    Client::connect(stompede::Client::builder(url)).expect("connected")
}

#[test]
fn messages_go_and_come_without_async() {
    let (url, _broker) = broker();
    let client = connect(&url);
    let mut jobs = client
        .subscribe("/queue/jobs", |subscribe| subscribe.ack(AckMode::ClientIndividual).confirm())
        .expect("subscribed");
    for n in 0..100 {
        client.send("/queue/jobs", |send| send.header("n", n.to_string()).text("job")).expect("sent");
    }
    client.confirm("/queue/jobs", |send| send.text("last")).expect("confirmed");
    client.flush().expect("written");
    for n in 0..100 {
        let job = jobs.next().expect("open").expect("a message");
        assert_eq!(job.header("n").as_deref(), Some(n.to_string().as_str()));
        job.ack().expect("queued");
    }
    assert_eq!(jobs.try_next().expect("open").expect("a message").text(), Ok("last"));
    assert!(jobs.next_within(Duration::from_millis(20)).expect("open").is_none());
    client.disconnect().expect("in order");
    assert!(jobs.next().is_none(), "it ended in order");
    let unsent = client.send("/queue/jobs", |send| send.text("late")).expect_err("closed");
    assert!(matches!(unsent, SendError::NotSent(_)));
}

/// Settings are the same builder's, so those for coming back hold here as well.
#[test]
#[allow(clippy::disallowed_methods, reason = "one number for each attempt")]
fn the_client_comes_back_and_asks_before_each_attempt() {
    let (url, broker) = broker();
    let (asked, numbers) = channel();
    let mut policy = ReconnectPolicy::default();
    (policy.initial, policy.max) = (Duration::from_millis(5), Duration::from_millis(20));
    let builder = stompede::Client::builder(url).reconnect(policy).before_connect(move |attempt| {
        let told = asked.send(attempt.number);
        async move { told.map(|()| attempt).map_err(Postponed::stop) }
    });
    let client = Client::connect(builder).expect("connected");
    assert_eq!(numbers.recv_timeout(HANG), Ok(0));
    let mut inbox = client.subscribe("/topic/a", |subscribe| subscribe.confirm()).expect("subscribed");
    broker.send(()).expect("the broker lives");
    assert_eq!(numbers.recv_timeout(HANG), Ok(1));
    // Refused until it is back.
    while client.confirm("/topic/a", |send| send.text("again")).is_err() {
        std::thread::yield_now();
    }
    let message = inbox.next_within(HANG).expect("the stream goes on").expect("a message");
    assert_eq!(message.text(), Ok("again"));
    assert!(message.gap().is_some(), "what was sent in between is missing");
    client.disconnect().expect("in order");
}

#[test]
fn work_in_a_transaction_is_committed_or_aborted_without_async() {
    let (url, _broker) = broker();
    let client = connect(&url);
    let mut jobs = client.subscribe("/queue/jobs", |subscribe| subscribe.confirm()).expect("subscribed");
    let failed = client.transaction(|transaction| {
        transaction.send("/queue/jobs", |send| send.text("never")).expect("sent");
        Err::<(), _>("no such order")
    });
    assert!(matches!(failed, Err(TransactionError::Failed("no such order"))), "{failed:?}");
    let mut runs = 0;
    let done = client.transaction_with(TransactionPolicy::run_again(2), |transaction| {
        runs += 1;
        transaction.send("/queue/jobs", |send| send.text("one"))?;
        transaction.send("/queue/jobs", |send| send.text("two")).map(|()| "done")
    });
    assert_eq!((done.expect("committed"), runs), ("done", 1));
    for text in ["one", "two"] {
        assert_eq!(jobs.try_next().expect("open").expect("a message").text(), Ok(text));
    }
    client.disconnect().expect("in order");
    let late = client.transaction(|transaction| transaction.send("/queue/jobs", |send| send.text("late")));
    assert_eq!(late.expect_err("closed").cause().map(stompede::Error::kind), Some(ErrorKind::Closed));
}

#[test]
fn transactions_requests_and_draining_without_async() {
    let (url, _broker) = broker();
    let client = connect(&url);
    let mut jobs = client
        .subscribe("/queue/jobs", |subscribe| subscribe.ack(AckMode::ClientIndividual).confirm())
        .expect("subscribed");

    let dropped = client.begin().expect("begun");
    dropped.send("/queue/jobs", |send| send.text("never")).expect("sent");
    drop(dropped);
    let aborted = client.begin().expect("begun");
    aborted.send("/queue/jobs", |send| send.text("never")).expect("sent");
    aborted.abort();
    let kept = client.begin().expect("begun");
    kept.send("/queue/jobs", |send| send.text("one")).expect("sent");
    kept.send("/queue/jobs", |send| send.text("two")).expect("sent");
    kept.commit().expect("committed");
    let one = jobs.try_next().expect("open").expect("a message");
    assert_eq!(one.text(), Ok("one"));
    client.ack_confirmed(&one).expect("confirmed");
    let two = jobs.try_next().expect("open").expect("a message");
    let settling = client.begin().expect("begun");
    settling.ack(&two).expect("queued");
    settling.commit().expect("committed");

    let answering = client.clone();
    let service = std::thread::spawn(move || {
        let mut questions =
            answering.subscribe("/queue/questions", |subscribe| subscribe).expect("subscribed");
        let question = questions.try_next().expect("open").expect("a question");
        answering.reply(&question, |send| send.text("42")).expect("answered");
    });
    let requests = client.requester(ReplyTo::Temporary).expect("subscribed");
    let asked = requests.request("/queue/questions", HANG, |send| send.text("how many?"));
    assert_eq!(asked.expect("a reply").text(), Ok("42"));
    service.join().expect("no panic");
    drop(requests);

    drop(jobs);
    client.drain(HANG).expect("nobody has anything left to do");
    assert!(client.begin().is_err() && !client.inner().is_connected());
}

#[test]
fn inside_a_runtime_each_call_is_an_error_and_no_panic() {
    let (url, _broker) = broker();
    let client = connect(&url);
    let mut inbox = client.subscribe("/topic/a", |subscribe| subscribe).expect("subscribed");
    let (requests, begun) = (client.requester(ReplyTo::Temporary).expect("subscribed"), client.begin());
    let mut begun = Some(begun.expect("begun"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut judge = || {
        let kind = |error: &stompede::Error| {
            assert!(error.to_string().contains("inside an async runtime"), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        };
        kind(&Client::connect(stompede::Client::builder(&url)).expect_err("inside"));
        kind(&client.subscribe("/topic/b", |subscribe| subscribe).expect_err("inside"));
        kind(&inbox.try_next().expect_err("inside"));
        kind(&inbox.next_within(Duration::ZERO).expect_err("inside"));
        kind(&client.flush().expect_err("inside"));
        kind(&client.disconnect().expect_err("inside"));
        kind(&client.drain(HANG).expect_err("inside"));
        kind(&client.begin().expect_err("inside"));
        let not_run = client.transaction(|_| -> Result<(), ()> { unreachable!("inside a runtime") });
        kind(not_run.expect_err("inside").cause().expect("a cause"));
        kind(&client.requester(ReplyTo::Temporary).expect_err("inside"));
        let RequestError::Send(unasked) =
            requests.request("/topic/a", HANG, |send| send).expect_err("inside")
        else {
            unreachable!("it was not asked")
        };
        kind(unasked.cause());
        if let Some(begun) = begun.take() {
            kind(begun.send("/topic/a", |send| send).expect_err("inside").cause());
            let SendError::NotSent(uncommitted) = begun.commit().expect_err("inside") else {
                unreachable!("it was not committed")
            };
            kind(&uncommitted.cause);
        }
        let SendError::NotSent(unsent) = client.send("/topic/a", |send| send.text("x")).expect_err("inside")
        else {
            unreachable!("it was not sent")
        };
        kind(&unsent.cause);
        assert_eq!(unsent.frame.body_text(), Ok("x"), "the frame comes back");
    };
    runtime.block_on(async { judge() });
    // Dropped inside a runtime, too.
    runtime.block_on(async move { drop((inbox, client)) });
}

#[test]
fn a_refused_connection_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("tcp://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let error = Client::connect(stompede::Client::builder(url)).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::DialFailed);
}
