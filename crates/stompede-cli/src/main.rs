//! The `stompede` command: sends to a STOMP broker, listens on one, and runs one for development.

mod args;
mod broker;
mod listen;
mod reach;
mod send;

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// What a command ends with. Clap itself reports a wrong command line, with code 2.
type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Send(send) => send::run(send).await,
        Command::Listen(listen) => listen::run(listen).await,
        Command::Broker(broker) => broker::run(broker).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("stompede: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for the person at the terminal. Not eprintln!, which panics when nobody reads standard error any more.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
