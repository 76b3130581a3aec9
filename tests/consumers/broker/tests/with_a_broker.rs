//! What a user's test looks like who has nothing of ours but the broker.

use std::io::ErrorKind;

use broker_consumer::send;
use stompede_broker::{Faults, TestBroker};

#[tokio::test]
async fn what_is_sent_arrives() {
    let broker = TestBroker::start().await;
    let address = broker.tcp_url().trim_start_matches("tcp://");
    send(address, "/queue/orders", "one coffee").await.expect("sent");
    assert_eq!(broker.messages("/queue/orders")[0].body_text(), Ok("one coffee"));
}

#[tokio::test]
async fn a_lost_confirmation_is_noticed() {
    let broker = TestBroker::start().await;
    broker.inject(Faults::new().hang_up_after(1));
    let address = broker.tcp_url().trim_start_matches("tcp://");
    let error = send(address, "/queue/orders", "one coffee").await.expect_err("not confirmed");
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
}
