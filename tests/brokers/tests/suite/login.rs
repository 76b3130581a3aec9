//! Getting in, not getting in, and getting out.

use std::future::poll_fn;
use std::time::Duration;

use stompede::transport::{BoxTransport, Outbound, Transport};
use stompede::{ErrorKind, SendError, Version};

use crate::mode::{Mode, next_text, put};

pub(crate) async fn good_login(mode: Mode) {
    let client = mode.connect().await;
    let server = client.connected().expect("connected").server().expect("a name");
    assert!(server.starts_with("RabbitMQ/"), "{server}");
    client.disconnect().await.expect("in order");
}

pub(crate) async fn wrong_passcode_is_told_at_once(mode: Mode) {
    let attempt = tokio::time::timeout(Duration::from_secs(5), mode.login("guest", "wrong").connect());
    let error = attempt.await.expect("well before RabbitMQ's ten seconds").expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::LoginRefused, "{error}");
    assert!(error.to_string().contains("Bad CONNECT"), "{error}");
}

pub(crate) async fn unknown_virtual_host(mode: Mode) {
    let error = mode.login("guest", "guest").host("nope").connect().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::LoginRefused, "{error}");
    assert!(error.to_string().contains("nope"), "{error}");
}

pub(crate) async fn no_permission_to_write(mode: Mode) {
    let client = mode.login("ro", "ropass").connect().await.expect("connected");
    let outcome = client.send(mode.unique("/queue/forbidden")).text("x").confirm().await;
    // RabbitMQ puts no receipt-id into its ERROR, and over WebSocket it closes without one.
    let Err(SendError::Unknown(cause)) = outcome else { unreachable!("unknown, not {outcome:?}") };
    match mode.is_ws() {
        false => {
            assert_eq!(cause.kind(), ErrorKind::BrokerError, "{cause}");
            assert!(cause.to_string().contains("access_refused"), "{cause}");
        }
        true => assert_eq!(cause.kind(), ErrorKind::ConnectionLost, "{cause}"),
    }
    assert!(client.closed().await.is_some(), "the session has ended");
}

pub(crate) async fn every_version(mode: Mode) {
    for version in Version::ALL {
        let client = mode.login("guest", "guest").versions([version]).connect().await.expect("connected");
        assert_eq!(client.connected().expect("connected").version(), version);
        let topic = mode.unique("/topic/version");
        let mut inbox = client.subscribe(&topic).confirm().await.expect("subscribed");
        put(&client, &topic, version.as_str()).await;
        assert_eq!(next_text(&mut inbox).await, version.as_str());
        client.disconnect().await.expect("in order");
    }
    let client = mode.connect().await;
    assert_eq!(client.connected().expect("connected").version(), Version::V1_2, "the highest of all");
}

/// Over WebSocket RabbitMQ never confirms DISCONNECT: it closes with 1000 "STOMP died".
pub(crate) async fn disconnect_counts_as_clean(mode: Mode) {
    let client = mode.connect().await;
    let mut inbox = client.subscribe(mode.unique("/topic/clean")).confirm().await.expect("subscribed");
    client.disconnect().await.expect("in order");
    assert!(client.closed().await.is_none());
    assert!(inbox.try_next().await.expect("a clean end").is_none());
    client.disconnect().await.expect("twice is fine");
}

/// What the client calls clean, looked at below the session: no RECEIPT, only the close. TCP brings the RECEIPT.
pub(crate) async fn a_websocket_ends_with_stomp_died(mode: Mode) {
    let mut transport = mode.dial().await;
    say(&mut transport, "CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0").await;
    let connected = poll_fn(|cx| transport.poll_recv(cx)).await.expect("open").expect("open");
    assert!(connected.starts_with(b"CONNECTED\n"), "{connected:?}");
    say(&mut transport, "DISCONNECT\nreceipt:r\n\n\0").await;
    let mut received = Vec::new();
    while let Some(chunk) = poll_fn(|cx| transport.poll_recv(cx)).await {
        received.extend_from_slice(&chunk.expect("an orderly end"));
    }
    let confirmed = received.starts_with(b"RECEIPT\n") || received.starts_with(b"\nRECEIPT\n");
    let reason = transport.close_reason().map(|reason| format!("{reason:?}"));
    match reason {
        Some(reason) => {
            assert!(!confirmed && reason.contains("1000") && reason.contains("STOMP died"), "{reason}")
        }
        None => assert!(confirmed && !mode.is_ws(), "{received:?}"),
    }
}

async fn say(transport: &mut BoxTransport, frame: &'static str) {
    poll_fn(|cx| transport.poll_ready(cx)).await.expect("RabbitMQ listens");
    transport.start_send(Outbound::whole(frame.into())).expect("RabbitMQ listens");
    poll_fn(|cx| transport.poll_flush(cx)).await.expect("RabbitMQ listens");
}
