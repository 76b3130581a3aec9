//! How long a peer may be silent until it counts as dead, on real sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stompede_session::{Config, HeartBeat, Session};
use stompede_transport::DefaultConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DEADLINE;
use super::watch::{Noted, Watch};
use crate::flavor::Flavor;
use crate::harness;
use crate::report::Table;

/// What this part is called on the command line.
pub(super) const NAME: &str = "silence";

/// Prints how long it takes.
pub(super) fn measure() {
    println!(
        "\nA TCP peer falls silent and leaves the connection open: from its last heart-beat to the end of the"
    );
    println!("connection, {SESSIONS} sessions for each period at once\n");
    let columns =
        [("period s", 8), ("allowed s", 9), ("least s", 0), ("median s", 0), ("most s", 0), ("beyond ms", 0)];
    let table = Table::begin(&columns, 0);
    let found = Flavor::CurrentThread.runtime().block_on(all(&PERIODS, SESSIONS));
    for (period, allowed, times) in found {
        let most = times.last().copied().unwrap_or_default();
        let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
        table.row(&[
            format!("{:.1}", period.as_secs_f64()),
            seconds(allowed),
            seconds(times.first().copied().unwrap_or_default()),
            seconds(times[times.len() / 2]),
            seconds(most),
            format!("{:.1}", most.saturating_sub(allowed).as_secs_f64() * 1e3),
        ]);
    }
}

/// With a short period.
///
/// # Panics
/// If it counts as dead before its time.
pub(super) fn check() {
    let found = Flavor::CurrentThread.runtime().block_on(all(&[Duration::from_millis(20)], 2));
    for (_, allowed, times) in found {
        assert!(times.iter().all(|time| *time >= allowed), "{times:?}, allowed {allowed:?}");
    }
}

/// For each period what is allowed, and what it took, the least first.
async fn all(periods: &[Duration], sessions: usize) -> Vec<(Duration, Duration, Vec<Duration>)> {
    let mut running = Vec::new();
    for period in periods {
        let mut set = JoinSet::new();
        (0..sessions).for_each(|_| drop(set.spawn(once(*period))));
        running.push((*period, set));
    }
    let mut found = Vec::new();
    for (period, set) in running {
        let mut times = set.join_all().await;
        times.sort_unstable();
        let defaults = Config::for_url("tcp://localhost").expect("a URL");
        found.push((period, period.mul_f64(defaults.receive_scale) + defaults.receive_slack, times));
    }
    found
}

async fn once(period: Duration) -> Duration {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let mut config = Config::for_url(&format!("tcp://127.0.0.1:{port}")).expect("a URL");
    config.heart_beat = HeartBeat { send: Duration::ZERO, receive: period };
    let watch = Arc::<Watch>::default();
    let connector = Arc::new(DefaultConnector::new());
    let connecting = Session::connect_observed(config, connector, Some(watch.clone()));
    let peer = async {
        let (mut socket, _) = listener.accept().await.expect("the session dials");
        let mut connect = Vec::new();
        while !connect.contains(&0) {
            socket.read_buf(&mut connect).await.expect("the session writes");
        }
        let connected = format!("CONNECTED\nversion:1.2\nheart-beat:{},0\n\n\0", period.as_millis());
        socket.write_all(connected.as_bytes()).await.expect("the session reads");
        socket
    };
    let (session, mut socket) = tokio::join!(connecting, peer);
    let session = session.expect("the peer answers");
    tokio::time::sleep(period / 2).await;
    socket.write_all(b"\n").await.expect("the session reads");
    let silent_since = harness::now();
    let ended = silence_ends(&watch, silent_since).await;
    session.abort();
    drop(socket);
    ended.saturating_duration_since(silent_since)
}

async fn silence_ends(watch: &Watch, since: Instant) -> Instant {
    let noticed = timeout(DEADLINE, watch.until(since, |noted| *noted == Noted::Silent)).await;
    let noticed = noticed.expect("it is noticed");
    timeout(DEADLINE, watch.until(noticed, |noted| *noted == Noted::Disconnected)).await.expect("it ends")
}

const PERIODS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    // What is offered unless set.
    Duration::from_secs(10),
];

/// For each period.
const SESSIONS: usize = 25;
