//! What is settled stays settled, and what is not comes again.

use std::time::Duration;

use stompede::{AckMode, Client, Subscription, Version};

use crate::mode::{Mode, next, next_text, put};

/// A queue with three messages, and a subscription that has received but not settled them.
async fn three(
    mode: &Mode,
    name: &str,
    ack: AckMode,
) -> (Client, Subscription, Vec<stompede::Message>, String) {
    let client = mode.connect().await;
    let queue = mode.unique(name);
    for text in ["one", "two", "three"] {
        put(&client, &queue, text).await;
    }
    let mut inbox = client.subscribe(&queue).ack(ack).confirm().await.expect("subscribed");
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(next(&mut inbox).await);
    }
    (client, inbox, messages, queue)
}

/// What is left in a queue, up to a mark that is put behind it.
async fn left(mode: &Mode, queue: &str) -> Vec<String> {
    let client = mode.connect().await;
    put(&client, queue, "mark").await;
    let mut inbox = client.subscribe(queue).confirm().await.expect("subscribed");
    let mut left = Vec::new();
    loop {
        let message = next(&mut inbox).await;
        if message.text() == Ok("mark") {
            return left;
        }
        assert_eq!(message.header("redelivered").as_deref(), Some("true"));
        left.push(message.text().expect("text").to_owned());
    }
}

pub(crate) async fn what_is_rejected_does_not_come_again(mode: Mode) {
    let (client, _inbox, messages, queue) = three(&mode, "/queue/rejected", AckMode::ClientIndividual).await;
    messages[0].ack().expect("queued");
    messages[1].reject().expect("queued");
    messages[2].nack().expect("queued");
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["three"]);
}

pub(crate) async fn auto_settles_by_itself(mode: Mode) {
    let (client, _inbox, messages, queue) = three(&mode, "/queue/auto", AckMode::Auto).await;
    messages[0].ack().expect("nothing to do");
    client.disconnect().await.expect("in order");
    assert!(left(&mode, &queue).await.is_empty());
}

pub(crate) async fn client_is_cumulative(mode: Mode) {
    let (client, _inbox, messages, queue) = three(&mode, "/queue/client", AckMode::Client).await;
    messages[1].ack().expect("queued");
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["three"], "the second covers the first");
}

/// RabbitMQ would take a cumulative ACK for all earlier messages of the connection: those of other subscriptions would be lost,
/// and an ACK for one of them would end the connection.
pub(crate) async fn client_is_cumulative_within_its_subscription(mode: Mode) {
    let (client, _inbox, others, queue) = three(&mode, "/queue/apart", AckMode::Client).await;
    let individual = mode.unique("/queue/apart-individual");
    let mut single = client.subscribe(&individual).ack(AckMode::ClientIndividual).await.expect("subscribed");
    put(&client, &individual, "one").await;
    let one = next(&mut single).await;
    let later = mode.unique("/queue/apart-later");
    let mut inbox = client.subscribe(&later).ack(AckMode::Client).await.expect("subscribed");
    for text in ["one", "two", "three"] {
        put(&client, &later, text).await;
    }
    let _first = next(&mut inbox).await;
    let second = next(&mut inbox).await;
    second.ack_confirmed().await.expect("settled, and the first with it");
    others[0].ack_confirmed().await.expect("still there");
    one.ack_confirmed().await.expect("still there");
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["two", "three"]);
    assert_eq!(left(&mode, &later).await, ["three"]);
    assert!(left(&mode, &individual).await.is_empty());
}

/// In 1.0 each ACK is for one message, and RabbitMQ would take it for the earlier ones too.
pub(crate) async fn in_1_0_client_settles_one(mode: Mode) {
    let client = mode.login("guest", "guest").versions([Version::V1_0]).connect().await.expect("connected");
    let queue = mode.unique("/queue/client-1-0");
    let mut inbox = client.subscribe(&queue).ack(AckMode::Client).confirm().await.expect("subscribed");
    for text in ["one", "two", "three"] {
        put(&client, &queue, text).await;
    }
    let messages = [next(&mut inbox).await, next(&mut inbox).await, next(&mut inbox).await];
    for at in [2, 0] {
        messages[at].ack_confirmed().await.expect("settled");
    }
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["two"]);
}

/// A COMMIT that acknowledges what has been acknowledged meanwhile would end the connection.
pub(crate) async fn acks_in_transactions_and_beside_them(mode: Mode) {
    let (client, mut inbox, messages, queue) = three(&mode, "/queue/beside", AckMode::Client).await;
    let aborted = client.begin().await.expect("begun");
    aborted.ack(&messages[1]).expect("queued");
    aborted.abort();
    let committed = client.begin().await.expect("begun");
    committed.ack(&messages[0]).expect("open again");
    messages[2].ack_confirmed().await.expect("settled, and the second with it");
    committed.commit().await.expect("committed");
    put(&client, &queue, "again").await;
    let last = next(&mut inbox).await;
    let rejected = client.begin().await.expect("begun");
    rejected.nack(&last).expect("queued");
    rejected.commit().await.expect("committed");
    assert_eq!(next_text(&mut inbox).await, "again");
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["again"]);
}

pub(crate) async fn client_individual_settles_one(mode: Mode) {
    let (client, _inbox, messages, queue) =
        three(&mode, "/queue/individual", AckMode::ClientIndividual).await;
    messages[1].ack().expect("queued");
    client.disconnect().await.expect("in order");
    assert_eq!(left(&mode, &queue).await, ["one", "three"]);
}

pub(crate) async fn nack_redelivers(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/nack");
    let subscribe = client.subscribe(&queue).ack(AckMode::ClientIndividual);
    let mut inbox = subscribe.confirm().await.expect("subscribed");
    put(&client, &queue, "again").await;
    let message = next(&mut inbox).await;
    assert_ne!(message.header("redelivered").as_deref(), Some("true"));
    message.nack().expect("queued");
    let again = next(&mut inbox).await;
    assert_eq!((again.text(), again.header("redelivered").as_deref()), (Ok("again"), Some("true")));
    again.ack().expect("queued");
    client.disconnect().await.expect("in order");
}

pub(crate) async fn prefetch_holds_back(mode: Mode) {
    let client = mode.connect().await;
    let queue = mode.unique("/queue/prefetch");
    for n in 0..5 {
        put(&client, &queue, &n.to_string()).await;
    }
    let subscribe = client.subscribe(&queue).ack(AckMode::ClientIndividual).header("prefetch-count", "2");
    let mut inbox = subscribe.confirm().await.expect("subscribed");
    let (first, second) = (next(&mut inbox).await, next(&mut inbox).await);
    let third = tokio::time::timeout(Duration::from_millis(200), inbox.try_next()).await;
    assert!(third.is_err(), "two are unsettled, so there is no third: {third:?}");
    first.ack().expect("queued");
    assert_eq!(next_text(&mut inbox).await, "2");
    second.ack().expect("queued");
    assert_eq!(next_text(&mut inbox).await, "3");
}
