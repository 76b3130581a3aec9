//! Clients that somebody else wrote, in other languages: a second opinion on what this broker says.
//!
//! They are not of Rust's making and have to be there first, so each test is run only when it is asked for:
//!
//! ```sh
//! python3 -m venv venv && venv/bin/pip install stomp.py==9.0.0
//! npm install --prefix node @stomp/stompjs@7 ws@8
//! STOMPEDE_PYTHON=$PWD/venv/bin/python STOMPEDE_NODE_MODULES=$PWD/node/node_modules \
//!     cargo test -p stompede-broker --test foreign -- --ignored
//! ```

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use stompede_broker::TestBroker;

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name)
}

/// Runs a program beside the broker, and shows what it printed if it failed.
async fn succeeds(mut command: Command) {
    let run = tokio::task::spawn_blocking(move || command.output()).await.expect("it was run");
    let Output { status, stdout, stderr } = run.expect("the program is there");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    println!("{stdout}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs stomp.py 9: STOMPEDE_PYTHON names the python that has it"]
async fn stomp_py_is_content() {
    let broker = TestBroker::start().await;
    let port = |url: &str| url.rsplit(':').next().and_then(|end| end.split('/').next()).map(String::from);
    let mut python = Command::new(env::var("STOMPEDE_PYTHON").expect("STOMPEDE_PYTHON is set"));
    python
        .arg(script("stomp_py.py"))
        .args([port(broker.tcp_url()), port(broker.ws_url())].into_iter().flatten());
    succeeds(python).await;
    assert_eq!(broker.stats().errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs @stomp/stompjs 7 and ws: STOMPEDE_NODE_MODULES names the folder that has them"]
async fn stompjs_is_content() {
    let broker = TestBroker::start().await;
    assert!(env::var("STOMPEDE_NODE_MODULES").is_ok(), "STOMPEDE_NODE_MODULES is set");
    let mut node = Command::new("node");
    node.arg(script("stompjs.mjs")).arg(broker.ws_url());
    succeeds(node).await;
    assert_eq!(broker.stats().errors, 0);
}
