//! Settings from a service's own file.
#![cfg(feature = "config")]

use std::time::Duration;

use stompede::ErrorKind;
use stompede::config::ClientConfig;
use stompede_broker::{Broker, TestBroker};

fn read(json: &str) -> Result<ClientConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_client_connects_by_its_file_with_a_passcode_from_elsewhere() {
    let broker = TestBroker::start_with(Broker::builder().login("orders", "s3cret").virtual_host("/v")).await;
    let file = std::env::temp_dir().join(format!("stompede-config-{}", std::process::id()));
    std::fs::write(&file, "s3cret\n").expect("written");
    let json = format!(
        r#"{{ "url": {:?}, "login": "orders", "passcode": {{ "file": {file:?} }}, "host": "/v", "versions": ["1.1"],
              "headers": {{ "client-id": "me" }}, "heart_beat": {{ "send": "2s", "receive": "500ms" }},
              "receipt_timeout": "5s", "idle_timeout": "1h" }}"#,
        broker.tcp_url()
    );
    let config = read(&json).expect("it is fine");
    let client = config.builder().expect("the file is there").connect().await.expect("connected");
    std::fs::remove_file(&file).expect("removed");
    let connected = client.connected().expect("connected");
    assert_eq!(connected.version().as_str(), "1.1");
    assert_eq!(connected.heart_beat().receive, Duration::from_millis(500));
    assert_eq!(broker.connections()[0].session.as_ref().expect("greeted").login.as_deref(), Some("orders"));
    let error = config.builder().map(drop).expect_err("the file is gone");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().starts_with("passcode: cannot read "), "{error}");
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn the_wire_is_set_by_the_file_too() {
    let broker = TestBroker::start().await;
    let json = format!(
        r#"{{ "url": {:?}, "keepalive": "1m", "bind": "127.0.0.1", "binary_mode": true, "overflow_bytes": 65536,
              "auto_content_length": false,
              "upgrade_headers": {{ "Authorization": "Bearer s3cret" }}, "stall_timeout": "1s" }}"#,
        broker.ws_url()
    );
    let config = read(&json).expect("it is fine");
    config.builder().expect("fine").connect().await.expect("connected").disconnect().await.expect("in order");
    for (setting, name) in [
        (r#""keepalive": "0s""#, "keepalive:"),
        (r#""stall_timeout": "0s""#, "stall_timeout:"),
        (r#""upgrade_headers": { "Host": "s3cret" }"#, "upgrade_header:"),
    ] {
        let config = read(&format!(r#"{{ "url": "ws://a", {setting} }}"#)).expect("it parses");
        let error = config.builder().expect("fine").connect().await.expect_err("nonsense");
        assert!(error.to_string().starts_with(name), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert!(read(r#"{ "url": "ws://a", "bind": "localhost" }"#).is_err(), "an address, not a name");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let config = read(r#"{ "url": "tcp://localhost", "passcode": { "env": "STOMPEDE_NO_SUCH_VARIABLE" } }"#);
    let error = config.expect("it is fine").builder().map(drop).expect_err("it is not set");
    assert_eq!(error.to_string(), "passcode: the environment variable STOMPEDE_NO_SUCH_VARIABLE is not set");
}

#[test]
fn the_environment_is_read() {
    // Cargo sets this one for every test.
    let config = read(r#"{ "url": "tcp://localhost", "login": { "env": "CARGO_PKG_NAME" } }"#).expect("fine");
    let builder = config.builder().expect("it is set");
    assert!(format!("{builder:?}").contains(r#"login: Some("stompede")"#), "{builder:?}");
}

#[test]
fn nonsense_is_named() {
    for (json, part) in [
        ("{}", "missing field `url`"),
        (r#"{ "url": "tcp://a", "pasword": "x" }"#, "unknown field `pasword`"),
        (r#"{ "url": "tcp://a", "receipt_timeout": "10" }"#, "a time with its unit"),
        (r#"{ "url": "tcp://a", "receipt_timeout": 10 }"#, "a time with its unit"),
        (r#"{ "url": "tcp://a", "receipt_timeout": "-1s" }"#, "a time with its unit"),
        (r#"{ "url": "tcp://a", "receipt_timeout": "99999999999999999999h" }"#, "a time with its unit"),
        (r#"{ "url": "tcp://a", "receipt_timeout": "9999999999999999999h" }"#, "a time with its unit"),
        (r#"{ "url": "tcp://a", "versions": ["1.3"] }"#, "a STOMP version"),
        (r#"{ "url": "tcp://a", "heart_beat": { "sent": "1s" } }"#, "unknown field `sent`"),
    ] {
        let error = read(json).expect_err(json);
        assert!(error.contains(part), "{json}: {error}");
    }
}

#[tokio::test]
async fn a_zero_time_is_reported_by_connect_with_its_name() {
    let config = read(r#"{ "url": "tcp://a", "write_timeout": "0s" }"#).expect("it parses");
    let error = config.builder().expect("fine").connect().await.expect_err("no time");
    assert!(error.to_string().starts_with("write_timeout:"), "{error}");
}

#[test]
fn nothing_secret_is_shown() {
    let config =
        read(r#"{ "url": "tcp://me:s3cret@a", "passcode": "s3cret", "headers": { "token": "s3cret" } }"#);
    let config = config.expect("it is fine");
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    assert!(!format!("{:?}", config.builder().expect("fine")).contains("s3cret"));
}
