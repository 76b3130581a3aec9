//! What sessions take that do nothing but beat.

use std::future::poll_fn;
use std::process::ExitCode;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stompede_transport::{BoxTransport, Connector, DefaultConnector, Endpoint, Outbound, Transport};

use super::cpu::Stopwatch;
use super::{Place, Wire, ours};
use crate::flavor::Flavor;
use crate::memory::{self, Held, many_files};
use crate::report::Table;

/// What this part is called on the command line.
pub(super) const NAME: &str = "idle";

/// Prints what a session takes.
///
/// # Panics
/// If `program`, which calls [`session_idle`], does not do its work.
pub(super) fn measure(program: &str, place: Place) {
    let transport = run(program, place, "transport", SESSIONS, IDLE);
    let session = run(program, place, "session", SESSIONS, IDLE);
    println!("\n{} idle sessions over TCP, looked at for {} s", session.connections, IDLE.as_secs());
    if session.connections < SESSIONS {
        println!("NOT {SESSIONS}: the hard limit of open files allows no more");
    }
    println!("(memory by connection, in a fresh process; the kernel's buffers are not in it)\n");
    let columns =
        [("", 20), ("KiB allocated", 0), ("KiB resident", 0), ("goal", 6), ("CPU of a core", 0), ("goal", 6)];
    let table = Table::begin(&columns, 1);
    let each = |octets: f64| format!("{:.2}", octets / 1024.0 / session.connections as f64);
    let row = |name: &str, [allocated, resident]: [f64; 2], cpu: f64, goals: [&str; 2]| {
        let cpu = format!("{:.2} %", cpu * 100.0);
        table.row(&[name.into(), each(allocated), each(resident), goals[0].into(), cpu, goals[1].into()]);
    };
    let octets =
        |held: Held| [held.allocated as f64, held.resident.map_or(f64::NAN, |resident| resident as f64)];
    let (below, all) = (octets(transport.held), octets(session.held));
    row("transports alone", below, transport.cpu, [""; 2]);
    row("sessions", all, session.cpu, ["", "< 5 %"]);
    row("sessions beyond", [all[0] - below[0], all[1] - below[1]], session.cpu - transport.cpu, ["≤ 40", ""]);
}

/// Holds a few sessions.
///
/// # Panics
/// If that fails, or their memory is not seen.
pub(super) fn check(program: &str, place: Place) {
    let [transport, session] =
        ["transport", "session"].map(|kind| run(program, place, kind, 40, Duration::from_millis(1)));
    assert_eq!((transport.connections, session.connections), (40, 40));
    assert!(transport.held.allocated > 40 * 256, "a connection takes some memory: {transport:?}");
    assert!(session.held.allocated > transport.held.allocated, "a session takes more: {session:?}");
}

/// What the other process found.
#[derive(Clone, Copy, Debug)]
struct Found {
    connections: usize,
    /// At the end.
    held: Held,
    /// The part of a core that was taken.
    cpu: f64,
}

fn run(program: &str, place: Place, kind: &str, connections: usize, idle: Duration) -> Found {
    let mut command = many_files(program);
    command.args([kind, &place.port.to_string(), &connections.to_string(), &idle.as_millis().to_string()]);
    let output = command.output().expect("a process can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Found::parse(&text).unwrap_or_else(|| unreachable!("it prints what is read here: {text}"))
}

/// Holds connections to a server on this machine and prints their number, what they take, and what they cost. The
/// arguments: `transport` or `session`, the port, how many, and for how many milliseconds.
///
/// The program must have stats_alloc's counting allocator.
///
/// # Panics
/// If a connection fails.
pub fn session_idle(args: impl Iterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<usize>().ok());
    let (Some(port), Some(wanted), Some(idle)) =
        (number(1).and_then(|port| u16::try_from(port).ok()), number(2), number(3))
    else {
        eprintln!("transport or session, which port, how many, and for how many milliseconds?");
        return ExitCode::FAILURE;
    };
    let place = Place { wire: Wire::Tcp, tls: false, port };
    let connections = wanted.min(memory::files());
    let idle = Duration::from_millis(idle as u64);
    let found = Flavor::CurrentThread.runtime().block_on(async {
        if args[0] == "session" {
            hold(connections, idle, async || ours::connect(place).await).await
        } else {
            hold(connections, idle, async || connect(place).await).await
        }
    });
    print!("{}", found.to_text());
    ExitCode::SUCCESS
}

/// Makes so many of something and keeps them for a while.
async fn hold<T>(connections: usize, idle: Duration, connect: impl AsyncFn() -> T) -> Found {
    let mut held = Vec::with_capacity(connections);
    let before = Held::now();
    for _ in 0..connections {
        held.push(connect().await);
    }
    let stopwatch = Stopwatch::start();
    tokio::time::sleep(idle).await;
    let [clock, cpu] = stopwatch.stop(1);
    let found = Found { connections, held: Held::now().since(before), cpu: cpu / clock };
    drop(held);
    found
}

/// A connection on which CONNECTED has been received, and which will not beat.
async fn connect(place: Place) -> BoxTransport {
    let endpoint = Endpoint::parse(&place.url()).expect("the URL of a server");
    let mut transport = DefaultConnector::new().connect(endpoint).await.expect("the server listens");
    poll_fn(|cx| transport.poll_ready(cx)).await.expect("the server reads");
    let connect = b"CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0";
    transport.start_send(Outbound::whole(Bytes::from_static(connect))).expect("there is room");
    poll_fn(|cx| transport.poll_flush(cx)).await.expect("the server reads");
    let mut answer = BytesMut::new();
    while !answer.ends_with(b"\0") {
        let chunk = poll_fn(|cx| transport.poll_recv(cx)).await.expect("the server answers");
        answer.extend_from_slice(&chunk.expect("in order"));
    }
    assert!(answer.starts_with(b"CONNECTED\n"), "{}", String::from_utf8_lossy(&answer));
    transport
}

impl Found {
    /// For the process that asked.
    fn to_text(self) -> String {
        format!("{} {}\n{}\n", self.connections, self.cpu, self.held.to_text())
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, held) = text.trim_end().split_once('\n')?;
        let (connections, cpu) = first.split_once(' ')?;
        let held = Held::parse(held)?;
        Some(Self { connections: connections.parse().ok()?, held, cpu: cpu.parse().ok()? })
    }
}

/// As many as a gateway may have.
const SESSIONS: usize = 5000;

/// Three beats of each.
const IDLE: Duration = Duration::from_secs(30);
