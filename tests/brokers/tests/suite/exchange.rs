//! Who gets a message, when it is confirmed, and what a transaction does to both.

use std::time::Duration;

use stompede::{AckMode, Client, Command, ErrorKind, Frame, SendError};

use crate::mode::{Mode, next, next_text, put};

pub(crate) async fn queue_to_one(mode: Mode) {
    let (producer, first, second) = tokio::join!(mode.connect(), mode.connect(), mode.connect());
    let queue = mode.unique("/queue/one");
    put(&producer, &queue, "held until somebody comes").await;
    let mut first = first.subscribe(&queue).confirm().await.expect("subscribed");
    assert_eq!(next_text(&mut first).await, "held until somebody comes");
    let mut second = second.subscribe(&queue).confirm().await.expect("subscribed");
    for n in 0..4 {
        put(&producer, &queue, &n.to_string()).await;
    }
    // Two consumers share: each message once, whoever gets it.
    let mut got = Vec::new();
    while got.len() < 4 {
        tokio::select! {
            message = next_text(&mut first) => got.push(message),
            message = next_text(&mut second) => got.push(message),
        }
    }
    got.sort();
    assert_eq!(got, ["0", "1", "2", "3"]);
}

pub(crate) async fn topic_to_all(mode: Mode) {
    let (one, other) = tokio::join!(mode.connect(), mode.connect());
    let topic = mode.unique("/topic/all");
    let mut one_inbox = one.subscribe(&topic).confirm().await.expect("subscribed");
    let mut other_inbox = other.subscribe(&topic).confirm().await.expect("subscribed");
    put(&one, &topic, "to all").await;
    assert_eq!(next_text(&mut one_inbox).await, "to all");
    assert_eq!(next_text(&mut other_inbox).await, "to all");
}

/// RabbitMQ answers with an ERROR for each message that it had on its way when UNSUBSCRIBE came, and goes on.
pub(crate) async fn unsubscribing_in_a_flood_ends_nothing(mode: Mode) {
    let (producer, client) = tokio::join!(mode.connect_in_haste(), mode.connect());
    let queue = mode.unique("/queue/flood");
    for round in 0..10 {
        for n in 0..1000 {
            producer.send(&queue).text(n.to_string()).await.expect("sent");
        }
        put(&producer, &queue, "last").await;
        let ack = if round % 2 == 0 { AckMode::Auto } else { AckMode::ClientIndividual };
        let mut inbox = client.subscribe(&queue).ack(ack).await.expect("subscribed");
        next(&mut inbox).await.ack().expect("queued");
        inbox.unsubscribe().expect("unsubscribed");
        put(&client, &queue, "the connection is there").await;
    }
}

/// RabbitMQ says so by an ERROR, and goes on: here because somebody else drops the durable subscription that both consume from.
pub(crate) async fn a_deleted_queue_ends_its_subscription_alone(mode: Mode) {
    let (owner, client) = tokio::join!(mode.connect(), mode.connect());
    let (topic, queue) = (mode.unique("/topic/deleted"), mode.unique("/queue/goes-on"));
    let name = mode.unique("deleted");
    let _shared = owner.subscribe(&topic).durable(&name).confirm().await.expect("subscribed");
    let client_individual = client.subscribe(&topic).durable(&name).ack(AckMode::ClientIndividual);
    let mut ends = client_individual.confirm().await.expect("subscribed");
    let mut goes_on = client.subscribe(&queue).confirm().await.expect("subscribed");
    owner.unsubscribe_with(&*name, [("durable", "true"), ("auto-delete", "false")]).expect("unsubscribed");
    let ended = tokio::time::timeout(Duration::from_secs(20), ends.try_next()).await.expect("in time");
    assert_eq!(ended.expect_err("cancelled").kind(), ErrorKind::BrokerError);
    assert!(ends.ended_alone());
    put(&client, &queue, "the connection is there").await;
    assert_eq!(next_text(&mut goes_on).await, "the connection is there");
    // It may be made again at once, under the same name.
    drop(ends);
    let mut again = client.subscribe(&topic).durable(&name).confirm().await.expect("subscribed");
    put(&owner, &topic, "again").await;
    assert_eq!(next_text(&mut again).await, "again");
    let headers = [("durable", "true"), ("auto-delete", "false")];
    client.unsubscribe_with(&*name, headers).expect("unsubscribed");
    client.disconnect().await.expect("in order");
}

pub(crate) async fn receipts_in_order(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/receipts");
    for n in 0..50 {
        put(&client, &queue, &n.to_string()).await;
    }
    // Whether the RECEIPT or the message itself comes first is RabbitMQ's choice; both come.
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    for n in 0..50 {
        assert_eq!(next_text(&mut inbox).await, n.to_string());
    }
}

