//! Clients that do the same work, side by side.

use std::future::Future;

use tokio::task::LocalSet;

use super::cpu::Sample;
use crate::args::Options;
use crate::flavor::Flavor;
use crate::harness::{self, Contender};
use crate::report::{self, Table};

/// A client, its runtime, and what it does there.
pub(crate) struct Client {
    flavor: Flavor,
    name: &'static str,
    /// What the column "goal" says.
    goal: &'static str,
    run: Box<dyn FnMut() -> Sample>,
}

impl Client {
    /// A client whose work is a task. Each round has a new runtime.
    pub(crate) fn new<F>(flavor: Flavor, name: &'static str, work: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Sample> + Send + 'static,
    {
        Self { flavor, name, goal: "", run: Box::new(move || on(flavor, work())) }
    }

    /// A client that cannot leave its thread.
    pub(crate) fn local<F>(name: &'static str, work: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Sample> + 'static,
    {
        let flavor = Flavor::CurrentThread;
        let run = move || flavor.runtime().block_on(LocalSet::new().run_until(work()));
        Self { flavor, name, goal: "", run: Box::new(run) }
    }

    pub(crate) fn goal(self, goal: &'static str) -> Self {
        Self { goal, ..self }
    }
}

/// Runs a future where a program would: in the main function, or as a task on one of the workers.
pub(crate) fn on<F>(flavor: Flavor, work: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = flavor.runtime();
    match flavor {
        Flavor::CurrentThread => runtime.block_on(work),
        Flavor::TwoWorkers => {
            runtime.block_on(async { tokio::spawn(work).await }).expect("it has said why it failed")
        }
    }
}

/// Runs those clients that are asked for, on all runtimes that are: measures them, or does a little of it.
pub(crate) fn run(title: &str, options: &Options, clients: impl Fn(Flavor) -> Vec<Client>) {
    let mut clients: Vec<Client> = options.flavors.iter().flat_map(|&flavor| clients(flavor)).collect();
    clients.retain(|client| client.name.contains(&options.client));
    match options.rounds {
        0 => check(&mut clients),
        rounds => measure(title, &mut clients, rounds),
    }
}

/// Runs the clients in turn and prints a row for each. The measure is the first of each runtime.
pub(crate) fn measure(title: &str, clients: &mut [Client], rounds: usize) {
    println!("\n{title}; {rounds} interleaved rounds, medians\n");
    let columns = [
        ("", 2),
        ("client", 28),
        ("goal", 9),
        ("messages/s", 10),
        ("× first", 0),
        ("CPU µs", 0),
        ("CPU × first", 0),
    ];
    let table = Table::begin(&columns, 2);
    let rows: Vec<_> = clients.iter().map(|client| (client.flavor, client.name, client.goal)).collect();
    let mut contenders: Vec<_> =
        clients.iter_mut().map(|client| Contender::new(client.name, &mut client.run)).collect();
    harness::once(&mut contenders);
    let [clock, cpu] = harness::interleave_figures(&mut contenders, rounds);
    for (at, (flavor, name, goal)) in rows.iter().enumerate() {
        let first = rows.iter().position(|(first, ..)| first == flavor).unwrap_or(at);
        table.row(&[
            flavor.name().into(),
            (*name).into(),
            (*goal).into(),
            format!("{:.0}", 1.0 / clock.median(at)),
            report::ratio(clock.ratio(first, at)),
            format!("{:.3}", cpu.median(at) * 1e6),
            report::ratio(cpu.ratio(at, first)),
        ]);
    }
}

/// Runs each client once.
///
/// # Panics
/// If one does not find what is there.
pub(crate) fn check(clients: &mut [Client]) {
    for client in clients {
        let [clock, _] = (client.run)();
        assert!(clock > 0.0, "{} on {}: it takes some time", client.name, client.flavor.name());
    }
}
