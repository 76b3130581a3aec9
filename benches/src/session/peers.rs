//! Other clients in Rust, each used as its documentation says.

use async_stomp::FromServer;
use async_stomp::client::{Connector, Subscriber};
use futures_util::{SinkExt, StreamExt};
use iridium_stomp::{AckMode, Connection, SubscriptionOptions};

use super::cpu::{Sample, Stopwatch};
use super::{BENCH, Flooding, Place};

/// async-stomp: the caller reads the connection itself.
pub(super) async fn async_stomp(place: Place, flooding: Flooding) -> Sample {
    let connecting = Connector::builder().server(place.address()).virtualhost("/").connect();
    let mut connection = connecting.await.expect("the server answers");
    let stopwatch = Stopwatch::start();
    let subscriber = Subscriber::builder().destination(BENCH).id("0").headers(flooding.headers());
    connection.send(subscriber.subscribe()).await.expect("the server reads");
    let mut octets = 0;
    for _ in 0..flooding.messages {
        let message = connection.next().await.expect("messages come").expect("in order");
        if let FromServer::Message { body, .. } = message.content {
            octets += body.unwrap_or_default().len();
        }
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

/// iridium-stomp: a task reads, and a subscription is a stream.
///
/// It would give the subscription up once 1,024 messages wait; here it may let any number wait.
pub(super) async fn iridium_stomp(place: Place, flooding: Flooding) -> Sample {
    let address = place.address();
    let connecting = Connection::connect(&address, "guest", "guest", "0,0");
    let connection = connecting.await.expect("the server answers");
    let stopwatch = Stopwatch::start();
    let options = SubscriptionOptions::new().headers(flooding.headers()).overflow_limit(usize::MAX);
    let subscribing = connection.subscribe_with_options(BENCH, AckMode::Auto, options);
    let mut subscription = subscribing.await.expect("there is a connection");
    let mut octets = 0;
    for _ in 0..flooding.messages {
        octets += subscription.next().await.expect("messages come").body.len();
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}

/// wstomp: a task on the same thread reads, events come through a channel.
pub(super) async fn wstomp(place: Place, flooding: Flooding) -> Sample {
    use wstomp::WStompEvent::{Error, Message};
    use wstomp::stomp::{FromServer, client::Subscriber};

    let mut client = wstomp::connect(place.url()).await.expect("the server answers");
    let stopwatch = Stopwatch::start();
    let subscriber = Subscriber::builder().destination(BENCH).id("0").headers(flooding.headers());
    client.send(subscriber.subscribe()).await.expect("there is a connection");
    let (mut messages, mut octets) = (0, 0);
    while messages < flooding.messages {
        match client.recv().await.expect("messages come") {
            // CONNECTED is an event like others.
            Message(message) => {
                if let FromServer::Message { body, .. } = message.content {
                    messages += 1;
                    octets += body.unwrap_or_default().len();
                }
            }
            Error(error) => unreachable!("it reads what the server writes: {error:?}"),
        }
    }
    let sample = stopwatch.stop(flooding.messages);
    assert_eq!(octets, flooding.messages * flooding.body);
    sample
}
