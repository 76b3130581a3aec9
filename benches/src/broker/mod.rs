//! The bench of the broker: messages through it, memory of idle connections, time to start.

mod client;
mod idle;
mod relay;
mod running;
mod start;
mod through;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::Options;

pub use idle::broker_idle;

/// Runs what the arguments ask for. `idle` is the path of the program that calls [`broker_idle`].
pub fn broker(args: impl Iterator<Item = String>, idle: &str) -> ExitCode {
    let options = match Options::read_for(args, &PARTS, &[]) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let wanted = |part: &str| options.wants(part, &PARTS);
    if wanted(through::NAME) {
        if options.is_test() { through::check() } else { through::measure(options.rounds) }
    }
    if wanted(idle::NAME) {
        if options.is_test() { idle::check(idle) } else { idle::measure(idle) }
    }
    if wanted(start::NAME) {
        if options.is_test() { start::check() } else { start::measure(options.rounds) }
    }
    if options.is_test() {
        println!("everything arrived");
    }
    ExitCode::SUCCESS
}

const PARTS: [&str; 3] = [through::NAME, idle::NAME, start::NAME];

/// The longest wait for one answer: a machine that takes longer is not worth measuring.
const DEADLINE: Duration = Duration::from_secs(10);
