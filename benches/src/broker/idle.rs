//! What connections take that do nothing.

use std::net::SocketAddr;
use std::process::ExitCode;

use stompede_broker::{Broker, BrokerLimits};

use super::client;
use super::running::Running;
use crate::flavor::Flavor;
use crate::harness;
use crate::memory::{self, Held, many_files};
use crate::report::Table;

/// What this part is called on the command line.
pub(crate) const NAME: &str = "idle";

/// Prints what a connection takes.
///
/// # Panics
/// If `program`, which calls [`broker_idle`], does not do its work.
pub(crate) fn measure(program: &str) {
    let found = run(program, CONNECTIONS);
    println!("\nMemory of {} idle connections over TCP, by connection", found.connections);
    if found.connections < CONNECTIONS {
        println!("NOT {CONNECTIONS}: the hard limit of open files allows no more (two for each connection)");
    }
    println!(
        "(the client's ends are bare sockets in the same process; the kernel's buffers are not in it)\n"
    );
    let columns = [("connections", 28), ("KiB allocated", 0), ("KiB resident", 0), ("goal", 6)];
    let table = Table::begin(&columns, 1);
    for (name, held) in STAGES.into_iter().zip(found.held) {
        let each = |octets: Option<usize>| {
            octets.map_or("unknown".into(), |octets| {
                format!("{:.2}", octets as f64 / 1024.0 / found.connections as f64)
            })
        };
        table.row(&[name.into(), each(Some(held.allocated)), each(held.resident), "≤ 48".into()]);
    }
}

/// Holds a few connections.
///
/// # Panics
/// If that fails, or their memory is not seen.
pub(crate) fn check(program: &str) {
    let found = run(program, 40);
    assert_eq!(found.connections, 40);
    let [connected, subscribed, _] = found.held;
    assert!(connected.allocated > 40 * 256, "a connection takes some memory: {found:?}");
    assert!(subscribed.allocated > connected.allocated, "so does a subscription: {found:?}");
    assert_eq!(connected.resident.is_some(), cfg!(target_os = "linux"));
}

/// What the other process found.
#[derive(Clone, Copy, Debug)]
struct Found {
    connections: usize,
    /// In the order of [`STAGES`].
    held: [Held; STAGES.len()],
}

/// Has the other process do it. Each of its waits has a deadline, so this ends as well.
fn run(program: &str, connections: usize) -> Found {
    let output = many_files(program).arg(connections.to_string()).output().expect("a process can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Found::parse(&text).unwrap_or_else(|| unreachable!("it prints what is read here: {text}"))
}

/// Holds as many idle connections as the first argument asks for, or the limit of open files allows, and prints their
/// number, and for each stage of their lives the octets they take: allocated and resident.
///
/// The program must have stats_alloc's counting allocator.
///
/// # Panics
/// If a connection fails or does not come about in time.
pub fn broker_idle(mut args: impl Iterator<Item = String>) -> ExitCode {
    let Some(wanted) = args.next().and_then(|arg| arg.parse::<usize>().ok()) else {
        eprintln!("how many connections?");
        return ExitCode::FAILURE;
    };
    // Both ends are here.
    let count = wanted.min(memory::files() / 2);

    let mut limits = BrokerLimits::default();
    limits.max_connections = count;
    limits.max_destinations = count;
    let running = Running::start(Flavor::TwoWorkers, Broker::builder().limits(limits));
    // The client's own memory is taken before the first look: afterwards its side takes nothing but descriptors.
    let mut sockets = Vec::with_capacity(count);
    let address = running.address();
    let before = Held::now();
    connect(&mut sockets, address, count);
    let connected = Held::now().since(before);
    assert_eq!(running.broker().stats().connections, count, "all are open");
    for (n, socket) in sockets.iter_mut().enumerate() {
        client::subscribe(socket, &format!("/topic/idle.{n}"));
    }
    let subscribed = Held::now().since(before);
    assert_eq!(running.broker().stats().subscriptions, count, "all are subscribed");
    let burst = burst();
    for socket in &mut sockets {
        client::ask(socket, &burst, "RECEIPT");
    }
    let was_busy = Held::now().since(before);
    assert_eq!(running.broker().stats().received, (count * BURST) as u64, "all have sent");
    print!("{}", Found { connections: count, held: [connected, subscribed, was_busy] }.to_text());
    ExitCode::SUCCESS
}

/// Frames of more octets than a read buffer has, to nobody; the last asks for a receipt.
fn burst() -> Vec<u8> {
    let mut burst = Vec::new();
    for n in 1..=BURST {
        let receipt = if n == BURST { "receipt:r\n" } else { "" };
        let head = format!("SEND\ndestination:/topic/nobody\n{receipt}content-length:{BURST_BODY}\n\n");
        burst.extend_from_slice(head.as_bytes());
        burst.resize(burst.len() + BURST_BODY, b'x');
        burst.push(0);
    }
    burst
}

fn connect(sockets: &mut Vec<std::net::TcpStream>, address: SocketAddr, count: usize) {
    let started = harness::now();
    for _ in 0..count {
        sockets.push(client::connect(address));
        assert!(
            started.elapsed() < DEADLINE_OF_ALL,
            "{} connections after {DEADLINE_OF_ALL:?}",
            sockets.len()
        );
    }
}

impl Found {
    /// For the process that asked.
    fn to_text(self) -> String {
        let stages = self.held.map(|held| held.to_text() + "\n");
        format!("{}\n{}", self.connections, stages.concat())
    }

    fn parse(text: &str) -> Option<Self> {
        let (connections, stages) = text.split_once('\n')?;
        let stages: Option<Vec<Held>> = stages.lines().map(Held::parse).collect();
        Some(Self { connections: connections.parse().ok()?, held: stages?.try_into().ok()? })
    }
}

/// What the connections have done before each look, one after the other.
const STAGES: [&str; 3] = ["connected", "and subscribed to a topic", "and have sent 96 KiB before"];

/// Frames that each connection sends, and octets of their bodies.
const BURST: usize = 12;
const BURST_BODY: usize = 8 * 1024;

/// As many as a server of a small company may have.
const CONNECTIONS: usize = 5000;

/// The longest time until all are connected.
const DEADLINE_OF_ALL: std::time::Duration = std::time::Duration::from_secs(60);
