//! Settings from a service's own file.
#![cfg(feature = "config")]

use std::sync::Arc;
use std::time::Duration;

use stompede::config::ClientConfig;
use stompede::listeners::{Heard, RecordingListener};
use stompede::{ErrorKind, SessionState};
use stompede_broker::{Broker, Faults, TestBroker};

/// Far more than anything here takes: a hang fails instead of hanging.
const HANG: Duration = Duration::from_secs(20);

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
        (r#"{ "url": "tcp://a", "receipt_timeout": "10" }"#, "receipt_timeout: invalid value"),
        (r#"{ "url": 5 }"#, "url: "),
        (r#"{ "url": "tcp://a", "host": 5 }"#, "host: "),
        (r#"{ "url": "tcp://a", "heart_beat": { "send": "soon" } }"#, "heart_beat: send: invalid value"),
        (r#"{ "url": "tcp://a", "failover": "tcp://b" }"#, "failover: "),
        (r#"{ "url": "tcp://a", "host_order": "random" }"#, "host_order: unknown variant `random`"),
        (r#"{ "url": "tcp://a", "profile": "ibm" }"#, "profile: unknown variant `ibm`"),
        (r#"{ "url": "tcp://a", "reconnect": { "initial": 1 } }"#, "reconnect: initial: "),
        (r#"{ "url": "tcp://a", "reconnect": { "attempts": -1 } }"#, "reconnect: attempts: "),
        (r#"{ "url": "tcp://a", "reconnect": { "jiter": 0.5 } }"#, "reconnect: unknown field `jiter`"),
        (r#"{ "url": "tcp://a", "sending": { "guarantee": "always" } }"#, "sending: guarantee: "),
        (r#"{ "url": "tcp://a", "sending": { "outbox": { "expiry": "5" } } }"#, "sending: outbox: expiry: "),
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

#[tokio::test]
async fn nonsense_that_can_be_read_is_reported_by_connect_with_its_name() {
    for (setting, name) in [
        (r#""reconnect": { "jitter": 1.5 }"#, "reconnect.jitter"),
        (r#""reconnect": { "multiplier": 0.5 }"#, "reconnect.multiplier"),
        (r#""reconnect": { "initial": "0s" }"#, "reconnect.initial"),
        (r#""reconnect": { "max": "99999h" }"#, "reconnect.max"),
        (r#""reconnect": { "stable": "99999h" }"#, "reconnect.stable"),
        (r#""sending": { "outbox": { "messages": 0 } }"#, "sending.outbox.messages"),
        (r#""sending": { "outbox": { "bytes": 0 } }"#, "sending.outbox.bytes"),
        (r#""sending": { "outbox": { "expiry": "0s" } }"#, "sending.outbox.expiry"),
        (r#""sending": { "duplicate_header": "" }"#, "sending.duplicate_header"),
        (r#""heart_beat_tolerance": { "scale": 0.1 }"#, "receive_scale"),
        (r#""heart_beat": { "send": "9999h" }"#, "heart_beat"),
        (r#""limits": { "max_head": 0 }"#, "limits"),
        (r#""versions": []"#, "versions"),
        (r#""failover": ["tcp://me:s3cret@b:port"]"#, "failover"),
        (r#""host": "s3cret\u0000""#, "host"),
        (r#""headers": { "passcode": "s3cret" }"#, "passcode"),
    ] {
        let config = read(&format!(r#"{{ "url": "tcp://a", {setting} }}"#)).expect("it parses");
        let error = match config.builder() {
            Ok(builder) => builder.connect().await.expect_err("nonsense"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{setting}: {error}");
        assert!(
            error.to_string().contains(name) && !error.to_string().contains("s3cret"),
            "{setting}: {error}"
        );
    }
}

#[tokio::test]
async fn the_file_says_where_else_to_connect_and_when_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = free.local_addr().expect("bound");
    drop(free);
    let heard = Arc::new(RecordingListener::new());
    let json = format!(
        r#"{{ "url": "tcp://{dead}", "failover": ["tcp://{dead}"], "prefer_localhost": true, "host_order": "listed",
              "reconnect": {{ "initial": "10ms", "multiplier": 2.0, "jitter": 0.0, "max": "15ms", "attempts": 2,
                              "retry_initial_connect": true }} }}"#
    );
    let builder = read(&json).expect("fine").builder().expect("fine");
    let error = builder.listener("heard", heard.clone()).connect().await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::DialFailed);
    heard.wait_for(HANG, |heard| matches!(heard, Heard::Closed(_))).await.expect("it gives up");
    let (mut delays, mut dials) = (Vec::new(), 0);
    for entry in heard.heard() {
        match entry {
            Heard::Reconnecting { delay, .. } => delays.push(delay),
            Heard::Connecting(_) => dials += 1,
            _ => {}
        }
    }
    assert_eq!(delays, [Duration::from_millis(10), Duration::from_millis(15)]);
    assert_eq!(dials, 6, "two hosts, three times");
}

#[tokio::test]
async fn the_file_says_what_becomes_of_messages_while_offline() {
    let broker = TestBroker::start().await;
    let json = format!(
        r#"{{ "url": {:?}, "sending": {{ "guarantee": "at_least_once", "while_offline": "queue",
              "outbox": {{ "messages": 1, "expiry": "1m" }} }}, "reconnect": {{ "initial": "5ms", "max": "20ms" }} }}"#,
        broker.tcp_url()
    );
    let builder = read(&json).expect("fine").builder().expect("fine");
    let client = builder.connect().await.expect("connected");
    broker.inject(Faults::new().refuse());
    broker.hang_up();
    let mut state = client.state_changes();
    let offline = |state: &SessionState| matches!(state, SessionState::Reconnecting { .. });
    tokio::time::timeout(HANG, state.wait_for(offline)).await.expect("soon").expect("it goes on");
    let kept = client.send("/queue/a").text("kept").confirm();
    let full = async {
        let error = client.send("/queue/a").text("too much").await.expect_err("there is room for one");
        assert_eq!(error.cause().kind(), ErrorKind::OutboxFull);
        broker.heal();
    };
    let (kept, ()) =
        tokio::time::timeout(HANG, async { tokio::join!(kept, full) }).await.expect("it comes back");
    kept.expect("the broker has it");
    assert_eq!(broker.messages("/queue/a").len(), 1);
}

#[test]
fn what_is_in_the_file_reaches_the_builder() {
    let json = r#"{ "url": "tcp://a", "host_order": "raced", "profile": "artemis", "limits": { "max_body": 77 },
        "heart_beat_tolerance": { "scale": 2.5 }, "keepalive_interval": "3s", "keepalive_count": 4,
        "try_loopback_connect": false, "reconnect": { "stable": "7s", "retry_refused_login": true },
        "sending": { "duplicate_header": "x-id", "outbox": { "bytes": 88 } } }"#;
    let shown = format!("{:?}", read(json).expect("fine").builder().expect("fine"));
    for part in [
        "host_order: Raced",
        "name: \"Artemis\"",
        "max_body: 77",
        "receive_scale: 2.5",
        "receive_slack: 500ms",
        "stable: 7s",
        "retry_refused_login: true",
        "duplicate_header: Some(\"x-id\")",
        "bytes: 88",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// Methods of the builder that a file cannot stand for: code, or another name for the same.
const NOT_IN_A_FILE: &[&str] = &[
    "before_connect",
    "connect",
    "connector",
    "interceptor",
    "listener",
    "outbox",
    "transport",
    "credentials",
    "vhost",
    "header",
    "upgrade_header",
    "heartbeats",
    "heart_beat_receive_scale",
    "host_and_ports",
    "reconnect_sleep_initial",
    "reconnect_sleep_increase",
    "reconnect_sleep_jitter",
    "reconnect_sleep_max",
    "reconnect_attempts_max",
    "stomp_py_defaults",
];

#[test]
fn every_setting_of_the_builder_has_its_place_in_the_file() {
    let read = |name: &str| {
        std::fs::read_to_string(format!("{}/src/{name}", env!("CARGO_MANIFEST_DIR"))).expect("the source")
    };
    let file = read("config.rs");
    let mut found = 0;
    for source in ["builder.rs", "hosts.rs", "reach.rs"].map(read) {
        for line in source.lines() {
            let Some(method) = line.strip_prefix("    pub fn ").or(line.strip_prefix("    pub async fn "))
            else {
                continue;
            };
            let name = method.split(['(', '<']).next().expect("a name");
            let there = file.contains(&format!("    pub {name}: "));
            assert!(there != NOT_IN_A_FILE.contains(&name), "{name}");
            found += 1;
        }
    }
    assert!(found > 45, "{found} methods");
}

#[test]
fn nothing_secret_is_shown() {
    let config =
        read(r#"{ "url": "tcp://me:s3cret@a", "passcode": "s3cret", "headers": { "token": "s3cret" } }"#);
    let config = config.expect("it is fine");
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    assert!(!format!("{:?}", config.builder().expect("fine")).contains("s3cret"));
}
