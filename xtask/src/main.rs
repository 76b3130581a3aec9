//! Developer tasks of the workspace: `cargo xtask --help` lists them.

mod args;
mod cargo;
mod clock;
mod consumers;
mod failure;
mod foreign;
mod fuzz;
mod install;
mod metadata;
mod no_std;
mod process;
mod rabbitmq;
mod report;
mod simulate;
mod test;
mod trees;

use std::process::ExitCode;

use args::Task;

/// What a shell expects of a command that was called wrongly.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let given = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    match args::parse(given) {
        Ok(Task::Help) => {
            print!("{}", args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Task::Test { options, only }) => test::run(options, only.as_deref()),
        Ok(Task::Fuzz(options)) => fuzz::run(options),
        Ok(Task::Simulate(lives)) => simulate::run(lives),
        Err(error) => {
            eprintln!("xtask: {error}\n\n{}", args::HELP);
            ExitCode::from(EXIT_USAGE)
        }
    }
}
