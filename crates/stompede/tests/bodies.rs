//! Bodies with a type: the `content-type` is set and checked, and what cannot be read is not lost.
#![cfg(all(feature = "json", feature = "encoding"))]

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stompede::{AckMode, Body, BodyErrorKind, BoxError, Client, ErrorKind, Json, Message};
use stompede_broker::TestBroker;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Order {
    id: u32,
    item: String,
}

fn order() -> Order {
    Order { id: 7, item: "coffee".to_owned() }
}

/// One client with a queue of its own.
async fn client(broker: &TestBroker) -> (Client, stompede::Subscription) {
    let client = Client::builder(broker.ws_url()).connect().await.expect("connected");
    let inbox = client.subscribe("/queue/a").ack(AckMode::ClientIndividual).await.expect("subscribed");
    (client, inbox)
}

async fn next(inbox: &mut stompede::Subscription) -> Message {
    inbox.try_next().await.expect("open").expect("a message")
}

#[tokio::test]
async fn json_says_its_content_type_and_reads_only_json() {
    let broker = TestBroker::start().await;
    let (client, mut inbox) = client(&broker).await;
    client.send("/queue/a").json(&order()).confirm().await.expect("confirmed");
    client.send("/queue/a").value(&Json(order())).confirm().await.expect("confirmed");
    client
        .send("/queue/a")
        .header("content-type", "application/vnd.example+json; charset=utf-8")
        .json(&order())
        .confirm()
        .await
        .expect("confirmed");
    client.send("/queue/a").body(&br#"{"id":7,"item":"coffee"}"#[..]).confirm().await.expect("confirmed");
    let expected = [
        Some("application/json"),
        Some("application/json"),
        Some("application/vnd.example+json; charset=utf-8"),
        None,
    ];
    for content_type in expected {
        let message = next(&mut inbox).await;
        assert_eq!(message.header("content-type").as_deref(), content_type);
        assert_eq!(message.json::<Order>().expect("an order"), order());
        assert_eq!(message.read::<Json<Order>>().expect("an order").0, order());
        message.ack().expect("queued");
    }
    client.send("/queue/a").header("content-type", "text/plain").json(&order()).await.expect("sent");
    let message = next(&mut inbox).await;
    let error = message.json::<Order>().expect_err("it says that it is text");
    assert_eq!(error.kind(), BodyErrorKind::ContentType);
    assert!(error.to_string().contains("text/plain"), "{error}");
    assert!(message.read::<Json<Order>>().is_err());
}

#[tokio::test]
async fn json_that_does_not_parse_keeps_the_message_and_settles_nothing() {
    let broker = TestBroker::start().await;
    let (client, mut inbox) = client(&broker).await;
    client.send("/queue/a").header("content-type", "application/json").body("{\"id\":").await.expect("sent");
    let error = next(&mut inbox).await.json::<Order>().expect_err("half an order");
    assert_eq!((error.kind(), error.message().text()), (BodyErrorKind::Malformed, Ok("{\"id\":")));
    assert!(std::error::Error::source(&error).is_some());
    let unsettled = || broker.connections()[0].session.as_ref().expect("greeted").unsettled;
    client.send("/topic/fence").confirm().await.expect("confirmed");
    assert_eq!(unsettled(), 1, "neither acknowledged nor rejected");
    error.into_message().nack().expect("still open to settle");
    assert_eq!(next(&mut inbox).await.header("redelivered").as_deref(), Some("true"));
}

#[tokio::test]
async fn text_goes_and_comes_in_its_charset() {
    let broker = TestBroker::start().await;
    let (client, mut inbox) = client(&broker).await;
    client.send("/queue/a").encode_text("text/plain;charset=windows-1251", "да").await.expect("sent");
    let message = next(&mut inbox).await;
    assert_eq!(&message.body()[..], b"\xe4\xe0");
    assert_eq!(message.decode_text().as_deref(), Ok("да"));
    assert!(message.text().is_err(), "it is not UTF-8");
    let send = client.send("/queue/a").encode_text("text/plain;charset=iso-8859-1", "да");
    assert_eq!(send.confirm().await.expect_err("no such letters").cause().kind(), ErrorKind::InvalidArgument);
}

#[derive(Debug, PartialEq)]
struct Celsius(i16);

impl Body for Celsius {
    fn content_type(&self) -> &str {
        "application/vnd.example.celsius"
    }

    fn write(&self) -> Result<Bytes, BoxError> {
        if self.0 < -273 {
            Err("colder than nothing".into())
        } else {
            Ok(Bytes::copy_from_slice(&self.0.to_be_bytes()))
        }
    }

    fn reads(content_type: Option<&str>) -> bool {
        content_type == Some("application/vnd.example.celsius")
    }

    fn read(_: Option<&str>, body: &Bytes) -> Result<Self, BoxError> {
        Ok(Self(i16::from_be_bytes(body[..].try_into()?)))
    }
}

#[tokio::test]
async fn a_body_of_ones_own_goes_both_ways() {
    let broker = TestBroker::start().await;
    let (client, mut inbox) = client(&broker).await;
    client.send("/queue/a").value(&Celsius(-40)).await.expect("sent");
    let message = next(&mut inbox).await;
    assert_eq!(message.read::<Celsius>().expect("a temperature"), Celsius(-40));
    client
        .send("/queue/a")
        .header("content-type", "application/vnd.example.celsius")
        .body("three")
        .await
        .expect("sent");
    assert_eq!(
        next(&mut inbox).await.read::<Celsius>().expect_err("five octets").kind(),
        BodyErrorKind::Malformed
    );
    client.send("/queue/a").text("40").await.expect("sent");
    assert_eq!(
        next(&mut inbox).await.read::<Celsius>().expect_err("a text").kind(),
        BodyErrorKind::ContentType
    );
    let error = client.send("/queue/a").value(&Celsius(-300)).await.expect_err("no such temperature");
    assert!(error.to_string().contains("colder than nothing"), "{error}");
}
