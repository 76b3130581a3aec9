//! The bench of outages: what it costs to send at least once, and how long it takes until all is as before.

mod outbox;
mod restore;
mod silence;
mod storm;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

pub use self::storm::session_storm;
use crate::args::Options;
use crate::session::{Server, Wire};

/// Runs what the arguments ask for. `server` and `storm` are the paths of programs that call
/// [`session_server`](crate::session_server) and [`session_storm`].
pub fn reliability(args: impl Iterator<Item = String>, server: &str, storm: &str) -> ExitCode {
    let options = match Options::read_for(args, &PARTS, &[]) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let wanted = |part: &str| options.wants(part, &PARTS);
    if wanted(outbox::NAME) {
        let running = Server::start(server);
        for wire in Wire::ALL {
            outbox::run(running.place(wire), &options);
        }
    }
    if wanted(restore::NAME) {
        if options.is_test() { restore::check() } else { restore::measure(options.rounds) }
    }
    if wanted(silence::NAME) {
        if options.is_test() { silence::check() } else { silence::measure() }
    }
    if wanted(storm::NAME) {
        if options.is_test() { storm::check(storm) } else { storm::measure(storm) }
    }
    if options.is_test() {
        println!("everything came back");
    }
    ExitCode::SUCCESS
}

const PARTS: [&str; 4] = [outbox::NAME, restore::NAME, silence::NAME, storm::NAME];

/// The longest wait for anything: a machine that takes longer is not worth measuring.
const DEADLINE: Duration = Duration::from_secs(60);
