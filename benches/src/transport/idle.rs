//! What connections take that do nothing.

use std::process::ExitCode;

use super::{BUFFER, Flood, ours};
use crate::flavor::Flavor;
use crate::memory::{self, Held, many_files};
use crate::report::Table;
use crate::session::{BODY, Place, Wire};

/// What this part is called on the command line.
pub(super) const NAME: &str = "idle";

/// Prints what a connection takes, new and after work.
///
/// # Panics
/// If `program`, which calls [`transport_idle`], does not do its work.
pub(super) fn measure(program: &str, places: &[Place]) {
    println!("\nIdle connections, {CONNECTIONS} in a fresh process; the kernel's buffers are not in it\n");
    let columns = [("over", 4), ("", 24), ("KiB allocated", 0), ("KiB resident", 0), ("goal", 6)];
    let table = Table::begin(&columns, 2);
    for &place in places {
        let goal = match (place.wire, place.tls) {
            (Wire::Ws, false) => "≤ 48",
            (Wire::Tcp, false) => "≤ 24",
            (_, true) => "",
        };
        for (what, messages) in [("connected", 0), ("after 2,000 messages", 2000)] {
            let found = run(program, place, CONNECTIONS, BUFFER, messages);
            if found.connections < CONNECTIONS {
                println!("NOT {CONNECTIONS}, but {}: the limit of open files", found.connections);
            }
            let resident = found.held.resident.map_or("?".into(), |octets| kib(octets, found.connections));
            let allocated = kib(found.held.allocated, found.connections);
            table.row(&[place.scheme().into(), what.into(), allocated, resident, goal.into()]);
        }
    }
}

/// Holds a few connections.
///
/// # Panics
/// If that fails, or their memory is not seen.
pub(super) fn check(program: &str, places: &[Place]) {
    for &place in places {
        let found = run(program, place, 20, BUFFER, 10);
        assert_eq!(found.connections, 20);
        assert!(found.held.allocated > 20 * 256, "a connection takes some memory: {found:?}");
    }
}

/// What the other process found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) connections: usize,
    pub(super) held: Held,
}

/// KiB for each.
pub(super) fn kib(octets: usize, connections: usize) -> String {
    format!("{:.2}", octets as f64 / 1024.0 / connections as f64)
}

/// Has connections held that have received so many messages before.
pub(super) fn run(
    program: &str,
    place: Place,
    connections: usize,
    read_buffer: usize,
    messages: usize,
) -> Found {
    let mut command = many_files(program);
    let numbers = [usize::from(place.port), connections, read_buffer, messages];
    command.arg(place.scheme()).args(numbers.map(|number| number.to_string()));
    let output = command.output().expect("a process can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let found = text.trim_end().split_once('\n').and_then(|(connections, held)| {
        Some(Found { connections: connections.parse().ok()?, held: Held::parse(held)? })
    });
    found.unwrap_or_else(|| unreachable!("it prints what is read here: {text}"))
}

/// Holds connections to a server on this machine and prints their number and what they take. The arguments: `ws`, `tcp`,
/// `wss` or `tls`, the port, how many, octets of the read buffer, and how many messages each receives before.
///
/// The program must have stats_alloc's counting allocator.
///
/// # Panics
/// If a connection fails.
pub fn transport_idle(args: impl Iterator<Item = String>) -> ExitCode {
    let args: Vec<String> = args.collect();
    let numbers: Vec<usize> = args.iter().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let place = |(wire, tls)| Place {
        wire,
        tls,
        port: numbers.first().and_then(|&port| u16::try_from(port).ok()).unwrap_or_default(),
    };
    let place = Place::KINDS
        .map(place)
        .into_iter()
        .find(|place| args.first().is_some_and(|arg| arg == place.scheme()));
    let (Some(place), &[_, wanted, read_buffer, messages]) = (place, &numbers[..]) else {
        eprintln!("ws, tcp, wss or tls, which port, how many, what read buffer, and how many messages?");
        return ExitCode::FAILURE;
    };
    let connections = wanted.min(memory::files());
    let held = Flavor::CurrentThread.runtime().block_on(async {
        let flood = Flood::new(messages, BODY, false);
        let mut all = Vec::with_capacity(connections);
        let connector = ours::connector(read_buffer);
        // One that is not counted: what all have in common is made with the first, the look at certificates, say.
        let first = ours::connect_by(&connector, place).await;
        let before = Held::now();
        for _ in 0..connections {
            let mut transport = ours::connect_by(&connector, place).await;
            if messages > 0 {
                ours::take(&mut transport, flood).await;
            }
            // As a session does: it asks until there is nothing more.
            ours::expect_silence(&mut transport).await;
            all.push(transport);
        }
        let held = Held::now().since(before);
        drop((first, all));
        held
    });
    println!("{connections}\n{}", held.to_text());
    ExitCode::SUCCESS
}

/// As many as a gateway may have.
pub(super) const CONNECTIONS: usize = 5000;