/// RabbitMQ confirms a SEND in a transaction after the COMMIT, whose own receipt comes first.
pub(crate) async fn receipts_out_of_order(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/late-receipt");
    transaction(&client, Command::Begin, "t").await;
    let send = client.send(&queue).header("transaction", "t").text("later").confirm();
    let commit = async {
        client.flush().await.expect("the SEND is on its way first");
        transaction(&client, Command::Commit, "t").await;
    };
    let (confirmed, ()) = tokio::join!(send, commit);
    confirmed.expect("confirmed after COMMIT");
}

pub(crate) async fn transaction_commits(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/commit");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    transaction(&client, Command::Begin, "t").await;
    for n in 0..3 {
        client.send(&queue).header("transaction", "t").text(n.to_string()).await.expect("handed over");
    }
    put(&client, &queue, "outside").await;
    assert_eq!(next_text(&mut inbox).await, "outside", "nothing before COMMIT");
    transaction(&client, Command::Commit, "t").await;
    for n in 0..3 {
        assert_eq!(next_text(&mut inbox).await, n.to_string());
    }
}

pub(crate) async fn transaction_aborts(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/abort");
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    transaction(&client, Command::Begin, "t").await;
    client.send(&queue).header("transaction", "t").text("never").await.expect("handed over");
    transaction(&client, Command::Abort, "t").await;
    put(&client, &queue, "after").await;
    assert_eq!(next_text(&mut inbox).await, "after");
}

/// The reply comes under a subscription that nobody made: its id is the name of the temporary queue.
pub(crate) async fn temp_queue_request_and_reply(mode: Mode) {
    let (asking, answering) = tokio::join!(mode.connect(), mode.connect());
    let queue = mode.unique("/queue/questions");
    let mut questions = answering.subscribe(&queue).confirm().await.expect("subscribed");
    let mut replies = asking.subscribe("/temp-queue/answers").unannounced().await.expect("registered");
    let question = asking.send(&queue).header("reply-to", "/temp-queue/answers").text("how many?");
    question.confirm().await.expect("confirmed");
    let question = next(&mut questions).await;
    let reply_to = question.header("reply-to").expect("where to");
    put(&answering, &reply_to, "forty-two").await;
    assert_eq!(next_text(&mut replies).await, "forty-two");
}

pub(crate) async fn durable_topic_subscription(mode: Mode) {
    let topic = mode.unique("/topic/durable");
    let id = mode.unique("durable");
    let subscribe = async |client: &Client| {
        let subscribe =
            client.subscribe(&topic).id(&id).header("durable", "true").header("auto-delete", "false");
        subscribe.confirm().await.expect("subscribed")
    };
    let client = mode.connect().await;
    let inbox = subscribe(&client).await;
    client.disconnect().await.expect("in order");
    drop(inbox);

    let other = mode.connect().await;
    put(&other, &topic, "while you were away").await;

    let client = mode.connect().await;
    let mut inbox = subscribe(&client).await;
    assert_eq!(next_text(&mut inbox).await, "while you were away");
    // So that nothing collects messages from here on.
    let end = Frame::new(Command::Unsubscribe)
        .with_header("id", &id)
        .with_header("durable", "true")
        .with_header("auto-delete", "false");
    client.send_frame(end).deadline(Duration::from_secs(20)).confirm().await.expect("gone");
}

pub(crate) async fn slash_in_a_queue_name(mode: Mode) {
    let client = mode.connect().await;
    let queue = format!("{}%2Fb", mode.unique("/queue/a"));
    let mut inbox = client.subscribe(&queue).confirm().await.expect("subscribed");
    put(&client, &queue, "escaped").await;
    assert_eq!(next_text(&mut inbox).await, "escaped");
}

/// RabbitMQ leaves its socket open behind such an ERROR; the session ends all the same.
pub(crate) async fn refused_frames_end_the_session(mode: Mode) {
    let client = mode.connect().await;
    let outcome = client.send("/queue/a/b").text("x").confirm().await;
    assert!(matches!(outcome, Err(SendError::Unknown(_))), "{outcome:?}");
    assert_eq!(client.closed().await.expect("a cause").kind(), ErrorKind::BrokerError);

    let client = mode.connect().await;
    let outcome =
        client.send(mode.unique("/queue/id")).header("message-id", "mine").text("x").confirm().await;
    let Err(SendError::Unknown(cause)) = outcome else { unreachable!("unknown, not {outcome:?}") };
    assert!(cause.to_string().contains("message-id"), "{cause}");

    let client = mode.connect().await;
    let refused = client.subscribe("/queue/a/b").confirm().await.expect_err("no such destination");
    assert_eq!(refused.kind(), ErrorKind::BrokerError, "{refused}");
}

async fn transaction(client: &Client, command: Command, id: &str) {
    let frame = Frame::new(command).with_header("transaction", id);
    client.send_frame(frame).confirm().await.expect("confirmed");
}
