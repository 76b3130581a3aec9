//! Time from nothing to the first CONNECTED.

use std::time::Duration;

use stompede_broker::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, client, running};
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::Table;

/// What this part is called on the command line.
pub(crate) const NAME: &str = "start";

/// Prints how long it takes.
pub(crate) fn measure(rounds: usize) {
    let rounds = rounds.max(ROUNDS);
    println!(
        "\nTime from before the runtime is made to the first CONNECTED over TCP, TCP and WebSocket being"
    );
    println!("listened on; {rounds} interleaved rounds, medians\n");
    let table = Table::begin(&[("runtime", 16), ("ms", 6), ("goal", 6)], 1);
    let mut contenders = FLAVORS.map(|(name, flavor)| Contender::new(name, move || once(flavor)));
    harness::once(&mut contenders);
    let times = harness::interleave_timed(&mut contenders, rounds);
    for (at, (name, _)) in FLAVORS.into_iter().enumerate() {
        table.row(&[name.into(), format!("{:.3}", times.median(at) * 1e3), "< 5".into()]);
    }
}

/// Starts one of each.
///
/// # Panics
/// If there is no CONNECTED.
pub(crate) fn check() {
    FLAVORS.into_iter().for_each(|(_, flavor)| assert!(once(flavor) < DEADLINE));
}

/// Starts a runtime and a broker and connects; how long that took. That both end is not in it.
fn once(flavor: Flavor) -> Duration {
    let started = harness::now();
    let runtime = flavor.runtime();
    let connected = async {
        let broker = Broker::start().await.expect("127.0.0.1 has free ports");
        let mut socket = TcpStream::connect(running::address(&broker)).await.expect("the broker listens");
        socket.write_all(client::CONNECT).await.expect("the broker reads");
        let mut answer = Vec::with_capacity(1024);
        while !answer.contains(&0) {
            let read = socket.read_buf(&mut answer).await.expect("the broker answers");
            assert!(read > 0, "the broker closed instead of saying CONNECTED");
        }
        let time = started.elapsed();
        assert!(answer.starts_with(b"CONNECTED\n"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(broker.stats().connections, 1);
        drop(socket);
        broker.stop().await;
        time
    };
    let time = runtime.block_on(async { timeout(DEADLINE, connected).await });
    time.expect("the broker starts, answers and stops in time")
}

const FLAVORS: [(&str, Flavor); 2] =
    [("current thread", Flavor::CurrentThread), ("two workers", Flavor::TwoWorkers)];

/// A start is short: so many that a few disturbed ones do not matter.
const ROUNDS: usize = 51;
