//! How long it takes until the subscriptions of a lost connection are back on the next one.

use std::sync::Arc;
use std::time::Duration;

use stompede_broker::{Broker, BrokerLimits};
use stompede_session::{Config, Session};
use stompede_transport::DefaultConnector;
use tokio::time::timeout;

use super::DEADLINE;
use super::watch::{Noted, Watch};
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::Table;

/// What this part is called on the command line.
pub(super) const NAME: &str = "restore";

/// Prints how long it takes.
pub(super) fn measure(rounds: usize) {
    println!(
        "\n{SUBSCRIPTIONS} subscriptions over TCP, broker and session in one runtime: from CONNECTED to the RECEIPT"
    );
    println!("of the last one; {rounds} interleaved rounds, medians\n");
    let table = Table::begin(&[("runtime", 4), ("ms", 8), ("goal", 6)], 1);
    let run = |flavor: Flavor| Contender::new(flavor.name(), move || once(flavor, SUBSCRIPTIONS));
    let mut contenders = Flavor::ALL.map(run);
    harness::once(&mut contenders);
    let times = harness::interleave_timed(&mut contenders, rounds);
    for (at, flavor) in Flavor::ALL.into_iter().enumerate() {
        table.row(&[flavor.name().into(), format!("{:.1}", times.median(at) * 1e3), "≤ 1000".into()]);
    }
}

/// A few of them.
///
/// # Panics
/// If one does not come back.
pub(super) fn check() {
    Flavor::ALL.into_iter().for_each(|flavor| assert!(once(flavor, 50) < DEADLINE));
}

fn once(flavor: Flavor, subscriptions: usize) -> Duration {
    let work = async move { timeout(DEADLINE, restore(subscriptions)).await.expect("all come back") };
    crate::session::throughput::on(flavor, work)
}

async fn restore(subscriptions: usize) -> Duration {
    let mut limits = BrokerLimits::default();
    (limits.max_subscriptions, limits.max_destinations) = (subscriptions, 2 * subscriptions);
    let broker = Broker::builder().limits(limits).start().await.expect("127.0.0.1 has free ports");
    let url = broker.tcp_url().expect("it listens").to_owned();
    let watch = Arc::<Watch>::default();
    let connector = Arc::new(DefaultConnector::new());
    let config = Config::for_url(&url).expect("its own URL");
    let connecting = Session::connect_observed(config, connector, Some(watch.clone()));
    let session = connecting.await.expect("the broker answers");
    let mut all = Vec::with_capacity(subscriptions);
    for n in 0..subscriptions {
        all.push(session.subscribe(format!("/topic/{n}")).await.expect("there is a connection"));
    }
    let all_there = |broker: &Broker| broker.stats().subscriptions == subscriptions;
    broker.wait_until(DEADLINE, all_there).await.expect("it takes them all");
    let lost = harness::now();
    broker.hang_up();
    let connected = watch.until(lost, |noted| *noted == Noted::Connected).await;
    // The last SUBSCRIBE asks for it, on the second connection.
    let restored = watch.until(connected, |noted| *noted == Noted::Receipt("restore-2".into())).await;
    assert!(all_there(&broker), "{:?}", broker.stats());
    session.abort();
    drop(all);
    broker.stop().await;
    restored.saturating_duration_since(connected)
}

const SUBSCRIPTIONS: usize = 10_000;
