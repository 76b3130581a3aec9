//! Transactions: what takes effect together, and what not at all.

use std::sync::Arc;
use std::time::Duration;

use stompede::listeners::{Heard, RecordingListener};
use stompede::{
    AckMode, Client, Command, ErrorKind, SendError, SessionState, TransactionError, TransactionPolicy,
    Version,
};
use stompede_broker::{Broker, Personality, TestBroker};

/// Far more than anything here takes.
const HANG: Duration = Duration::from_secs(20);

/// A client for each transport and version.
async fn clients(broker: &TestBroker) -> Vec<Client> {
    let mut clients = Vec::new();
    for url in [broker.ws_url(), broker.tcp_url()] {
        for version in Version::ALL {
            clients.push(Client::builder(url).versions([version]).connect().await.expect("connected"));
        }
    }
    clients
}

#[tokio::test]
async fn what_is_sent_in_a_transaction_arrives_with_its_commit_and_never_after_an_abort() {
    let broker = TestBroker::start().await;
    for (n, client) in clients(&broker).await.into_iter().enumerate() {
        let queue = &*format!("/queue/{n}");
        let kept = client.begin().await.expect("begun");
        let (aborted, dropped) = (client.begin().await.expect("begun"), client.begin().await.expect("begun"));
        for (transaction, text) in [(&kept, "kept"), (&aborted, "aborted"), (&dropped, "dropped")] {
            for _ in 0..3 {
                transaction.send(queue).text(text).await.expect("sent");
            }
        }
        client.send(queue).text("outside").confirm().await.expect("confirmed");
        let texts = || -> Vec<_> { broker.messages(queue).iter().map(|sent| sent.body().clone()).collect() };
        assert_eq!(texts(), ["outside"], "nothing has been committed");
        aborted.abort();
        drop(dropped);
        kept.commit().await.expect("committed");
        assert_eq!(texts(), ["outside", "kept", "kept", "kept"]);
        client.disconnect().await.expect("in order");
    }
}

/// As in other clients, whoever begins a transaction may name it, and send what is part of it by its header.
#[tokio::test]
async fn a_transaction_may_be_named() {
    let broker = TestBroker::start().await;
    for (n, client) in clients(&broker).await.into_iter().enumerate() {
        let queue = &*format!("/queue/{n}");
        let bill =
            client.begin_with([("transaction", "bill: 7"), ("receipt", "begun")]).await.expect("begun");
        assert_eq!(bill.name(), "bill: 7");
        bill.send(queue).text("through it").await.expect("sent");
        client.send(queue).header("transaction", bill.name()).text("by its name").await.expect("sent");
        let error = client.begin_with([("transaction", "bill: 7")]).await.expect_err("open");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        bill.commit().await.expect("committed");
        let again = client.begin_with([("transaction", "bill: 7")]).await.expect("it has ended");
        again.send(queue).text("aborted").confirm().await.expect("confirmed");
        again.abort();
        client.disconnect().await.expect("in order");
        let texts: Vec<_> = broker.messages(queue).iter().map(|sent| sent.body().clone()).collect();
        assert_eq!(texts, ["through it", "by its name"]);
    }
}

#[tokio::test]
async fn acknowledgements_take_effect_with_the_commit_and_can_be_given_again_after_an_abort() {
    let broker = TestBroker::start().await;
    for (n, client) in clients(&broker).await.into_iter().enumerate() {
        let (todo, done) = (&*format!("/queue/todo.{n}"), &*format!("/queue/done.{n}"));
        let mut jobs = client.subscribe(todo).ack(AckMode::Client).await.expect("subscribed");
        client.send(todo).text("job").confirm().await.expect("confirmed");
        let job = jobs.try_next().await.expect("open").expect("a message");
        let aborted = client.begin().await.expect("begun");
        aborted.ack(&job).expect("queued");
        assert_eq!(job.ack().expect_err("settled").kind(), ErrorKind::AlreadySettled);
        aborted.abort();
        let kept = client.begin().await.expect("begun");
        kept.ack(&job).expect("it is open again");
        kept.send(done).text("job").await.expect("sent");
        kept.commit().await.expect("committed");
        assert_eq!(broker.messages(done).len(), 1);
        client.disconnect().await.expect("in order");
        assert!(broker.messages(todo).is_empty(), "it was acknowledged");
    }
}

