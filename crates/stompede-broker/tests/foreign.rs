//! Clients that somebody else wrote, in other languages: a second opinion on what this broker says.
//!
//! They are not of Rust's making and have to be there first, so each test is run only when it is asked for.
//! `cargo xtask test --full` does so, with clients of its own; by hand:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install stomp.py==9.0.0
//! npm install --no-save --prefix node @stomp/stompjs@7 ws@8
//! STOMPEDE_PYTHON=$PWD/venv/bin/python STOMPEDE_NODE_MODULES=$PWD/node/node_modules \
//!     cargo test -p stompede-broker --test foreign -- --ignored --nocapture
//! ```

use std::env;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use stompede_broker::{BrokerEvent, Events, TestBroker};
use stompede_codec::Version;
use tokio::process::Command;
use tokio::time::timeout;

/// A script holds up to four conversations of some 3 s, and bears 5 s of silence in each; past this it hangs.
const SCRIPT_LIMIT: Duration = Duration::from_secs(45);

/// Everything has been told by then: the broker has stopped.
const EVENTS_LIMIT: Duration = Duration::from_secs(5);

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name)
}

/// Runs a program beside the broker, and shows what it printed if it failed or was stopped at the limit.
async fn succeeds(mut command: Command) {
    let run = timeout(SCRIPT_LIMIT, command.kill_on_drop(true).output()).await;
    let run = run.expect("the program ends within its limit");
    let Output { status, stdout, stderr } = run.expect("the program is there");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    // The harness may have begun a line.
    print!("\n{stdout}");
}

/// What the broker saw of one client on its queue: the client's own word is not enough.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    version: Version,
    queue: String,
    frames: Vec<&'static str>,
}

impl Seen {
    /// What `converse` of the scripts does: what was aborted is not there, what was committed is.
    fn all(version: Version, queue: &str) -> Self {
        let refused: &[_] = if version == Version::V1_0 { &[] } else { &["NACK"] };
        let frames = [&["SUBSCRIBE", "SEND"], refused, &["ACK", "SEND", "ACK", "end"]].concat();
        Self { version, queue: queue.to_owned(), frames }
    }
}

/// Stops the broker and tells what it saw of each client, in the order in which they came.
async fn seen(broker: TestBroker, mut events: Events) -> Vec<Seen> {
    broker.stop().await;
    let mut clients: Vec<Seen> = Vec::new();
    while let Some(event) = timeout(EVENTS_LIMIT, events.next()).await.expect("the events come to an end") {
        let (queue, frame) = match event {
            BrokerEvent::Connected { version, .. } => {
                clients.push(Seen { version, queue: String::new(), frames: Vec::new() });
                continue;
            }
            BrokerEvent::Subscribed { destination, .. } => {
                // They come one after the other, so it is the last that subscribes.
                if let Some(client) = clients.last_mut() {
                    client.queue.clone_from(&destination);
                }
                (destination, "SUBSCRIBE")
            }
            BrokerEvent::Received { destination, .. } => (destination, "SEND"),
            BrokerEvent::Settled { destination, accepted, .. } => {
                (destination, if accepted { "ACK" } else { "NACK" })
            }
            BrokerEvent::Unsubscribed { destination, .. } => (destination, "end"),
            // Among them that events were lost, which shows in what is compared.
            _ => continue,
        };
        if let Some(client) = clients.iter_mut().find(|client| client.queue == queue) {
            client.frames.push(frame);
        }
    }
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs stomp.py 9: STOMPEDE_PYTHON names the python that has it"]
async fn stomp_py_is_content() {
    let broker = TestBroker::start().await;
    let events = broker.events();
    let port = |url: &str| url.rsplit(':').next().and_then(|end| end.split('/').next()).map(String::from);
    let mut python = Command::new(env::var("STOMPEDE_PYTHON").expect("STOMPEDE_PYTHON is set"));
    python
        .arg(script("stomp_py.py"))
        .args([port(broker.tcp_url()), port(broker.ws_url())].into_iter().flatten());
    succeeds(python).await;
    assert_eq!(broker.stats().errors, 0);
    let expected = [
        Seen::all(Version::V1_0, "/queue/tcp-1.0"),
        Seen::all(Version::V1_1, "/queue/tcp-1.1"),
        Seen::all(Version::V1_2, "/queue/tcp-1.2"),
        Seen::all(Version::V1_2, "/queue/ws-1.2"),
    ];
    assert_eq!(seen(broker, events).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs @stomp/stompjs 7 and ws: STOMPEDE_NODE_MODULES names the folder that has them"]
async fn stompjs_is_content() {
    let broker = TestBroker::start().await;
    let events = broker.events();
    assert!(env::var("STOMPEDE_NODE_MODULES").is_ok(), "STOMPEDE_NODE_MODULES is set");
    let mut node = Command::new("node");
    node.arg(script("stompjs.mjs")).arg(broker.ws_url());
    succeeds(node).await;
    assert_eq!(broker.stats().errors, 0);
    let expected = [
        Seen::all(Version::V1_0, "/queue/stompjs-1.0"),
        Seen::all(Version::V1_1, "/queue/stompjs-1.1"),
        Seen::all(Version::V1_2, "/queue/stompjs-1.2"),
    ];
    assert_eq!(seen(broker, events).await, expected);
}
