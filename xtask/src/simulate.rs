//! `cargo xtask simulate`: whole lives of sessions against a model of a broker, each made from one seed.

use std::process::ExitCode;
use std::time::Duration;

use crate::args::Lives;
use crate::cargo::Cargo;
use crate::failure::Failure;
use crate::{clock, process};

/// In release: a life takes a millisecond there, and ten with the checks of a debug build.
const TEST: &str =
    "test -q --release -p stompede-session --no-default-features --test simulation fresh_seeds";

/// A cold build of the session and what it stands on.
const BUILD_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A life takes about a millisecond; past this something goes round for ever.
const LIFE_LIMIT: Duration = Duration::from_millis(100);

/// Runs the simulation, and says how long it took.
pub(crate) fn run(lives: Lives) -> ExitCode {
    let started = clock::now();
    match simulate(lives) {
        Ok(()) => {
            println!("xtask simulate: OK: {lives} in {:.1} s", started.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("xtask simulate: FAILED: {failure}");
            failure.exit_code()
        }
    }
}

fn simulate(lives: Lives) -> Result<(), Failure> {
    process::catch_signals()?;
    let (name, value, many) = match lives {
        Lives::Fresh(count) => ("STOMPEDE_SEEDS", count, count),
        Lives::One(seed) => ("STOMPEDE_SEED", seed, 1),
    };
    let limit = BUILD_LIMIT + LIFE_LIMIT.saturating_mul(u32::try_from(many).unwrap_or(u32::MAX));
    match Cargo::find().run_within(TEST, &[(name, &value.to_string())], limit) {
        Err(Failure::Ended { .. }) => Err(Failure::Check("a life went wrong; its seed is above".to_owned())),
        ended => ended,
    }
}