#[tokio::test]
async fn a_transaction_dies_with_its_connection_and_says_so() {
    let broker = TestBroker::start().await;
    let heard = Arc::new(RecordingListener::new());
    let client =
        Client::builder(broker.ws_url()).listener("heard", heard.clone()).connect().await.expect("connected");
    let transaction = client.begin().await.expect("begun");
    transaction.send("/queue/a").text("lost").await.expect("sent");
    client.flush().await.expect("written");
    broker.hang_up();
    heard.wait_for(HANG, |heard| matches!(heard, Heard::Disconnected(Some(_)))).await.expect("it is lost");
    client
        .state_changes()
        .wait_for(|state| matches!(state, SessionState::Connected(_)))
        .await
        .expect("again");
    let unsent = transaction.send("/queue/a").text("late").await.expect_err("gone");
    assert!(matches!(unsent, SendError::NotSent(_)), "{unsent:?}");
    assert_eq!(unsent.cause().kind(), ErrorKind::TransactionEnded);
    let uncommitted = transaction.commit().await.expect_err("gone");
    assert!(matches!(uncommitted, SendError::NotSent(_)), "{uncommitted:?}");
    assert!(broker.messages("/queue/a").is_empty());
    let again = client.begin().await.expect("begun");
    again.send("/queue/a").text("kept").await.expect("sent");
    again.commit().await.expect("committed");
    assert_eq!(broker.messages("/queue/a").len(), 1);
}

#[tokio::test]
async fn work_that_loses_its_connection_is_run_again_and_takes_effect_once() {
    let broker = TestBroker::start().await;
    let client = Client::builder(broker.ws_url()).connect().await.expect("connected");
    let (broker, mut runs) = (&broker, 0);
    let work = |transaction: Arc<stompede::Transaction>| {
        runs += 1;
        let first = runs == 1;
        async move {
            transaction.send("/queue/a").text("one").await?;
            if first {
                broker.hang_up();
            }
            // Seen by the broker, or told that the connection is gone.
            transaction.send("/queue/a").text("two").confirm().await.map(|_| "done")
        }
    };
    let done = client.transaction_with(TransactionPolicy::run_again(3), work).await;
    assert_eq!((done.expect("committed"), runs), ("done", 2));
    assert_eq!(broker.messages("/queue/a").len(), 2, "of one run");
    let failed = client
        .transaction(|transaction| async move {
            transaction.send("/queue/a").text("never").await.expect("sent");
            Err::<(), _>("no such order")
        })
        .await;
    assert!(matches!(failed, Err(TransactionError::Failed("no such order"))), "{failed:?}");
    client.disconnect().await.expect("in order");
    assert_eq!(broker.messages("/queue/a").len(), 2);
}

#[tokio::test]
async fn a_message_of_another_client_is_no_business_of_the_transaction() {
    let broker = TestBroker::start_with(Broker::builder().personality(Personality::rabbitmq())).await;
    let builder = || Client::builder(broker.ws_url()).host("/").credentials("guest", "guest");
    let (one, other) =
        (builder().connect().await.expect("connected"), builder().connect().await.expect("connected"));
    let mut jobs = one.subscribe("/queue/jobs").ack(AckMode::ClientIndividual).await.expect("subscribed");
    one.send("/queue/jobs").text("job").confirm().await.expect("confirmed");
    let job = jobs.try_next().await.expect("open").expect("a message");
    let foreign = other.begin().await.expect("begun");
    assert_eq!(foreign.ack(&job).expect_err("foreign").kind(), ErrorKind::InvalidArgument);
    assert_eq!(foreign.nack(&job).expect_err("foreign").kind(), ErrorKind::InvalidArgument);
    let own = one.begin().await.expect("begun");
    own.nack(&job).expect("queued");
    own.commit().await.expect("committed");
    let again = jobs.try_next().await.expect("open").expect("it comes again");
    again.ack_confirmed().await.expect("confirmed");
    one.disconnect().await.expect("in order");
}

#[tokio::test]
async fn listeners_hear_the_frames_of_a_transaction() {
    let broker = TestBroker::start().await;
    let heard = Arc::new(RecordingListener::new());
    let client =
        Client::builder(broker.ws_url()).listener("heard", heard.clone()).connect().await.expect("connected");
    let transaction = client.begin().await.expect("begun");
    let id = transaction.name().to_owned();
    transaction.send("/topic/a").text("x").await.expect("sent");
    transaction.commit().await.expect("committed");
    client.disconnect().await.expect("in order");
    heard.wait_for(HANG, |heard| matches!(heard, Heard::Closed(_))).await.expect("it ends");
    let within: Vec<Command> = heard
        .heard()
        .iter()
        .filter_map(|heard| match heard {
            Heard::Send(frame) if frame.header("transaction").as_deref() == Some(&*id) => {
                Some(frame.command())
            }
            _ => None,
        })
        .collect();
    assert_eq!(within, [Command::Begin, Command::Send, Command::Commit]);
}
