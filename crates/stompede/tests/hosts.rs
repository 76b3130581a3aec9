//! stomp.py's names for where to connect and when again.

use std::sync::Arc;
use std::time::Duration;

use stompede::listeners::{Heard, RecordingListener};
use stompede::{Client, ClientBuilder, ErrorKind};
use stompede_broker::TestBroker;

const MS: Duration = Duration::from_millis(1);

/// The port of a broker, and one that nobody listens at.
async fn ports(broker: &TestBroker) -> (u16, u16) {
    let port = |url: &str| url.parse::<stompede::Endpoint>().expect("a URL").port().expect("a port");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let dead = free.local_addr().expect("bound").port();
    drop(free);
    (port(broker.tcp_url()), dead)
}

/// Where a client goes on its way to a connection, and whether it comes to one.
async fn dialed(builder: ClientBuilder) -> (Vec<String>, bool) {
    let heard = Arc::new(RecordingListener::new());
    let outcome = builder.listener("heard", heard.clone()).connect().await;
    let connected = outcome.is_ok();
    if let Ok(client) = outcome {
        client.disconnect().await.expect("in order");
        heard
            .wait_for(Duration::from_secs(10), |heard| matches!(heard, Heard::Closed(_)))
            .await
            .expect("the end");
    }
    let hosts = heard.heard().into_iter().filter_map(|heard| match heard {
        Heard::Connecting(endpoint) => Some(endpoint.authority()),
        _ => None,
    });
    (hosts.collect(), connected)
}

#[tokio::test]
async fn the_hosts_are_tried_as_listed_and_localhost_first_on_demand() {
    let broker = TestBroker::start().await;
    let (port, dead) = ports(&broker).await;
    let elsewhere = "127.0.0.1";
    let there = |host: &str, port: u16| format!("{host}:{port}");
    for url in [broker.tcp_url(), broker.ws_url()] {
        // Both listen at the same address; the path of the WebSocket is the URL's.
        let port = if url.starts_with("ws") {
            url.parse::<stompede::Endpoint>().expect("a URL").port().expect("a port")
        } else {
            port
        };
        let builder = || Client::builder(url).connect_timeout(Duration::from_secs(5));
        let listed = dialed(builder().host_and_ports([(elsewhere, dead), (elsewhere, port)])).await;
        assert_eq!(listed, (vec![there(elsewhere, dead), there(elsewhere, port)], true));
        // A name that is never resolved, as it would have to be if it came first.
        let hosts = [("broker.invalid", port), (elsewhere, port)];
        let preferred = dialed(builder().host_and_ports(hosts).prefer_localhost(true)).await;
        assert_eq!(preferred, (vec![there(elsewhere, port)], true));
    }
}

#[tokio::test]
async fn names_of_stomp_py_say_when_the_client_comes_back() {
    let broker = TestBroker::start().await;
    let (_, dead) = ports(&broker).await;
    let heard = Arc::new(RecordingListener::new());
    let outcome = Client::builder(format!("tcp://127.0.0.1:{dead}"))
        .stomp_py_defaults()
        .reconnect_sleep_initial(10 * MS)
        .reconnect_sleep_increase(0.0)
        .reconnect_sleep_jitter(0.0)
        .reconnect_sleep_max(20 * MS)
        .reconnect_attempts_max(2)
        .listener("heard", heard.clone())
        .connect()
        .await;
    assert_eq!(outcome.expect_err("nobody listens").kind(), ErrorKind::DialFailed);
    let last = |heard: &Heard| matches!(heard, Heard::Reconnecting { attempt: 2, .. });
    heard.wait_for(Duration::from_secs(10), last).await.expect("two attempts");
    let delays: Vec<_> = heard
        .heard()
        .into_iter()
        .filter_map(|heard| match heard {
            Heard::Reconnecting { attempt, delay, .. } => Some((attempt, delay)),
            _ => None,
        })
        .collect();
    assert_eq!(delays, [(1, 10 * MS), (2, 10 * MS)]);
}

#[tokio::test]
async fn nonsense_is_refused_by_its_name() {
    let builder = || Client::builder("tcp://127.0.0.1:1");
    let none: [(&str, u16); 0] = [];
    let cases = [
        (builder().host_and_ports(none), "host_and_ports"),
        (builder().host_and_ports([("a b", 1)]), "host_and_ports"),
        (builder().reconnect_sleep_increase(-0.5), "reconnect_sleep_increase"),
        (builder().reconnect_sleep_increase(f64::NAN), "reconnect_sleep_increase"),
        (builder().reconnect_sleep_jitter(1.1), "reconnect_sleep_jitter"),
        (builder().reconnect_sleep_jitter(-0.1), "reconnect_sleep_jitter"),
        (builder().reconnect_sleep_initial(Duration::ZERO), "reconnect_sleep_initial"),
        (builder().reconnect_sleep_max(Duration::ZERO), "reconnect_sleep_max"),
    ];
    for (builder, name) in cases {
        let error = builder.connect().await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}
