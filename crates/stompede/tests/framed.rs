//! Frames over a connection without a session.

use std::time::Duration;

use stompede::codec::Item;
use stompede::{Command, Frame, FramedError, FramedTransport, TransportErrorKind, Version};
use stompede_broker::{Faults, TestBroker};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(20);

async fn frame(wire: &mut FramedTransport) -> Frame {
    loop {
        if let Item::Frame(frame) = wire.receive().await.expect("open").expect("not closed") {
            return frame;
        }
    }
}

async fn greet(wire: &mut FramedTransport, version: Version) {
    wire.send(&Frame::connect("/", &[version]).expect("fine")).await.expect("sent");
    assert_eq!(frame(wire).await.command(), Command::Connected);
}

#[tokio::test]
async fn frames_go_and_come_over_each_transport_and_version() {
    let broker = TestBroker::start().await;
    for url in [broker.ws_url(), broker.tcp_url()] {
        for version in [Version::V1_1, Version::V1_2] {
            let mut wire = FramedTransport::open(url).await.expect("open");
            assert!(wire.is_connected());
            greet(&mut wire, version).await;
            wire.send_heart_beat().await.expect("sent");
            let subscribe =
                Frame::new(Command::Subscribe).with_header("id", "0").with_header("destination", "/topic/a");
            wire.send(&subscribe).await.expect("sent");
            let send =
                Frame::send("/topic/a").expect("fine").with_header("k", "a:b").with_body(vec![7; 100_000]);
            wire.send(&send).await.expect("sent");
            let message = frame(&mut wire).await;
            assert_eq!((message.header("k").as_deref(), message.body()), (Some("a:b"), send.body()));
            wire.stop(LONG).await.expect("in order");
        }
    }
}

#[tokio::test]
async fn bytes_are_there_as_they_came() {
    let broker = TestBroker::start().await;
    let mut wire = FramedTransport::over(broker.connect());
    wire.send(&Frame::connect("/", &[Version::V1_2]).expect("fine")).await.expect("sent");
    let bytes = wire.receive_bytes().await.expect("open").expect("not closed");
    assert!(bytes.starts_with(b"CONNECTED\n"));
}

#[tokio::test]
async fn an_end_is_seen_and_nothing_is_sent_after_it() {
    let broker = TestBroker::start().await;
    let mut wire = FramedTransport::open(broker.tcp_url()).await.expect("open");
    greet(&mut wire, Version::V1_2).await;
    broker.hang_up();
    while let Ok(Some(_)) = wire.receive().await {}
    assert!(!wire.is_connected());
    assert!(matches!(wire.send_heart_beat().await, Err(FramedError::Closed)));
}

#[tokio::test]
async fn what_cannot_be_written_leaves_the_connection_as_it_was() {
    let broker = TestBroker::start().await;
    let mut wire = FramedTransport::open(broker.ws_url()).await.expect("open");
    greet(&mut wire, Version::V1_2).await;
    let frame_with_nul = Frame::send("/topic/a").expect("fine").with_header("k", "\0");
    assert!(matches!(wire.send(&frame_with_nul).await, Err(FramedError::Encode(_))));
    wire.send(&Frame::send("/queue/a").expect("fine").with_header("receipt", "1")).await.expect("sent");
    assert_eq!(frame(&mut wire).await.command(), Command::Receipt);
}

#[tokio::test]
async fn a_peer_that_does_not_close_is_left_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("tcp://{}", silent.local_addr().expect("bound"));
    let wire = FramedTransport::open(&url).await.expect("open");
    let (_stream, _) = silent.accept().await.expect("a client");
    let stopped = wire.stop(Duration::from_millis(50)).await;
    assert!(matches!(stopped, Err(FramedError::TimedOut(_))), "{stopped:?}");
}

#[tokio::test]
async fn half_a_frame_is_no_orderly_end() {
    let broker = TestBroker::start().await;
    broker.inject(Faults::new().hang_up_within(0, 20));
    let mut wire = FramedTransport::over(broker.connect());
    wire.send(&Frame::connect("/", &[Version::V1_2]).expect("fine")).await.expect("sent");
    let ended = wire.receive().await;
    assert!(matches!(ended, Err(FramedError::MidFrame | FramedError::Transport(_))), "{ended:?}");
}

#[tokio::test]
async fn a_url_without_sense_is_refused() {
    let error = FramedTransport::open("nonsense").await.expect_err("no URL");
    let FramedError::Transport(error) = error else { unreachable!("{error}") };
    assert_eq!(error.kind(), &TransportErrorKind::InvalidEndpoint);
}
