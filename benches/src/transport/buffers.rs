//! What a larger read buffer brings over WebSocket, and what it takes.

use super::{Flood, idle, ours};
use crate::args::Options;
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::{self, Table};
use crate::session::throughput::on;
use crate::session::{BODY, Place};

/// What this part is called on the command line.
pub(super) const NAME: &str = "buffers";

/// Prints the trade, or does a little of all of it.
pub(super) fn run(place: Place, program: &str, options: &Options) {
    let part = if options.is_test() { 100 } else { 1 };
    let floods = [
        Flood::new(400_000 / part, BODY, false),
        Flood::new(60_000 / part, 4 * 1024, true),
        Flood::new(400 / part, 1024 * 1024, true),
    ];
    let connections = if options.is_test() { 20 } else { idle::CONNECTIONS };
    // Memory first: it is a process of its own, and the rounds go on undisturbed.
    let memory = SIZES.map(|size| idle::run(program, place, connections, size, 0));
    let all = SIZES.map(|size| {
        floods.map(|flood| {
            let run = move || on(Flavor::CurrentThread, ours::receive(place, flood, size));
            Contender::new("", run)
        })
    });
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    harness::once(&mut all);
    if options.is_test() {
        return;
    }
    let [clock, _] = harness::interleave_figures(&mut all, options.rounds);
    println!("\nReceive over WebSocket on a current thread, by read buffer; {} rounds\n", options.rounds);
    let columns = [
        ("read buffer", 7),
        ("128 B, messages/s", 0),
        ("× default", 0),
        ("4 KiB, messages/s", 0),
        ("× default", 0),
        ("1 MiB, messages/s", 0),
        ("× default", 0),
        ("KiB idle", 0),
    ];
    let table = Table::begin(&columns, 0);
    let base = SIZES.iter().position(|&size| size == super::BUFFER).unwrap_or(0);
    for (row, (size, found)) in SIZES.iter().zip(&memory).enumerate() {
        let mut cells = vec![format!("{} KiB", size / 1024)];
        for column in 0..floods.len() {
            let (this, that) = (row * floods.len() + column, base * floods.len() + column);
            cells.push(format!("{:.0}", 1.0 / clock.median(this)));
            cells.push(report::ratio(clock.ratio(that, this)));
        }
        cells.push(idle::kib(found.held.allocated, found.connections));
        table.row(&cells);
    }
}

const SIZES: [usize; 6] = [4 * 1024, 8 * 1024, 16 * 1024, 32 * 1024, 64 * 1024, 128 * 1024];
