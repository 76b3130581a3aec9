//! RabbitMQ goes away under load, and comes back: what was confirmed arrives, and the clients come back by themselves.
//!
//! `cargo xtask test --full --only rabbitmq` runs it, because it needs somebody who kills and starts the broker.
//!
//! For each kind of outage, over TCP and over WebSocket at once, two clients send each other messages: persistent ones,
//! confirmed, acknowledged one by one. One client sends at least once, by the outbox; the other at most once, and its user
//! sends again what is not known to have arrived. The outage falls into the middle of that.

mod control;
mod flow;
mod party;
mod relay;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use stompede::ErrorKind;
use stompede_real_brokers::ControlledRabbitMq;

use control::order;
use flow::{Flow, Outage, TITLES};
use relay::Relay;
use watch::now;

/// Messages of each client, in each outage.
const MESSAGES: usize = 20_000;

/// How long RabbitMQ may keep to itself that it has seen an ACK: it writes that to the disk later, and confirms it at once.
const UNWRITTEN: Duration = Duration::from_secs(2);

/// How long a frozen broker stays so. Clients notice within four seconds.
const FROZEN: Duration = Duration::from_secs(20);

/// Far more than one outage and its traffic take; a hang fails instead of hanging.
const LIMIT: Duration = Duration::from_secs(420);

fn main() -> ExitCode {
    // Others would wait in vain for a task that has panicked.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(1);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |kind: &str| wanted.is_empty() || wanted.iter().any(|wanted| kind.contains(wanted.as_str()));
    let broker = ControlledRabbitMq::from_env();
    let ControlledRabbitMq { tcp_url, ws_url, .. } = &broker;
    runtime.block_on(async {
        if wants("killed") {
            under_load("killed", [tcp_url, ws_url], async |flows| kill(&broker, flows).await).await;
        }
        if wants("frozen") {
            under_load("frozen", [tcp_url, ws_url], async |flows| freeze(&broker, flows).await).await;
        }
        if wants("cut-off") {
            let tcp = Relay::start(host_and_port(tcp_url).to_owned()).await;
            let ws = Relay::start(host_and_port(ws_url).to_owned()).await;
            let urls = [format!("tcp://{}", tcp.address), format!("ws://{}/ws", ws.address)];
            let urls = urls.each_ref().map(String::as_str);
            under_load("cut-off", urls, async |flows| cut_off([&tcp, &ws], flows).await).await;
        }
    });
    ExitCode::SUCCESS
}

/// Both ways in at once: traffic, an outage in the middle of it, and the rest of the traffic.
async fn under_load(kind: &str, [tcp, ws]: [&str; 2], outage: impl AsyncFnOnce(&[Flow; 2]) -> Outage) {
    let started = now();
    println!("\nRabbitMQ {kind}; {MESSAGES} messages from each client");
    let mut flows = [Flow::start(kind, "tcp", tcp).await, Flow::start(kind, "ws", ws).await];
    let done = tokio::time::timeout(LIMIT, async {
        let [tcp, ws] = &flows;
        tokio::join!(tcp.in_the_middle(), ws.in_the_middle());
        let outage = outage(&flows).await;
        let [tcp, ws] = &flows;
        tokio::join!(tcp.come_back(outage.began), ws.come_back(outage.began));
        let [tcp, ws] = &mut flows;
        tokio::join!(tcp.finish(), ws.finish());
        outage
    });
    let done = done.await;
    if done.is_err() {
        flows.iter().for_each(Flow::describe);
    }
    let outage = done.expect("all is done in time");
    println!("{TITLES}");
    flows.iter().flat_map(|flow| flow.rows(&outage)).for_each(|row| println!("{row}"));
    if let Some(before) = flows.iter().filter_map(|flow| flow.forgot(&outage)).max() {
        println!("confirmed and forgotten: ACKs up to {:.2} s before", before.as_secs_f64());
    }
    flows.iter().for_each(|flow| flow.judge(&outage));
    println!("ok in {:.1} s", started.elapsed().as_secs_f64());
}

/// A power failure, but for what is on the disk.
async fn kill(broker: &ControlledRabbitMq, _: &[Flow; 2]) -> Outage {
    let began = now();
    order(&broker.control, "kill").await;
    order(&broker.control, "start").await;
    let over = now();
    let forgotten = began - UNWRITTEN..over;
    Outage { began, over, forgotten, noticed_by: ErrorKind::ConnectionLost, attempts_hang: false }
}

/// A machine that stands still: its sockets are open, and nobody answers.
async fn freeze(broker: &ControlledRabbitMq, [tcp, ws]: &[Flow; 2]) -> Outage {
    let began = now();
    order(&broker.control, "freeze").await;
    tokio::join!(tcp.notice(began), ws.notice(began));
    tokio::time::sleep(FROZEN.saturating_sub(began.elapsed())).await;
    let over = now();
    order(&broker.control, "thaw").await;
    let forgotten = over..over;
    Outage { began, over, forgotten, noticed_by: ErrorKind::HeartBeatMissed, attempts_hang: false }
}

/// A firewall that has forgotten its connections.
async fn cut_off(relays: [&Relay; 2], [tcp, ws]: &[Flow; 2]) -> Outage {
    let began = now();
    relays.iter().for_each(|relay| relay.stall());
    // The relay lets them in, and forwards nothing.
    tokio::join!(tcp.try_again(began), ws.try_again(began));
    let over = now();
    relays.iter().for_each(|relay| relay.replace());
    let forgotten = over..over;
    Outage { began, over, forgotten, noticed_by: ErrorKind::HeartBeatMissed, attempts_hang: true }
}

/// Where a URL leads to, as `host:port`.
fn host_and_port(url: &str) -> &str {
    let (_, rest) = url.split_once("://").expect("a URL");
    rest.split('/').next().expect("there is always a first")
}
